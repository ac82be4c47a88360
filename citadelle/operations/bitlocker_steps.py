"""The steps that bring a volume under BitLocker.

What a step has changed is read again by the next one, on the PC: a run that ends anywhere is finished by the next, and no volume is
encrypted or resumed before each recovery password that opens it lies in both folders of the escrow.
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from pyinfra import logger
from pyinfra.api.host import Host
from pyinfra.api.state import State as RunState

from citadelle.escrow.seal import FORM, Certificate, SealError, open_sealed, read_private
from citadelle.escrow.store import PROTECTOR, Entry, Escrow, EscrowError
from citadelle.escrow.work import KINDS, Choice, Work
from citadelle.hardening.bitlocker import ON, Status
from citadelle.operations.bitlocker_answers import PAGE, Stopped, ask

PAUSE = 5.0  # seconds between two looks at an encryption
LARGEST = 4096  # characters of a ciphertext: a key of 16384 bits


@dataclass(frozen=True)
class Vault:
    """What the steps need: where keys are kept, for which PC (`pc`), sealed to whom, chosen how; seconds that an encryption is watched.

    `pin`: file with the PIN; `private`: file of the private key where it is at hand, to open each ciphertext once before it counts.
    """

    escrow: Escrow
    pc: str
    certificate: Certificate
    choice: Choice
    used_space_only: bool = False
    watch: float = 0
    pin: Path | None = None
    private: Path | None = None


def take(state: RunState, host: Host, step: Any, what: Any, vault: Vault) -> bool:
    """Take one step; what stops it fails this host alone."""
    try:
        step(host, what, vault)
    except Stopped as stop:
        return _told(host, stop)
    except (KeyError, TypeError, ValueError) as error:  # of what it said nothing is shown
        return _told(
            host, Stopped(f"answer of the PC makes no sense: {type(error).__name__}", "find out what runs there")
        )
    return True


def _told(host: Host, stop: Stopped) -> bool:
    logger.error(click.style(f"{host.name}: {stop.what}\nhint: {stop.hint}", fg="red"))
    return False


def seal(host: Host, works: list[Work], vault: Vault) -> None:
    """Bring keys into escrow: mended from the copy that is there, or encrypted by the PC."""
    for work in works:
        for protector in work.mend:
            _kept(vault, lambda protector=protector: vault.escrow.change(vault.pc, protector))
        _mark(work.gone, vault)
    wanted = [work for work in works if work.seal]
    if not wanted:
        return
    kept = [protector for work in wanted for protector in work.kept]
    old = [protector for work in wanted for protector in work.old]
    mounts = ", ".join(work.mount for work in wanted)
    found = ask(
        host, mounts, "seal", letters=[work.mount for work in wanted], adds=[work.add for work in wanted], kept=kept, old=old,
        certificate=vault.certificate.text, pc=vault.pc, form=FORM,
    )  # fmt: skip
    for one in found:
        _keep(vault, one["volume"], str(one["protector"]).upper(), one["sealed"])


def _keep(vault: Vault, volume: str, protector: str, sealed: str) -> None:
    if len(sealed) > LARGEST or not volume or not PROTECTOR.fullmatch(protector):
        raise Stopped(
            f"what the PC answers is no recovery key: {volume!r:.20} {protector!r:.60}", "find out what runs there"
        )
    chosen = vault.choice.unlock
    entry = Entry(vault.pc, volume, protector, _now(), vault.certificate.fingerprint, sealed, unlock=chosen)
    if vault.private:
        try:
            open_sealed(read_private(vault.private), entry.identity, sealed)
        except (OSError, SealError) as error:
            raise Stopped(f"{volume} ciphertext of its recovery key {error}", PAGE) from None
    _kept(vault, lambda: vault.escrow.keep(entry))


def _kept(vault: Vault, write: Any) -> None:
    try:
        write()
    except EscrowError as error:
        raise Stopped(
            str(error), f"make {vault.escrow.folder} and {vault.escrow.copy} writable, then run again"
        ) from None


def _escrowed(host: Host, work: Work, vault: Vault) -> list[str]:
    """The acknowledgement: ids of this PC's keys that lie, right and twice, on the disks of this controller at this moment."""
    return [
        protector for pc, protector in vault.escrow.names(vault.pc)
        if pc == vault.pc and (kept := vault.escrow.find(pc, protector)).is_whole and kept.entry and kept.entry.volume == work.mount
    ]  # fmt: skip


