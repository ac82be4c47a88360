"""What a run has to do on the volumes of a PC. Pure: the PC's state, the escrow and the operator's choice in, work and problems out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from citadelle.escrow.preflight import preflight
from citadelle.escrow.store import PROTECTOR, Escrow, Kept
from citadelle.escrow.work import KINDS, Choice, Plan, Work
from citadelle.hardening.bitlocker import TPM_FAMILY, Finding, Volume, judge
from citadelle.hardening.state import State

ALTERED = {"clear", "hardware_test", "paused", "suspended", "clear_key", "missing_protectors", "no_auto_unlock"}
STUCK = {"locked", "decrypting", "unexpected"}
TOLD = {"weak_method", "encrypting"}


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
    return Plan(tuple(work), (*draft.problems, *preflight(state, choice, work)), tuple(draft.told))


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
    wrong_start = volume.is_system and volume.protectors & TPM_FAMILY != {KINDS[choice.unlock]}
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
