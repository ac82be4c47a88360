"""Each row of the verdict table: a PC in that state before the run, the state file of the double after it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bitlocker.pc import PC, Operator, converge, kinds, recovery
from tests.escrow.keys import RECOVERY

pytestmark = pytest.mark.lab

OLD = "{0AAAAAAA-0000-4000-8000-00000000000A}"


def key(kind: str, identity: str = "", **more: Any) -> dict[str, Any]:
    """A protector as the state file has it."""
    number = {"Tpm": "1", "ExternalKey": "2", "TpmPin": "4", "Password": "8"}.get(kind, "3")
    password = RECOVERY if kind == "RecoveryPassword" else ""
    return {
        "KeyProtectorId": identity or f"{{{number * 8}-0000-4000-8000-000000000000}}",
        "KeyProtectorType": kind,
        "RecoveryPassword": password,
        **more,
    }


TPM, PASSWORD, KEPT = key("Tpm"), key("Password"), key("RecoveryPassword", OLD)


def encrypted(*keys: dict[str, Any], protection: str = "On", **more: Any) -> dict[str, Any]:
    """A volume that is encrypted whole."""
    return {
        "VolumeStatus": "FullyEncrypted", "ProtectionStatus": protection, "EncryptionMethod": "XtsAes256", "EncryptionPercentage": 100,
        "MetadataVersion": 2, "KeyProtector": list(keys), "Suspended": protection == "Off" and bool(keys), **more,
    }  # fmt: skip


def other(status: str, *keys: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A volume in another state, its protection off."""
    method = "None" if status == "FullyDecrypted" else "XtsAes256"
    return {
        "VolumeStatus": status,
        "ProtectionStatus": "Off",
        "EncryptionMethod": method,
        "KeyProtector": list(keys),
        **more,
    }


RIGHT = ["RecoveryPassword", "Tpm"]
# Rows that a run makes right: name, the system volume before it.
MENDED = {
    "clear": other("FullyDecrypted"),
    "clear, with a recovery password": other("FullyDecrypted", KEPT),
    "clear, cut off after the TPM": other("FullyDecrypted", KEPT, TPM),
    "suspended": encrypted(KEPT, TPM, protection="Off"),
    "clear key": encrypted(protection="Off"),
    "password only": encrypted(PASSWORD),
    "TPM alone": encrypted(TPM),
    "recovery password alone": encrypted(KEPT),
    "paused": other("EncryptionSuspended", KEPT, TPM, EncryptionPercentage=50),
    "encrypting, without a recovery password": other(
        "EncryptionInProgress", TPM, EncryptionPercentage=34, EncryptionStep=40
    ),
    "compliant, not in escrow": encrypted(KEPT, TPM),
}


@pytest.mark.parametrize("name", MENDED)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_run_makes_it_right_and_a_second_one_does_nothing(
    name: str, language: str, pc: PC, operator: Operator
) -> None:
    pc.double.control("language", language)
    pc.write(C=MENDED[name])
    outcome = converge(pc, operator)
    assert outcome.ok
    volume = pc.volume()
    assert (volume["VolumeStatus"], volume["ProtectionStatus"], volume["EncryptionMethod"]) == (
        "FullyEncrypted",
        "On",
        "XtsAes256",
    )
    assert [kind for kind in kinds(volume) if kind != "Password"] == RIGHT
    assert recovery(volume) == operator.kept()
    assert [text for text in pc.said for password in recovery(volume).values() if password in text] == [], (
        "none leaves the PC"
    )
    if any(one is KEPT for one in MENDED[name]["KeyProtector"]):
        assert recovery(volume) == {OLD: RECOVERY}, "a key that was there is kept, no second one is made"
    before, files = (
        pc.double.state["bitlocker"],
        sorted((path, path.read_bytes()) for path in operator.escrow.folder.rglob("*.json")),
    )
    again = converge(pc, operator)
    assert (again.steps, again.noop) == (0, "every volume is as it should be, its keys in escrow")
    assert pc.double.state["bitlocker"] == before
    assert sorted((path, path.read_bytes()) for path in operator.escrow.folder.rglob("*.json")) == files


