"""Every alert fires when it should and not when it should not, by promtool itself; and says what it is, in two languages."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from gateway.metrics import WATCHED, Metrics

from citadelle import retention
from citadelle.models import verify
from citadelle.observability import config, metrics
from citadelle.shipping import events, stats
from roles.observability.settings import ObservabilitySettings
from tests.conftest import ROOT
from tests.lab import builds
from tests.observability.rules import CASES, LIMITS, WAYS, promtool

RULES = ROOT / "compose/prometheus/rules"
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for path in sorted(RULES.glob("*.yaml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
OWN = re.compile(r"\b(?:llm|citadelle|gateway)_\w+")
# Alerts that are always there, or by what is absent: the first two tests of promtool's file below have them.
ALWAYS = {"Watchdog", "LimitsAbsent"}


def test_every_alert_has_its_cases() -> None:
    assert CASES.keys() | ALWAYS == ALERTS.keys()
    # And each way that leads to it, where a rule has several.
    ways = {name: len(re.findall(r"\bor\b", re.sub(r'"[^"]*"', "", rule["expr"]))) for name, rule in ALERTS.items()}
    assert Counter(name for name, _ in WAYS) == Counter({name: ways[name] for name in ALERTS.keys() - ALWAYS})


@pytest.mark.parametrize("name", sorted(ALERTS))
def test_an_alert_says_what_it_is_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning", "info", "none"}
    notes = rule["annotations"]
    assert set(notes) == {"summary", "summary_fr", "description", "description_fr", "runbook_url"}
    assert all(notes.values())
    page = (ROOT / notes["runbook_url"]).read_text()
    assert notes["runbook_url"] == f"docs/runbooks/{name}.md"
    assert page.startswith(f"# {name}\n")
    assert {"## What it means", "## What to do", "## What not to do", "## En français"} <= set(page.splitlines())


def test_no_runbook_is_left_over() -> None:
    assert {path.stem for path in (ROOT / "docs/runbooks").glob("*.md")} == ALERTS.keys()


def exported() -> set[str]:
    """Names of our own metrics, from the programs that export them."""
    families = list(Metrics({"keys": float, "requests_under_way": float, "audit_kept": float}).collect())
    gateway = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    gateway |= {f"{family.name}_bucket" for family in families if family.type == "histogram"}
    return (
        gateway
        | set(metrics.TEXTS)
        | set(retention.TEXTS)
        | set(stats.TEXTS)
        | set(events.TEXTS)
        | set(re.findall(r"llm_\w+", Path(verify.__file__).read_text()))
    )


def test_every_metric_of_a_rule_is_exported_and_every_code_is_counted_from_zero() -> None:
    used = {name for rule in ALERTS.values() for name in OWN.findall(re.sub(r'"[^"]*"', "", rule["expr"]))}
    assert len(used) > 10
    assert used - exported() == set()
    codes = {
        code
        for rule in ALERTS.values()
        for found in re.findall(r'code=~?"([a-z_|]+)"', rule["expr"])
        for code in found.split("|")
    }
    assert codes - set(WATCHED) == set()
    assert codes


def test_every_code_that_is_counted_is_one_that_the_gateway_gives() -> None:
    source = "".join(
        path.read_text() for path in (ROOT / "compose/gateway/gateway").glob("*.py") if path.name != "metrics.py"
    )
    assert [code for code in WATCHED if f'"{code}"' not in source] == []


def test_every_limit_of_a_rule_is_a_setting_and_its_absence_an_alert() -> None:
    used = {name for rule in ALERTS.values() for name in re.findall(r"scalar\(limit:(\w+)\)", rule["expr"])}
    assert used == set(ObservabilitySettings().limits) == set(LIMITS)
    assert set(re.findall(r"absent\(limit:(\w+)\)", ALERTS["LimitsAbsent"]["expr"])) == used


LABELS = {"severity": "warning"}
SHOWN = {"description": "20 requests with an unknown, expired or revoked key within five minutes."}


def further() -> list[dict[str, Any]]:
    """What the cases do not show: text with its number, the alert that is always there, limits that are not."""
    notes = ALERTS["RefusedKeys"]["annotations"]
    french = notes["description_fr"].replace('{{ $value | printf "%.0f" }}', "20")
    said = notes | SHOWN | {"description_fr": french}
    series = [{"series": 'gateway_refusals_total{code="invalid_key"}', "values": "0 0 20x20"}]
    always = {"alertname": "Watchdog", "alertstate": "firing", "severity": "none"}
    shown = ", ".join(f'{label}="{value}"' for label, value in always.items())
    lost = ALERTS["RetentionExceeded"]["annotations"]
    of_nothing = re.compile(r"\{\{ with .*\{\{ end \}\}")
    whole = {name: of_nothing.sub("", text) for name, text in lost.items()}
    return [
        {
            "name": "an alert's text about no store",
            "interval": "1m",
            "input_series": [],
            "alert_rule_test": [
                {
                    "eval_time": "62m",
                    "alertname": "RetentionExceeded",
                    "exp_alerts": [{"exp_labels": LABELS, "exp_annotations": whole}],
                }
            ],
        },
        {
            "name": "an alert's text",
            "interval": "1m",
            "input_series": series,
            "alert_rule_test": [
                {
                    "eval_time": "4m",
                    "alertname": "RefusedKeys",
                    "exp_alerts": [{"exp_labels": LABELS, "exp_annotations": said}],
                }
            ],
            "promql_expr_test": [
                {
                    "expr": 'ALERTS{alertname="Watchdog"}',
                    "eval_time": "0m",
                    "exp_samples": [{"labels": f"ALERTS{{{shown}}}", "value": 1}],
                },
                {"expr": 'ALERTS{alertname="LimitsAbsent",alertstate="firing"}', "eval_time": "9m", "exp_samples": []},
            ],
        },
    ]


@pytest.fixture
def program() -> str:
    """The lab's image of Prometheus, which holds promtool."""
    image = builds.monitoring("prometheus").reference()
    if subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode:
        pytest.fail(f"image is absent: {image}\nhint: bin/lab builds it", pytrace=False)
    return image


