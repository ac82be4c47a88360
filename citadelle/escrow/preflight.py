"""What would make Windows refuse an encryption, asked of a PC's state before anything is changed."""

from __future__ import annotations

from typing import Any

from citadelle.escrow.work import Choice, Work
from citadelle.hardening.bitlocker import Protector
from citadelle.hardening.state import State

POLICY = r"HKLM:\SOFTWARE\Policies\Microsoft\FVE!"
# The plan needs these of the registry. Who looks at a PC reads them along, so that one look serves all.
VALUES = [
    POLICY + name
    for name in (
        "UseAdvancedStartup", "UseTPM", "UseTPMPIN", "MinimumPIN",
        "OSRecovery", "OSRecoveryPassword", "FDVRecovery", "FDVRecoveryPassword",
    )
]  # fmt: skip
FIRMWARE = "turn Secure Boot on in the firmware"
REPORT = "gpresult /h report.html shows which policy; change it, or the setting bitlocker_unlock"


def preflight(state: State, choice: Choice, work: list[Work]) -> list[tuple[str, str]]:
    """What would make Windows refuse, asked before anything is changed."""
    problems: list[tuple[str, str]] = []
    if any(one.alter and one.system for one in work):
        problems += [*_platform(state), *_startup(state, choice), *_pin(state, choice)]
    for kind, name in ((True, "OSRecovery"), (False, "FDVRecovery")):
        forbidden = _policy(state, name) == 1 and _policy(state, name + "Password") == 0
        if forbidden and any(one.add and one.system == kind for one in work):
            problems.append(("policy forbids recovery passwords: RECOVERY_PASSWORD_NOT_ALLOWED (0x8031005C)", REPORT))
    return problems


def _platform(state: State) -> list[tuple[str, str]]:
    tpm = state.sections.get("tpm")
    checks: list[tuple[bool, str, str]] = [
        (
            state.edition not in ("", "home"),
            f"edition of Windows has no BitLocker: {state.edition or 'unknown'}",
            "Windows 11 Pro",
        ),
        (
            bool((state.sections.get("session") or {}).get("elevated")),
            "session is not elevated",
            "log in as an administrator",
        ),
        (state.sections.get("secure_boot") is True, "Secure Boot is off, or not known", FIRMWARE),
    ]
    if tpm is None:
        return [
            *_wrong(checks),
            (f"TPM is unknown: {state.errors.get('tpm', 'not in its state')}", "Get-Tpm in a console of the PC"),
        ]
    return _wrong([*checks, *_tpm(tpm)])


def _tpm(tpm: dict[str, Any]) -> list[tuple[bool, str, str]]:
    ready = bool(tpm.get("TpmPresent") and tpm.get("TpmReady"))
    version = str(tpm.get("Version"))
    return [
        (
            ready,
            f"TPM is not ready: present {tpm.get('TpmPresent')}, ready {tpm.get('TpmReady')}",
            "turn the TPM on in the firmware, then Initialize-Tpm",
        ),
        (
            not ready or version == "2.0",
            f"TPM is not of version 2.0: {version or 'unknown'}",
            "switch it to 2.0 in the firmware",
        ),
        (not tpm.get("RestartPending"), "TPM waits for a restart: RestartPending", "restart the PC"),
    ]


def _wrong(checks: list[tuple[bool, str, str]]) -> list[tuple[str, str]]:
    return [(what, hint) for right, what, hint in checks if not right]


def _startup(state: State, choice: Choice) -> list[tuple[str, str]]:
    """Policies of the start: 0 forbids, 1 demands, 2 allows; they count only where UseAdvancedStartup is 1."""
    if _policy(state, "UseAdvancedStartup") != 1:
        return []
    tpm, pin = _policy(state, "UseTPM"), _policy(state, "UseTPMPIN")
    if choice.unlock == "tpm" and pin == 1:
        return [("policy wants a PIN at the start: STARTUP_PIN_REQUIRED (0x80310061)", REPORT)]
    if choice.unlock == "tpm" and tpm == 0:
        return [("policy forbids the TPM alone: STARTUP_TPM_NOT_ALLOWED (0x80310066)", REPORT)]
    if choice.unlock == "tpm_pin" and pin == 0:
        return [("policy forbids a PIN at the start: STARTUP_PIN_NOT_ALLOWED (0x80310060)", REPORT)]
    if choice.unlock == "tpm_pin" and tpm == 1:
        return [("policy wants the TPM alone: STARTUP_TPM_REQUIRED (0x80310067)", REPORT)]
    return []


def _pin(state: State, choice: Choice) -> list[tuple[str, str]]:
    """A PIN that is still to be set, against the shortest that policy takes; digits alone are right by every policy."""
    least = _policy(state, "MinimumPIN") or 0
    is_set = any(Protector.TPM_PIN in one.protectors for one in state.volumes if one.is_system)
    if choice.unlock != "tpm_pin" or is_set or not isinstance(least, int) or choice.pin_length >= least:
        return []
    what = f"PIN is shorter than policy takes, MinimumPIN={least}: INVALID_PIN_LENGTH (0x80310068)"
    return [(what, f"put a PIN of {least} to 20 digits into the file that bitlocker_pin names")]


def _policy(state: State, name: str) -> Any:
    return state.registry.get(POLICY + name)