# Rows that are an operator's to decide: what is there stays as it is, and its key is kept all the same.
LEFT = {
    "weak method": encrypted(KEPT, TPM, EncryptionMethod="XtsAes128"),
    "encrypting": other("EncryptionInProgress", KEPT, TPM, EncryptionPercentage=34, EncryptionStep=1),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_alone_is_told_and_its_key_kept(name: str, pc: PC, operator: Operator) -> None:
    pc.write(C=LEFT[name])
    before = pc.volume()
    outcome = converge(pc, operator)
    assert (outcome.ok, len(outcome.plan.told)) == (True, 1)
    assert pc.volume() == before
    assert operator.kept() == {OLD: RECOVERY}
    again = converge(pc, operator)
    assert (again.steps, len(again.plan.told)) == (0, 1)


# Rows that are refused: name, volume, words of the refusal.
REFUSED = {
    "decrypting": (other("DecryptionInProgress", KEPT, TPM, EncryptionPercentage=60), "C: somebody decrypts it"),
    "decryption paused": (other("DecryptionSuspended", KEPT, TPM, EncryptionPercentage=60), "C: somebody decrypts it"),
    "hardware test": (
        other("FullyDecrypted", KEPT, TPM, Test="pending"),
        "C: waits for the hardware test of the next start: test",
    ),
    "suspended for restarts": (
        encrypted(KEPT, TPM, protection="Off", SuspendCount=1),
        "C: is suspended for a number of restarts: counted",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_why_and_its_key_is_kept_first(
    name: str, pc: PC, operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    volume, words = REFUSED[name]
    pc.write(C=volume)
    before = pc.volume()
    outcome = converge(pc, operator)
    assert not outcome.ok
    assert words in caplog.text
    assert "hint: " in caplog.text
    assert pc.volume() == before
    assert operator.kept() == {OLD: RECOVERY}


SYSTEM = encrypted(key("RecoveryPassword", "{0CCCCCCC-0000-4000-8000-00000000000C}"), TPM)
LOCKED = encrypted(KEPT, protection="Unknown", LockStatus="Locked")


def test_a_locked_volume_is_refused_with_the_way_to_open_it(
    pc: PC, operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    pc.write(C=SYSTEM, D=LOCKED)
    assert not converge(pc, operator).ok
    assert "D: is locked: locked" in caplog.text
    assert "citadelle escrow show pc1 --volume D: --key FILE --reveal" in caplog.text
    assert pc.volume("D")["LockStatus"] == "Locked"


DATA = {
    "clear": other("FullyDecrypted"),
    "clear, with a recovery password": other("FullyDecrypted", KEPT),
    "no auto-unlock": encrypted(KEPT),
    "password only": encrypted(PASSWORD),
    "suspended": encrypted(KEPT, protection="Off"),
    "paused": other("EncryptionSuspended", KEPT, EncryptionPercentage=50),
}


@pytest.mark.parametrize("name", DATA)
def test_a_data_volume_is_made_right_and_unlocks_by_itself_after_a_start(name: str, pc: PC, operator: Operator) -> None:
    pc.write(C=SYSTEM, D=DATA[name])
    assert converge(pc, operator).ok
    volume = pc.volume("D")
    assert (volume["VolumeStatus"], volume["ProtectionStatus"], volume["AutoUnlockEnabled"]) == (
        "FullyEncrypted",
        "On",
        True,
    )
    assert recovery(volume).items() <= operator.kept().items()
    assert len(recovery(volume)) == 1
    assert len(operator.kept()) == 2
    assert converge(pc, operator).steps == 0
    pc.close()
    pc.double.control("reboot")
    assert pc.volume("D")["LockStatus"] == "Unlocked"


def test_both_volumes_of_a_fresh_pc_in_one_run(pc: PC, operator: Operator) -> None:
    pc.write(C=other("FullyDecrypted", EncryptionStep=30), D=other("FullyDecrypted"))
    assert converge(pc, operator).ok
    assert [pc.volume(letter)["ProtectionStatus"] for letter in "CD"] == ["On", "On"]
    assert recovery(pc.volume("C")) | recovery(pc.volume("D")) == operator.kept()
    assert converge(pc, operator).steps == 0


def test_a_run_that_does_not_watch_leaves_the_data_volume_for_the_next(
    pc: PC, operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    operator.given["watch"] = 0
    pc.write(C=other("FullyDecrypted", EncryptionStep=30), D=other("FullyDecrypted"))
    assert converge(pc, operator).ok
    assert "C: is being encrypted (30 %): it goes on by itself" in caplog.text
    assert "D: waits until the system volume is protected: run again then" in caplog.text
    assert pc.volume("D")["VolumeStatus"] == "FullyDecrypted"
    assert recovery(pc.volume("C")).items() <= operator.kept().items()
