"""Each error of BitLocker that a run can meet, as it is told: code, words, cure; written out, so that a change of one is seen."""

from __future__ import annotations

import pytest

from citadelle.hardening.bitlocker import PROBLEMS
from citadelle.operations.bitlocker_answers import _stop

POLICY = r"gpresult /h report.html; change the policy under HKLM\SOFTWARE\Policies\Microsoft\FVE or the setting"
TOLD = {
    "0x80310000": ("the volume is locked: LOCKED_VOLUME", "unlock it with its recovery password"),
    "0x80310008": ("BitLocker is not on for this volume: NOT_ACTIVATED", "enable BitLocker first"),
    "0x80310018": ("the TPM has no owner: TPM_NOT_OWNED", "Initialize-Tpm"),
    "0x8031001D": ("this is the last protector: KEY_REQUIRED", "add another protector before removing it"),
    "0x80310025": (
        "another system has set up the TPM: TPM_SRK_AUTH_NOT_ZERO",
        "escrow every key that the TPM guards, then clear the TPM in the firmware",
    ),
    "0x80310029": ("data volumes unlock by this volume: AUTOUNLOCK_ENABLED", "Clear-BitLockerAutoUnlock first"),
    "0x8031002C": ("policy wants a recovery password first: POLICY_PASSWORD_REQUIRED", "add one, escrow it"),
    "0x80310030": ("a bootable medium is in the PC: BOOTABLE_CDDVD", "remove CDs and USB sticks"),
    "0x80310031": ("such a protector is there: PROTECTOR_EXISTS", "nothing is to do"),
    "0x80310037": (
        "FIPS mode forbids recovery passwords: FIPS_PREVENTS_RECOVERY_PASSWORD",
        "turn FIPS mode off by policy",
    ),
    "0x80310039": ("encryption has been started before: NOT_DECRYPTED", "nothing is to do"),
    "0x8031003F": ("no TPM can be used: TPM_DISABLED", "turn the TPM on in the firmware"),
    "0x8031004E": ("the PC must restart first: REBOOT_REQUIRED", "restart the PC"),
    "0x80310054": ("the system volume is not protected: NO_AUTOUNLOCK_MASTER_KEY", "protect it first"),
    "0x8031005C": ("policy forbids recovery passwords: RECOVERY_PASSWORD_NOT_ALLOWED", POLICY),
    "0x8031005D": ("policy wants a recovery password: RECOVERY_PASSWORD_REQUIRED", "add one, escrow it"),
    "0x8031005E": ("policy forbids recovery keys: RECOVERY_KEY_NOT_ALLOWED", POLICY),
    "0x8031005F": ("policy wants a recovery key: RECOVERY_KEY_REQUIRED", POLICY),
    "0x80310060": ("policy forbids a PIN at the start: STARTUP_PIN_NOT_ALLOWED", "unlock by TPM alone"),
    "0x80310061": ("policy wants a PIN at the start: no start without a person: STARTUP_PIN_REQUIRED", POLICY),
    "0x80310066": ("policy forbids the TPM alone: STARTUP_TPM_NOT_ALLOWED", POLICY),
    "0x80310067": ("policy wants the TPM alone: STARTUP_TPM_REQUIRED", POLICY),
    "0x80310068": ("the PIN is too short or too long: INVALID_PIN_LENGTH", "see MinimumPIN of the policy"),
    "0x80310099": ("an enhanced PIN is not possible on this PC: ENH_PIN_INVALID", "use digits"),
    "0x8031009A": ("the PIN holds characters that are not allowed: INVALID_PIN_CHARS", "use digits"),
    "0x803100B5": ("no keyboard before the start: NO_PREBOOT_KEYBOARD_DETECTED", "unlock by TPM alone on this PC"),
    "0x803100B6": ("no keyboard before the start, no WinRE: NO_PREBOOT_KEYBOARD_OR_WINRE_DETECTED", "reagentc /enable"),
    "0x803100BA": ("Secure Boot is off: SECUREBOOT_DISABLED", "turn Secure Boot on in the firmware"),
    "0x803100BB": ("Secure Boot is set up wrongly: SECUREBOOT_CONFIGURATION_INVALID", "reset its keys in the firmware"),
    "0x803100D5": ("policy does not let keys be kept in the domain: ADBACKUP_NOT_ENABLED", POLICY),
    "0x803100DA": ("no domain escrow required of system volumes: AD_BACKUP_REQUIRED_POLICY_NOT_SET_OS_DRIVE", POLICY),
    "0x803100DB": ("no domain escrow required of data volumes: AD_BACKUP_REQUIRED_POLICY_NOT_SET_FIXED_DRIVE", POLICY),
    "0x803100DC": ("no domain escrow required of sticks: AD_BACKUP_REQUIRED_POLICY_NOT_SET_REMOVABLE_DRIVE", POLICY),
}


@pytest.mark.parametrize("code", TOLD)
def test_each_error_is_told_with_its_cure(code: str) -> None:
    stopped = _stop("C:", code, "translated,Enable-BitLocker")
    words, cure = TOLD[code]
    assert (stopped.what, stopped.hint) == (f"C: {words} ({code})", cure)


def test_every_error_that_is_known_is_written_out_here() -> None:
    assert [int(code, 16) for code in TOLD] == sorted(PROBLEMS)


def test_an_error_that_is_none_of_them_is_told_by_its_identifier() -> None:
    stopped = _stop("C:", "0x80070005", "System.UnauthorizedAccessException,Enable-BitLocker")
    told = "C: Windows refuses: System.UnauthorizedAccessException,Enable-BitLocker (0x80070005)"
    assert (stopped.what, stopped.hint) == (told, "docs/bitlocker.md")
