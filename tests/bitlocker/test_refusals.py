"""What Windows refuses in the middle of a run, each with its meaning and cure; nothing is encrypted then."""

from __future__ import annotations

import json
from typing import Any

import pytest

from citadelle.operations import bitlocker_answers
from tests.bitlocker.pc import PC, PIN, Operator, converge, killed, kinds, recovery
from tests.bitlocker.test_rows import MENDED, SYSTEM, other

pytestmark = pytest.mark.lab

FVE = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\Microsoft\\FVE"


def policy(pc: PC, **values: int) -> None:
    """Policies of BitLocker in the double's registry, past its own code."""
    file = pc.double.home / "registry.json"
    content = json.loads(file.read_text("utf-8-sig"))
    content.setdefault(FVE, {}).update({name: {"kind": "DWord", "value": value} for name, value in values.items()})
    file.write_text(json.dumps(content))


def test_what_has_come_to_be_in_between_is_no_failure(
    pc: PC, operator: Operator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A protector made, encryption begun by somebody else after this run has looked: Windows refuses both."""
    pc.write(C={**MENDED["suspended"]})
    blind = bitlocker_answers.SCRIPT.replace("if (-not (Get-Protector $volume $kind))", "if ($true)")
    monkeypatch.setattr(bitlocker_answers, "SCRIPT", blind.replace("if ($status -eq 0) {", "if ($true) {"))
    assert converge(pc, operator).ok, caplog.text
    assert pc.volume()["ProtectionStatus"] == "On"
    assert kinds(pc.volume()).count("Tpm") == 1
    monkeypatch.setattr(bitlocker_answers, "ALREADY", [])
    pc.write(C={**MENDED["suspended"]})
    assert not converge(pc, operator).ok
    assert "PROTECTOR_EXISTS (0x80310031)" in caplog.text


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize(
    ("computer", "policies", "words"),
    [
        (
            {"BootableMedium": True},
            {},
            "C: a bootable medium is in the PC: BOOTABLE_CDDVD (0x80310030)\nhint: remove CDs and USB sticks",
        ),
        (
            {},
            {"EncryptionMethodWithXtsOs": 6},
            "C: is refused: policy wants another encryption method: 0x80070057\nhint: set Enc",
        ),
    ],
)
def test_a_refusal_of_windows_is_explained(
    computer: dict[str, Any],
    policies: dict[str, int],
    words: str,
    language: str,
    pc: PC,
    operator: Operator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pc.double.control("language", language)
    pc.write(C=MENDED["clear"])
    pc.change(computer=computer)
    policy(pc, **policies)
    assert not converge(pc, operator).ok
    assert words in caplog.text
    assert pc.volume()["VolumeStatus"] == "FullyDecrypted"
    assert recovery(pc.volume()) == operator.kept()


@pytest.mark.parametrize(
    ("policies", "code"),
    [
        ({"UseAdvancedStartup": 1, "UseTPM": 0}, "STARTUP_TPM_NOT_ALLOWED (0x80310066)"),
        ({"UseAdvancedStartup": 1, "UseTPMPIN": 1}, "STARTUP_PIN_REQUIRED (0x80310061)"),
        ({"OSRecovery": 1, "OSRecoveryPassword": 0}, "RECOVERY_PASSWORD_NOT_ALLOWED (0x8031005C)"),
    ],
)
def test_a_policy_that_forbids_stops_before_the_first_change(
    policies: dict[str, int], code: str, pc: PC, operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    pc.write(C=MENDED["clear"])
    policy(pc, **policies)
    assert not converge(pc, operator).ok
    assert code in caplog.text
    assert (pc.volume()["KeyProtector"], operator.kept()) == ([], {})


def test_a_policy_for_data_volumes_counts_for_them_alone(
    pc: PC, operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    volumes = {"C": MENDED["clear"], "D": other("FullyDecrypted", MountPoint="D:")}
    pc.write(**volumes)
    policy(pc, FDVRecovery=1, FDVRecoveryPassword=0)
    before = pc.double.state["bitlocker"]
    assert not converge(pc, operator).ok
    assert "policy forbids recovery passwords: RECOVERY_PASSWORD_NOT_ALLOWED (0x8031005C)" in caplog.text
    assert (pc.double.state["bitlocker"], operator.kept()) == (before, {}), (
        "nothing half done: the system volume neither"
    )
    pc.write(C=volumes["C"])
    assert converge(pc, operator).ok
    assert pc.volume()["ProtectionStatus"] == "On"


@pytest.mark.parametrize(
    ("tpm", "code"),
    [({"TpmEnabled": False}, "TPM_DISABLED (0x8031003F)"), ({"TpmReady": False}, "TPM_NOT_OWNED (0x80310018)")],
)
def test_a_tpm_that_goes_away_after_the_look_stops_the_encryption(
    tpm: dict[str, bool], code: str, pc: PC, operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    pc.write(C=MENDED["clear"])
    assert not converge(pc, operator, before=lambda step: pc.change(tpm=tpm) if step == 2 else None).ok
    assert code in caplog.text
    assert pc.volume()["VolumeStatus"] == "FullyDecrypted"


# As CIS wants the start where a PIN is asked.
DEMANDED = {
    "UseTPM": 0,
    "UseTPMPIN": 1,
    "UseTPMKey": 0,
    "UseTPMKeyPIN": 0,
    "EnableBDEWithNoTPM": 0,
    "UseAdvancedStartup": 1,
}


@pytest.mark.parametrize(
    ("before", "policies", "after"),
    [
        (MENDED["clear"], {"UseTPM": 2}, DEMANDED | {"UseTPM": 2, "UseTPMPIN": 2, "UseTPMKey": 2, "UseTPMKeyPIN": 2}),
        (SYSTEM, {}, DEMANDED),
    ],
    ids=["clear, by a policy of others", "TPM alone before"],
)
def test_a_pin_arrives_and_is_nowhere(
    before: dict[str, Any],
    policies: dict[str, int],
    after: dict[str, int],
    pc: PC,
    pinned: Operator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    policy(pc, **policies)
    pc.write(C=before)
    assert converge(pc, pinned).ok
    assert kinds(pc.volume()) == ["RecoveryPassword", "TpmPin"]
    assert [key["PinLength"] for key in pc.volume()["KeyProtector"] if key["KeyProtectorType"] == "TpmPin"] == [
        len(PIN)
    ]
    assert converge(pc, pinned).steps == 0
    kept = [pinned.escrow.find(host, name).entry for host, name in pinned.escrow.names()]
    assert [entry.unlock for entry in kept if entry] == ["tpm_pin"], "the choice is recorded with the key"
    stands = json.loads((pc.double.home / "registry.json").read_text("utf-8-sig"))[FVE]
    assert {name: one["value"] for name, one in stands.items()} == after
    for text in (
        *pc.said,
        caplog.text,
        *(file.read_text("utf-8", "replace") for file in pc.double.home.glob("*.json*")),
    ):
        assert PIN not in text


def test_a_pin_that_policy_finds_too_short_is_refused(
    pc: PC, pinned: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    pc.write(C=MENDED["clear"])
    policy(pc, UseAdvancedStartup=1, UseTPMPIN=2, MinimumPIN=20)
    assert not converge(pc, pinned).ok
    assert "INVALID_PIN_LENGTH (0x80310068)" in caplog.text
    assert (pc.volume()["KeyProtector"], pinned.kept()) == ([], {})
    assert PIN not in caplog.text


def test_a_rotation_replaces_the_key_and_keeps_the_old_one_marked(pc: PC, operator: Operator) -> None:
    pc.write(C=SYSTEM)
    assert converge(pc, operator).ok
    old = recovery(pc.volume())
    operator.choice = {"rotate_before": "2999-01-01"}
    assert converge(pc, operator).ok
    new = recovery(pc.volume())
    assert len(new) == 1
    assert not new.keys() & old.keys()
    assert operator.kept() == old | new
    assert marked(operator) == set(old)


def marked(operator: Operator) -> set[str]:
    """Ids in escrow that are marked as replaced."""
    found = {name: operator.escrow.find(host, name).entry for host, name in operator.escrow.names()}
    return {name for name, entry in found.items() if entry and entry.replaced}


@pytest.mark.parametrize(
    "place", [(kind, number) for kind in ("dies_before", "dies_after", "fuse") for number in range(1, 5)]
)
def test_a_rotation_killed_anywhere_never_leaves_a_volume_without_a_kept_key(
    place: tuple[str, int], pc: PC, operator: Operator
) -> None:
    pc.write(C=SYSTEM)
    assert converge(pc, operator).ok
    for host, name in list(operator.escrow.names()):
        operator.escrow.change(host, name, created="2020-01-01T00:00:00Z")
    operator.choice = {"rotate_before": "2026-01-01"}
    killed(pc, operator, **{place[0]: place[1]})
    assert recovery(pc.volume()).keys() & operator.kept().keys(), "some kept key opens it at any time"
    assert converge(pc, operator).ok
    assert len(recovery(pc.volume())) == 1
    assert recovery(pc.volume()).items() <= operator.kept().items()
    assert marked(operator) == set(operator.kept()) - set(recovery(pc.volume()))
    assert converge(pc, operator).steps == 0


def test_windows_keeps_a_key_elsewhere_where_that_is_wanted(
    pc: PC, operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    operator.choice = {"backups": ("entra", "ad")}
    pc.write(C=other("FullyDecrypted"))
    pc.change(computer={"AzureAdJoined": True, "PartOfDomain": False})
    assert not converge(pc, operator).ok
    assert "C: is not kept in Active Directory: group policy turns that off: 0x00000001" in caplog.text
    assert pc.volume()["VolumeStatus"] == "FullyDecrypted"
    pc.change(computer={"AzureAdJoined": True, "PartOfDomain": True})
    assert converge(pc, operator).ok
    assert pc.volume()["ProtectionStatus"] == "On"
    assert converge(pc, operator).steps == 0
