"""States of PCs for plans: everything right but the volumes."""

from __future__ import annotations

from typing import Any

from citadelle.escrow.plan import plan
from citadelle.escrow.preflight import POLICY
from citadelle.escrow.store import Escrow
from citadelle.escrow.work import Choice, Plan, Work
from citadelle.hardening.state import State
from tests.escrow.keys import ID

KEY = "k" * 64
TPM, EXTERNAL, RECOVERY, PIN, PASSWORD = 1, 2, 3, 4, 8
CHOICE = Choice(KEY)


def volume(
    status: int | None, protection: int, *kinds: int, mount: str = "C:", method: int = 7, auto: bool | None = None
) -> dict[str, Any]:
    keys = [{"KeyProtectorType": kind, "KeyProtectorId": ID if kind == RECOVERY else f"{{{kind}}}"} for kind in kinds]
    return {
        "MountPoint": mount, "VolumeType": 0 if mount == "C:" else 1, "VolumeStatus": status, "ProtectionStatus": protection,
        "LockStatus": int(protection == 2), "EncryptionMethod": method, "AutoUnlockEnabled": auto, "KeyProtector": keys,
        "EncryptionPercentage": 34 if status == 2 else None,
    }  # fmt: skip


def pc(*volumes: dict[str, Any], registry: dict[str, Any] | None = None, **sections: Any) -> State:
    """A PC on which nothing else keeps BitLocker from being turned on."""
    given = {
        "bitlocker": list(volumes),
        "version": {"Build": 26100, "Revision": 1, "EditionID": "Professional"},
        "session": {"Groups": "S-1-5-32-544 S-1-16-12288"},
        "tpm": {"TpmPresent": True, "TpmReady": True, "RestartPending": False, "SpecVersion": "2.0, 0, 1.38"},
        "secure_boot": True,
        "disks": [{"DeviceID": "C:"}, {"DeviceID": "D:"}],
    }
    values = {POLICY + name: value for name, value in (registry or {}).items()}
    return State.parse({"format": 1, "sections": given | sections, "registry": values})


def made(state: State, escrow: Escrow, choice: Choice = CHOICE) -> Plan:
    return plan("pc1", state, choice, escrow)


def only(found: Plan) -> Work:
    assert found.problems == ()
    (work,) = found.work
    return work
