"""dsregcmd.exe: the state of a PC in a workgroup; what the PC's state says under `dsregcmd` stands in its place."""

import re

from . import environment, home, streams


def main(_bare: str, arguments: list[str], _variables: dict[str, str], _raw: str | None) -> int:
    """`dsregcmd /status`."""
    if [word.lower() for word in arguments] != ["/status"]:
        streams.err("Windows double: dsregcmd /status only.")
        return 1
    text = (home.CODE / "data" / "dsregcmd.txt").read_text(encoding="utf-8")
    for name, value in home.load(home.STATE).get("dsregcmd", {}).items():
        text = re.sub(rf"(?m)^( *{name} : )\S+", rf"\g<1>{value}", text)
    streams.out(text.replace("{0}", environment.computer_name()).removesuffix("\n"))
    return 0
