"""BitLocker: what is wrong with a volume, what an error of it means, and what to do. Numbers are those of the cmdlets' enumerations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Status(IntEnum):
    """`VolumeStatus`."""

    FULLY_DECRYPTED = 0
    FULLY_ENCRYPTED = 1
    ENCRYPTION_IN_PROGRESS = 2
    DECRYPTION_IN_PROGRESS = 3
    ENCRYPTION_SUSPENDED = 4
    DECRYPTION_SUSPENDED = 5
    FULLY_ENCRYPTED_WIPE_IN_PROGRESS = 6
    FULLY_ENCRYPTED_WIPE_SUSPENDED = 7


class Protector(IntEnum):
    """`KeyProtectorType`."""

    TPM = 1
    EXTERNAL_KEY = 2
    RECOVERY_PASSWORD = 3
    TPM_PIN = 4
    TPM_STARTUP_KEY = 5
    TPM_PIN_STARTUP_KEY = 6
    PASSWORD = 8


ENCRYPTED = {Status.FULLY_ENCRYPTED, Status.FULLY_ENCRYPTED_WIPE_IN_PROGRESS, Status.FULLY_ENCRYPTED_WIPE_SUSPENDED}
CHANGING: dict[int, str] = {
    Status.ENCRYPTION_SUSPENDED: "paused",
    Status.DECRYPTION_IN_PROGRESS: "decrypting",
    Status.DECRYPTION_SUSPENDED: "decrypting",
}
TPM_FAMILY = {Protector.TPM, Protector.TPM_PIN, Protector.TPM_STARTUP_KEY, Protector.TPM_PIN_STARTUP_KEY}
OFF, ON, UNKNOWN = 0, 1, 2
LOCKED = 1
OPERATING_SYSTEM = 0
XTS_AES_256 = 7


class Volume(BaseModel):
    """One volume; statuses are None where Windows does not say, as on a locked volume. Never holds a recovery password.

    `protectors`: kinds of its key protectors; `recovery`: ids of its recovery passwords, in upper case.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    mount_point: str = Field(alias="MountPoint")
    volume_type: int = Field(alias="VolumeType")
    volume_status: int | None = Field(None, alias="VolumeStatus")
    protection_status: int = Field(alias="ProtectionStatus")
    lock_status: int = Field(0, alias="LockStatus")
    encryption_method: int | None = Field(None, alias="EncryptionMethod")
    encryption_percentage: float | None = Field(None, alias="EncryptionPercentage")
    auto_unlock_enabled: bool | None = Field(None, alias="AutoUnlockEnabled")
    protectors: frozenset[int] = frozenset()
    recovery: tuple[str, ...] = ()

    @classmethod
    def read(cls, raw: dict[str, Any], protectors: list[dict[str, Any]]) -> Volume:
        """A volume and its protectors as the state script writes them. Raises ValueError, KeyError, TypeError."""
        kinds = [(int(one["KeyProtectorType"]), str(one.get("KeyProtectorId", "")).upper()) for one in protectors]
        recovery = tuple(identity for kind, identity in kinds if kind == Protector.RECOVERY_PASSWORD)
        given = {**raw, "protectors": frozenset(kind for kind, _ in kinds), "recovery": recovery}
        return cls.model_validate({name: value for name, value in given.items() if value is not None})

    @property
    def is_system(self) -> bool:
        """The volume that Windows starts from."""
        return self.volume_type == OPERATING_SYSTEM


@dataclass(frozen=True)
class Finding:
    """`verdict`: one stable word; `cure`: what to do, empty where nothing is to do."""

    verdict: str
    meaning: str
    cure: str = ""


