"""Who imports whom is what docs/architecture.md says."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGE = ROOT / "docs/architecture.md"
# Packages of services stand in their own import path.
SERVICES = {"gateway": "compose/gateway/gateway", "rag": "compose/rag/rag"}
FOLDERS = ("citadelle", "roles", "compose", "inventory")
SOURCES = [ROOT / "deploy.py", ROOT / "config.py", *(path for name in FOLDERS for path in (ROOT / name).rglob("*.py"))]


def layers() -> dict[str, list[str]]:
    """Code -> what it may import, as patterns of paths; read from the table of the page."""
    table = PAGE.read_text().partition("| Code | may import |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = (re.findall(r"[^|]+", row) for row in table.splitlines())
    return {_pattern(code)[0]: _pattern(allowed) for code, allowed in rows}


def _pattern(cell: str) -> list[str]:
    return [re.sub(r"<[^>]+>", "*", path) for path in re.findall("`([^`]+)`", cell)]


def imports(source: str) -> Iterator[str]:
    """Dotted names that a file imports, `from a import b` as a.b."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def file_of(dotted: str) -> str | None:
    """The file of the checkout that a dotted name lies in; None for other packages."""
    top, *rest = dotted.split(".")
    parts = [*SERVICES.get(top, top).split("/"), *rest]
    for end in range(len(parts), 0, -1):
        for path in ("/".join(parts[:end]) + ".py", "/".join([*parts[:end], "__init__.py"])):
            if (ROOT / path).is_file():
                return path
    return None


def covers(pattern: str, path: str) -> bool:
    """Whether `path` is the file of that name or lies in the folder of that name."""
    return fnmatchcase(path, pattern) or (not pattern.endswith(".py") and fnmatchcase(path, f"{pattern}/*"))


def objections(path: str, source: str, table: dict[str, list[str]]) -> list[str]:
    """Files of the house that `path` imports and the table does not allow."""
    rows = [code for code in table if covers(code, path)]
    allowed = [pattern for code in rows for pattern in table[code]]
    own = str(Path(path).parent) if rows and not rows[0].endswith(".py") else path
    wanted = {found for dotted in imports(source) if (found := file_of(dotted))} - {"citadelle/__init__.py"}
    return sorted(file for file in wanted if not covers(own, file) and not any(covers(rule, file) for rule in allowed))


def test_the_table_is_read() -> None:
    table = layers()
    assert {"deploy.py", "roles/*", "citadelle/cli", "compose/gateway"} <= table.keys()
    assert table["compose/gateway"] == []
    upwards = [rule for code, rules in table.items() if code.startswith("citadelle") for rule in rules]
    assert upwards
    assert not any(rule.startswith(("roles", "inventory")) for rule in upwards)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_what_the_page_allows(source: Path) -> None:
    assert objections(str(source.relative_to(ROOT)), source.read_text(), layers()) == []


@pytest.mark.parametrize(
    ("path", "line", "wrong"),
    [
        ("citadelle/facts/docker.py", "from roles.stack.settings import StackSettings", "roles/stack/settings.py"),
        ("citadelle/release.py", "from citadelle import powershell", "citadelle/powershell.py"),
        ("roles/stack/deploy.py", "from roles.docker.deploy import docker", "roles/docker/deploy.py"),
        ("roles/stack/deploy.py", "from citadelle.connectors.ssh import connection", "citadelle/connectors/ssh.py"),
        ("compose/gateway/gateway/app.py", "import citadelle.powershell", "citadelle/powershell.py"),
        ("compose/gateway/gateway/app.py", "from rag.search import Query", "compose/rag/rag/search.py"),
    ],
)
def test_a_wrong_import_is_noticed(path: str, line: str, wrong: str) -> None:
    assert objections(path, line, layers()) == [wrong]


def test_paramiko_has_one_door() -> None:
    users = [path for path in SOURCES if any(re.match(r"paramiko\b", name) for name in imports(path.read_text()))]
    assert users == [ROOT / "citadelle/connectors/ssh.py"]


def test_the_verifier_needs_the_standard_library_alone() -> None:
    tops = {name.split(".")[0] for name in imports((ROOT / "citadelle/models/verify.py").read_text())}
    assert tops
    assert tops <= sys.stdlib_module_names
