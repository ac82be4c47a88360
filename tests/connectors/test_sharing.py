"""What a run opens: one SSH connection per PC, one shell and one PowerShell per host, whatever number of commands go through."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from pyinfra.api import State

from citadelle import powershell
from citadelle.connectors.ssh import Connection, Target, Unreachable, connection
from tests.connectors.conftest import Hosts, WindowsPC, is_alive, make_state, the, until
from tests.sshd import Sshd

WSL = [r"C:\Program Files\WSL\wsl.exe", "-d", "citadelle", "-u", "root", "--cd", "~", "--exec", "/bin/sh"]
LONG = "é'x " * 50_000  # cmd.exe takes 8191 characters, which the double enforces; Linux takes 128 KiB in an argument


def said(state: State, name: str, command: str) -> list[str]:
    """Stdout of one command that must succeed."""
    right, output = the(state, name).run_shell_command(command)
    assert right, output.stderr
    return output.stdout_lines


@dataclass
class Seen:
    """What a run over both hosts of one PC left in the records of sshd and of the double."""

    sessions: int
    logins: int
    starts: list[list[str]]
    engines: set[str]
    shells: set[str]
    lengths: list[str]
    is_left: Callable[[], bool]


@pytest.fixture(scope="module")
def seen(windows_pc: WindowsPC) -> Seen:
    """A run of some commands, long scripts and files in turn on both hosts of one PC, then its end."""
    before = set(windows_pc.sessions()), windows_pc.log.count("Accepted publickey"), len(windows_pc.journal())
    state = make_state({"@windows/pc": windows_pc.data, "@wsl/pc": windows_pc.data})
    engines, shells = set(), set()
    for _ in range(2):
        engines |= {*said(state, "@windows/pc", "$PID")}
        shells |= {*said(state, "@wsl/pc", "echo $PPID")}
        assert the(state, "@wsl/pc").put_file(__file__, str(windows_pc.folder / "copy"))
        assert the(state, "@windows/pc").put_file(__file__, "C:\\copy")
    lengths = said(state, "@windows/pc", f"{powershell.quote(LONG)}.Length")
    lengths += said(state, "@wsl/pc", f': "{LONG}"; printf %s "{LONG}" | wc -m')
    found = Seen(
        len(set(windows_pc.sessions()) - before[0]),
        windows_pc.log.count("Accepted publickey") - before[1],
        [[entry["program"], *entry["argv"]] for entry in windows_pc.journal()[before[2] :]],
        engines,
        shells,
        lengths,
        lambda: any(is_alive(int(pid)) for pid in (*engines, *shells)),
    )
    for name in ("@windows/pc", "@wsl/pc"):
        the(state, name).disconnect()
    return found


def test_both_hosts_of_a_pc_share_one_connection(seen: Seen) -> None:
    assert (seen.sessions, seen.logins) == (1, 1)


def test_one_powershell_and_one_shell_serve_all_commands(seen: Seen) -> None:
    started = [start[0] for start in seen.starts]
    assert (len(seen.engines), started.count("powershell.exe")) == (1, 1)
    assert (len(seen.shells), [start[1:] for start in seen.starts].count(WSL)) == (1, 1)


def test_long_scripts_leave_the_command_lines_constant(seen: Seen) -> None:
    assert seen.lengths == [str(len(LONG))] * 2
    lines = {tuple(start) for start in seen.starts if start[0] in ("powershell.exe", "wsl.exe")}
    assert lines == {
        ("powershell.exe", *powershell.START.split()),
        ("wsl.exe", *WSL),
        ("wsl.exe", *WSL[:-1], "/usr/lib/openssh/sftp-server"),
    }


def test_what_is_open_ends_with_the_run(seen: Seen) -> None:
    until(lambda: not seen.is_left())


def test_a_linux_pc_has_one_connection_and_one_shell(hosts: Hosts, sshd: Sshd) -> None:
    state = hosts({"@linux/pc": sshd.data})
    assert len({said(state, "@linux/pc", "echo $PPID")[0] for _ in range(5)}) == 1
    assert len(sshd.sessions()) == 1


def test_another_user_or_port_is_another_connection(sshd: Sshd) -> None:
    target = Target.from_data("pc", sshd.data)
    assert connection(target) is connection(Target.from_data("other-name", sshd.data))
    assert connection(target) is not connection(Target.from_data("pc", sshd.data | {"ssh_user": "another"}))
    assert connection(target) is not connection(Target.from_data("pc", sshd.data | {"ssh_port": 1}))


def test_the_socket_does_not_wait_for_acknowledgements(sshd: Sshd) -> None:
    transport = Connection(Target.from_data("pc", sshd.data)).channel().get_transport()
    assert transport is not None
    assert transport.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert transport.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000


def test_more_sessions_than_the_server_allows_is_an_error_with_its_cure(sshd: Sshd) -> None:
    line = Connection(Target.from_data("pc", sshd.data))
    held = [line.channel() for _ in range(10)]
    with pytest.raises(Unreachable, match=r"SSH session refused: .*\nhint: MaxSessions of the SSH server"):
        line.channel()
    held.pop().close()
    until(lambda: _opens(line))
    assert len(sshd.sessions()) == 1


def _opens(line: Connection) -> bool:
    try:
        line.channel()
    except Unreachable:
        return False
    return True
