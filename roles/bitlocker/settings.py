"""Settings of the role `bitlocker`."""

from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field

from citadelle.settings import RoleSettings


class BitlockerSettings(RoleSettings):
    """Encryption of a Windows PC's volumes, and where their recovery keys are kept; what must be decided first: `docs/bitlocker.md`."""

    bitlocker_apply: bool = Field(
        True, description="Encrypt the volumes and keep their recovery keys; False: BitLocker is judged only."
    )
    bitlocker_unlock: Literal["tpm", "tpm_pin"] | None = Field(
        None,
        description="Must be chosen. `tpm`: the PC starts by itself, and whoever holds it can start it; "
        "`tpm_pin`: somebody types a PIN at each start.",
    )
    bitlocker_certificate: Path | None = Field(
        None,
        description="Must be set. The operator's certificate on the controller (PEM, RSA): recovery keys are encrypted to it.",
    )
    bitlocker_escrow: Path | None = Field(
        None,
        description="Must be set. Folder on the controller for the encrypted recovery keys; CITADELLE_ESCROW of `.env`.",
    )
    bitlocker_escrow_copy: Path | None = Field(
        None,
        description="Must be set. A second folder for them, best on another disk; CITADELLE_ESCROW_COPY of `.env`.",
    )
    bitlocker_private_key: Path | None = Field(
        None,
        description="The private key, not encrypted, where it is at hand: each ciphertext is opened once before it counts. "
        "No rollout needs it.",
    )
    bitlocker_pin: Path | None = Field(
        None, description="File on the controller with the PIN of `tpm_pin`; nobody else may read it."
    )
    bitlocker_data_volumes: bool = Field(
        True, description="Encrypt the volumes of fixed disks too, unlocked by the system volume."
    )
    bitlocker_used_space_only: bool = Field(
        False, description="Leave free space as it is: for disks that never held anything in clear."
    )
    bitlocker_watch: int = Field(
        0, ge=0, le=86400, description="Seconds that a run waits for an encryption; it goes on by itself after that."
    )
    bitlocker_rotate_before: date | None = Field(
        None, description="Recovery keys made before this day (2030-12-31) are replaced, the new ones in escrow first."
    )
    bitlocker_backup: tuple[Literal["entra", "ad"], ...] = Field(
        (), description="Where Windows shall keep the recovery keys as well, in clear: `entra`, `ad`."
    )
