"""Whom a connection trusts: host keys are strict whatever is set, and every refusal says what to do about it."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from citadelle.connectors.ssh import Connection, Target, Unreachable
from tests.inventory.conftest import Checkout
from tests.sshd import Sshd, free_port, make_key

Start = Callable[[Sshd], Sshd]


def refused(sshd: Sshd, **data: object) -> str:
    """What a connection with changed host data says."""
    found = sshd.data | data
    with pytest.raises(Unreachable) as caught:
        Connection(Target.from_data("pc", {key: value for key, value in found.items() if value is not None})).channel()
    return str(caught.value)


def fingerprint(sshd: Sshd) -> str:
    said = subprocess.run(
        ["ssh-keygen", "-lf", sshd.folder / "host_key.pub"], capture_output=True, text=True, check=True
    )
    return said.stdout.split()[1]


def test_the_known_key_is_accepted(sshd: Sshd) -> None:
    assert Connection(Target.from_data("pc", sshd.data)).run("echo in") == (0, b"in\n", b"")


def test_a_changed_host_key_is_refused_before_the_user_key_is_shown(sshd: Sshd) -> None:
    sshd.stop()
    sshd.change_host_key()
    sshd.start()
    what, hint = refused(sshd).splitlines()
    assert what == f"host key is another one than expected: ssh-ed25519 {fingerprint(sshd)}"
    assert f"ssh-keygen -f {sshd.folder}/known_hosts -R [127.0.0.1]:{sshd.port}" in hint
    assert "Accepted publickey" not in sshd.log
    assert "Postponed publickey" not in sshd.log


@pytest.mark.parametrize("setting", ["yes", None])
@pytest.mark.parametrize("known", ["", "[127.0.0.1]:1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==\n", None])
def test_an_unknown_host_key_is_refused_and_not_remembered(sshd: Sshd, setting: str | None, known: str | None) -> None:
    file = sshd.folder / "known_hosts"
    file.unlink()
    if known is not None:
        file.write_text(known)
    what, hint = refused(sshd, ssh_strict_host_key_checking=setting).splitlines()
    assert what == f"host key is unknown: ssh-ed25519 {fingerprint(sshd)}"
    assert hint == f"hint: compare it with the PC's console, then add the key to {file}"
    assert (file.read_text() if file.exists() else None) == known


def test_the_users_own_ssh_configuration_cannot_loosen_it(sshd: Sshd) -> None:
    (sshd.folder / "known_hosts").write_text("")
    config = sshd.folder / "ssh_config"
    config.write_text("Host *\n  StrictHostKeyChecking no\n")
    assert "host key is unknown" in refused(sshd, ssh_config_file=str(config), ssh_strict_host_key_checking=None)


@pytest.mark.parametrize("setting", ["no", "off", "accept-new", "ask"])
def test_a_looser_setting_is_refused(sshd: Sshd, setting: str) -> None:
    what, hint = refused(sshd, ssh_strict_host_key_checking=setting).splitlines()
    assert what == f"host keys are always checked: ssh_strict_host_key_checking={setting}"
    assert hint == "hint: leave the key out"
    assert "Accepted publickey" not in sshd.log


def test_a_user_key_that_the_pc_does_not_know(sshd: Sshd, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    what, hint = refused(sshd, ssh_key=str(other)).splitlines()
    assert what == f"key is refused for user {sshd.data['ssh_user']}: {other}"
    assert "authorized keys" in hint


def test_a_key_file_that_is_absent_or_locked(sshd: Sshd, tmp_path: Path) -> None:
    what, hint = refused(sshd, ssh_key=str(tmp_path / "absent")).splitlines()
    assert what == f"key file is absent: {tmp_path}/absent"
    assert hint == "hint: set ssh_key in the inventory"
    locked = tmp_path / "locked"
    shutil.copy(sshd.folder / "user_key", locked)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", locked], check=True)
    what, hint = refused(sshd, ssh_key=str(locked)).splitlines()
    assert what == f"key file needs its passphrase: {locked}"
    assert hint.startswith(f"hint: ssh-add {locked}")


def test_a_port_where_nothing_listens_and_one_that_does_not_speak_ssh(sshd: Sshd) -> None:
    port = free_port()
    what, hint = refused(sshd, ssh_port=port).splitlines()
    assert what.startswith(f"unreachable: 127.0.0.1 port {port}: ")
    assert f"ssh -v -p {port}" in hint
    with socket.create_server(("127.0.0.1", 0)) as mute, ThreadPoolExecutor() as pool:
        port = mute.getsockname()[1]
        greeting = pool.submit(lambda: mute.accept()[0].sendall(b"220 mail\r\n"))
        assert refused(sshd, ssh_port=port).startswith(f"unreachable: 127.0.0.1 port {port}: ")
        greeting.result(timeout=5)


@pytest.mark.parametrize(
    ("offered", "taken"),
    [("", "aes256-gcm@openssh.com"), ("Ciphers aes128-ctr\nMACs hmac-sha2-256-etm@openssh.com", "aes128-ctr")],
)
def test_encryption_is_authenticated(start: Start, tmp_path: Path, offered: str, taken: str) -> None:
    server = start(Sshd(tmp_path / "sshd", offered))
    transport = Connection(Target.from_data("pc", server.data)).channel().get_transport()
    assert transport is not None
    assert (transport.remote_cipher, transport.local_cipher) == (taken, taken)


@pytest.mark.parametrize("offered", ["Ciphers aes256-cbc", "Ciphers aes256-ctr\nMACs hmac-sha1,hmac-sha2-256"])
def test_an_old_way_of_encryption_is_refused(start: Start, tmp_path: Path, offered: str) -> None:
    server = start(Sshd(tmp_path / "sshd", offered))
    # Either side may be the first to find that they have nothing in common.
    assert refused(server).startswith(f"unreachable: 127.0.0.1 port {server.port}: ")
    assert "Accepted publickey" not in server.log


@pytest.mark.lab
def test_each_fault_fails_its_own_host_alone(checkout: Checkout, sshd: Sshd, start: Start, tmp_path: Path) -> None:
    """One run of the real command over a right host and four wrong ones."""
    changed = start(Sshd(tmp_path / "changed"))
    changed.stop()
    changed.change_host_key()
    changed.start()
    unknown = start(Sshd(tmp_path / "unknown"))
    (unknown.folder / "known_hosts").write_text("")
    key = start(Sshd(tmp_path / "key"))
    (key.folder / "authorized_keys").write_text("")
    data = {
        "right": sshd.data,
        "changed": changed.data,
        "unknown": unknown.data,
        "key": key.data,
        "away": sshd.data | {"ssh_port": free_port()},
    }
    checkout.write("inventory/mine.py", f"linux = {[(f'@linux/{name}', given) for name, given in data.items()]!r}\n")
    mark = tmp_path / "mark"
    checkout.write(
        "deploy.py", f"from pyinfra.operations import server\nserver.shell(commands=['echo done > {mark}'])\n"
    )
    done = checkout.pyinfra("-y", "inventory", "deploy.py")
    assert mark.read_text() == "done\n", done.stdout
    for name, what in {
        "changed": "host key is another one than expected: ssh-ed25519",
        "unknown": "host key is unknown: ssh-ed25519",
        "key": "key is refused for user",
        "away": "unreachable: 127.0.0.1 port",
    }.items():
        assert f"@linux/{name}: {what}" in done.stdout
    assert done.stdout.count("hint: ") == 4
    assert "@linux/right: " not in done.stdout
    assert done.returncode != 0
