"""dsregcmd.exe: the state of a PC in a workgroup."""

from . import environment, home, streams


def main(_bare: str, arguments: list[str], _variables: dict[str, str], _raw: str | None) -> int:
    """`dsregcmd /status`."""
    if [word.lower() for word in arguments] != ["/status"]:
        streams.err("Windows double: dsregcmd /status only.")
        return 1
    text = (home.CODE / "data" / "dsregcmd.txt").read_text(encoding="utf-8")
    streams.out(text.replace("{0}", environment.computer_name()).removesuffix("\n"))
    return 0
