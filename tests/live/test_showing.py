"""Grafana and Loki as they are shipped: the pinned images, confined as compose/ says, with the configurations of a release. `--live` only.

What other tests judge by types, grammars and references is asked of the programs themselves here. Where no registry answers, all of it
is skipped, and says so: the machines on which this was written reach none (test_loki.py has run against a Loki of another way).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest

from tests.compose.running import docker
from tests.live.conftest import NAME, Shown
from tests.live.test_loki import Brought, brought, genuine
from tests.observability.test_dashboards import MADE, panels

__all__ = ["brought", "genuine"]

pytestmark = pytest.mark.live
METRIC = re.compile(r"\b[a-z]\w+(?=[{[])|\bup\b")


def test_loki_accepts_its_configuration(shown: tuple[Shown, str]) -> None:
    command = ["/usr/bin/loki", "-config.file=/etc/citadelle/loki.yaml", "-verify-config"]
    done = docker("exec", f"{NAME}-loki-1", *command)
    assert done.returncode == 0, done.stderr


def test_nobody_sees_anything_without_a_login(shown: tuple[Shown, str]) -> None:
    grafana, password = shown
    stranger = Shown(grafana.port, grafana.trust)
    assert stranger.ask("/api/search")[0] == 401
    assert stranger.ask("/api/datasources")[0] == 401
    assert stranger.ask("/metrics")[0] == 404
    assert stranger.ask("/login", {"user": "admin", "password": "admin"})[0] == 401
    assert stranger.ask("/api/user/signup", {"email": "x@example.org"})[0] in {401, 404}
    assert stranger.ask("/login", {"user": "operator", "password": password})[0] == 200
    assert stranger.cookie.startswith("__Host-grafana_session=")


def test_sources_are_healthy_and_each_dashboard_is_there_whole(shown: tuple[Shown, str]) -> None:
    grafana, password = shown
    assert grafana.ask("/login", {"user": "operator", "password": password})[0] == 200
    for uid in ("prometheus", "loki"):
        status, said = grafana.ask(f"/api/datasources/uid/{uid}/health")
        assert (status, said["status"]) == (200, "OK"), said
    boards = {board["uid"] for board in grafana.ask("/api/search?tag=citadelle")[1]}
    assert boards == {board["uid"] for board in MADE.values()}
    for board in (board for (_, language), board in MADE.items() if language == "en"):
        status, said = grafana.ask(f"/api/dashboards/uid/{board['uid']}")
        assert status == 200
        shown_panels = [(panel["title"], panel["type"]) for panel in said["dashboard"]["panels"]]
        assert shown_panels == [(panel["title"], panel["type"]) for panel in board["panels"]]
        assert said["meta"]["provisioned"]


def test_every_question_is_understood_and_has_an_answer_where_there_are_figures(
    shown: tuple[Shown, str], brought: Brought
) -> None:
    """Loki has lines of all kinds from `brought`; Prometheus reads nobody but itself: gateway and host are not in this stack."""
    grafana, password = shown
    assert grafana.ask("/login", {"user": "operator", "password": password})[0] == 200
    names = "/api/datasources/proxy/uid/prometheus/api/v1/label/__name__/values"
    known, answered = set(grafana.ask(names)[1]["data"]), 0
    for board in (board for (_, language), board in MADE.items() if language == "en"):
        for panel in panels(board):
            status, said = grafana.ask("/api/ds/query", {"queries": queries(panel), "from": "now-1h", "to": "now"})
            assert status == 200, (panel["title"], said)
            assert not [result["error"] for result in said["results"].values() if "error" in result]
            wanted = {name for target in panel["targets"] for name in METRIC.findall(target["expr"])}
            if panel["targets"][0]["datasource"]["type"] == "loki" or (wanted and wanted <= known):
                assert has_data(said["results"].values()), panel["title"]
                answered += 1
    assert answered >= len(panels_of_loki())


def panels_of_loki() -> list[str]:
    return [panel["title"] for panel in panels(MADE["logs", "en"])]


def has_data(results: Iterable[dict[str, Any]]) -> bool:
    """Whether any column of any frame has a value."""
    return any(column for result in results for frame in result["frames"] for column in frame["data"]["values"])


def queries(panel: dict[str, Any]) -> list[dict[str, Any]]:
    """What a browser sends: with the variables of a dashboard put in, and how dense the answer may be."""
    shape = {"intervalMs": 15000, "maxDataPoints": 200}
    return [target | shape | {"expr": target["expr"].replace("$service", ".+")} for target in panel["targets"]]


def test_no_plugin_was_replaced_and_nothing_outside_was_asked(shown: tuple[Shown, str]) -> None:
    said = docker("logs", f"{NAME}-grafana-1")
    text = said.stdout + said.stderr
    assert not re.search(r"(?i)(failed to install|plugin not registered|read-only file system|grafana\.com)", text)
