"""The double behind a genuine sshd: SFTP on drive C:, exit codes, lines that drop, jobs that end with their connection."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from tests.lab import powershell
from tests.sshd import Sshd
from tests.windows_double.conftest import CODE, Double, encoded
from tests.windows_double.test_powershell import _gone

pytestmark = pytest.mark.lab


@pytest.fixture
def pc(double: Double, engine: powershell.Engine) -> Double:
    """A fresh Windows over the engine as it comes."""
    double.engine, double.plain = str(engine.folder), engine.personality == "pwsh"
    return double


@pytest.fixture
def client(pc: Double, tmp_path: Path) -> Iterator[paramiko.SSHClient]:
    """A connection to the Windows of `pc`."""
    settings = " ".join(f"{name}={value}" for name, value in pc.environment.items() if name.startswith("WINDOWS_"))
    server = Sshd(tmp_path / "sshd", f"ForceCommand {CODE}/shell\nSetEnv {settings}\nPermitTTY no").start()
    made = paramiko.SSHClient()
    made.load_host_keys(str(server.folder / "known_hosts"))
    key = str(server.folder / "user_key")
    made.connect(
        "127.0.0.1", server.port, str(server.data["ssh_user"]), key_filename=key, look_for_keys=False, allow_agent=False
    )
    yield made
    made.close()
    server.stop()


def _run(client: paramiko.SSHClient, line: str) -> tuple[int, bytes]:
    _, out, _ = client.exec_command(line, timeout=30)
    data = out.read()
    return out.channel.recv_exit_status(), data


def test_commands_and_exit_codes(client: paramiko.SSHClient) -> None:
    assert _run(client, "echo é") == (0, b"\x82\r\n")
    assert _run(client, "exit 3010")[0] == 3010 & 0xFF
    assert _run(client, "wsl -d nope --exec true")[0] == 255


def test_sftp_shows_drive_c(client: paramiko.SSHClient, pc: Double) -> None:
    sftp = client.open_sftp()
    content = bytes(range(256)) * 2_000
    with sftp.open("/C:/Windows/Temp/x.bin", "wb") as file:
        file.write(content)
    assert pc.path("C:\\Windows\\Temp\\x.bin").read_bytes() == content
    sftp.mkdir("/C:/Windows/Temp/folder")
    sftp.posix_rename("/C:/Windows/Temp/x.bin", "/C:/Windows/Temp/folder/y.bin")
    assert sftp.listdir("/C:/Windows/Temp/folder") == ["y.bin"]
    assert sftp.stat("/C:/Windows/Temp/folder/y.bin").st_size == len(content)
    assert sftp.normalize("/C:/Windows/Temp/../Temp") == "/C:/Windows/Temp"
    with sftp.open("/C:/Windows/Temp/folder/y.bin", "rb") as file:
        file.prefetch()
        assert file.read() == content
    with pytest.raises(FileNotFoundError):
        sftp.stat("/C:/nope")


SLEEPER = encoded("[Console]::Out.WriteLine($PID); [Console]::Out.Flush(); Start-Sleep 60")


def _sleeper(client: paramiko.SSHClient) -> int:
    _, out, _ = client.exec_command(f"powershell.exe -NoProfile -EncodedCommand {SLEEPER}", timeout=30)
    return int(out.readline())


def test_a_lost_connection_ends_the_job(client: paramiko.SSHClient) -> None:
    pid = _sleeper(client)
    client.close()
    assert _gone(pid)


@pytest.mark.parametrize("word", ["drop", "reboot"])
def test_control_cuts_the_line(client: paramiko.SSHClient, pc: Double, word: str) -> None:
    pid = _sleeper(client)
    assert pc.control(word).returncode == 0
    transport = client.get_transport()
    assert transport is not None
    end = time.monotonic() + 5
    while transport.is_active() and time.monotonic() < end:
        time.sleep(0.05)
    assert not transport.is_active()
    assert _gone(pid)


def test_a_restart_asked_from_inside_cuts_the_line_and_services_come_back(
    client: paramiko.SSHClient, pc: Double
) -> None:
    before = pc.state["booted"]
    assert _run(client, "shutdown /r /t 0")[0] == 0
    end = time.monotonic() + 5
    while pc.state["booted"] == before and time.monotonic() < end:
        time.sleep(0.05)
    assert pc.state["booted"] > before
    assert pc.state["services"]["sshd"]["Status"] == "Running"
