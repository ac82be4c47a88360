"""What a run has to do on the volumes of a PC. Pure: the PC's state, the escrow and the operator's choice in, work and problems out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from citadelle.escrow.store import PROTECTOR, Escrow, Kept
from citadelle.hardening.bitlocker import Finding, Protector, Volume, judge
from citadelle.hardening.state import State

Unlock = Literal["tpm", "tpm_pin"]
KINDS: dict[Unlock, Protector] = {"tpm": Protector.TPM, "tpm_pin": Protector.TPM_PIN}
POLICY = r"HKLM:\SOFTWARE\Policies\Microsoft\FVE!"
# The plan needs these of the registry. Who looks at a PC reads them along, so that one look serves all.
VALUES = [
    POLICY + name
    for name in (
        "UseAdvancedStartup", "UseTPM", "UseTPMPIN", "MinimumPIN", "UseEnhancedPin",
        "OSRecovery", "OSRecoveryPassword", "FDVRecovery", "FDVRecoveryPassword",
    )
]  # fmt: skip
ALTERED = {"clear", "hardware_test", "paused", "suspended", "clear_key", "missing_protectors", "no_auto_unlock"}
STUCK = {"locked", "decrypting", "unexpected"}
TOLD = {"weak_method", "encrypting"}
FIRMWARE = "turn Secure Boot on in the firmware"
REPORT = "gpresult /h report.html shows which policy; change it, or the setting bitlocker_unlock"


@dataclass(frozen=True)
class Choice:
    """What the operator has chosen. `key`: fingerprint of the public key; `rotate_before`: ISO day, keys made before it are replaced."""

    key: str
    unlock: Unlock = "tpm"
    data: bool = True
    rotate_before: str = ""
    backups: tuple[str, ...] = ()


@dataclass(frozen=True)
class Work:
    """One volume. `clear`: nothing of it is encrypted; `kept`: ids that need no sealing; `old`: ids that another key shall replace.

    `add`: make a recovery key where there is none but `old` ones; `seal`: bring keys into escrow; `mend`: ids without two right copies;
    `gone`: ids in escrow that open it no more, to be marked so; `alter`: protectors or encryption; `backup`: Windows shall keep a key
    elsewhere as well.
    """

    mount: str
    system: bool
    clear: bool = False
    kept: tuple[str, ...] = ()
    old: tuple[str, ...] = ()
    mend: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    seal: bool = False
    add: bool = False
    alter: bool = False
    backup: bool = False

    @property
    def is_needed(self) -> bool:
        """Whether anything is to be done."""
        return self.seal or self.alter or self.backup or bool(self.old or self.mend or self.gone)


@dataclass(frozen=True)
class Plan:
    """`work` in its order, the system volume first; `problems` (what, hint) refuse the PC; `told` are lines for the operator."""

    work: tuple[Work, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()
    told: tuple[str, ...] = ()


@dataclass
class _Draft:
    work: list[Work] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


def plan(host: str, state: State, choice: Choice, escrow: Escrow) -> Plan:
    """The plan for the PC named `host`. Nothing is written."""
    if "bitlocker" not in state.sections:
        why = state.errors.get("bitlocker", "not in its state")
        return Plan(
            problems=((f"what BitLocker says is unknown: {why}", "Get-BitLockerVolume in a console of the PC"),)
        )
    draft = _Draft()
    volumes = _chosen(state, choice)
    system = next((judge(volume).verdict for volume in volumes if volume.is_system), "absent")
    for volume in volumes:
        if strange := [identity for identity in volume.recovery if not PROTECTOR.fullmatch(identity)]:
            draft.problems.append(
                (f"{volume.mount_point} has a protector without a right id: {strange[0]!r:.60}", "find out why")
            )
            continue
        found = judge(volume)
        if found.verdict in STUCK:
            draft.problems.append(
                (f"{volume.mount_point} {found.meaning}: {found.verdict}", _cure(host, volume, found))
            )
        if found.verdict in TOLD:
            draft.told.append(f"{volume.mount_point} {found.meaning}{_percent(volume)}: {found.cure}")
        draft.work.append(_work(host, volume, found, choice, escrow))
    if system == "encrypting":
        _wait(draft)
    work = [one for one in draft.work if one.is_needed]
    return Plan(tuple(work), (*draft.problems, *_preflight(state, choice, work)), tuple(draft.told))


def _wait(draft: _Draft) -> None:
    """A data volume can unlock by itself only when the system volume is protected: until then its keys are kept, no more."""
    for at, one in enumerate(draft.work):
        if one.alter and not one.system:
            draft.told.append(f"{one.mount} waits until the system volume is protected: run again then")
            draft.work[at] = replace(one, alter=False, seal=one.seal and not one.clear, add=one.add and not one.clear)


def _chosen(state: State, choice: Choice) -> list[Volume]:
    """The system volume, and where chosen the data volumes of fixed disks: a stick that is plugged in is nobody's to encrypt."""
    fixed = {str(disk.get("DeviceID")).upper() for disk in state.sections.get("disks", [])}
    data = [one for one in state.volumes if not one.is_system and one.mount_point.upper() in fixed and choice.data]
    return [one for one in state.volumes if one.is_system] + data


