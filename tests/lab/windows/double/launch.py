"""Finds and starts programs: cmd.exe's own words, the double's programs, chains of them."""

import importlib
import os
import time

from . import argv, builtins, environment, home, journal, paths, streams, texts
from .cmd import Command, Redirection

PROGRAMS = {
    "auditpol": "auditpol",
    "cmd": "interpreter",
    "dsregcmd": "dsregcmd",
    "hostname": "small",
    "icacls": "icacls",
    "netsh": "netsh",
    "powershell": "powershell",
    "schtasks": "schtasks",
    "secedit": "secedit",
    "shutdown": "small",
    "ssh-keygen": "openssh",
    "sshd": "openssh",
    "whoami": "whoami",
    "wsl": "wsl",
}


def program(bare: str, called: str, arguments: list[str], variables: dict[str, str], raw: str | None = None) -> int:
    """Runs one of the double's programs in this process (it may replace the process); gives the exit code."""
    journal.note(bare + ".exe", [called, *arguments])
    seconds = float(home.knobs()["slow_start"])
    if seconds:
        time.sleep(seconds)
    module = importlib.import_module("." + PROGRAMS[bare], __package__)
    code: int = module.main(bare, arguments, variables, raw)
    return code


def _find(called: str, variables: dict[str, str]) -> str | None:
    """The bare name of a known program that exists where the caller looks for it; None when cmd.exe would not find it."""
    bare = argv.bare_name(called)
    if bare not in PROGRAMS:
        return None
    if "\\" in called or "/" in called or called[1:2] == ":":
        file = paths.local(called)
        return bare if file.exists() or file.with_name(file.name + ".exe").exists() else None
    folders = (environment.get(variables, "PATH") or "").split(";")
    return bare if any((paths.local(folder) / f"{bare}.exe").exists() for folder in folders if folder) else None


def _one(command: Command, variables: dict[str, str]) -> int:
    called, rest = argv.split_program(command.text)
    done = builtins.run(command.text, variables)
    if done is not None:
        return done
    bare = _find(called, variables)
    if bare is None:
        has_folder = "\\" in called
        streams.err(texts.text("no_path") if has_folder else texts.text("unknown", called))
        return 1
    return program(bare, called, argv.split_arguments(rest), variables, rest.strip())


def _redirect(redirection: Redirection) -> None:
    target = redirection.target
    if target.startswith("&"):
        os.dup2(int(target[1:]), redirection.handle)
        return
    flags = {
        "<": os.O_RDONLY,
        ">": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
        ">>": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    }[redirection.mode]
    name = "/dev/null" if target.lower() == "nul" else str(paths.local(target))
    handle = os.open(name, flags, 0o644)
    os.dup2(handle, redirection.handle)
    os.close(handle)


def _child(command: Command, variables: dict[str, str], stdin: int, stdout: int) -> int:
    """Starts one command in a process of its own; gives the process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.dup2(stdin, 0)
        os.dup2(stdout, 1)
        for redirection in command.redirections:
            _redirect(redirection)
        code = _one(command, variables) & 0xFF
    except OSError as problem:
        streams.err(texts.text("no_file" if isinstance(problem, FileNotFoundError) else "denied"))
    finally:
        os._exit(code)


def _piped(commands: list[Command], variables: dict[str, str]) -> int:
    """Commands joined by `|`; gives the exit code of the last."""
    stdin, pids = os.dup(0), []
    for index, command in enumerate(commands):
        is_last = index == len(commands) - 1
        read, write = (-1, os.dup(1)) if is_last else os.pipe()
        pids.append(_child(command, variables, stdin, write))
        os.close(stdin)
        os.close(write)
        stdin = read
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids][-1]


def _pipelines(commands: list[Command]) -> list[list[Command]]:
    groups: list[list[Command]] = []
    for command in commands:
        if command.joined_by == "|":
            groups[-1].append(command)
        else:
            groups.append([command])
    return groups


def run(commands: list[Command], variables: dict[str, str]) -> int:
    """Runs what one line holds, in order, as its operators say."""
    if len(commands) == 1 and not commands[0].redirections:
        return _one(commands[0], variables)
    code = 0
    for group in _pipelines(commands):
        sign = group[0].joined_by
        if (sign == "&&" and code != 0) or (sign == "||" and code == 0):
            continue
        stays = len(group) == 1 and builtins.changes_state(group[0].text)
        code = _one(group[0], variables) if stays else _piped(group, variables)
    return code
