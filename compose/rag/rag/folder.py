"""A folder of documents: which files there are, and who may see each, by the `.acl.yaml` of its folder or the nearest above it."""

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rag.readers import KINDS

ACL = ".acl.yaml"
_ACL_BYTES = 64 * 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LIKE_ACL = re.compile(r"\.acl(?:\..*)?|acl\.ya?ml(?:\.txt)?", re.IGNORECASE | re.DOTALL)
_GROUP = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Entry:
    """A file: `path` relative to the folder, `groups` that may see it, `problem` when it is not taken in."""

    path: str
    groups: frozenset[str] = frozenset()
    problem: str = ""


def entries(root: Path) -> Iterator[Entry]:
    """Every file in order of its path; links, hidden and special files, and what cannot be read, are told and left out.

    A wrong `.acl.yaml` closes its folder. What is told of a name that is not UTF-8, or has control characters, has
    marks in their place.
    """
    yield from _of(root, "", frozenset())


def _of(folder: Path, prefix: str, groups: frozenset[str]) -> Iterator[Entry]:
    try:
        with os.scandir(folder) as found:
            children = sorted(found, key=lambda child: child.name)
    except OSError as error:
        if not prefix:
            raise
        yield Entry(prefix, problem=f"a folder that cannot be read: {type(error).__name__}")
        return
    own = [child.name for child in children if _LIKE_ACL.fullmatch(child.name)]
    try:
        groups = _acl_of(folder, own) if own else groups
    except ValueError as error:
        groups = frozenset()
        name = ACL if ACL in own else _CONTROL.sub("?", os.fsencode(own[0]).decode("utf-8", "replace"))
        yield Entry(f"{prefix}{name}", problem=f"nobody may see its folder: {error}")
        children = [child for child in children if child.name != name]
    for child in children:
        path = f"{prefix}{child.name}"
        if (told := os.fsencode(path).decode("utf-8", "replace")) != path:
            yield Entry(told, problem="a name that is not UTF-8")
        elif _CONTROL.search(child.name):
            yield Entry(ascii(path)[1:-1], problem="a name with control characters")
        elif child.is_dir(follow_symlinks=False) and not child.name.startswith("."):
            yield from _of(Path(child.path), f"{path}/", groups)
        elif child.name != ACL:
            yield Entry(path, groups, _problem(child))


def _acl_of(folder: Path, names: list[str]) -> frozenset[str]:
    """Raise ValueError, also for a list of another name: whoever has written it wanted to keep somebody out."""
    if ACL not in names:
        raise ValueError(f"the name of a list of groups is {ACL}")
    return acl(folder / ACL)


def _problem(child: os.DirEntry[str]) -> str:
    if child.is_symlink():
        return "a link"
    if child.name.startswith("."):
        return "hidden"
    if not child.is_file(follow_symlinks=False):
        return "no file"
    return "" if Path(child.name).suffix.lower() in KINDS else "a kind that is not read"


class _Plain(yaml.SafeLoader):
    """Without aliases, since a few lines of them can stand for more than any memory holds, and without a key that occurs twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise ValueError("an alias")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        if len({key.value for key, _ in node.value if isinstance(key.value, str)}) != len(node.value):
            raise ValueError("a key that occurs twice")
        return super().construct_mapping(node, deep)


def acl(path: Path) -> frozenset[str]:
    """The groups of an `.acl.yaml`: `groups: [name, ...]` and nothing else. Raise ValueError."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise ValueError("no file")  # a pipe would be waited for
        with path.open("rb") as file:
            text = file.read(_ACL_BYTES + 1)
        if len(text) > _ACL_BYTES:
            raise ValueError(f"more than {_ACL_BYTES} bytes")  # a part of it could name another group
        found = yaml.load(text, Loader=_Plain)  # noqa: S506  a SafeLoader that knows less
    except (OSError, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not readable: {type(error).__name__}") from None
    if not isinstance(found, dict) or set(found) != {"groups"} or not isinstance(found["groups"], list):
        raise ValueError("wanted one key, groups, with a list of names")
    wrong = [name for name in found["groups"] if not isinstance(name, str) or not _GROUP.fullmatch(name)]
    if wrong:
        name = repr(wrong[0][:64]) if isinstance(wrong[0], str) else type(wrong[0]).__name__
        raise ValueError(f"not the name of a group: {name}")
    return frozenset(found["groups"])
