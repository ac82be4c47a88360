"""Dashboards: each panel says what it shows, in two languages, asks with the right interval, and only for what is exported."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from citadelle import audit
from citadelle.observability import dashboards
from roles.observability.settings import ObservabilitySettings
from tests.conftest import ROOT
from tests.observability.test_rules import ALERTS, OWN, RULES, exported

SOURCES = {path.stem: path.read_text() for path in sorted((ROOT / "compose/grafana/dashboards").glob("*.yaml"))}
MADE: dict[tuple[str, str], dict[str, Any]] = {
    (name, language): json.loads(dashboards.dashboard(name, text, language))
    for name, text in SOURCES.items()
    for language in ("en", "fr")
}
RECORDED = {
    rule["record"]
    for path in RULES.glob("*.yaml")
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
    if "record" in rule
}
# Units of Grafana's own list (packages/grafana-data, valueFormats/categories) that are in use here.
UNITS = {"short", "percentunit", "s", "ms", "bytes", "bps", "pps", "reqps", "celsius"}
# A counter below a function that makes a rate of it, or a sum over the time shown.
COUNTER = re.compile(r"\b\w+_(?:total|bucket|sum|count)\b")
RATED = re.compile(r"\b(?:rate|increase)\((\w+)(\{[^}]*\})?\[(\$__rate_interval|\$__range)\]\)")
WINDOWS = re.compile(r"\[([^\]]+)\]")


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (panel for panel in board["panels"] if panel["type"] != "row")


def questions(kind: str) -> list[tuple[str, str]]:
    """Panel and expression of everything that is asked of a source of that kind."""
    return [
        (f"{name}: {panel['title']}", target["expr"])
        for (name, language), board in MADE.items()
        for panel in panels(board)
        for target in panel["targets"]
        if language == "en" and target["datasource"]["type"] == kind
    ]


def without_texts(expression: str) -> str:
    return re.sub(r'"[^"]*"', "", expression)


def test_the_dashboards_that_were_asked_for_are_there_and_each_has_a_name_of_its_own() -> None:
    assert SOURCES.keys() == {"overview", "llm", "security", "host", "logs", "fleet"}
    assert len({board["uid"] for board in MADE.values()}) == len(SOURCES)
    assert len({board["title"] for board in MADE.values()}) == 2 * len(SOURCES)
    assert not any(board["editable"] for board in MADE.values())


@pytest.mark.parametrize("name", SOURCES)
def test_every_panel_says_what_it_shows_in_what_unit_and_stands_alone(name: str) -> None:
    english, french = MADE[name, "en"], MADE[name, "fr"]
    taken: set[tuple[int, int]] = set()
    for panel, other in zip(english["panels"], french["panels"], strict=True):
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < dashboards.WIDTH
        taken |= cells
        if panel["type"] != "row":
            assert all(len(one["description"]) > 10 for one in (panel, other)), panel["title"]
            assert panel["title"]
            assert other["title"]
            assert panel["description"] != other["description"]
            assert panel["type"] == "logs" or panel["fieldConfig"]["defaults"]["unit"] in UNITS
            assert panel["targets"]
    ids = [panel["id"] for panel in english["panels"]]
    assert len(set(ids)) == len(ids)


def test_every_counter_is_asked_as_a_rate_over_an_interval_that_fits() -> None:
    asked = questions("prometheus")
    assert len(asked) > 50
    for panel, expression in asked:
        plain = without_texts(expression)
        rated = {found[1] for found in RATED.finditer(expression)}
        assert set(COUNTER.findall(plain)) <= rated, panel
        assert set(WINDOWS.findall(plain)) <= {"$__rate_interval", "$__range"}, panel
    for panel, expression in questions("loki"):
        assert set(WINDOWS.findall(without_texts(expression))) <= {"$__auto", "$__range"}, panel
        assert expression.count('job="') + expression.count('job=~"') >= 1, panel


def test_only_what_is_exported_is_asked_for() -> None:
    asked = questions("prometheus")
    used = {name for _, expression in asked for name in OWN.findall(without_texts(expression))}
    assert len(used) > 20
    assert used - exported() - {f"{name}_sum" for name in histograms()} == set()
    recorded = {name for _, expression in asked for name in re.findall(r"citadelle:[\w:]+", expression)}
    assert recorded <= RECORDED


def histograms() -> set[str]:
    return {name.removesuffix("_bucket") for name in exported() if name.endswith("_bucket")}


def test_every_metric_of_our_own_is_shown_or_alerted_on() -> None:
    """What nobody looks at need not be exported: but for what describes a verification, which doctor reads."""
    asked = [expression for _, expression in questions("prometheus")] + [rule["expr"] for rule in ALERTS.values()]
    used = {name for expression in asked for name in OWN.findall(without_texts(expression))}
    described = {"llm_models_verification_seconds", "llm_models_verification_bytes", "llm_models_sealed"}
    assert exported() - used - histograms() == described


def test_only_fields_of_the_audit_trail_are_asked_for() -> None:
    fields = {field for _, expression in questions("loki") for field in re.findall(r'\b\w+="(\w+)"', expression)}
    assert fields - {"audit"} == {"key", "code", "route", "ms", "completion_tokens"}
    assert fields - {"audit"} <= audit.FIELDS


def test_what_a_bar_calls_red_is_what_an_alert_calls_too_little() -> None:
    [disk] = [panel for panel in panels(MADE["overview", "en"]) if panel["title"] == "Disk that is free"]
    steps = disk["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [step["value"] for step in steps][1] == ObservabilitySettings().observability_disk_free


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "pie"},
        {"source": "influx"},
        {"titel": {"en": "x"}},
        {"title": {"en": "only English"}},
        {"title": {"en": "a", "b": None, "fr": "c"}},
        {"unit": None},
    ],
    ids=str,
)
def test_a_source_that_is_not_one_is_refused(wrong: dict[str, Any]) -> None:
    text = {"en": "x", "fr": "y"}
    panel = {"kind": "number", "title": text, "text": text, "unit": "s", "width": 4, "height": 4, "ask": ["up"]}
    board = {"title": text, "text": text, "since": "1h", "panels": [panel]}
    dashboards.dashboard("x", yaml.safe_dump(board), "fr")
    board["panels"] = [{name: value for name, value in (panel | wrong).items() if value is not None}]
    with pytest.raises((KeyError, ValueError)):
        dashboards.dashboard("x", yaml.safe_dump(board), "fr")
