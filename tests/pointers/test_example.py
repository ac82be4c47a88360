""".env.example names each pointer of the checkout, with its default."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from citadelle.pointers import SECRET
from tests.conftest import ROOT

EXAMPLE = ROOT / ".env.example"


def pointers(source: str) -> Iterator[tuple[str, str]]:
    """(name, default) of each call `path("NAME", "default")` or `pointer(...)`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"path", "pointer"}:
            name, default = (argument.value for argument in node.args if isinstance(argument, ast.Constant))
            yield name, default


def test_the_example_is_complete() -> None:
    sources = [*(ROOT / "inventory").glob("*.py"), *(ROOT / "tests/lab").glob("*.py")]
    read = {found for path in sources for found in pointers(path.read_text())}
    shown = dict(re.findall(r"^#([A-Z_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE))
    assert read == set(shown.items())
    assert read


@pytest.mark.parametrize("line", EXAMPLE.read_text().splitlines())
def test_the_example_changes_nothing_and_holds_no_secret(line: str) -> None:
    assert not line or line.startswith("#")
    assert not SECRET.search(line.partition("=")[0]) or "=" not in line


def test_calls_are_seen(tmp_path: Path) -> None:
    assert list(pointers('x = path("A", "b")\ny = Path(pointer("C", "d"))')) == [("A", "b"), ("C", "d")]
