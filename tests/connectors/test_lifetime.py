"""Commands that never end, lines that break, PCs that restart: what is left, what is said, and what the next command finds."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.host import Host

from citadelle import powershell as ps
from citadelle.connectors import shell, windows
from citadelle.connectors.linux import LinuxConnector
from citadelle.connectors.shell import Shell, ShellRefused
from citadelle.connectors.ssh import Connection, Target, connection
from citadelle.connectors.windows import PowerShell
from tests.connectors.conftest import Hosts, WindowsPC, is_alive, the, until
from tests.sshd import Sshd

CUT = "connection cut during a command: it may have been carried out or not"


def pids(file: Path) -> list[int]:
    return [int(word) for word in file.read_text().split()]


@pytest.mark.parametrize("name", ["@linux/pc", "@wsl/pc"])
def test_a_timeout_kills_every_process_of_the_command(
    hosts: Hosts, linux_pc: Sshd, windows_pc: WindowsPC, tmp_path: Path, name: str
) -> None:
    host = the(hosts({name: (linux_pc if name == "@linux/pc" else windows_pc).data}), name)
    stubborn = f"trap '' TERM; sleep 300 & sh -c 'sleep 300; true' & echo $$ $! > {tmp_path}/pids; wait; sleep 300"
    with pytest.raises(TimeoutError):
        host.run_shell_command(stubborn, _timeout=0.5)
    assert len(pids(tmp_path / "pids")) == 2
    until(lambda: not any(is_alive(pid) for pid in pids(tmp_path / "pids")))
    assert host.run_shell_command("echo next")[1].stdout_lines == ["next"]


def test_a_timeout_kills_the_powershell(windows_host: Host) -> None:
    pid = int(windows_host.run_shell_command("$PID")[1].stdout)
    with pytest.raises(TimeoutError):
        windows_host.run_shell_command("Start-Sleep 300", _timeout=0.5)
    until(lambda: not is_alive(pid))
    assert windows_host.run_shell_command("$PID")[1].stdout_lines != [str(pid)]


def test_a_timeout_fails_one_host_and_pyinfra_says_after_how_long(hosts: Hosts, linux_pc: Sshd, caplog: Any) -> None:
    """Through pyinfra's own operation runner, which contains nothing but OSError, timeouts and SSHException."""
    from pyinfra.api.operation import add_op
    from pyinfra.api.operations import run_ops
    from pyinfra.operations import server

    state = hosts({"@linux/slow": linux_pc.data, "@linux/quick": linux_pc.data})
    command = "case {} in *slow) sleep 300;; esac; echo done"
    for name in ("@linux/slow", "@linux/quick"):
        add_op(state, server.shell, commands=[command.format(name)], _timeout=1, host=the(state, name))
    run_ops(state)
    assert {str(failed.name) for failed in state.failed_hosts} == {"@linux/slow"}
    assert "Command timed out after 1s" in caplog.text


@pytest.mark.parametrize("kind", ["@linux", "@windows"])
def test_a_cut_line_is_an_error_and_the_next_command_reconnects(
    request: pytest.FixtureRequest, hosts: Hosts, tmp_path: Path, kind: str
) -> None:
    pc: Sshd = request.getfixturevalue("linux_pc" if kind == "@linux" else "windows_pc")
    is_windows, name = kind == "@windows", f"{kind}/pc"
    host = request.getfixturevalue("windows_host") if is_windows else the(hosts({name: pc.data}), name)
    started = tmp_path / "started"
    posix, script = f"echo > {started}; sleep 300", f"[IO.File]::WriteAllText('{started}', 'x'); Start-Sleep 300"
    cutter = threading.Thread(target=lambda: (until(started.exists), pc.cut()))
    cutter.start()
    right, output = host.run_shell_command(script if is_windows else posix)
    cutter.join()
    assert not right
    assert output.stderr_lines == [
        f"{name}: {CUT}",
        "hint: run again when the PC answers: what is right by then is left alone",
    ]
    assert host.run_shell_command("'next'" if is_windows else "echo next")[1].stdout_lines == ["next"]


def test_a_shell_that_was_killed_is_replaced_over_the_same_connection(hosts: Hosts, linux_pc: Sshd) -> None:
    host = the(hosts({"@linux/pc": linux_pc.data}), "@linux/pc")
    logins = linux_pc.log.count("Accepted publickey")
    right, output = host.run_shell_command("kill -9 $PPID")
    assert (right, output.stderr_lines[0]) == (False, f"@linux/pc: {CUT}")
    assert host.run_shell_command("echo next")[1].stdout_lines == ["next"]
    assert linux_pc.log.count("Accepted publickey") == logins


