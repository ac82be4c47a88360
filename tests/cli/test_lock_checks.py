"""The doctor on the models' lock: signed and in its time, on the controller and as the host's own verifier reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from citadelle.cli import lock_checks
from citadelle.models import verify
from citadelle.models.lock import ModelsLock
from tests.models.approved import approve
from tests.models.conftest import lay

NOW = datetime(2026, 12, 1, tzinfo=UTC)


class Served:
    """A stand-in of the host: its verifier is the genuine one, on files of this test."""

    def __init__(self, folder: Path, **data: Any) -> None:
        self.folder, self.pc = folder, "srv1"
        self.connector = SimpleNamespace(host=SimpleNamespace(data=data))

    def run(self, program: str) -> Any:
        assert program == "python3 -I -B /usr/local/lib/citadelle/verify.py terms --json"
        paths = [f"--lock={self.folder / 'lock.json'}", f"--floor={self.folder / 'serial'}"]
        return subprocess.run(
            [sys.executable, "-I", verify.__file__, "terms", "--json", *paths], capture_output=True, check=False
        )

    def problem(self, error: Exception) -> tuple[str, str]:
        return str(error), ""


@pytest.fixture
def served(tmp_path: Path) -> Served:
    lock(tmp_path)
    return Served(tmp_path, models_lock=tmp_path / "lock.json", models_keys=tmp_path / "keys/keyring.yaml")


def lock(folder: Path, **terms: Any) -> None:
    """A signed lock with these terms."""
    models = lay(folder / "store")["models"] if not (folder / "lock.json").exists() else _models(folder)
    content = {"format": 1, "serial": 3, "expires": None, "models": models} | terms
    (folder / "lock.json").write_bytes(ModelsLock.model_validate_json(json.dumps(content)).canonical())
    approve(folder / "lock.json")


def _models(folder: Path) -> Any:
    return json.loads((folder / "lock.json").read_bytes())["models"]


def ends(days: int) -> str:
    return f"{NOW + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"


def test_a_signed_lock_in_its_time_is_right(served: Served) -> None:
    found = lock_checks.approved(served, NOW)  # type: ignore[arg-type]
    assert (found.id, found.ok, found.found) == ("H022", True, "lock of this checkout: serial 3, has no end, signed")
    lock(served.folder, expires=ends(31))
    assert lock_checks.approved(served, NOW).ok  # type: ignore[arg-type]


@pytest.mark.parametrize("days", [29, -1])
def test_a_lock_that_ends_soon_is_a_finding(served: Served, days: int) -> None:
    lock(served.folder, expires=ends(days))
    found = lock_checks.approved(served, NOW)  # type: ignore[arg-type]
    assert (found.ok, found.found) == (False, f"lock of this checkout: serial 3, ends {ends(days)[:10]}, signed")


def test_an_unsigned_or_changed_lock_is_a_finding(served: Served) -> None:
    signature = served.folder / "lock.json.sig"
    (served.folder / "lock.json").write_bytes(
        (served.folder / "lock.json").read_bytes().replace(b'"serial": 3', b'"serial": 4')
    )
    assert "refused: " in lock_checks.approved(served, NOW).found  # type: ignore[arg-type]
    signature.unlink()
    found = lock_checks.approved(served, NOW)  # type: ignore[arg-type]
    assert (found.ok, "not signed: " in found.found) == (False, True)
    (served.folder / "lock.json").write_text("{}")
    found = lock_checks.approved(served, NOW)  # type: ignore[arg-type]
    assert (found.ok, found.found.startswith("lock cannot be read: ")) == (False, True)


def test_the_hosts_lock_is_right(served: Served) -> None:
    (served.folder / "serial").write_text("2\n")
    found = lock_checks.in_force(served, NOW)  # type: ignore[arg-type]
    assert (found.id, found.ok, found.found) == (
        "H023",
        True,
        "lock of the host: serial 3, newest served 2, has no end",
    )


def test_the_hosts_lock_is_older_or_ends_soon(served: Served) -> None:
    (served.folder / "serial").write_text("4\n")
    found = lock_checks.in_force(served, NOW)  # type: ignore[arg-type]
    assert (found.ok, found.found) == (False, "lock of the host: serial 3, newest served 4, has no end")
    (served.folder / "serial").unlink()
    soon = datetime.now(UTC) + timedelta(days=20)
    lock(served.folder, expires=f"{soon:%Y-%m-%dT%H:%M:%SZ}")
    assert not lock_checks.in_force(served, datetime.now(UTC)).ok  # type: ignore[arg-type]
    assert lock_checks.in_force(served, datetime.now(UTC) - timedelta(days=20)).ok  # type: ignore[arg-type]


def test_without_a_lock_the_host_says_so(served: Served) -> None:
    (served.folder / "lock.json").unlink()
    found = lock_checks.in_force(served, NOW)  # type: ignore[arg-type]
    assert (found.ok, "the lock is refused" in found.found) == (False, True)
