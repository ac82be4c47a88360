"""hostname.exe and shutdown.exe."""

from . import environment, streams


def _hostname(_arguments: list[str]) -> int:
    streams.out(environment.computer_name())
    return 0


def _shutdown(arguments: list[str]) -> int:
    flags = [word.lower().replace("-", "/") for word in arguments]
    if "/a" in flags:
        streams.err("Unable to abort the system shutdown because no shutdown was in progress.(1116)")
        return 1116
    if "/r" not in flags:
        streams.err(f"the Windows double does not implement this: shutdown {' '.join(arguments)}")
        return 1
    from . import machine

    seconds = int(flags[flags.index("/t") + 1]) if "/t" in flags[:-1] else 30
    machine.reboot_later(seconds)
    return 0


def main(bare: str, arguments: list[str], _variables: dict[str, str], _raw: str | None) -> int:
    """Runs the program called `bare`."""
    if bare == "hostname" and arguments:
        streams.err("sethostname: Use the Network Control Panel Applet to set hostname.\nhostname -s is not supported.")
        return 1
    return _hostname(arguments) if bare == "hostname" else _shutdown(arguments)
