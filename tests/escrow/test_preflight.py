"""What would make Windows refuse is asked before anything is changed, and told all at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from citadelle.escrow.store import Escrow
from citadelle.hardening.state import State
from tests.escrow.keys import ID, entry
from tests.escrow.states import CHOICE, KEY, PIN, RECOVERY, TPM, made, pc, volume

DATA = {"mount": "D:"}


@pytest.mark.parametrize(
    ("sections", "what"),
    [
        ({"secure_boot": False}, "Secure Boot is off, or not known"),
        ({"session": {"Groups": "S-1-5-32-545 S-1-16-8192"}}, "session is not elevated"),
        (
            {"version": {"Build": 26100, "Revision": 1, "EditionID": "Core"}},
            "edition of Windows has no BitLocker: home",
        ),
        (
            {"tpm": {"TpmPresent": False, "TpmReady": False, "SpecVersion": ""}},
            "TPM is not ready: present False, ready False",
        ),
        (
            {"tpm": {"TpmPresent": True, "TpmReady": False, "SpecVersion": "2.0"}},
            "TPM is not ready: present True, ready False",
        ),
        ({"tpm": {"TpmPresent": True, "TpmReady": True, "SpecVersion": "1.2, 2"}}, "TPM is not of version 2.0: 1.2"),
        (
            {"tpm": {"TpmPresent": True, "TpmReady": True, "SpecVersion": "2.0", "RestartPending": True}},
            "TPM waits for a restart: RestartPending",
        ),
        ({"tpm": None}, "TPM is unknown: "),
    ],
)
def test_what_windows_would_refuse_is_refused_before_anything(
    sections: dict[str, Any], what: str, vault_folders: Escrow
) -> None:
    found = made(pc(volume(0, 0), **sections), vault_folders)
    assert [problem[0][: len(what)] for problem in found.problems] == [what]
    assert all(problem[1] for problem in found.problems)
    vault_folders.keep(entry(ID, key=KEY))
    assert made(pc(volume(1, 1, TPM, RECOVERY), **sections), vault_folders).problems == (), (
        "a volume that is right needs none of it"
    )


POLICIES = [
    ("tpm", {"UseAdvancedStartup": 1, "UseTPMPIN": 1}, "STARTUP_PIN_REQUIRED (0x80310061)"),
    ("tpm", {"UseAdvancedStartup": 1, "UseTPM": 0}, "STARTUP_TPM_NOT_ALLOWED (0x80310066)"),
    ("tpm_pin", {"UseAdvancedStartup": 1, "UseTPMPIN": 0}, "STARTUP_PIN_NOT_ALLOWED (0x80310060)"),
    ("tpm_pin", {"UseAdvancedStartup": 1, "UseTPM": 1}, "STARTUP_TPM_REQUIRED (0x80310067)"),
    ("tpm", {"OSRecovery": 1, "OSRecoveryPassword": 0}, "RECOVERY_PASSWORD_NOT_ALLOWED (0x8031005C)"),
    ("tpm", {"UseAdvancedStartup": 0, "UseTPM": 0, "UseTPMPIN": 1}, ""),
    ("tpm", {"UseAdvancedStartup": 1, "UseTPM": 2, "UseTPMPIN": 2}, ""),
    ("tpm_pin", {}, ""),
    ("tpm", {"FDVRecovery": 1, "FDVRecoveryPassword": 0}, ""),
]


@pytest.mark.parametrize(("unlock", "registry", "code"), POLICIES)
def test_a_policy_that_forbids_is_named(
    unlock: Any, registry: dict[str, int], code: str, vault_folders: Escrow
) -> None:
    found = made(pc(volume(0, 0), registry=registry), vault_folders, replace(CHOICE, unlock=unlock))
    assert [problem[0].endswith(code) for problem in found.problems] == ([True] if code else [])


@pytest.mark.parametrize(
    ("length", "least", "kinds", "refused"),
    [
        (8, 9, (), True), (9, 9, (), False), (8, 9, (TPM, RECOVERY), True), (6, None, (), False), (0, 6, (), True),
        (8, 9, (PIN, RECOVERY), False),  # the PIN stands already: nothing is asked of the file
    ],
)  # fmt: skip
def test_a_pin_that_is_too_short_for_the_policy_is_refused_before_a_key_is_made(
    length: int, least: int | None, kinds: tuple[int, ...], refused: bool, vault_folders: Escrow
) -> None:
    state = pc(volume(1 if kinds else 0, 0, *kinds), registry={"MinimumPIN": least})
    choice = replace(CHOICE, unlock="tpm_pin", pin_length=length)
    found = made(state, vault_folders, choice)
    words = (f"PIN is shorter than policy takes, MinimumPIN={least}: INVALID_PIN_LENGTH (0x80310068)",
             f"put a PIN of {least} to 20 digits into the file that bitlocker_pin names")  # fmt: skip
    assert found.problems == ((words,) if refused else ())
    assert made(state, vault_folders).problems == (), "without a PIN none of it is asked"
    assert "pin_length" not in repr(choice)


def test_all_problems_of_a_pc_come_together(vault_folders: Escrow) -> None:
    state = pc(
        volume(0, 0),
        volume(None, 2, RECOVERY, **DATA),
        secure_boot=False,
        registry={"UseAdvancedStartup": 1, "UseTPM": 0},
    )  # type: ignore[arg-type]
    assert len(made(state, vault_folders).problems) == 3


def test_a_state_without_an_answer_of_bitlocker_is_refused(vault_folders: Escrow) -> None:
    state = State.parse({"format": 1, "sections": {}, "errors": {"bitlocker": {"id": "X", "result": "0x80041003"}}})
    assert made(state, vault_folders).problems == (
        ("what BitLocker says is unknown: X (0x80041003)", "Get-BitLockerVolume in a console of the PC"),
    )