FINDINGS = {
    found.verdict: found
    for found in (
        Finding("compliant", "encrypted with XTS-AES-256, protected, recoverable"),
        Finding("weak_method", "encrypted with another method than XTS-AES-256", "decide: decrypt, then encrypt anew"),
        Finding("suspended", "encrypted, but its protection is suspended: the key lies open", "Resume-BitLocker"),
        Finding(
            "clear_key",
            "encrypted with a clear key: device encryption was never finished, nothing is protected",
            "add a recovery password, escrow it, add the TPM, then Resume-BitLocker",
        ),
        Finding("missing_protectors", "lacks a protector that it needs", "add the recovery password or TPM protector"),
        Finding(
            "no_pin", "opens without the PIN that was chosen", "run the role bitlocker with bitlocker_unlock=tpm_pin"
        ),
        Finding("no_auto_unlock", "is not unlocked by itself after a start", "Enable-BitLockerAutoUnlock"),
        Finding("encrypting", "is being encrypted", "wait until it is done, then look again"),
        Finding("paused", "its encryption is paused", "manage-bde -resume"),
        Finding("hardware_test", "waits for the hardware test of the next start", "restart the PC"),
        Finding("clear", "is not encrypted", "enable BitLocker after its recovery key is in escrow"),
        Finding("decrypting", "somebody decrypts it", "stop: find out who turned BitLocker off"),
        Finding("locked", "is locked", "unlock it, then Enable-BitLockerAutoUnlock"),
        Finding("unexpected", "is in a state that Windows does not describe", "manage-bde -status in a console"),
    )
}


def judge(volume: Volume, unlock: str = "") -> Finding:
    """The finding on a volume: the whole table of what Windows can say about one.

    `unlock`: how it was chosen to open, `tpm` or `tpm_pin`.
    """
    verdict = _verdict(volume)
    without = Protector.TPM_PIN not in volume.protectors or Protector.TPM in volume.protectors
    if verdict in ("compliant", "weak_method") and volume.is_system and unlock == "tpm_pin" and without:
        verdict = "no_pin"
    return FINDINGS[verdict]


def _verdict(volume: Volume) -> str:
    if volume.lock_status == LOCKED or volume.protection_status == UNKNOWN:
        return "locked"
    if volume.volume_status in ENCRYPTED:
        return _encrypted(volume)
    if volume.volume_status in CHANGING:
        return CHANGING[volume.volume_status]
    return _unprotected(volume) if volume.protection_status == OFF else "unexpected"


def _unprotected(volume: Volume) -> str:
    if volume.volume_status == Status.ENCRYPTION_IN_PROGRESS:
        return "encrypting" if Protector.RECOVERY_PASSWORD in volume.protectors else "missing_protectors"
    if volume.volume_status == Status.FULLY_DECRYPTED:
        return "hardware_test" if TPM_FAMILY & volume.protectors else "clear"
    return "unexpected"


def _encrypted(volume: Volume) -> str:
    if volume.protection_status == OFF:
        return "suspended" if volume.protectors else "clear_key"
    if Protector.RECOVERY_PASSWORD not in volume.protectors:
        return "missing_protectors"
    if volume.is_system and not TPM_FAMILY & volume.protectors:
        return "missing_protectors"
    if not volume.is_system and not volume.auto_unlock_enabled:
        return "no_auto_unlock"
    return "compliant" if volume.encryption_method == XTS_AES_256 else "weak_method"


@dataclass(frozen=True)
class Problem:
    """An HRESULT of BitLocker; `done`: what was asked for is already so."""

    name: str
    meaning: str
    cure: str
    done: bool = False


