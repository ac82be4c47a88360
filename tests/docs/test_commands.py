"""What a page tells somebody to type is there: words and options of `citadelle`, units and containers of a host, settings."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from gateway.metrics import WATCHED
from typer.testing import CliRunner

from citadelle.cli.main import app
from tests.conftest import ROOT
from tests.shipping.test_forms import LINES, WHOLE, line_of

RUNBOOKS = sorted((ROOT / "docs/runbooks").glob("*.md"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *RUNBOOKS]
CODE = re.compile(r"`([^`\n]+)`")
TYPED = re.compile(r"^\$ (citadelle .*)$", re.MULTILINE)
SETTINGS = (ROOT / "docs/settings.md").read_text()
# Of Debian's packages; and one that lives for a change alone (citadelle/operations/rollback.sh).
OTHERS = {"docker", "nftables", "citadelle-rollback"}


def typed(text: str) -> Iterator[list[str]]:
    """Each command of ours, in words."""
    for line in [*CODE.findall(text), *TYPED.findall(text)]:
        for part in re.split(r" && | \| |  #", line):
            if part.startswith("citadelle "):
                yield shlex.split(part.removeprefix("citadelle ").replace(" ...", ""))


def objection(words: list[str]) -> str:
    """What the command says of words or options that it has not. Asked for its help, it misses no argument that a page leaves out."""
    said = CliRunner().invoke(app, [*words, "--help"])
    return "" if said.exit_code == 0 else f"citadelle {shlex.join(words)}: {said.output}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_is_one_that_is_understood(page: Path) -> None:
    assert [said for words in typed(page.read_text()) if (said := objection(words))] == []


def test_a_command_that_is_none_is_noticed() -> None:
    page = "`citadelle alerts test --host PC`, `citadelle alert test`, `citadelle keys end ID`\n$ citadelle status --pc PC\n"
    wrong = [said.partition(":")[0] for words in typed(page) if (said := objection(words))]
    assert wrong == ["citadelle alert test", "citadelle keys end ID", "citadelle status --pc PC"]
    assert sum(len(list(typed(path.read_text()))) for path in PAGES) > 60


def units() -> set[str]:
    placed = {path.name for path in (ROOT / "roles").glob("*/files/etc/systemd/system/*") if path.is_file()}
    return placed | {name.rpartition(".")[0] for name in placed} | OTHERS


def named_units(text: str) -> set[str]:
    """Units in commands for systemd."""
    found: set[str] = set()
    for code in CODE.findall(text):
        found |= set(re.findall(r"-u ([\w.-]+)", code))
        if match := re.search(r"systemctl (?:status|start|stop|restart|(?:en|dis)able --now) ([^&|;]+)", code):
            found |= {word for word in match[1].split() if not word.startswith("-")}
    return found


def test_every_unit_and_every_container_is_there() -> None:
    services = {
        name
        for path in (ROOT / "compose").glob("*.yaml")
        for name in yaml.safe_load(path.read_text()).get("services", {})
    }
    text = "\n".join(path.read_text() for path in PAGES)
    assert len(named_units(text)) > 10
    assert named_units(text) - units() == set()
    containers = set(re.findall(r"citadelle-(\w+)-1\b", text))
    assert containers - services == {"SERVICE"}
    assert named_units("`journalctl -u citadelle-log`, `systemctl status a.timer b`") == {
        "citadelle-log",
        "a.timer",
        "b",
    }


def test_every_setting_that_a_page_names_is_one() -> None:
    known = set(re.findall(r"^\| `(\w+)` \|", SETTINGS, re.MULTILINE))
    roles = {name.partition("_")[0] for name in known}
    named = {
        (page.name, word)
        for page in PAGES
        for code in CODE.findall(page.read_text())
        for word in re.findall(r"^([a-z]+_[a-z_]*[a-z])(?: = .*)?$", code)
        if word.partition("_")[0] in roles
    }
    assert len(named) > 60
    assert sorted((page, word) for page, word in named if word not in known | set(WATCHED)) == []


def test_what_is_looked_for_in_the_audit_trail_stands_there(tmp_path: Path) -> None:
    """By the commands of the runbooks themselves, on records as the receiver writes them; the pseudonym is among what they show."""
    codes = ("answer_cut", "limit_reached", "key_revoked")
    records = [LINES["answered"], *(line_of(WHOLE | {"status": 0, "code": code}) for code in codes)]
    (tmp_path / "audit-000000000001.jsonl").write_text("\n".join(records) + "\n")
    for name, wanted in {
        "AnswersCut": 1,
        "LimitBurst": 1,
        "RefusedKeys": 1,
        "UseOutsideHours": 1,
        "TokenVolumeUnusual": 4,
    }.items():
        text = (ROOT / f"docs/runbooks/{name}.md").read_text()
        [line] = [
            code for code in CODE.findall(text) if code.startswith("grep ") and "/var/log/citadelle/audit/" in code
        ]
        shell = line.replace("/var/log/citadelle/audit", str(tmp_path))
        said = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True).stdout
        found = int(said.split()[0]) if "uniq -c" in line else len(said.splitlines())
        assert (found, '"key":"alice"' in said) == (wanted, True), name
        assert "citadelle audit resolve PSEUDONYM --host PC" in text