def _work(host: str, volume: Volume, found: Finding, choice: Choice, escrow: Escrow) -> Work:
    held = {identity: escrow.find(host, identity) for identity in volume.recovery}
    right = tuple(identity for identity, kept in held.items() if kept.entry and kept.entry.key == choice.key)
    old = tuple(identity for identity in right if _created(held[identity]) < choice.rotate_before)
    stuck, locked = found.verdict in STUCK, found.verdict == "locked"
    add = not stuck and set(old) == set(volume.recovery)
    wrong_start = volume.is_system and KINDS[choice.unlock] not in volume.protectors
    return Work(
        mount=volume.mount_point,
        system=volume.is_system,
        clear=found.verdict == "clear",
        kept=right,
        old=() if stuck else old,
        mend=tuple(identity for identity in right if not held[identity].is_whole),
        gone=() if stuck else _gone(host, volume, escrow),
        add=add,
        seal=not locked and (add or set(right) != set(volume.recovery)),
        alter=not stuck and (found.verdict in ALTERED or wrong_start),
        backup=not stuck
        and bool(choice.backups)
        and (add or any(set(choice.backups) - _backups(one) for one in held.values())),
    )


def _gone(host: str, volume: Volume, escrow: Escrow) -> tuple[str, ...]:
    """Also what a run has taken off the volume, and died before it could say so."""
    held = {name: escrow.find(host, name).entry for _, name in escrow.names(host) if name not in volume.recovery}
    return tuple(
        name for name, entry in held.items() if entry and entry.volume == volume.mount_point and not entry.replaced
    )


def _created(kept: Kept) -> str:
    return kept.entry.created[:10] if kept.entry else ""


def _backups(kept: Kept) -> set[str]:
    return set(kept.entry.backups) if kept.entry else set()


def _percent(volume: Volume) -> str:
    return "" if volume.encryption_percentage is None else f" ({volume.encryption_percentage:.0f} %)"


def _cure(host: str, volume: Volume, found: Finding) -> str:
    if found.verdict != "locked":
        return found.cure
    show = f"citadelle escrow show {host} --volume {volume.mount_point} --key FILE --reveal"
    return f"{show}; on the PC: Unlock-BitLocker -MountPoint {volume.mount_point} -RecoveryPassword ...; then run again"


def _preflight(state: State, choice: Choice, work: list[Work]) -> list[tuple[str, str]]:
    """What would make Windows refuse, asked before anything is changed."""
    problems: list[tuple[str, str]] = []
    if any(one.alter and one.system for one in work):
        problems += [*_platform(state), *_startup(state, choice)]
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


def _policy(state: State, name: str) -> Any:
    return state.registry.get(POLICY + name)