_POLICY = "gpresult /h report.html; change the policy under HKLM\\SOFTWARE\\Policies\\Microsoft\\FVE or the setting"
# Codes and names: winerror.h, FVE_E_*. The texts that Windows gives are translated, the codes are not.
PROBLEMS = {
    0x80310000: Problem("LOCKED_VOLUME", "the volume is locked", "unlock it with its recovery password"),
    0x80310008: Problem("NOT_ACTIVATED", "BitLocker is not on for this volume", "enable BitLocker first"),
    0x80310018: Problem("TPM_NOT_OWNED", "the TPM has no owner", "Initialize-Tpm"),
    0x8031001D: Problem("KEY_REQUIRED", "this is the last protector", "add another protector before removing it"),
    0x80310025: Problem(
        "TPM_SRK_AUTH_NOT_ZERO",
        "another system has set up the TPM",
        "escrow every key that the TPM guards, then clear the TPM in the firmware",
    ),
    0x80310029: Problem("AUTOUNLOCK_ENABLED", "data volumes unlock by this volume", "Clear-BitLockerAutoUnlock first"),
    0x8031002C: Problem("POLICY_PASSWORD_REQUIRED", "policy wants a recovery password first", "add one, escrow it"),
    0x80310030: Problem("BOOTABLE_CDDVD", "a bootable medium is in the PC", "remove CDs and USB sticks"),
    0x80310031: Problem("PROTECTOR_EXISTS", "such a protector is there", "nothing is to do", done=True),
    0x80310037: Problem(
        "FIPS_PREVENTS_RECOVERY_PASSWORD", "FIPS mode forbids recovery passwords", "turn FIPS mode off by policy"
    ),
    0x80310039: Problem("NOT_DECRYPTED", "encryption has been started before", "nothing is to do", done=True),
    0x8031003F: Problem("TPM_DISABLED", "no TPM can be used", "turn the TPM on in the firmware"),
    0x8031004E: Problem("REBOOT_REQUIRED", "the PC must restart first", "restart the PC"),
    0x80310054: Problem("NO_AUTOUNLOCK_MASTER_KEY", "the system volume is not protected", "protect it first"),
    0x8031005C: Problem("RECOVERY_PASSWORD_NOT_ALLOWED", "policy forbids recovery passwords", _POLICY),
    0x8031005D: Problem("RECOVERY_PASSWORD_REQUIRED", "policy wants a recovery password", "add one, escrow it"),
    0x8031005E: Problem("RECOVERY_KEY_NOT_ALLOWED", "policy forbids recovery keys", _POLICY),
    0x8031005F: Problem("RECOVERY_KEY_REQUIRED", "policy wants a recovery key", _POLICY),
    0x80310060: Problem("STARTUP_PIN_NOT_ALLOWED", "policy forbids a PIN at the start", "unlock by TPM alone"),
    0x80310061: Problem("STARTUP_PIN_REQUIRED", "policy wants a PIN at the start: no start without a person", _POLICY),
    0x80310066: Problem("STARTUP_TPM_NOT_ALLOWED", "policy forbids the TPM alone", _POLICY),
    0x80310067: Problem("STARTUP_TPM_REQUIRED", "policy wants the TPM alone", _POLICY),
    0x80310068: Problem("INVALID_PIN_LENGTH", "the PIN is too short or too long", "see MinimumPIN of the policy"),
    0x80310099: Problem("ENH_PIN_INVALID", "an enhanced PIN is not possible on this PC", "use digits"),
    0x8031009A: Problem("INVALID_PIN_CHARS", "the PIN holds characters that are not allowed", "use digits"),
    0x803100B5: Problem("NO_PREBOOT_KEYBOARD_DETECTED", "no keyboard before the start", "unlock by TPM alone on this PC"),
    0x803100B6: Problem("NO_PREBOOT_KEYBOARD_OR_WINRE_DETECTED", "no keyboard before the start, no WinRE", "reagentc /enable"),
    0x803100BA: Problem("SECUREBOOT_DISABLED", "Secure Boot is off", "turn Secure Boot on in the firmware"),
    0x803100BB: Problem("SECUREBOOT_CONFIGURATION_INVALID", "Secure Boot is set up wrongly", "reset its keys in the firmware"),
    0x803100D5: Problem("ADBACKUP_NOT_ENABLED", "policy does not let keys be kept in the domain", _POLICY),
    0x803100DA: Problem("AD_BACKUP_REQUIRED_POLICY_NOT_SET_OS_DRIVE", "no domain escrow required of system volumes", _POLICY),
    0x803100DB: Problem("AD_BACKUP_REQUIRED_POLICY_NOT_SET_FIXED_DRIVE", "no domain escrow required of data volumes", _POLICY),
    0x803100DC: Problem("AD_BACKUP_REQUIRED_POLICY_NOT_SET_REMOVABLE_DRIVE", "no domain escrow required of sticks", _POLICY),
}  # fmt: skip


def explain(result: str) -> Problem | None:
    """What an error's HRESULT (`0x8031001D`, any case) means; None where it is none of BitLocker's."""
    try:
        return PROBLEMS.get(int(result, 16))
    except ValueError:
        return None
