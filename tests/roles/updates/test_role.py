"""Updates over a genuine sshd against the Windows double: refused without a key, installed by the system, restarted for, protected."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from citadelle.escrow.store import Entry, Escrow
from tests.bitlocker.test_rows import KEPT, TPM, encrypted
from tests.connectors.conftest import WindowsPC, engine, until  # noqa: F401  (a fixture)
from tests.inventory.conftest import Checkout, checkout  # noqa: F401  (a fixture)

pytestmark = pytest.mark.lab

MISSING = {"title": "2026-11 Mise à jour cumulative", "kb": "5099999", "severity": "Critical", "restart": True}
DEPLOY = "from roles.updates.deploy import updates\n\nupdates()\n"


def state(pc: WindowsPC) -> dict[str, Any]:
    """The double's own record."""
    found: dict[str, Any] = json.loads((pc.home / "state.json").read_text("utf-8-sig"))
    return found


def waits_for_restart(pc: WindowsPC) -> bool:
    """Whether an installer has said so, in the registry."""
    keys = json.loads((pc.home / "registry.json").read_text("utf-8-sig"))
    return any(key.endswith("\\Auto Update\\RebootRequired") for key in keys)


@pytest.fixture
def pc(tmp_path: Path, engine: str) -> Any:  # noqa: F811
    """An encrypted PC with an update missing, which asks for a restart once it is installed."""
    server = WindowsPC(tmp_path / "pc", engine=engine)
    server.start()
    server.control("setup")
    record = state(server)
    record["bitlocker"]["C:"] |= encrypted(KEPT, TPM)
    record["updates"]["missing"] = [MISSING]
    (server.home / "state.json").write_text(json.dumps(record))
    yield server
    server.stop()


def test_an_update_is_installed_by_the_system_and_restarted_for_once_its_key_is_kept(
    pc: WindowsPC,
    checkout: Checkout,  # noqa: F811
    tmp_path: Path,
) -> None:
    escrow = Escrow(tmp_path / "first/keys", tmp_path / "second/keys")
    given = pc.data | {"bitlocker_escrow": str(escrow.folder), "bitlocker_escrow_copy": str(escrow.copy)}
    given |= {"updates_install": True, "updates_restart": True}
    checkout.write("inventory/mine.py", f"windows = [('@windows/pc1', {given!r})]\n")
    checkout.write("deploy.py", DEPLOY)
    before = state(pc)

    refused = checkout.pyinfra("-y", "inventory", "deploy.py")
    assert refused.returncode == 1
    told = "@windows/pc1: no recovery key of the system volume lies in both folders of the escrow"
    assert told in refused.stdout, refused.stdout
    after = state(pc)
    assert [after[name] for name in ("updates", "booted", "bitlocker")] == [
        before[name] for name in ("updates", "booted", "bitlocker")
    ]
    assert not waits_for_restart(pc)

    escrow.keep(Entry("pc1", "C:", KEPT["KeyProtectorId"], "2026-11-01T00:00:00Z", "f" * 64, "c2VhbGVk"))
    with ThreadPoolExecutor() as pool:
        asks = pool.submit(until, lambda: waits_for_restart(pc), 120)
        suspended = pool.submit(until, lambda: state(pc)["bitlocker"]["C:"].get("SuspendCount") == 1, 120)
        run = checkout.pyinfra("-y", "inventory", "deploy.py")
        assert run.returncode == 0, run.stdout
        asks.result()
        suspended.result()
    done = state(pc)
    assert (done["updates"]["missing"], done["updates"]["last"] > 0) == ([], True)
    assert done["booted"] != before["booted"]
    volume = done["bitlocker"]["C:"]
    assert (volume["ProtectionStatus"], volume["SuspendCount"], volume["Suspended"]) == ("On", 0, False)
    assert not waits_for_restart(pc)
    found = json.loads((pc.path("C:/ProgramData/citadelle/updates.json")).read_text("utf-8-sig"))
    assert (found["pending"], found["error"]) == ([], "")
    (shutdown,) = [entry for entry in pc.journal() if entry["program"] == "shutdown.exe"]
    assert "/r /t 5" in " ".join(shutdown["argv"])

    again = checkout.pyinfra("-y", "inventory", "deploy.py")
    assert again.returncode == 0
    assert re.search(r"Grand total +3 +- +- +3", again.stdout), again.stdout
    assert state(pc)["booted"] == done["booted"]