def test_what_could_not_be_sent_is_sent_over_a_new_line(hosts: Hosts, linux_pc: Sshd, tmp_path: Path) -> None:
    """The other side of the line is gone, and nothing on this side has told so yet."""
    host = the(hosts({"@linux/pc": linux_pc.data}), "@linux/pc")
    assert host.run_shell_command(f"echo x >> {tmp_path}/mark")[0]
    host.connector.connection.channel().get_transport().sock.shutdown(socket.SHUT_WR)
    assert host.run_shell_command(f"echo y >> {tmp_path}/mark")[0]
    assert (tmp_path / "mark").read_text() == "x\ny\n"


def test_a_script_that_was_cut_on_its_way_is_not_carried_out(windows_host: Host, tmp_path: Path) -> None:
    powershell = windows_host.connector.shell()
    script = f"[IO.File]::WriteAllText('{tmp_path}/mark', 'x') # "
    whole = ps.request(script + "x" * (-len(script) % 3))
    powershell._process.write(whole.removesuffix(b".\n") + b"\n")
    assert powershell.run("'never'", 30).stdout == b""
    assert not powershell.alive
    assert not (tmp_path / "mark").exists()


def test_both_hosts_of_a_pc_come_back_after_its_restart(hosts: Hosts, windows_pc: WindowsPC) -> None:
    state = hosts({"@windows/pc": windows_pc.data, "@wsl/pc": windows_pc.data})
    engine = the(state, "@windows/pc").run_shell_command("$PID")[1].stdout_lines
    assert the(state, "@wsl/pc").run_shell_command("true")[0]
    logins = windows_pc.log.count("Accepted publickey")
    windows_pc.control("reboot")
    until(lambda: not is_open(windows_pc))
    assert the(state, "@wsl/pc").run_shell_command("echo back")[1].stdout_lines == ["back"]
    assert the(state, "@windows/pc").run_shell_command("$PID")[1].stdout_lines not in ([], engine)
    assert windows_pc.log.count("Accepted publickey") - logins == 1


def is_open(pc: Sshd) -> bool:
    """Whether this side still believes in its connection."""
    return connection(Target.from_data("pc", pc.data)).alive


def test_a_pc_that_stays_away_is_an_error_with_its_cure(hosts: Hosts, sshd: Sshd) -> None:
    host = the(hosts({"@linux/pc": sshd.data}), "@linux/pc")
    assert host.run_shell_command("true")[0]
    sshd.stop()
    until(lambda: not is_open(sshd))
    right, output = host.run_shell_command("true")
    assert not right
    assert output.stderr_lines[0].startswith(f"@linux/pc: unreachable: 127.0.0.1 port {sshd.port}: ")
    assert output.stderr_lines[1].startswith("hint: is the PC on")
    sshd.start()
    assert host.run_shell_command("true")[0]


def test_a_file_transfer_over_a_cut_line_fails_and_the_next_one_works(hosts: Hosts, sshd: Sshd, tmp_path: Path) -> None:
    host = the(hosts({"@linux/pc": sshd.data}), "@linux/pc")

    class Cutting(list[bytes]):
        def read(self, size: int) -> bytes:
            if len(self) == 2:
                sshd.cut()
            return self.pop() if self else b""

    assert not host.put_file(_file(Cutting([b"x" * 100_000] * 4)), str(tmp_path / "there"))
    assert not (tmp_path / "there").exists()
    assert host.put_file(_file(Cutting([b"x"])), str(tmp_path / "there"))
    assert (tmp_path / "there").read_bytes() == b"x"


def _file(source: Any) -> Any:
    source.seek = lambda *_: 0
    source.tell = lambda: 0
    return source


def test_what_does_not_become_a_shell_is_given_up(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    line = Connection(Target.from_data("pc", sshd.data))
    with pytest.raises(ShellRefused) as refused:
        Shell(line, "echo This account is locked.; exit 7")
    assert (refused.value.code, refused.value.output) == (7, b"This account is locked.\n")
    with pytest.raises(OSError, match=r"PowerShell does not start: .*not found"):
        PowerShell(line)
    monkeypatch.setattr(shell, "START_SECONDS", 0.3)
    monkeypatch.setattr(windows, "START_SECONDS", 0.3)
    monkeypatch.setattr(ps, "START", "exec sleep 300")
    with pytest.raises(ShellRefused) as refused:
        Shell(line, "exec sleep 300")
    assert refused.value.output == b"no answer after 0.3 s"
    with pytest.raises(OSError, match=r"PowerShell does not start: no answer after 0.3 s\nhint: "):
        PowerShell(line)


def test_a_user_who_may_not_become_root_is_told(hosts: Hosts, sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LinuxConnector, "SHELL", "echo 'sudo: a password is required' >&2; exit 1")
    right, output = the(hosts({"@linux/pc": sshd.data}), "@linux/pc").run_shell_command("true")
    assert not right
    assert output.stderr_lines == [
        "@linux/pc: no root shell: sudo: a password is required",
        f"hint: {sshd.data['ssh_user']} must be allowed `sudo -n /bin/sh`",
    ]
