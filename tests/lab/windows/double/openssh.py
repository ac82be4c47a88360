"""sshd.exe, ssh-keygen.exe and the service sshd: the genuine OpenSSH of this machine, with the configuration that lies on drive C:.

A restart of the service puts that configuration into force for the sshd of this PC (`hooks/sshd`), so that a wrong one locks out for real.
Ports, host keys and subsystems stay those of this machine.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from . import home, icacls, paths, streams

CONFIG = "ProgramData/ssh/sshd_config"
ADMINISTRATORS = "S-1-5-32-544"
TRUSTED = (ADMINISTRATORS, "S-1-5-18")
READS = ("(R)", "(RX)")
# What this machine's own configuration says.
OWN = {"port", "listenaddress", "addressfamily", "hostkey", "subsystem", "syslogfacility", "pidfile", "usepam"}
FIRST = """# The configuration of a fresh Windows, shortened: what is in force in it.
#PubkeyAuthentication yes
#PasswordAuthentication yes

AuthorizedKeysFile\t.ssh/authorized_keys

Subsystem\tsftp\tsftp-server.exe

Match Group administrators
       AuthorizedKeysFile __PROGRAMDATA__/ssh/administrators_authorized_keys
"""


def create() -> None:
    """First files: the configuration; in a lab PC also the keys that open it, and the public host keys."""
    folder = home.DRIVE / "ProgramData/ssh"
    config = home.DRIVE / CONFIG
    if not config.exists():
        config.write_bytes(FIRST.replace("\n", "\r\n").encode())
    keys, mine = folder / "administrators_authorized_keys", Path.home() / ".ssh/authorized_keys"
    if home.HAS_OWN_HOME or keys.exists() or not mine.exists():
        return
    keys.write_bytes(mine.read_bytes())
    own = [{"sid": sid, "flags": "", "rights": "(F)"} for sid in TRUSTED]
    with home.change() as state:
        icacls.lists(state)[icacls.key(keys)] = {"entries": own, "inherits": False, "owner": ADMINISTRATORS}


def _administrators() -> list[str]:
    state = home.load(home.STATE)
    members = next(group["Members"] for group in state["groups"] if group["SID"] == ADMINISTRATORS)
    return [user["Name"] for user in state["users"] if user["SID"] in members] or [home.windows_user()]


def _is_safe(file: Path) -> bool:
    """OpenSSH's own rule: owned by a trusted one, and nobody else may do more than read."""
    acls: dict[str, Any] = home.load(home.STATE).get("acls", {})
    owner = acls.get(icacls.key(file), {"owner": ADMINISTRATORS})["owner"]
    others = [entry for entry, _ in icacls.effective(acls, file) if entry["sid"] not in TRUSTED]
    return owner in TRUSTED and all(entry["rights"] in READS or entry.get("deny") for entry in others)


def _keys_file(value: str) -> str:
    """A list of keys that others could change is passed over, and only the log says so."""
    if "__programdata__" not in value.lower():
        return value
    file = Path(re.sub("__programdata__", str(home.DRIVE / "ProgramData"), value, flags=re.IGNORECASE))
    return str(file) if _is_safe(file) else "none"


def _line(line: str) -> str:
    found = re.match(r"\s*(\w+)[\s=]+(.*?)\s*$", line)
    name, value = (found[1].lower(), found[2]) if found else ("", "")
    if name == "match" and value.lower().startswith("group"):
        is_administrators = value.split()[-1].lower() in ("administrators", "administrateurs")
        return f"Match User {','.join(_administrators()) if is_administrators else 'nobody-of-that-group'}"
    if name == "authorizedkeysfile":
        return f"{found[1] if found else ''} {_keys_file(value)}"
    return line.rstrip("\r\n")


def translated(text: str, in_force: bool) -> str:
    """The configuration for the genuine sshd; `in_force` leaves out what is this machine's own."""
    lines = [line for line in text.split("\n") if not (in_force and re.split(r"[\s=]", line.strip())[0].lower() in OWN)]
    return "\n".join(map(_line, lines)) + "\n"


def _host_key() -> Path:
    """A key for checks alone: this machine's own can be read by root only."""
    key = home.STATE_DIR / "check_host_key"
    if not key.exists():
        subprocess.run(
            [_genuine("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key], stdin=subprocess.DEVNULL, check=True
        )
    return key


def _genuine(name: str) -> str:
    """The program of this machine: on PATH the double's own comes first."""
    return shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin") or f"/usr/bin/{name}"


def _check(arguments: list[str]) -> int:
    mode = next((word for word in arguments if word in ("-t", "-T")), "")
    file = paths.local(arguments[arguments.index("-f") + 1]) if "-f" in arguments[:-1] else home.DRIVE / CONFIG
    if not mode:
        streams.err("the Windows double plays sshd -t and sshd -T alone")
        return 1
    text = file.read_bytes().decode("latin-1") if file.exists() else ""
    config = home.STATE_DIR / f"check.{file.stat().st_ino if file.exists() else 0}.conf"
    home.replace_text(config, f"HostKey {_host_key()}\n" + translated(text, in_force=False))
    done = subprocess.run(
        [_genuine("sshd"), mode, "-f", config], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    config.unlink()
    for said, write in ((done.stdout, streams.out), (done.stderr.replace(str(config), str(file)), streams.err)):
        if said.strip():
            write(said.rstrip("\n"))
    return done.returncode


def _keygen(arguments: list[str]) -> int:
    """Paths of drive C: are led to their files; in a lab PC the host keys shown are this machine's own."""
    words = [str(paths.local(word)) if word[1:2] == ":" else word for word in arguments]
    done = subprocess.run(
        [_genuine("ssh-keygen"), *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    for said, write in ((done.stdout, streams.out), (done.stderr, streams.err)):
        if said.strip():
            write(said.rstrip("\n"))
    return done.returncode


def main(bare: str, arguments: list[str], _variables: dict[str, str], _raw: str | None) -> int:
    """`sshd -t|-T [-f FILE]`, `ssh-keygen ...`."""
    return _check(arguments) if bare == "sshd" else _keygen(arguments)


def restart() -> bool:
    """Puts the configuration into force; False where sshd does not take it, and then it does not run."""
    hook = home.hook("sshd")
    if hook is None:
        return True
    if not home.HAS_OWN_HOME:
        for key in Path("/etc/ssh").glob("ssh_host_*_key.pub"):
            shutil.copyfile(key, home.DRIVE / "ProgramData/ssh" / key.name)
    file = home.STATE_DIR / "sshd.conf"
    home.replace_text(file, translated((home.DRIVE / CONFIG).read_bytes().decode("latin-1"), in_force=True))
    return home.call(hook, file)
