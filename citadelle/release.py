"""A release of the stack: a folder's content packed into one archive, named by what is in it. Pure, except for reading files."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "MANIFEST.sha256"
LEFT_OUT = {"__pycache__", "tests", ".pytest_cache", ".ruff_cache", ".mypy_cache"}


@dataclass(frozen=True)
class Release:
    """`id`: first 12 hex digits of the digest over all paths and contents; `files`: path in the release -> content."""

    id: str
    files: dict[str, bytes]

    def archive(self) -> bytes:
        """A tar with the files and their manifest, the same bytes for the same content."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for path, content in sorted({**self.files, MANIFEST: manifest(self.files)}.items()):
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode = len(content), 0o644
                tar.addfile(entry, io.BytesIO(content))
        return buffer.getvalue()


def manifest(files: dict[str, bytes]) -> bytes:
    """Lines as `sha256sum --check` reads them."""
    return "".join(
        f"{hashlib.sha256(content).hexdigest()}  {path}\n" for path, content in sorted(files.items())
    ).encode()


def release(folders: dict[str, Path], extra: dict[str, bytes]) -> Release:
    """Collect folders (name in the release -> path on the controller) and single files as they are."""
    files = dict(extra)
    for name, folder in folders.items():
        files |= {f"{name}/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in _files(folder)}
    return Release(hashlib.sha256(manifest(files)).hexdigest()[:12], files)


def _files(folder: Path) -> list[Path]:
    return sorted(
        path for path in folder.rglob("*") if path.is_file() and not LEFT_OUT & set(path.relative_to(folder).parts)
    )


def read_env(text: str) -> dict[str, str]:
    """`NAME=value` lines, without quotes or interpolation; comments and empty lines are skipped."""
    rows = (line.partition("=") for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip() for name, _, value in rows}


def write_env(values: Mapping[str, object]) -> bytes:
    """The reverse of `read_env`; a value that a reader could take for more than itself is refused."""
    for name, value in values.items():
        if any(character in str(value) for character in "\n\r\"'`$\\#"):
            raise ValueError(f"not a plain value: {name}={value!r}")
    return "".join(f"{name}={value}\n" for name, value in values.items()).encode()
