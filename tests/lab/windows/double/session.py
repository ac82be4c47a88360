"""One request of an SSH client, or one program started from PowerShell."""

import os
import sys

from . import argv, cmd, environment, home, launch, streams, texts

SFTP = ("internal-sftp", "sftp-server", "sftp-server.exe")


def _is_sftp(request: str) -> bool:
    words = request.split()
    return bool(words) and words[0].replace("\\", "/").rsplit("/", 1)[-1].lower() in SFTP


def _remember(request: str) -> None:
    """Leaves a file by which `control drop` finds the sshd process above this one."""
    home.SESSIONS.mkdir(exist_ok=True)
    (home.SESSIONS / str(os.getpid())).write_text(f"{os.getppid()}\n{request[:200]}\n", errors="replace")


def _prepare() -> None:
    os.umask(0o022)
    if not home.STATE.exists():
        from . import setup

        setup.create()


def main() -> int:
    """Plays sshd's `cmd.exe /c "<SSH_ORIGINAL_COMMAND>"`; gives the exit code that sshd sends on."""
    _prepare()
    request = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    _remember(request)
    if _is_sftp(request):
        from . import sftp

        return sftp.serve()
    if not request:
        streams.out("Windows double: cmd.exe without a console is not played; give a command.")
        return 0
    if cmd.too_long(request):
        streams.err(texts.text("too_long"))
        return 1
    from . import logon

    logon.have_profile(home.windows_user())
    variables = environment.session()
    _go_home(variables)
    return run_line(request, variables) & 0xFF


def _go_home(variables: dict[str, str]) -> None:
    from . import paths

    folder = paths.local(variables["USERPROFILE"])
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)


def run_line(line: str, variables: dict[str, str]) -> int:
    """Runs one line of cmd.exe; gives the errorlevel it ends with."""
    try:
        commands = cmd.parse(line, variables)
    except SyntaxError as problem:
        streams.err(str(problem))
        return 1
    except cmd.NotPlayed as problem:
        streams.err(f"the Windows double does not implement this of cmd.exe: {problem}")
        return 1
    return launch.run(commands, variables)


def main_program() -> int:
    """A program called by the name of the link; its arguments arrive already split."""
    name = os.path.basename(sys.argv[0])
    variables = environment.session()
    variables.update({k: v for k, v in os.environ.items() if k in variables or k == "WSL_UTF8"})
    return launch.program(argv.bare_name(name), name, sys.argv[1:], variables) & 0xFF
