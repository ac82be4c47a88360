"""Where recovery keys lie: two folders, a file for each key in both, each file with its own checksum."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from citadelle.escrow.seal import ALGORITHM, Identity

FORMAT = 1
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
PROTECTOR = re.compile(r"\{[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\}")
VOLUME = re.compile(r"[A-Z]:")


class EscrowError(Exception):
    """What keeps a key from being kept or read; `str()` is `<what>: <path>`."""


@dataclass(frozen=True)
class Entry:
    """One recovery key in escrow. `created`, `replaced`: ISO time, UTC; `key`: fingerprint of the operator's key it is sealed to.

    `unlock`: how the PC's start was chosen when the key was kept (`tpm`, `tpm_pin`), empty of older ones;
    `backups`: where else Windows keeps it (`entra`, `ad`); `replaced`: when the volume got another one, empty while it opens the volume.
    """

    host: str
    volume: str
    protector: str
    created: str
    key: str
    sealed: str
    backups: tuple[str, ...] = ()
    replaced: str = ""
    algorithm: str = ALGORITHM
    unlock: str = ""

    @property
    def identity(self) -> Identity:
        """Which key it is."""
        return Identity(self.host, self.volume, self.protector)

    def encode(self) -> bytes:
        """The file's content."""
        fields = {"format": FORMAT, **asdict(self), "backups": list(self.backups)}
        return (json.dumps(fields | {"sha256": _digest(fields)}, indent=1) + "\n").encode()

    @classmethod
    def decode(cls, content: bytes) -> Entry:
        """Raises ValueError where the content is not what was written."""
        fields: dict[str, Any] = json.loads(content)
        if not isinstance(fields, dict) or fields.pop("sha256", None) != _digest(fields):
            raise ValueError("its checksum is another one")
        if fields.pop("format", None) != FORMAT:
            raise ValueError("unknown format")
        entry = cls(**fields | {"backups": tuple(fields["backups"])})
        _path(entry.host, entry.protector)
        return entry


def _digest(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _path(host: str, protector: str) -> Path:
    """Where a key lies in a folder. Raises ValueError for names that would lie elsewhere."""
    if not HOST.fullmatch(host) or not PROTECTOR.fullmatch(protector):
        raise ValueError(f"no name of a key: {host} {protector}")
    return Path(host, protector.strip("{}") + ".json")


@dataclass(frozen=True)
class Kept:
    """What the two folders hold of one key: `entry` from a right copy (None where there is none); `problems`: what is wrong with a copy."""

    entry: Entry | None = None
    problems: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Both copies are there, right and the same."""
        return self.entry is not None and not self.problems


@dataclass(frozen=True)
class Escrow:
    """The two folders; the second is meant to lie on another disk."""

    folder: Path
    copy: Path

    @property
    def folders(self) -> tuple[Path, Path]:
        """Both."""
        return self.folder, self.copy

    def problem(self) -> str:
        """Why these two cannot be one another's copy; empty where they can."""
        first, second = (path.resolve() for path in self.folders)
        nested = first == second or first in second.parents or second in first.parents
        return f"the two folders lie in one another: {first}, {second}" if nested else ""

    def find(self, host: str, protector: str) -> Kept:
        """What is there of one key. Raises ValueError for names that cannot be."""
        path = _path(host, protector)
        found, problems = [], []
        for folder in self.folders:
            try:
                found.append(Entry.decode((folder / path).read_bytes()))
            except FileNotFoundError:
                problems.append(f"copy is absent: {folder / path}")
            except (OSError, ValueError, TypeError, KeyError) as error:
                problems.append(f"copy cannot be read: {folder / path}: {error}")
        found = [entry for entry in found if (entry.host, entry.protector) == (host, protector)]
        if len(found) == 2 and found[0] != found[1]:
            problems.append(f"copies differ: {', '.join(str(folder / path) for folder in self.folders)}")
        return Kept(found[0] if found else None, tuple(problems))

    def names(self, host: str = "*") -> Iterator[tuple[str, str]]:
        """Host and protector of every key of either folder, or of one host, in order. Files that are no keys are left out."""
        files = {file.relative_to(folder) for folder in self.folders for file in folder.glob(f"{host}/*.json")}
        for file in sorted(files):
            name = "{" + file.stem + "}"
            if HOST.fullmatch(file.parent.name) and PROTECTOR.fullmatch(name):
                yield file.parent.name, name

    def keep(self, entry: Entry) -> None:
        """Write both copies so that they outlive a loss of power, and read them again. Raises `EscrowError`."""
        path, content = _path(entry.host, entry.protector), entry.encode()
        for folder in self.folders:
            try:
                _write(folder / path, content)
            except OSError as error:
                raise EscrowError(f"escrow cannot be written: {folder / path}: {error.strerror or error}") from None
        if self.find(entry.host, entry.protector) != Kept(entry):
            raise EscrowError(f"escrow is not what was written: {self.folder / path}")

    def change(self, host: str, protector: str, **fields: Any) -> None:
        """Keep an entry with other fields; without any, its second copy is made anew. Raises `EscrowError`."""
        entry = self.find(host, protector).entry
        if entry is None:
            raise EscrowError(f"key is not in escrow: {host} {protector}")
        self.keep(replace(entry, **fields))


def _write(path: Path, content: bytes) -> None:
    """Beside the file, to the disk, then under its name: a run that dies leaves the old content or the new one. Folders are synced too."""
    made = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
    for folder in reversed(made):
        folder.mkdir(mode=0o700, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    for folder in (path.parent, *(folder.parent for folder in made)):
        _sync(folder)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
