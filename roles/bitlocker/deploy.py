"""The volumes of a Windows PC encrypted, each recovery key in escrow before."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from pyinfra import host
from pyinfra.api.deploy import deploy

from citadelle.escrow import seal
from citadelle.escrow.plan import plan
from citadelle.escrow.preflight import VALUES
from citadelle.escrow.store import HOST, Escrow
from citadelle.escrow.work import Choice
from citadelle.operations import bitlocker as operations
from citadelle.operations.bitlocker_steps import Vault
from citadelle.operations.hardening import look_at_windows
from citadelle.settings import DeployError
from roles.bitlocker.settings import BitlockerSettings

PAGE = "docs/bitlocker.md"
T = TypeVar("T")
Problem = tuple[str, str]


def missing(settings: BitlockerSettings) -> Iterator[Problem]:
    """What the operator has to decide before anything is encrypted."""
    if settings.bitlocker_unlock is None:
        yield "how volumes open at the start is not chosen: bitlocker_unlock", f"set it to tpm or tpm_pin: {PAGE}"
    if settings.bitlocker_certificate is None:
        yield "no public key for the recovery keys is set: bitlocker_certificate", seal.MAKE
    for name in ("bitlocker_escrow", "bitlocker_escrow_copy"):
        if getattr(settings, name) is None:
            yield f"no folder for the recovery keys is set: {name}", f"set it, best by a pointer of .env: {PAGE}"
    if settings.bitlocker_unlock == "tpm_pin" and settings.bitlocker_pin is None:
        yield "no PIN is set: bitlocker_pin", "set it to a file that only you can read (mode 600)"


def vault(settings: BitlockerSettings) -> Vault:
    """All that the steps need, read and judged on the controller. Raises `DeployError` with everything that is wrong."""
    problems, pc = list(missing(settings)), host.name.rpartition("/")[2]
    if not HOST.fullmatch(pc):
        problems.append((f"no name under which keys can be kept: {pc}", "letters, digits, dots and dashes, at most 63"))
    certificate = _read(seal.read_certificate, settings.bitlocker_certificate, seal.MAKE, problems)
    private = _read(
        seal.read_private,
        settings.bitlocker_private_key,
        "citadelle escrow verify --key opens an encrypted one",
        problems,
    )
    length = _read(_check_pin, settings.bitlocker_pin, "6 to 20 digits, chmod 600", problems)
    escrow = Escrow(settings.bitlocker_escrow or Path(), settings.bitlocker_escrow_copy or Path())
    if settings.bitlocker_escrow and settings.bitlocker_escrow_copy and (what := escrow.problem()):
        problems.append((what, "set bitlocker_escrow and bitlocker_escrow_copy apart"))
    if certificate and private and seal.fingerprint(private.public_key()) != certificate.fingerprint:
        problems.append(
            (
                f"private key is not that of the certificate: {settings.bitlocker_private_key}",
                "set bitlocker_private_key",
            )
        )
    if problems or certificate is None or settings.bitlocker_unlock is None:
        raise DeployError("\n".join(f"{host.name}: {what}\nhint: {hint}" for what, hint in problems))
    day = settings.bitlocker_rotate_before
    choice = Choice(
        certificate.fingerprint, settings.bitlocker_unlock, settings.bitlocker_data_volumes, day.isoformat() if day else "",
        settings.bitlocker_backup, length or 0,
    )  # fmt: skip
    return Vault(
        escrow, pc, certificate, choice, settings.bitlocker_used_space_only, settings.bitlocker_watch,
        settings.bitlocker_pin if settings.bitlocker_unlock == "tpm_pin" else None,
        settings.bitlocker_private_key,
    )  # fmt: skip


def _read(reader: Callable[[Path], T], path: Path | None, hint: str, problems: list[Problem]) -> T | None:
    if path is None:
        return None
    try:
        return reader(path)
    except OSError as error:
        problems.append((f"file cannot be read: {path}: {error.strerror}", hint))
    except seal.SealError as error:
        problems.append((f"file {error}: {path}", hint))
    return None


def _check_pin(path: Path) -> int:
    """Judge the file of the PIN; its content goes nowhere. Answers how many digits it has."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise seal.SealError("of the PIN can be read by others")
    text = path.read_bytes().strip()
    if not (text.isdigit() and 6 <= len(text) <= 20):
        raise seal.SealError("holds no PIN of 6 to 20 digits")
    return len(text)


@deploy("BitLocker")
def bitlocker() -> None:
    """What is wrong on the controller stops every PC before anything is changed; what is wrong on a PC stops that one."""
    settings = BitlockerSettings.from_host(host)
    if not settings.bitlocker_apply:
        return
    given = vault(settings)
    state = look_at_windows(VALUES)
    if not state.raw:
        return  # the PC has failed already, with its reason
    found = plan(given.pc, state, given.choice, given.escrow)
    operations.tell(found)
    operations.volumes(name="Encrypt the volumes, each recovery key in escrow before", plan=found, vault=given)
