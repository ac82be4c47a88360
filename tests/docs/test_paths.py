"""A path that a page names is there; so is a command of the checkout."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?<![\w./])(?:bin/\w+|[\w/]+\.py)\b")
FILE = re.compile(r"[\w.<>/-]+\.(?:py|md|toml|txt|yaml|lock)")
FOLDERS = ("bin", "citadelle", "compose", "docs", "inventory", "policies", "roles", "tests", ".ci")
# What the reader makes.
OWN = {"inventory/mine.py", "inventory/<mine>.py", "inventory/<yours>.py", "inventory/group_data/<group>.py"}


def named_paths(text: str) -> list[str]:
    """Paths of the checkout in inline code, and commands of the checkout in fenced code."""
    inline = [word for code in CODE.findall(FENCE.sub("", text)) for word in code.split() if is_ours(word)]
    fenced = [word for block in FENCE.findall(text) for word in COMMAND.findall(block) if is_ours(word)]
    return inline + fenced


def is_ours(word: str) -> bool:
    """Whether it is a file, or something in a folder of the checkout; absolute paths are a host's."""
    in_folder = "/" in word and word.partition("/")[0] in FOLDERS
    return word not in OWN and not word.startswith("/") and (in_folder or FILE.fullmatch(word) is not None)


def is_there(path: str) -> bool:
    """`<name>` stands for any name; a bare file name may lie in any folder, as a page speaks of one before."""
    pattern = re.sub(r"<[^>]+>", "*", path).rstrip("/")
    nested = ("/" not in path) and any(any((ROOT / folder).rglob(pattern)) for folder in FOLDERS)
    return nested or any(ROOT.glob(pattern))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_is_there(page: Path) -> None:
    named = named_paths(page.read_text())
    assert named
    assert [path for path in named if not is_there(path)] == []


def test_a_path_that_is_gone_is_noticed() -> None:
    page = "`bin/check`, `roles/<role>/setting.py`, `citadelle/wsl.py`, `src/notes.md`\n```console\n$ bin/chek\n```\n"
    gone = [path for path in named_paths(page) if not is_there(path)]
    assert gone == ["roles/<role>/setting.py", "citadelle/wsl.py", "src/notes.md", "bin/chek"]


HOST_PATH = re.compile(r"`(/[\w.<>/-]+)`")


def product_text() -> str:
    """Every file of the product and, for files that roles place, their path on the host."""
    files = [path for name in ("citadelle", "roles", "compose") for path in (ROOT / name).rglob("*") if path.is_file()]
    texts = (path.read_text(errors="replace") for path in files if "__pycache__" not in path.parts)
    placed = ("/" + str(path).partition("/files/")[2] for path in files)
    return "\n".join([*texts, *placed])


def test_a_path_of_a_host_is_one_that_the_code_names() -> None:
    named = {
        re.sub("<.*", "", path).rstrip("/")
        for page in PAGES
        for path in HOST_PATH.findall(FENCE.sub("", page.read_text()))
    }
    text = product_text()
    assert "/etc/citadelle/operator.key" in named
    assert [path for path in sorted(named) if path not in text] == []
    assert "/etc/citadelle/operator.pem" not in text
