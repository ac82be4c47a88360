"""Windows paths and the files of this machine behind them."""

import os
from pathlib import Path

from . import home


def _step(folder: str, name: str) -> str:
    """One component below a folder, found whatever its case, as NTFS does."""
    exact = os.path.join(folder, name)
    if os.path.lexists(exact):
        return exact
    try:
        for other in os.listdir(folder):
            if other.lower() == name.lower():
                return os.path.join(folder, other)
    except OSError:
        pass
    return exact


def local(path: str, cwd: str | None = None) -> Path:
    """The file behind a Windows path (`C:\\x`, `C:/x`, `/C:/x`, relative); components that exist match in any case."""
    text = path.replace("\\", "/")
    drive = str(home.DRIVE)
    if text[:3].lower() == "/c:":
        text = text[1:]
    if text[:2].lower() == "c:":
        folder, rest = drive, text[2:]
    elif text.startswith("/"):
        folder, rest = drive, text
    else:
        folder, rest = cwd or os.getcwd(), text
    for name in rest.split("/"):
        if name == "..":
            folder = os.path.dirname(folder) if folder != drive else drive
        elif name not in ("", "."):
            folder = _step(folder, name)
    return Path(folder)


def windows(path: str | Path) -> str:
    """The Windows path of a file below drive C:."""
    text = str(path)
    drive = str(home.DRIVE)
    if text == drive:
        return "C:\\"
    return "C:" + text[len(drive) :].replace("/", "\\") if text.startswith(drive + "/") else text
