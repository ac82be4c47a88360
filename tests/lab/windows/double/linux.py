"""The Linux side of wsl.exe: this very machine plays the distribution."""

import os
import pwd
from contextlib import suppress

from . import distribution, home, streams

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def _surroundings(user: pwd.struct_passwd, distro: str) -> dict[str, str]:
    return {
        "HOME": user.pw_dir,
        "USER": user.pw_name,
        "LOGNAME": user.pw_name,
        "SHELL": user.pw_shell,
        "PATH": PATH,
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "WSL_DISTRO_NAME": distro,
        "NAME": os.uname().nodename,
    }


def _folder(wanted: str, user: pwd.struct_passwd) -> str:
    """The folder to start in: Windows' drive is not mounted, so its paths lead to the user's home."""
    if wanted.startswith("/"):
        return wanted
    return user.pw_dir if os.geteuid() != 0 or os.path.isdir(user.pw_dir) else "/"


def _remember(distro: str) -> None:
    """Leaves a file by which `--terminate` and a reboot find the process."""
    folder = home.STATE_DIR / "wsl"
    folder.mkdir(exist_ok=True)
    (folder / str(os.getpid())).write_text(distro)


def _as_root(user: pwd.struct_passwd, words: list[str], environment: dict[str, str], folder: str) -> None:
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.chdir(folder)
    os.execvpe(words[0], words, environment)


def _as_administrator(user: pwd.struct_passwd, words: list[str], environment: dict[str, str], folder: str) -> None:
    """From an ordinary account: sudo gives the user, env the clean surroundings."""
    settings = [f"{name}={value}" for name, value in environment.items()]
    line = ["/usr/bin/sudo", "-n", "-u", user.pw_name, "--", "/usr/bin/env", "-i", "-C", folder, *settings, *words]
    os.execv(line[0], line)


def become(distro: str, user_name: str, cd: str, words: list[str] | None, shell_text: str | None) -> int:
    """Replaces this process by a Linux program: `words` directly, or text for the user's shell, or its login shell.

    It leaves the job of the SSH session: processes of a distribution outlive wsl.exe, as they do on Windows.
    """
    try:
        user = pwd.getpwnam(user_name or "root")
    except KeyError:
        streams.err(f"<3>WSL (1) ERROR: getpwnam({user_name}) failed: user not found")
        return 1
    if words is None:
        words = [user.pw_shell, "-c", shell_text] if shell_text is not None else [user.pw_shell, "-l"]
    distribution.start()
    _remember(distro)
    if os.getpid() != os.getsid(0):
        with suppress(PermissionError):  # raised when it leads a process group already: then it keeps its session
            os.setsid()
    run = _as_root if os.geteuid() == 0 else _as_administrator
    try:
        run(user, words, _surroundings(user, distro), _folder(cd, user))
    except FileNotFoundError:
        streams.err(f"<3>WSL (1) ERROR: CreateProcessCommon: execvpe({words[0]}) failed: No such file or directory")
    except PermissionError as problem:
        streams.err(f"<3>WSL (1) ERROR: CreateProcessCommon: execvpe({words[0]}) failed: {problem.strerror}")
    return 1