def backup(host: Host, work: Work, vault: Vault) -> None:
    for protector in _escrowed(host, work, vault):
        entry = vault.escrow.find(vault.pc, protector).entry
        if entry is None or entry.replaced or protector in work.old:
            continue
        for place in (place for place in vault.choice.backups if place not in entry.backups):
            ask(host, work.mount, "backup", letter=work.mount, place=place, protector=protector)
            entry = vault.escrow.find(vault.pc, protector).entry or entry
            backups = (*entry.backups, place)
            _kept(
                vault,
                lambda protector=protector, backups=backups: vault.escrow.change(vault.pc, protector, backups=backups),
            )


def protect(host: Host, work: Work, vault: Vault) -> None:
    kind = int(KINDS[vault.choice.unlock]) if work.system else 0
    pin = _pin(host, work, vault.pin) if work.system and vault.pin else ""
    try:
        found = ask(
            host, work.mount, "protect", letter=work.mount, kind=kind, pin=pin, flags=int(vault.used_space_only),
            escrowed=_escrowed(host, work, vault),
        )  # fmt: skip
    except Stopped as stop:
        if stop.code != "waits":
            raise
        logger.warning(
            click.style(
                f"{host.name}: {work.mount} waits until the system volume is protected: run again then", fg="yellow"
            )
        )
        return
    _watch(host, work, found[0], vault.watch)


def _pin(host: Host, work: Work, file: Path) -> str:
    """The PIN, encrypted to a key that lives in the PC's open PowerShell alone."""
    try:
        pin = file.read_bytes().strip()
    except OSError as error:
        raise Stopped(f"file of the PIN cannot be read: {file}: {error.strerror}", "bitlocker_pin names it") from None
    (found,) = ask(host, work.mount, "pin")
    numbers = (int.from_bytes(base64.b64decode(found[name])) for name in ("exponent", "modulus"))
    # SHA-1 is what every .NET has here; OAEP does not stand on its resistance to collisions.
    scheme = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303
    return base64.b64encode(rsa.RSAPublicNumbers(*numbers).public_key().encrypt(pin, scheme)).decode()


def _watch(host: Host, work: Work, found: dict[str, int], seconds: float) -> None:
    """Wait until all is encrypted and protected, or the time is over: the PC goes on by itself, and the next run looks again."""
    end = time.monotonic() + seconds
    while found["status"] == Status.ENCRYPTION_IN_PROGRESS and time.monotonic() < end:
        time.sleep(PAUSE if found["percent"] else 0)
        (found,) = ask(host, work.mount, "progress", letter=work.mount)
    if found["status"] == Status.ENCRYPTION_IN_PROGRESS:
        logger.warning(
            click.style(
                f"{host.name}: {work.mount} is being encrypted ({found['percent']} %): it goes on by itself",
                fg="yellow",
            )
        )
    elif (found["status"], found["protection"]) != (Status.FULLY_ENCRYPTED, ON):
        raise Stopped(
            f"{work.mount} is not protected after all: status {found['status']}",
            "manage-bde -status in a console of the PC",
        )


def retire(host: Host, work: Work, vault: Vault) -> None:
    """Take the old keys off the volume; in escrow they stay, marked, for old copies of the disk."""
    ask(host, work.mount, "retire", letter=work.mount, old=list(work.old), escrowed=_escrowed(host, work, vault))
    _mark(work.old, vault)


def _mark(protectors: tuple[str, ...], vault: Vault) -> None:
    """Note in escrow that they open their volume no more."""
    for protector in protectors:
        _kept(vault, lambda protector=protector: vault.escrow.change(vault.pc, protector, replaced=_now()))


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
