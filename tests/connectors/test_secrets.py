"""Secrets on their way to a PC: a canary in a script, in its input and in a file is in no argument, environment, log or record."""

from __future__ import annotations

import io
import secrets
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import StringCommand
from pyinfra.api.hiddenvalue import HiddenValue
from pyinfra.api.host import Host

from citadelle import powershell
from tests.connectors.conftest import Hosts, WindowsPC, the, until
from tests.inventory.conftest import Checkout
from tests.sshd import Sshd


def canary() -> str:
    return f"canary{secrets.token_hex(12)}"


def seen_in_processes(word: str) -> list[str]:
    """Command lines and environments of this machine that hold a word; both sides run here."""
    found = []
    for part in ("cmdline", "environ"):
        for file in Path("/proc").glob(f"[0-9]*/{part}"):
            try:
                content = file.read_bytes()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if word.encode() in content:
                found.append(f"{file}: {content[:200]!r}")
    return found


@pytest.fixture(scope="module", autouse=True)
def the_search_finds_what_is_there() -> None:
    """Otherwise finding nothing would prove nothing."""
    word = canary()
    for arguments, environment in ((["sh", "-c", f"read x; : {word}"], {}), (["cat"], {"SECRET": word})):
        with subprocess.Popen(arguments, env={"PATH": "/usr/bin:/bin", **environment}, stdin=subprocess.PIPE):
            until(lambda: len(seen_in_processes(word)) == 1)
    until(lambda: not seen_in_processes(word))


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


def look_while_it_runs(
    pool: ThreadPoolExecutor, host: Host, folder: Path, command: StringCommand, words: list[str], **more: Any
):
    """Run a command that makes `started` and waits for `go`; nobody may see the words in between."""
    running: Future = pool.submit(host.run_shell_command, command, **more)
    until(lambda: (folder / "started").exists() or running.done())
    found = [line for word in words for line in seen_in_processes(word)]
    (folder / "go").touch()
    right, output = running.result(timeout=30)
    assert right, output.stderr
    assert (folder / "started").exists()
    assert found == []


@pytest.mark.parametrize("kind", ["@linux", "@wsl"])
def test_a_shell_script_and_its_input_are_seen_by_no_process(
    request: pytest.FixtureRequest, hosts: Hosts, pool: ThreadPoolExecutor, tmp_path: Path, kind: str
) -> None:
    pc: Sshd = request.getfixturevalue("linux_pc" if kind == "@linux" else "windows_pc")
    host = the(hosts({f"{kind}/pc": pc.data}), f"{kind}/pc")
    word, given = canary(), canary()
    wait = f"touch {tmp_path}/started; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done"
    command = StringCommand(
        ":", HiddenValue(word), ";", wait, f"; grep -qx {given[:6]}.* && echo", HiddenValue(word), ">/dev/null"
    )
    look_while_it_runs(pool, host, tmp_path, command, [word, given], _stdin=given)
    assert word not in pc.log
    assert given not in pc.log


def test_a_powershell_script_is_seen_by_no_process(
    windows_host: Host,
    windows_pc: WindowsPC,
    pool: ThreadPoolExecutor,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    word = canary()
    wait = f"while (-not [IO.File]::Exists('{tmp_path}/go')) {{ Start-Sleep -Milliseconds 20 }}"
    wait = f"[IO.File]::WriteAllText('{tmp_path}/started', ''); {wait}"
    command = StringCommand("$secret =", HiddenValue(powershell.quote(word)), f"\n{wait}")
    look_while_it_runs(pool, windows_host, tmp_path, command, [word], print_input=True)
    printed = capsys.readouterr().err
    assert "$secret = *MASKED*" in printed
    assert word not in printed
    assert word not in windows_pc.log
    for file in windows_pc.home.glob("*.json*"):
        assert word not in file.read_text(), file


@pytest.mark.parametrize("kind", ["@linux", "@windows"])
def test_a_file_is_its_owners_alone_from_its_first_byte(
    request: pytest.FixtureRequest, hosts: Hosts, tmp_path: Path, kind: str
) -> None:
    pc: Sshd = request.getfixturevalue("linux_pc" if kind == "@linux" else "windows_pc")
    host = (
        the(hosts({f"{kind}/pc": pc.data}), f"{kind}/pc")
        if kind == "@linux"
        else request.getfixturevalue("windows_host")
    )
    folder, path = (
        (tmp_path, f"{tmp_path}/key") if kind == "@linux" else (pc.home / "C:/Windows/Temp", "C:/Windows/Temp/key")
    )
    word, seen, parts = canary(), [], ".upload.*" if kind == "@linux" else "key.*.part"

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            seen.extend((part, oct(part.stat().st_mode)[-3:]) for part in folder.glob(parts))
            seen.extend(seen_in_processes(word))
            return super().read(size)

    assert host.put_file(Watched(word.encode() * 100_000), path)
    assert seen
    if kind == "@linux":  # the double keeps access lists of its own
        assert {mode for _, mode in seen} == {"600"}
    assert word not in pc.log
    assert [*folder.glob("key*"), *folder.glob(parts)] == [folder / "key"]
    (folder / "key").unlink()


DEPLOY = """
from pyinfra.api import StringCommand, operation
from pyinfra.api.hiddenvalue import HiddenValue
from pyinfra.operations import server

@operation()
def secret():
    yield StringCommand("SECRET=", HiddenValue({word!r}), _separator="")
    yield StringCommand("test", HiddenValue({word!r}), "= x || nope")

server.shell(commands=["cat >/dev/null"], _stdin={given!r})
secret(name="A secret", _ignore_errors=True)
"""


@pytest.mark.lab
def test_the_most_talkative_run_does_not_say_them(checkout: Checkout, linux_pc: Sshd) -> None:
    word, given = canary(), canary()
    checkout.write("inventory/mine.py", f"linux = [('@linux/pc', {linux_pc.data!r})]\n")
    checkout.write("deploy.py", DEPLOY.format(word=word, given=given))
    done = checkout.pyinfra("-y", "-vvv", "--debug", "inventory", "deploy.py")
    assert "SECRET=" in done.stdout, done.stdout
    assert "*MASKED*" in done.stdout
    for secret in (word, given):
        assert secret not in done.stdout
        assert secret not in linux_pc.log
