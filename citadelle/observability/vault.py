"""Secrets of Prometheus and Alertmanager on a host: at rest sealed by systemd-creds, in use as files in memory.

Runs alone on a host, as root (standard library, Python 3.10 or newer):

vault.py keep    seal what lies at GIVEN, JSON {name: text}, which the deploy has placed in memory; then as `lay`
vault.py lay     at boot: unseal, and lay each container's files where it sees them, and nobody else

The password by which the parts know each other is made here, once, and never leaves the host.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

PROGRAM = "/usr/local/lib/citadelle/vault.py"
SEALED = Path("/etc/citadelle/observability/secrets.cred")
RUN = Path("/run/citadelle/observability")
GIVEN = RUN / "given.json"
PASSWORD = "password"  # noqa: S105
USER = "citadelle"
OWNERS = {"prometheus": 10005, "alertmanager": 10006}
DATA = Path("/var/lib/citadelle")
COST = "10"  # of bcrypt: those who ask remember their answer


def main(word: str) -> int:
    """Do it; 1 with what is wrong."""
    os.umask(0o077)
    try:
        lay(keep() if word == "keep" else unsealed())
    except (OSError, ValueError) as error:
        print(f"observability: {error}\nhint: run the deploy again", file=sys.stderr)
        return 1
    return 0


def keep() -> dict[str, str]:
    """What was given, sealed, and the password; that one is new where the old one cannot be opened any more."""
    given, kept = json.loads(GIVEN.read_text()), {}
    with contextlib.suppress(OSError, ValueError):
        kept = unsealed()
    wanted = {PASSWORD: kept.get(PASSWORD) or secrets.token_urlsafe(32), **given}
    if wanted != kept:
        seal(wanted)
    return wanted


def unsealed() -> dict[str, str]:
    """What is kept. Raises OSError where nothing is, or this host cannot open it."""
    if not SEALED.exists():
        raise OSError(f"no secrets are kept: {SEALED}")
    return json.loads(_creds("decrypt", str(SEALED), "-", given=b""))


def seal(values: dict[str, str]) -> None:
    """Keep them: only this host, and its TPM where it has one, opens them again."""
    sealed = _creds("encrypt", "-", "-", given=json.dumps(values).encode())
    write(SEALED, sealed, 0)


def _creds(word: str, *places: str, given: bytes) -> bytes:
    command = ["systemd-creds", f"--name={SEALED.stem}", word, *places]
    done = subprocess.run(command, input=given, capture_output=True, check=False)
    if done.returncode:
        raise OSError(f"systemd-creds {word} fails: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def lay(values: dict[str, str]) -> None:
    """Each container gets a folder of its own: the password, and Alertmanager what it needs for its receivers."""
    password, rest = values[PASSWORD], {name: text for name, text in values.items() if name != PASSWORD}
    web = f"basic_auth_users: {{{USER}: '{hashed(password)}'}}\n"
    for service, owner in OWNERS.items():
        (DATA / service).mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(DATA / service, owner, owner)
        folder = RUN / service
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(folder, owner, owner)
        wanted = {PASSWORD: password, "web.yaml": web} | (rest if service == "alertmanager" else {})
        for old in folder.iterdir():
            if old.name not in wanted:
                old.unlink()
        for name, text in wanted.items():
            write(folder / name, text.encode(), owner)
    # For node_exporter, which runs as nobody in particular: the hash of 256 random bits tells nobody anything.
    write(RUN / "web.yaml", web.encode(), 0, mode=0o444)
    write(GIVEN, json.dumps(rest, sort_keys=True).encode(), 0)  # by this a deploy sees whether something differs


def write(path: Path, content: bytes, owner: int, mode: int = 0o400) -> None:
    """Whole or not at all, for its owner alone."""
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o400), "wb") as file:
        file.write(content)
    os.chown(fresh, owner, owner)
    fresh.chmod(mode)
    fresh.replace(path)


def hashed(password: str) -> str:
    """bcrypt, by the C library's own crypt(3): Python has had none since 3.13."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    salt = "".join(
        secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789./") for _ in range(21)
    )
    found = crypt(password.encode(), f"$2b${COST}${salt}.".encode())
    if not found or not found.startswith(b"$2b$"):
        raise OSError("crypt(3) of this host has no bcrypt: libcrypt.so.1")
    return found.decode()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
