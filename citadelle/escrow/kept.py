"""Whether the recovery keys of a PC that is encrypted lie in escrow, by what the PC says and what the folders hold."""

from __future__ import annotations

from collections.abc import Iterator

from citadelle.escrow.store import PROTECTOR, Escrow
from citadelle.hardening.bitlocker import Status, Volume
from citadelle.hardening.state import State


def encrypted(state: State) -> list[Volume]:
    """Volumes of fixed disks on which anything is encrypted, a locked one too; the system volume always counts as fixed."""
    fixed = {str(disk.get("DeviceID")).upper() for disk in state.sections.get("disks", [])}
    return [
        one
        for one in state.volumes
        if (one.is_system or one.mount_point.upper() in fixed) and one.volume_status != Status.FULLY_DECRYPTED
    ]


def unkept(host: str, volumes: list[Volume], escrow: Escrow) -> Iterator[str]:
    """What is missing, in words: each key that opens a volume has to lie in both folders, as a key of this PC and volume."""
    for volume in volumes:
        if not volume.recovery:
            yield f"{volume.mount_point} has no recovery key"
        for identity in volume.recovery:
            if why := _problem(host, volume.mount_point, identity, escrow):
                yield f"recovery key of {volume.mount_point} {why}: {identity}"


def _problem(host: str, mount: str, identity: str, escrow: Escrow) -> str:
    if not PROTECTOR.fullmatch(identity):
        return "has no right id"
    kept = escrow.find(host, identity)
    if kept.entry is None:
        return "is not in escrow"
    if kept.entry.volume != mount:
        return f"is kept as one of {kept.entry.volume}"
    return "is not in escrow twice" if kept.problems else ""
