"""A folder of documents: which files there are, and who may see each, by the `.acl.yaml` of its folder or the nearest above it."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from rag.readers import KINDS

ACL = ".acl.yaml"
_GROUP = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Entry:
    """A file: `path` relative to the folder, `groups` that may see it, `problem` when it is not taken in."""

    path: str
    groups: frozenset[str] = frozenset()
    problem: str = ""


def entries(root: Path) -> Iterator[Entry]:
    """Every file in order of its path; links, hidden and special files are told and left out. A wrong `.acl.yaml` closes its folder."""
    yield from _of(root, "", frozenset())


def _of(folder: Path, prefix: str, groups: frozenset[str]) -> Iterator[Entry]:
    try:
        groups = acl(folder / ACL) if (folder / ACL).exists() else groups
    except ValueError as error:
        groups = frozenset()
        yield Entry(f"{prefix}{ACL}", problem=f"nobody may see its folder: {error}")
    with os.scandir(folder) as found:
        children = sorted(found, key=lambda child: child.name)
    for child in children:
        path = f"{prefix}{child.name}"
        if child.is_dir(follow_symlinks=False) and not child.name.startswith("."):
            yield from _of(Path(child.path), f"{path}/", groups)
        elif child.name != ACL:
            yield Entry(path, groups, _problem(child))


def _problem(child: os.DirEntry[str]) -> str:
    if child.is_symlink():
        return "a link"
    if child.name.startswith("."):
        return "hidden"
    if not child.is_file(follow_symlinks=False):
        return "no file"
    return "" if Path(child.name).suffix.lower() in KINDS else "a kind that is not read"


def acl(path: Path) -> frozenset[str]:
    """The groups of an `.acl.yaml`: `groups: [name, ...]` and nothing else. Raise ValueError."""
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"not readable: {type(error).__name__}") from None
    if not isinstance(found, dict) or set(found) != {"groups"} or not isinstance(found["groups"], list):
        raise ValueError("wanted one key, groups, with a list of names")
    wrong = [name for name in found["groups"] if not isinstance(name, str) or not _GROUP.fullmatch(name)]
    if wrong:
        raise ValueError(f"not the name of a group: {wrong[0]!r}")
    return frozenset(found["groups"])
