"""The journal counts process starts independently of whoever started them: later tests count a rollout's PowerShell starts by it."""

import json
import os

import pytest

from tests.windows_double.conftest import START, Double, encoded

pytestmark = pytest.mark.lab


def test_every_start_of_a_program_leaves_one_record(double: Double) -> None:
    double.ask("hostname && hostname | hostname")
    double.ask("nope")
    double.ask("echo builtin words start nothing")
    assert [entry["program"] for entry in double.journal] == ["hostname.exe"] * 3
    first = double.journal[0]
    assert first["argv"] == ["hostname"]
    assert first["time"] <= double.journal[-1]["time"]
    assert len({entry["pid"] for entry in double.journal}) == 3


def test_every_start_of_powershell_is_counted(windows: Double) -> None:
    """Open for long or short, by sshd, by cmd.exe, from another PowerShell, or refused: one record each."""
    windows.ps("1")
    windows.ask(
        "powershell -NoProfile -Command 1 & powershell.exe -NoProfile -Command powershell -NoProfile -Command 2"
    )
    windows.ask("powershell -NoProfile -EncodedCommand not-base64")
    assert windows.starts("powershell.exe") == 5
    assert windows.journal[0]["argv"] == [*START.split(), encoded("1")]


def test_one_powershell_that_stays_open_is_one_start(windows: Double) -> None:
    loop = "foreach ($line in $input) { [Console]::Out.WriteLine($line); [Console]::Out.Flush() }"
    answer = windows.ps(loop, b"canary-one\ncanary-two\n")
    assert answer.lines == ["canary-one", "canary-two"]
    assert windows.starts("powershell.exe") == 1
    assert b"canary" not in (windows.home / "journal.jsonl").read_bytes(), "standard input is nobody's business"


def test_sftp_is_a_start_of_its_own(double: Double) -> None:
    double.ask("internal-sftp")
    assert [entry["program"] for entry in double.journal] == ["sftp-server.exe"]


def test_control_shows_and_clears_it(double: Double) -> None:
    double.ask("hostname")
    shown = double.control("journal").stdout.splitlines()
    assert [json.loads(line)["program"] for line in shown] == ["hostname.exe"]
    double.control("journal", "clear")
    assert double.journal == []
    double.ask("hostname")
    assert double.starts("hostname.exe") == 1


def test_records_of_many_processes_at_once_stay_whole(double: Double) -> None:
    processes = [double.start(f"hostname {'x' * 3000}{number}") for number in range(8)]
    for process in processes:
        process.communicate(timeout=30)
    assert sorted(entry["argv"][1][3000:] for entry in double.journal) == [str(number) for number in range(8)]
    assert os.stat(double.home / "journal.jsonl").st_size > 8 * 3000