def run(image: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    mounts = [f"--volume={folder}:/t:ro", f"--volume={RULES}:/rules:ro"]
    command = ["docker", "run", "--rm", "--network=none", *mounts, "--entrypoint=promtool", image, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.docker
def test_promtool_agrees(tmp_path: Path, program: str) -> None:
    """All cases in one start; and once more without the file of limits, where just that is an alert, and once with a wrong case."""
    tmp_path.chmod(0o755)
    rules = [f"/rules/{path.name}" for path in sorted(RULES.glob("*.yaml"))]
    (tmp_path / "limits.yaml").write_bytes(config.limits(LIMITS))
    severities = {name: rule["labels"]["severity"] for name, rule in ALERTS.items()}
    whole = promtool("/t/limits.yaml", severities, rules)
    whole["tests"] += further()
    (tmp_path / "whole.yaml").write_text(yaml.safe_dump(whole))
    severity = severities["LimitsAbsent"]
    fires = [{"labels": f'ALERTS{{alertname="LimitsAbsent",alertstate="firing",severity="{severity}"}}', "value": 1}]
    ask = {"expr": 'ALERTS{alertname="LimitsAbsent",alertstate="firing"}', "eval_time": "5m", "exp_samples": fires}
    lacking = {"rule_files": rules, "tests": [{"interval": "1m", "input_series": [], "promql_expr_test": [ask]}]}
    (tmp_path / "lacking.yaml").write_text(yaml.safe_dump(lacking))
    done = run(program, tmp_path, "test", "rules", "/t/whole.yaml", "/t/lacking.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(whole["tests"]) == 2 * len([*CASES, *WAYS]) + 2
    wrong = promtool("/t/limits.yaml", severities, rules)
    wrong["tests"] = [test | {"input_series": []} for test in wrong["tests"] if test["name"].endswith("fires")]
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    refused = run(program, tmp_path, "test", "rules", "/t/wrong.yaml")
    assert refused.returncode != 0
    unseen = [name for name in CASES if f'alertname=\\"{name}\\"' not in refused.stdout + refused.stderr]
    assert unseen == ["AuditUnchecked"]  # no series at all is its alert too
    checked = run(program, tmp_path, "check", "rules", "--lint=all", "--lint-fatal", "/t/limits.yaml", *rules)
    assert checked.returncode == 0, checked.stdout + checked.stderr
