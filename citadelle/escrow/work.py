"""What is chosen for the volumes of a PC, and what has to be done on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from citadelle.hardening.bitlocker import Protector

Unlock = Literal["tpm", "tpm_pin"]
KINDS: dict[Unlock, Protector] = {"tpm": Protector.TPM, "tpm_pin": Protector.TPM_PIN}


@dataclass(frozen=True)
class Choice:
    """What the operator has chosen. `key`: fingerprint of the public key; `rotate_before`: ISO day, keys made before it are replaced;

    `pin_length`: digits of the PIN where one is asked for, told to nobody.
    """

    key: str
    unlock: Unlock = "tpm"
    data: bool = True
    rotate_before: str = ""
    backups: tuple[str, ...] = ()
    pin_length: int = field(default=0, repr=False)


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
