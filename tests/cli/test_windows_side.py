"""doctor and status over both sides of a PC: Windows behind a genuine sshd, judged by the rows that the role applies."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from citadelle.cli.hosts import side_by_side
from tests.cli.conftest import Command
from tests.connectors.conftest import WindowsPC, engine, start  # noqa: F401  (fixtures)
from tests.hardening.states import TABLE
from tests.sshd import Sshd, free_port


def test_hosts_are_asked_at_the_same_time_and_answer_in_their_order() -> None:
    """Each waits for all the others: one after the other would never end."""
    from threading import Barrier

    together = Barrier(5)

    def ask(name: int) -> int:
        together.wait(timeout=20)
        return name

    assert side_by_side(ask, range(5)) == [0, 1, 2, 3, 4]
    assert side_by_side(ask, []) == []


@pytest.fixture
def pc(tmp_path: Path, engine: str, start: Callable[[Sshd], Sshd]) -> WindowsPC:  # noqa: F811
    """A fresh PC that plays Windows."""
    server = WindowsPC(tmp_path / "pc", engine=engine)
    start(server)
    server.control("setup")
    return server


def inventory(folder: Path, *hosts: tuple[str, dict[str, Any]]) -> str:
    file = folder / "inventory.py"
    file.write_text(f"windows = {list(hosts)!r}\n")
    return str(file)


@pytest.mark.lab
def test_windows_is_judged_in_one_look_by_the_rows_of_the_table(
    command: Command, pc: WindowsPC, tmp_path: Path
) -> None:
    file = inventory(tmp_path, ("@windows/pc1", pc.data))
    pc.control("journal", "clear")
    said = command("doctor", "--json", "--inventory", file)
    assert said.code == 1
    assert pc.starts("powershell.exe") == 1
    checks = {check["id"]: check for check in json.loads(said.out) if check["host"] == "pc1"}
    assert list(checks) == ["W001", "W002", "W003", *(control.id for control in TABLE.controls)]
    assert checks["W001"]["found"].startswith(f"Windows reachable, {len(TABLE.controls)} controls of Windows: ")
    assert checks["W002"]["found"] == "gpu: Microsoft Basic Display Adapter (unknown): not known to be usable"
    assert checks["W003"]["found"] == "no volume is encrypted: no recovery key is needed"
    smb = checks["WIN-SMB-03"]
    assert (smb["ok"], smb["found"]) == (False, "The server signs always: found absent, which means 0, wanted 1")
    assert smb["next_step"] == "pyinfra inventory deploy.py"
    assert checks["WIN-BIT-01"]["next_step"].startswith("it is judged only: docs/controls.md")

    people = command("doctor", "--inventory", file).out
    wrong = [name for name, check in checks.items() if not check["ok"]]
    assert [line.split()[1] for line in people.splitlines() if line.startswith("FAIL") and " pc1: " in line] == wrong
    assert "ok   WIN-" not in people

    [row] = json.loads(command("status", "--json", "--inventory", file).out)
    assert (row["host"], row["release"], row["state"]) == ("pc1", "-", f"controls of Windows deviate: {len(wrong)}")
    counts = Counter(part.split(" ", 1)[1] for part in row["controls"].split(": ")[1].split(", "))
    assert counts.keys() <= {"pass", "fail", "waived", "unknown", "not applicable"}
    assert sum(int(part.split()[0]) for part in row["controls"].split(": ")[1].split(", ")) == len(TABLE.controls)


@pytest.mark.lab
def test_waivers_of_the_inventory_count(command: Command, pc: WindowsPC, tmp_path: Path) -> None:
    rows = [{"control": control.id, "host": "pc1", "reason": "as this test wants it", "expires": "2999-12-31", "accepted_by": "nobody"}
            for control in TABLE.controls]  # fmt: skip
    accepted = tmp_path / "accepted.yaml"
    accepted.write_text(yaml.safe_dump({"windows": rows}))
    file = inventory(tmp_path, ("@windows/pc1", pc.data | {"hardening_waivers": str(accepted)}))
    said = command("status", "--json", "--inventory", file)
    assert (said.code, [row["state"] for row in json.loads(said.out)]) == (0, ["ok"])
    assert command("doctor", "--inventory", file).code == 0


def test_a_windows_that_is_off_is_one_finding(command: Command, tmp_path: Path, sshd: Sshd) -> None:
    port = free_port()
    file = inventory(tmp_path, ("@windows/off", sshd.data | {"ssh_port": port}))
    said = command("doctor", "--json", "--inventory", file)
    assert said.code == 1
    [check] = [check for check in json.loads(said.out) if check["host"] == "off"]
    assert (check["id"], check["ok"]) == ("W001", False)
    assert check["found"].startswith(f"unreachable: 127.0.0.1 port {port}: ")
    [row] = json.loads(command("status", "--json", "--inventory", file).out)
    assert row["state"].startswith("unreachable: ")


def test_a_wrong_table_is_wrong_use(command: Command, tmp_path: Path, sshd: Sshd) -> None:
    data = sshd.data | {"hardening_controls": str(tmp_path / "none.yaml")}
    said = command("doctor", "--inventory", inventory(tmp_path, ("@windows/pc1", data)))
    assert said.code == 2
    assert "none.yaml: cannot be read" in said.err
