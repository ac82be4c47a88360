"""Many files of a role made right in one operation: one round trip when nothing differs."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from pyinfra import host
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation
from pyinfra.api.command import PyinfraCommand

from citadelle.facts.files import FileState, FileStates

# A file here stands for an `after` that has not succeeded yet: a run that was cut off in between is finished by the next one.
PENDING = "/var/lib/citadelle/pending"


@dataclass(frozen=True)
class File:
    """A file as it shall be on the host; `check` is a command that must accept `$1`, the new content, before it is put in place."""

    path: str
    content: bytes
    mode: str = "644"
    owner: str = "root:root"
    check: str = ""

    @property
    def state(self) -> FileState:
        return FileState(self.mode, self.owner, hashlib.sha256(self.content).hexdigest())


def role_files(folder: Path, modes: dict[str, str] | None = None) -> list[File]:
    """Files under `roles/<role>/files/`, each for its path on the host; `modes` gives those that differ from 644."""
    modes = modes or {}
    found = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    paths = ((path, "/" + path.relative_to(folder).as_posix()) for path in found)
    return [File(dest, path.read_bytes(), modes.get(dest, "644")) for path, dest in paths]


@operation()
def present(files: list[File], after: str = "", due: bool = False) -> Generator[PyinfraCommand, None, None]:
    """Put each file in place with its content, mode and owner; a file that is right is left alone.

    + files: the files as they shall be. A new content is uploaded beside its path, checked, then renamed: no reader sees a half file.
    + after: command to run when any file has changed. An operation of its own would show as a change in every plan.
    + due: run `after` although no file has changed.
    """
    pending = f"{PENDING}/{hashlib.sha256(after.encode()).hexdigest()[:16]}"
    states = host.get_fact(FileStates, paths=[*(file.path for file in files), *([pending] if after else [])])
    wrong = [file for file in files if states.get(file.path) != file.state]
    if not wrong and pending not in states and not due:
        host.noop(f"{len(files)} files are right")
        return
    if after:
        yield StringCommand("mkdir -p", PENDING, "&& : >", pending)
    for file in wrong:
        yield from _put(file)
    if after:
        yield StringCommand(f"{{ {after}; }} && rm {pending}")


def _put(file: File) -> Generator[PyinfraCommand, None, None]:
    fresh = f"{file.path}.new"
    yield StringCommand("mkdir -p", QuoteString(str(Path(file.path).parent)))
    yield StringCommand("umask 077 && : >", QuoteString(fresh))
    yield FileUploadCommand(io.BytesIO(file.content), fresh)
    if file.check:
        yield StringCommand("set --", QuoteString(fresh), "&&", file.check)
    yield StringCommand(
        *("chown", QuoteString(file.owner), QuoteString(fresh)),
        *("&& chmod", file.mode, QuoteString(fresh)),
        *("&& mv -T", QuoteString(fresh), QuoteString(file.path)),
    )
