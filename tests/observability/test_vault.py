"""Each container sees its own secrets and nobody else's; what is made on the host stays what it was."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from citadelle.observability import vault

GIVEN = {"slack_url": "https://slack.example/canary-77aa", "grafana_password": "canary-a1b2"}


@pytest.fixture
def owners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, int]]:
    """A host's folders below `tmp_path`; to whom what was given, by path. Sealing is systemd's, and left out here."""
    given: dict[str, int] = {}
    monkeypatch.setattr(vault, "RUN", tmp_path / "run")
    monkeypatch.setattr(vault, "DATA", tmp_path / "data")
    monkeypatch.setattr(vault, "GIVEN", tmp_path / "run/given.json")
    monkeypatch.setattr(vault, "SEALED", tmp_path / "secrets.cred")
    monkeypatch.setattr(vault, "_creds", lambda word, *places, given: given or (tmp_path / "secrets.cred").read_bytes())
    monkeypatch.setattr(
        os, "chown", lambda path, user, _group: given.__setitem__(str(Path(path).relative_to(tmp_path)), user)
    )
    (tmp_path / "run").mkdir()
    before = os.umask(0o022)  # the program sets its own
    yield given
    os.umask(before)


def kept(tmp_path: Path, given: dict[str, str]) -> dict[str, set[str]]:
    """After a deploy with these secrets: what lies in each container's folder."""
    (tmp_path / "run/given.json").unlink(missing_ok=True)
    (tmp_path / "run/given.json").write_text(json.dumps(given))
    assert vault.main("keep") == 0
    return {
        folder.name: {file.name for file in folder.iterdir()}
        for folder in (tmp_path / "run").iterdir()
        if folder.is_dir()
    }


def test_after_a_boot_node_exporter_gets_through_to_its_file(
    tmp_path: Path, owners: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in memory is gone then: the program makes the folders itself."""
    kept(tmp_path, GIVEN)
    shutil.rmtree(tmp_path / "run")
    monkeypatch.setattr(vault, "RUN", tmp_path / "run/citadelle/observability")
    monkeypatch.setattr(vault, "GIVEN", vault.RUN / "given.json")
    (tmp_path / "run").mkdir()
    assert vault.main("lay") == 0
    modes = [path.stat().st_mode & 0o777 for path in (vault.RUN.parent, vault.RUN, vault.RUN / "web.yaml")]
    assert modes == [0o755, 0o711, 0o444]


def test_each_container_sees_its_own(tmp_path: Path, owners: dict[str, int]) -> None:
    assert kept(tmp_path, GIVEN) == {
        "prometheus": {"password", "web.yaml"},
        "alertmanager": {"password", "web.yaml", "slack_url"},
        "grafana": {"password", "grafana_key", "grafana_password"},
        "loki": set(),
    }
    assert {path: owners[path] for path in ("run/grafana", "data/grafana", "data/loki", "run/prometheus")} == {
        "run/grafana": 10007,
        "data/grafana": 10007,
        "data/loki": 10008,
        "run/prometheus": 10005,
    }
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "run/grafana").iterdir()} == {0o400}
    assert json.loads((tmp_path / "run/given.json").read_text()) == GIVEN


def test_what_is_made_here_stays_and_nothing_of_grafana_is_laid_without_it(
    tmp_path: Path, owners: dict[str, int]
) -> None:
    kept(tmp_path, GIVEN)
    key, password = ((tmp_path / "run/grafana" / name).read_text() for name in ("grafana_key", "password"))
    assert len(key) > 40
    assert key != password
    kept(tmp_path, GIVEN | {"grafana_password": "another"})
    assert (tmp_path / "run/grafana/grafana_key").read_text() == key
    assert (tmp_path / "run/prometheus/password").read_text() == password
    assert kept(tmp_path, {}).keys() == {"prometheus", "alertmanager"}
