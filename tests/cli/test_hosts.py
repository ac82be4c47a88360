"""ask, status and doctor over a real SSH connection, through it to the real gateway; what a host does wrong is said, with the next step."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from citadelle.cli.controls import look
from citadelle.cli.hosts import serving_hosts
from tests.cli.conftest import Command, Deployed
from tests.hardening.linux_states import TABLE
from tests.sshd import Sshd, free_port

PROBES = {"H040": 200, "H041": 401, "H042": 404}


@pytest.fixture
def ask(command: Command, deployed: Deployed, inventory: str, gateway_port: int) -> Command:
    """Call the command for the host of the running gateway."""
    deployed.write(gateway_port)
    return lambda *arguments: command(*arguments, "--inventory", inventory)


def test_an_answer(ask: Command) -> None:
    said = ask("ask", "What is the capital of France?")
    assert (said.code, said.err) == (0, "")
    assert re.fullmatch(r"pc \(\d+\.\d s\): The capital is Paris\.\n", said.out)


def test_an_answer_for_programs(ask: Command) -> None:
    [answer] = json.loads(ask("ask", "--json", "Bonjour ?").out)
    assert set(answer) == {"host", "seconds", "answer"}
    assert (answer["host"], answer["answer"]) == ("pc", "The capital is Paris.")


def test_a_gateway_that_refuses(ask: Command, deployed: Deployed, gateway_port: int) -> None:
    deployed.write(gateway_port, key="ck_canary")
    said = ask("ask", "Bonjour ?")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("pc: gateway answers 401: ")
    assert said.err.endswith("\nhint: citadelle doctor --host pc\n")
    assert "canary" not in said.err


def test_nothing_listens(command: Command, deployed: Deployed, inventory: str) -> None:
    port = free_port()
    deployed.write(port)
    said = command("ask", "Bonjour ?", "--json", "--inventory", inventory)
    assert said.code == 1
    [answer] = json.loads(said.out)
    assert answer["error"].startswith(f"nothing answers on the PC's own address: 127.0.0.1:{port}: ")
    assert answer["hint"] == "citadelle doctor --host pc"


def test_nothing_is_deployed(command: Command, deployed: Deployed, inventory: str) -> None:
    said = command("ask", "Bonjour ?", "--inventory", inventory)
    assert said.code == 1
    assert said.err.startswith(f"pc: cat: {deployed.env}: No such file or directory\nhint: ")


def test_status(command: Command, deployed: Deployed, inventory: str) -> None:
    said = command("status", "--json", "--inventory", inventory)
    assert said.code == 0
    [row] = json.loads(said.out)
    assert (row["host"], row["release"], row["state"]) == ("pc", "0123456789ab", "ok")
    assert "gateway: Up 2 minutes (healthy)" in row["services"]


def test_the_doctor_asks_the_gateway_three_questions(ask: Command) -> None:
    said = ask("doctor", "--json")
    checks = {check["id"]: check for check in json.loads(said.out) if check["host"] == "pc"}
    assert checks["H001"]["ok"]
    assert checks["H030"]["found"] == "release 0123456789ab, all services healthy"
    for identity, status in PROBES.items():
        assert checks[identity]["ok"], checks[identity]
        assert f"gateway answers {status} " in checks[identity]["found"]


def test_linux_is_judged_in_one_round_trip_by_the_rows_of_the_table(
    command: Command, deployed: Deployed, sshd: Sshd, inventory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [serving] = serving_hosts(inventory)
    shell, asked = serving.connector.shell(), []
    ask = shell.run
    monkeypatch.setattr(shell, "run", lambda *words: asked.append(words) or ask(*words))
    verdicts = look(serving).verdicts
    assert len(asked) == 1
    ids = [control.id for control in TABLE.controls]
    assert [verdict.control.id for verdict in verdicts] == ids
    assert {verdict.status for verdict in verdicts} <= {"pass", "waived", "not applicable"}

    file = tmp_path / "judged.py"
    file.write_text(f"linux = [('@linux/pc', {sshd.data!r})]\n")
    checks = {check["id"]: check for check in json.loads(command("doctor", "--json", "--inventory", str(file)).out)}
    assert checks["H080"]["found"].startswith(f"{len(ids)} controls of Linux: ")
    assert [name for name in checks if name.startswith("LIN-")] == ids
    wrong = [name for name in ids if not checks[name]["ok"]]
    assert 0 < len(wrong) <= sum(verdict.status == "waived" for verdict in verdicts)
    [row] = json.loads(command("status", "--json", "--inventory", str(file)).out)
    assert row["state"] == f"controls of Linux deviate: {len(wrong)}"
    assert row["controls"].startswith(f"{len(ids)} controls of Linux: ")


def test_a_host_that_is_off(command: Command, tmp_path: Path, sshd: Sshd) -> None:
    port, file = free_port(), tmp_path / "inventory.py"
    file.write_text(f"linux = [('@linux/off', {sshd.data | {'ssh_port': port}!r})]\n")
    said = command("doctor", "--json", "--inventory", str(file))
    assert said.code == 1
    [check] = [check for check in json.loads(said.out) if check["host"] == "off"]
    assert (check["id"], check["ok"]) == ("H001", False)
    assert check["found"].startswith(f"unreachable: 127.0.0.1 port {port}: Unable to connect")
    assert check["next_step"].startswith("is the PC on, and its SSH service running? ssh -v ")
    assert command("status", "--inventory", str(file)).code == 1


def test_a_program_without_an_answer_is_said_and_the_next_one_runs(inventory: str) -> None:
    [serving] = serving_hosts(inventory)
    with pytest.raises(OSError, match=r"^no answer after 1 s: cat /dev/zero >/dev/null$"):
        serving.run("cat /dev/zero >/dev/null", seconds=0.6)
    assert serving.read("echo again") == "again\n"


def test_a_wsl_host_needs_no_name_of_its_distribution(tmp_path: Path, sshd: Sshd) -> None:
    file = tmp_path / "inventory.py"
    file.write_text(f"wsl = [('@wsl/pc', {sshd.data!r})]\nwindows = [('@windows/pc', {sshd.data!r})]\n")
    [serving] = serving_hosts(str(file))
    assert " -d citadelle -u root " in serving.connector.SHELL
