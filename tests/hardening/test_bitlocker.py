"""BitLocker: the whole table of states and its errors."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import pytest

from citadelle.hardening.bitlocker import (
    FINDINGS,
    OFF,
    ON,
    OPERATING_SYSTEM,
    PROBLEMS,
    UNKNOWN,
    Protector,
    Status,
    Volume,
    explain,
    judge,
)
from citadelle.hardening.state import State
from tests.conftest import shared_path
from tests.hardening.right import Pc
from tests.hardening.states import verdicts

TPM, PIN, KEY, RECOVERY, PASSWORD = (
    Protector.TPM, Protector.TPM_PIN, Protector.EXTERNAL_KEY, Protector.RECOVERY_PASSWORD, Protector.PASSWORD,
)  # fmt: skip
XTS256, XTS128, AES256, AES128 = 7, 6, 4, 3


def system(status: int | None, protection: int, *protectors: int, method: int = XTS256, lock: int = 0) -> Volume:
    return Volume(
        mount_point="C:", volume_type=OPERATING_SYSTEM, volume_status=status, protection_status=protection,
        lock_status=lock, encryption_method=method, protectors=frozenset(protectors),
    )  # fmt: skip


def data(status: int | None, protection: int, *protectors: int, auto: bool | None = None, lock: int = 0) -> Volume:
    values = system(status, protection, *protectors, lock=lock).model_dump() | {
        "volume_type": 1,
        "auto_unlock_enabled": auto,
    }
    return Volume(**values)


CASES = [
    ("compliant", system(1, ON, TPM, RECOVERY)),
    ("compliant", system(1, ON, PIN, RECOVERY)),
    ("compliant", system(6, ON, TPM, RECOVERY)),
    ("compliant", data(1, ON, RECOVERY, KEY, auto=True)),
    ("weak_method", system(1, ON, TPM, RECOVERY, method=XTS128)),
    ("weak_method", system(1, ON, TPM, RECOVERY, method=AES128)),
    ("weak_method", system(1, ON, TPM, RECOVERY, method=AES256)),
    ("suspended", system(1, OFF, TPM, RECOVERY)),
    ("suspended", system(1, OFF, PASSWORD)),
    ("clear_key", system(1, OFF)),
    ("missing_protectors", system(1, ON, PASSWORD)),
    ("missing_protectors", system(1, ON, KEY)),
    ("missing_protectors", system(1, ON, TPM)),
    ("missing_protectors", system(1, ON, RECOVERY)),
    ("missing_protectors", data(1, ON, PASSWORD, auto=True)),
    ("no_auto_unlock", data(1, ON, RECOVERY, PASSWORD, auto=False)),
    ("encrypting", system(2, OFF, TPM, RECOVERY)),
    ("missing_protectors", system(2, OFF, TPM)),
    ("paused", system(4, OFF, TPM, RECOVERY)),
    ("paused", system(4, ON, TPM, RECOVERY)),
    ("hardware_test", system(0, OFF, TPM)),
    ("hardware_test", system(0, OFF, TPM, RECOVERY)),
    ("clear", system(0, OFF)),
    ("clear", system(0, OFF, RECOVERY)),
    ("decrypting", system(3, OFF, TPM, RECOVERY)),
    ("decrypting", system(5, OFF, TPM, RECOVERY)),
    ("locked", data(None, UNKNOWN, RECOVERY, lock=1)),
    ("locked", data(None, UNKNOWN)),
    ("unexpected", system(0, ON, TPM)),
    ("unexpected", system(None, OFF)),
]


@pytest.mark.parametrize(("verdict", "volume"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_each_row_of_the_table(verdict: str, volume: Volume) -> None:
    assert judge(volume).verdict == verdict


def test_every_finding_is_reached_and_says_what_to_do() -> None:
    assert {verdict for verdict, _ in CASES} | {"no_pin"} == set(FINDINGS)
    assert [name for name, found in FINDINGS.items() if not found.cure] == ["compliant"]


@pytest.mark.parametrize(
    ("volume", "unlock", "verdict"),
    [
        (system(1, ON, TPM, RECOVERY), "tpm_pin", "no_pin"),
        (system(1, ON, TPM, PIN, RECOVERY), "tpm_pin", "no_pin"),
        (system(1, ON, PIN, RECOVERY), "tpm_pin", "compliant"),
        (system(1, OFF, TPM, RECOVERY), "tpm_pin", "suspended"),
        (data(1, ON, RECOVERY, KEY, auto=True), "tpm_pin", "compliant"),
        (system(1, ON, TPM, RECOVERY), "tpm", "compliant"),
        (system(1, ON, PIN, RECOVERY), "tpm", "compliant"),
    ],
)
def test_a_system_volume_that_opens_without_the_chosen_pin_is_not_compliant(
    volume: Volume, unlock: str, verdict: str
) -> None:
    assert judge(volume, unlock).verdict == verdict


@pytest.mark.parametrize(
    ("unlock", "statuses", "words"),
    [
        (None, ["pass", "waived", "pass", *["not applicable"] * 2], "a PC that serves must start with nobody there"),
        ("tpm", ["pass", "waived", "pass", *["not applicable"] * 2], "a PC that serves must start with nobody there"),
        ("tpm_pin", ["fail", *["not applicable"] * 2, "fail", "fail"], "a PIN was chosen for this PC (bitlocker_unlock): WIN-BIT-08"),
    ],
)  # fmt: skip
def test_a_pc_is_judged_by_the_start_that_was_chosen_also_from_its_saved_state(
    unlock: str | None, statuses: list[str], words: str
) -> None:
    state = State.parse(Pc().raw()).chosen(unlock)
    saved = State.parse(json.loads(json.dumps(state.raw)))
    names = [f"WIN-BIT-{number}" for number in ("01", "05", "06", "08", "09")]
    for found in (verdicts(state, *names), verdicts(saved, *names)):
        assert [found[name].status for name in names] == statuses
        assert found["WIN-BIT-05"].why == words
    assert saved.raw.get("choices") == ({"unlock": unlock} if unlock else None)


@pytest.mark.parametrize("choices", ["tpm_pin", {"unlock": 1}, ["tpm_pin"], {"unlock": ["tpm"]}])
def test_a_choice_that_is_none_breaks_nothing(choices: object) -> None:
    state = State.parse(Pc().raw() | {"choices": choices})
    assert state.sections["choices"] == {"unlock": "not chosen"}


def test_nothing_is_compliant_that_is_not_encrypted_protected_and_recoverable() -> None:
    kinds = [frozenset(kinds) for kinds in ((), (TPM,), (RECOVERY,), (TPM, RECOVERY), (PASSWORD, KEY))]
    count = 0
    for status, protection, lock, method, protectors in product(
        [None, *Status], (OFF, ON, UNKNOWN), (0, 1), range(8), kinds
    ):
        volume = system(status, protection, *protectors, method=method, lock=lock)
        if judge(volume).verdict == "compliant":
            count += 1
            assert (status in {1, 6, 7}, protection, lock, method) == (True, ON, 0, XTS256)
            assert protectors == {TPM, RECOVERY}
    assert count == 3


def test_a_recovery_password_is_not_taken_along() -> None:
    secret = "123456-" * 7 + "123456"
    raw = {"MountPoint": "C:", "VolumeType": 0, "ProtectionStatus": 1, "VolumeStatus": 1,
           "KeyProtector": [{"KeyProtectorType": 3, "RecoveryPassword": secret}]}  # fmt: skip
    state = State.parse({"format": 1, "sections": {"bitlocker": raw}})
    assert [one["verdict"] for one in state.sections["bitlocker"]] == ["missing_protectors"]
    assert secret not in repr(state)


@pytest.mark.parametrize("result", ["0x8031001D", "0x8031001d"])
def test_an_error_is_explained_whatever_the_language(result: str) -> None:
    found = explain(result)
    assert found is not None
    assert (found.name, found.done) == ("KEY_REQUIRED", False)
    assert found.cure == "add another protector before removing it"


@pytest.mark.parametrize("result", ["0x80070005", "", "no number"])
def test_an_error_of_something_else_is_not(result: str) -> None:
    assert explain(result) is None


def test_what_is_already_so_is_no_failure() -> None:
    assert {problem.name for problem in PROBLEMS.values() if problem.done} == {"PROTECTOR_EXISTS", "NOT_DECRYPTED"}


def test_a_genuine_volume_in_clear() -> None:
    text = shared_path("data", "windows", "bitlocker", "bitlockervolume.realmjoin.clear.json").read_text("utf-8-sig")
    state = State.parse({"format": 1, "sections": {"bitlocker": json.loads(text)}})
    (verdict,) = verdicts(
        replace(state, sections=state.sections | {"version": {"EditionID": "Enterprise"}}), "WIN-BIT-01"
    ).values()
    assert verdict.line("pc1") == (
        "pc1: fail: WIN-BIT-01 The system volume is encrypted, protected and recoverable: found volume=C: verdict=clear, "
        "wanted one or more, each with verdict compliant (C: is not encrypted: enable BitLocker after its recovery key is in escrow)"
    )
