"""Functions and files of the product keep to the sizes that CONTRIBUTING.md gives."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from statistics import median, quantiles

from tests.conftest import ROOT
from tests.docs.test_layers import SOURCES

# Hosts run it as one file.
LONG = {ROOT / "citadelle/models/verify.py"}


def functions(source: str) -> Iterator[tuple[int, str]]:
    """Lines and name of each function, its docstring included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or 0) - node.lineno + 1, node.name


def test_functions_are_short() -> None:
    found = [size for path in SOURCES for size in functions(path.read_text())]
    lines = [size for size, _ in found]
    assert len(lines) > 300
    assert median(lines) <= 8
    assert quantiles(lines, n=10)[-1] <= 25
    assert [(name, size) for size, name in found if size > 50] == []


def test_files_are_short() -> None:
    scripts = [path for path in (ROOT / "bin").iterdir() if path.is_file()]
    placed = [path for path in (ROOT / "roles").glob("*/files/**/*") if path.is_file()]
    sizes = {path: len(path.read_text().splitlines()) for path in {*SOURCES, *scripts, *placed} - LONG}
    assert len(sizes) > 80
    assert {str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > 250} == {}


def test_a_long_function_is_counted() -> None:
    assert list(functions("def f():\n" + "    x = 1\n" * 50)) == [(51, "f")]
