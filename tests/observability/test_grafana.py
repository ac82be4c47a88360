"""Dashboards by Grafana's own types, LogQL by Grafana's own grammar: from npm, since Grafana itself is in no package here."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab import state
from tests.observability.test_dashboards import MADE, panels, questions
from tests.observability.test_rules import program, run
from tests.observability.test_sigma import QUESTIONS

__all__ = ["program"]

pytestmark = pytest.mark.docker  # not for Docker: for a package index, and a compiler's seconds

HERE = Path(__file__).with_name("grafana")
TSC = [
    *("node_modules/.bin/tsc", "--noEmit", "--strict", "--skipLibCheck", "--target", "es2022"),
    *("--module", "esnext", "--moduleResolution", "bundler", "boards.ts"),
]


@pytest.fixture(scope="module")
def npm() -> Iterator[Path]:
    """A folder with the locked packages and our two programs."""
    if not shutil.which("npm"):
        pytest.skip("npm is absent: Grafana's types and grammar come from it")
    folder = state.STATE / "npm"
    folder.mkdir(parents=True, exist_ok=True)
    before = (folder / "package-lock.json").read_bytes() if (folder / "package-lock.json").exists() else b""
    for file in HERE.iterdir():
        shutil.copy(file, folder)
    if before != (HERE / "package-lock.json").read_bytes() or not (folder / "node_modules").is_dir():
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
    yield folder
    (folder / "boards.ts").unlink(missing_ok=True)


def typed(boards: dict[str, dict[str, Any]]) -> str:
    """As TypeScript: each as a whole, and its panels by their kinds."""
    lines = ['import type { Board, Panels } from "./types";']
    for name, board in boards.items():
        own = [_own(panel) for panel in panels(board)]
        lines.append(f"export const {name}: Board = {json.dumps(board)};")
        lines.append(f"export const {name}_panels: Panels = {json.dumps(own)};")
    return "\n".join(lines)


def _own(panel: dict[str, Any]) -> dict[str, Any]:
    """What a panel's kind decides."""
    custom = panel.get("fieldConfig", {}).get("defaults", {}).get("custom")
    field = {"fieldConfig": {"defaults": {"custom": custom}}} if custom else {}
    return {"type": panel["type"], "options": panel["options"]} | field


def test_every_dashboard_is_what_grafana_takes_and_what_is_wrong_is_found(npm: Path) -> None:
    """All of them, and four broken ones, in one start of the compiler."""
    boards = {f"{name}_{language}": board for (name, language), board in MADE.items()}
    broken = {name: copy.deepcopy(MADE["overview", "en"]) for name in ("version", "place", "option", "custom")}
    broken["version"]["schemaVersion"] = "42"
    del broken["place"]["panels"][0]["gridPos"]["y"]
    broken["option"]["panels"][0]["options"]["graphMode"] = "pie"
    [graph, *_] = [panel for panel in panels(broken["custom"]) if panel["type"] == "timeseries"]
    graph["fieldConfig"]["defaults"]["custom"]["showPoints"] = "sometimes"
    (npm / "boards.ts").write_text(typed(boards | {f"broken_{name}": board for name, board in broken.items()}))
    done = subprocess.run(TSC, cwd=npm, capture_output=True, text=True, timeout=180, check=False)
    lines = (npm / "boards.ts").read_text().splitlines()
    wrong = {
        int(line.partition("(")[2].partition(",")[0])
        for line in done.stdout.splitlines()
        if line.startswith("boards.ts(")
    }
    named = [lines[number - 1].split()[2].rstrip(":") for number in sorted(wrong)]
    assert named == ["broken_version", "broken_place", "broken_option_panels", "broken_custom_panels"], done.stdout[
        :2000
    ]


def test_every_question_to_prometheus_is_promql(tmp_path: Path, program: str) -> None:
    """By promtool, as rules; and one that is none is found."""
    tmp_path.chmod(0o755)
    plain = [text.replace("$__rate_interval", "1m").replace("$__range", "1h") for _, text in questions("prometheus")]
    for name, asked in {"panels": plain, "broken": [*plain, "sum by (a (up))"]}.items():
        rules = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(asked)]
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"groups": [{"name": name, "rules": rules}]}))
    checked = run(program, tmp_path, "check", "rules", "/t/panels.yaml")
    assert f"SUCCESS: {len(plain)} rules found" in checked.stdout, checked.stderr
    assert run(program, tmp_path, "check", "rules", "/t/broken.yaml").returncode != 0


def test_every_question_to_loki_is_logql(npm: Path) -> None:
    asked = questions("loki") + [("sigma", question) for question in QUESTIONS]
    assert len(asked) > 15
    plain = [text.replace("$__auto", "1m").replace("$__range", "1h").replace("$service", ".+") for _, text in asked]
    wrong = ['{job="audit"', "sum by (key (rate({job=`audit`}[1m]))", "rate_of({job=`audit`}[1m])"]
    command = ["node", "logql.js"]
    done = subprocess.run(
        command, cwd=npm, input=json.dumps(plain + wrong), capture_output=True, text=True, timeout=60, check=True
    )
    found = json.loads(done.stdout)
    assert [(panel, unread) for (panel, _), unread in zip(asked, found, strict=False) if unread] == []
    assert all(found[len(plain) :])
