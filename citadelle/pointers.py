"""Pointers from `.env`: where things lie on this controller (paths, URLs). Never secrets: those come as files, see docs."""

from __future__ import annotations

import os
import re
from pathlib import Path

from dotenv import dotenv_values

SECRET = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE|CREDENTIAL|API_?KEY)", re.IGNORECASE)
ROOT = Path(__file__).resolve().parent.parent


def pointer(name: str, default: str, env_file: Path = ROOT / ".env") -> str:
    """Value of `name` from the process environment, else from `.env`, else `default`.

    Relative paths are meant from the checkout. Raises `SystemExit` when `.env` holds a name that looks like a secret.
    """
    values = dotenv_values(env_file, interpolate=False) if env_file.is_file() else {}
    for key in values:
        if SECRET.search(key):
            raise SystemExit(
                f"{env_file}: looks like a secret, and .env holds pointers only: {key}\n"
                "hint: remove the line; give the path of a file instead"
            )
    return os.environ.get(name) or values.get(name) or default


def path(name: str, default: str) -> str:
    """Like `pointer`, as an absolute path."""
    return str((ROOT / Path(pointer(name, default)).expanduser()).resolve())
