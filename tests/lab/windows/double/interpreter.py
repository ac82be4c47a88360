"""cmd.exe started by its own name: `cmd /c LINE`."""

import re

from . import streams


def main(_bare: str, arguments: list[str], variables: dict[str, str], raw: str | None) -> int:
    """Runs the line behind /c."""
    from .session import run_line

    line = raw if raw is not None else " ".join(arguments)
    found = re.match(r"(?:/[a-bd-z]\S*\s+)*/c\s*(.*)$", line, flags=re.IGNORECASE | re.DOTALL)
    if not found:
        streams.out("Windows double: cmd.exe without /c is not played; give a command.")
        return 0
    inner = found[1]
    if len(inner) >= 2 and inner.startswith('"') and inner.endswith('"') and inner.count('"') != 2:
        inner = inner[1:-1]
    return run_line(inner, variables)
