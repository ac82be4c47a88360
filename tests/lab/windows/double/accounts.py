"""Windows' accounts as sshd of a lab PC must know them: each has a login of Linux, with the number of the first administrator's."""

import os
import subprocess

from . import home


def mirror(word: str, name: str) -> bool:
    """`add` or `remove` the login. With a home of its own the double has one account only, so nothing is to be done."""
    if home.HAS_OWN_HOME:
        return True
    sudo = [] if os.geteuid() == 0 else ["/usr/bin/sudo", "-n"]
    if word == "remove":
        return subprocess.run([*sudo, "/usr/sbin/userdel", name], capture_output=True, check=False).returncode == 0
    owner = home.STATE_DIR.stat()
    # No home of Linux: keys lie in Windows' profile alone.
    options = [
        "--non-unique",
        "--uid",
        str(owner.st_uid),
        "--gid",
        str(owner.st_gid),
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
    ]
    line = [*sudo, "/usr/sbin/useradd", *options, "--shell", "/bin/sh", "--password", "*", name]
    return subprocess.run(line, capture_output=True, check=False).returncode in (0, 9)  # 9: it is there
