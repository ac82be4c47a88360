"""Secrets of Prometheus, Alertmanager and Grafana on a host: at rest sealed by systemd-creds, in use as files in memory.

Runs alone on a host, as root (standard library, Python 3.10 or newer):

vault.py keep    seal what lies at GIVEN, JSON {name: text}, which the deploy has placed in memory; then as `lay`
vault.py lay     at boot: unseal, and lay each container's files where it sees them, and nobody else

The password by which the parts know each other, and the key of Grafana's own secrets, are made here, once, and never leave the host.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAM = "/usr/local/lib/citadelle/vault.py"
SEALED = Path("/etc/citadelle/observability/secrets.cred")
RUN = Path("/run/citadelle/observability")
GIVEN = RUN / "given.json"
PASSWORD, GRAFANA_KEY, GRAFANA_PASSWORD = "password", "grafana_key", "grafana_password"
MADE = (PASSWORD, GRAFANA_KEY)
USER = "citadelle"
OWNERS = {"prometheus": 10005, "alertmanager": 10006}
# Where Grafana is wanted, which its password says.
FURTHER = {"grafana": 10007, "loki": 10008}
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
    """What was given, sealed, and what is made here; that is new where the old cannot be opened any more."""
    given, kept = json.loads(GIVEN.read_text()), {}
    with contextlib.suppress(OSError, ValueError):
        kept = unsealed()
    wanted = {name: kept.get(name) or secrets.token_urlsafe(32) for name in MADE} | given
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
    """Each container gets a folder of its own with what it needs, and one for its data."""
    _passable()
    given = {name: text for name, text in values.items() if name not in MADE}
    web = f"basic_auth_users: {{{USER}: '{hashed(values[PASSWORD])}'}}\n"
    shared = {PASSWORD: values[PASSWORD], "web.yaml": web}
    receivers = {name: text for name, text in given.items() if name != GRAFANA_PASSWORD}
    folders = {"prometheus": shared, "alertmanager": shared | receivers}
    if GRAFANA_PASSWORD in given:
        own = {name: values[name] for name in (PASSWORD, GRAFANA_KEY, GRAFANA_PASSWORD)}
        folders |= {"grafana": own, "loki": {}}
    for service in FURTHER.keys() - folders.keys():
        shutil.rmtree(RUN / service, ignore_errors=True)
    for service, wanted in folders.items():
        _folder(service, (OWNERS | FURTHER)[service], wanted)
    # For node_exporter, which runs as nobody in particular: the hash of 256 random bits tells nobody anything.
    write(RUN / "web.yaml", web.encode(), 0, mode=0o444)
    write(GIVEN, json.dumps(given, sort_keys=True).encode(), 0)  # by this a deploy sees whether something differs


def _passable() -> None:
    """At a boot this program makes these two: node_exporter, which is nobody in particular, has to get through to its file."""
    if not RUN.parent.exists():
        RUN.parent.mkdir(parents=True)
        RUN.parent.chmod(0o755)
    RUN.mkdir(exist_ok=True)
    RUN.chmod(0o711)


def _folder(service: str, owner: int, wanted: dict[str, str]) -> None:
    """Its files in memory, no others; and the folder of its data."""
    for folder in (DATA / service, RUN / service):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chown(folder, owner, owner)
    for old in (RUN / service).iterdir():
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        write(RUN / service / name, text.encode(), owner)


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
