"""The lab's folder on the controller: keys, host keys, what is up."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from citadelle.pointers import path
from tests.lab.commands import PREFIX, Log, address

ROOT = Path(__file__).resolve().parents[2]
STATE = Path(path("CITADELLE_LAB", ".lab"))
CODE = Path(__file__).resolve().parent

Kind = Literal["windows", "linux"]


@dataclass(frozen=True)
class Pc:
    """One lab PC. `kind` "windows" has the Windows double in front; `address` is on the lab's bridge."""

    name: str
    kind: Kind
    address: str

    @property
    def container(self) -> str:
        return f"{PREFIX}-{self.name}"


PC1 = Pc("pc1", "windows", address(11))
SRV1 = Pc("srv1", "linux", address(21))


def log(name: str) -> Log:
    return Log(STATE / "logs" / f"{name}.log")


def write_if_changed(target: Path, content: str | bytes, mode: int = 0o644) -> bool:
    """Replace the file in one step where its content differs; says whether it did."""
    data = content.encode() if isinstance(content, str) else content
    if target.is_file() and target.read_bytes() == data:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
    fresh.chmod(mode)
    fresh.replace(target)
    return True


def user_key() -> str:
    """The public half of the key that opens every PC; the pair is made where it is absent."""
    key, public = STATE / "id_ed25519", STATE / "id_ed25519.pub"
    if not key.is_file() or not public.is_file():
        private = Ed25519PrivateKey.generate()
        pem = private.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption())
        line = private.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
        write_if_changed(public, line + b" citadelle-lab\n")
        write_if_changed(key, pem, 0o600)
    return public.read_text().strip()


def known_hosts(keys: dict[str, list[str]]) -> None:
    """Write the host keys of these addresses; lines of other addresses stay."""
    target = STATE / "known_hosts"
    old = target.read_text().splitlines() if target.is_file() else []
    kept = [line for line in old if line.split(" ", 1)[0] not in keys]
    fresh = [f"{address} {key}" for address, found in keys.items() for key in found]
    write_if_changed(target, "\n".join(sorted(kept + fresh)) + "\n")


def write_lab(pcs: list[Pc], engine: str, powershell: str, model: str, rootfs_sha256: str) -> None:
    """`lab.json`: what the default inventory reads."""
    content = {"engine": engine, "powershell": powershell, "pcs": [asdict(pc) for pc in pcs], "model": model}
    content |= {"rootfs_sha256": rootfs_sha256}
    write_if_changed(STATE / "lab.json", json.dumps(content, indent=1) + "\n")


def read_lab() -> dict[str, object]:
    """The content of `lab.json`; empty where no lab was made."""
    file = STATE / "lab.json"
    found: dict[str, object] = json.loads(file.read_text()) if file.is_file() else {}
    return found
