"""The role as a user runs it: the real pyinfra over a genuine sshd against the Windows double, and where a recovery key must never be."""

# ruff: noqa: F811  (fixtures come by import)

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from citadelle.escrow import seal
from citadelle.escrow.store import Escrow
from tests.bitlocker.pc import recovery
from tests.connectors.conftest import WindowsPC, engine  # noqa: F401  (a fixture)
from tests.escrow.conftest import pair_folder  # noqa: F401  (a fixture)
from tests.inventory.conftest import Checkout, checkout  # noqa: F401  (a fixture)
from tests.lab import escrow as lab_pair

pytestmark = pytest.mark.lab

DEPLOY = """
from roles.hardening.deploy import hardening
from roles.bitlocker.deploy import bitlocker

hardening()
bitlocker()
"""
STEP = "BitLocker | Encrypt the volumes, each recovery key in escrow before"


@pytest.fixture
def pc(tmp_path: Path, engine: str) -> Iterator[WindowsPC]:
    """A fresh PC that plays Windows."""
    server = WindowsPC(tmp_path / "pc", engine=engine)
    server.start()
    server.control("setup")
    yield server
    server.stop()


@pytest.fixture
def data(pc: WindowsPC, pair_folder: Path, tmp_path: Path) -> dict[str, Any]:
    """The PC's data in an inventory."""
    lab_pair.make(pair_folder)
    return {
        **pc.data, "bitlocker_unlock": "tpm", "bitlocker_certificate": str(pair_folder / "escrow.crt"),
        "bitlocker_escrow": str(tmp_path / "keys"), "bitlocker_escrow_copy": str(tmp_path / "keys.copy"), "bitlocker_watch": 60,
    }  # fmt: skip


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(checkout: Checkout, data: dict[str, Any]) -> Run:
    """One run of pyinfra over the PC."""
    checkout.write("deploy.py", DEPLOY)

    def go(*words: str, without: tuple[str, ...] = (), **more: Any) -> subprocess.CompletedProcess[str]:
        quiet = {"hardening_apply": False}  # judged, as ever, but not set: that is the other role's
        given = {name: value for name, value in {**data, **quiet, **more}.items() if name not in without}
        checkout.write("inventory/mine.py", f"windows = [('@windows/pc1', {given!r})]\n")
        return checkout.pyinfra(*words, "inventory", "deploy.py", NO_COLOR="1")

    return go


def volume(pc: WindowsPC) -> dict[str, Any]:
    """The system volume in the double's state file."""
    found: dict[str, Any] = json.loads((pc.home / "state.json").read_text("utf-8-sig"))["bitlocker"]["C:"]
    return found


def kept(data: dict[str, Any], pair_folder: Path) -> dict[str, str]:
    """What the escrow opens to."""
    escrow = Escrow(Path(data["bitlocker_escrow"]), Path(data["bitlocker_escrow_copy"]))
    key = seal.read_private(pair_folder / "escrow.key")
    found = [escrow.find(host, name) for host, name in escrow.names()]
    return {
        one.entry.protector: seal.open_sealed(key, one.entry.identity, one.entry.sealed)
        for one in found
        if one.entry and one.is_whole
    }


def test_from_clear_to_kept_and_encrypted_and_then_nothing(
    run: Run, pc: WindowsPC, data: dict[str, Any], pair_folder: Path
) -> None:
    dry = run("--dry")
    assert (
        "@windows/pc1: C: deviates: a recovery key is not in escrow, protectors or encryption are not as they should be"
        in dry.stdout
    )
    assert (volume(pc)["VolumeStatus"], volume(pc)["KeyProtector"]) == ("FullyDecrypted", [])
    assert not Path(data["bitlocker_escrow"]).exists()
    done = run("-y")
    assert done.returncode == 0, done.stdout
    assert (volume(pc)["VolumeStatus"], volume(pc)["ProtectionStatus"], volume(pc)["EncryptionMethod"]) == (
        "FullyEncrypted",
        "On",
        "XtsAes256",
    )
    assert kept(data, pair_folder) == recovery(volume(pc))
    before, starts = volume(pc), pc.starts("powershell.exe")
    again = run("-y")
    assert re.search(r"Grand total +2 +- +- +2", again.stdout), again.stdout
    assert "deviates" not in again.stdout
    assert (volume(pc), pc.starts("powershell.exe")) == (before, starts + 1)


def test_the_recovery_key_is_in_no_output_journal_process_or_file_but_the_pcs_own(
    run: Run,
    pc: WindowsPC,
    data: dict[str, Any],
    pair_folder: Path,
    tmp_path: Path,
) -> None:
    """Under the loudest output there is. The double's state.json plays the disk: there it lies, as on any PC."""
    done = run("-y", "-vvv", "--debug", "--diff")
    assert done.returncode == 0, done.stdout
    (password,) = recovery(volume(pc)).values()
    assert (pc.home / "state.json").read_text("utf-8-sig").count(password) == 1, "the search finds what is there"
    assert list(kept(data, pair_folder).values()) == [password]
    assert len(done.stdout) > 10000
    assert password not in done.stdout
    files = [
        file
        for file in tmp_path.rglob("*")
        if file.is_file() and not file.is_symlink() and file != pc.home / "state.json"
    ]
    assert {"journal.jsonl", "log", "registry.json"} <= {file.name for file in files}
    assert [file for file in files if password.encode() in file.read_bytes()] == []
    groups = [group for group in password.split("-") if len(set(group)) > 3]
    assert not any("-".join(pair) in done.stdout for pair in pairwise(groups))


@pytest.mark.parametrize(
    ("without", "words"),
    [
        (
            ("bitlocker_unlock",),
            "how volumes open at the start is not chosen: bitlocker_unlock\nhint: set it to tpm or tpm_pin",
        ),
        (
            ("bitlocker_certificate",),
            "no public key for the recovery keys is set: bitlocker_certificate\nhint: openssl req -x509",
        ),
        (("bitlocker_escrow",), "no folder for the recovery keys is set: bitlocker_escrow\nhint: "),
        (("bitlocker_escrow_copy",), "no folder for the recovery keys is set: bitlocker_escrow_copy\nhint: "),
    ],
)
def test_what_the_operator_has_not_decided_stops_before_anything(
    without: tuple[str, ...], words: str, run: Run, pc: WindowsPC
) -> None:
    before = (pc.home / "state.json").read_bytes()
    done = run("-y", without=without)
    assert done.returncode == 1
    plain = re.sub(r" *\n *", "\n", done.stdout)
    assert f"@windows/pc1: {words}" in plain
    assert (pc.home / "state.json").read_bytes() == before


def test_everything_that_is_missing_comes_together(run: Run) -> None:
    names = ("bitlocker_unlock", "bitlocker_certificate", "bitlocker_escrow", "bitlocker_escrow_copy")
    done = run("-y", without=names)
    assert [name for name in names if f": {name}\n" in done.stdout] == list(names)


def test_judging_alone_needs_no_decision(run: Run, pc: WindowsPC) -> None:
    done = run(
        "-y", without=("bitlocker_unlock", "bitlocker_certificate"), bitlocker_apply=False, hardening_apply=False
    )
    assert done.returncode == 0, done.stdout
    assert volume(pc)["VolumeStatus"] == "FullyDecrypted"
    assert "fail: WIN-BIT-01" in done.stdout


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [("4711081", 0o644, "of the PIN can be read by others"), ("letters", 0o600, "holds no PIN")],
)
def test_a_file_of_a_pin_that_cannot_be_used_is_named_and_not_shown(
    content: str, mode: int, words: str, run: Run, tmp_path: Path
) -> None:
    pin = tmp_path / "pin"
    pin.write_text(content)
    pin.chmod(mode)
    done = run("-y", bitlocker_unlock="tpm_pin", bitlocker_pin=str(pin))
    assert done.returncode == 1
    assert words in done.stdout
    assert content not in done.stdout


def test_a_pin_is_in_no_output_journal_or_file(run: Run, pc: WindowsPC, tmp_path: Path) -> None:
    pin, secret = tmp_path / "pin", "47110815471108"
    pin.write_text(secret)
    pin.chmod(0o600)
    done = run("-y", "-vvv", "--debug", bitlocker_unlock="tpm_pin", bitlocker_pin=str(pin))
    assert done.returncode == 0, done.stdout
    assert "TpmPin" in json.dumps(volume(pc))
    assert secret not in done.stdout
    files = [file for file in tmp_path.rglob("*") if file.is_file() and not file.is_symlink() and file != pin]
    assert [file for file in files if secret.encode() in file.read_bytes()] == []


@pytest.mark.parametrize("lines", [1, 2, 3, 4, 6])
def test_a_run_that_is_killed_is_finished_by_the_next(
    lines: int,
    run: Run,
    pc: WindowsPC,
    data: dict[str, Any],
    checkout: Checkout,
    pair_folder: Path,
) -> None:
    """kill -9 as the PC's journal grows: the real process, at real places of it."""
    run("--dry")
    command = [sys.executable, "-m", "pyinfra", "-y", "inventory", "deploy.py"]
    env = {**os.environ, "NO_COLOR": "1"}
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, cwd=checkout.path, env=env, text=True, start_new_session=True, **pipes) as process:
        assert process.stdout is not None
        seen = 0
        for line in process.stdout:
            seen += STEP in line or seen > 0
            if seen == lines:
                os.killpg(process.pid, signal.SIGKILL)
                break
        process.stdout.read()
    state = volume(pc)
    if state["VolumeStatus"] != "FullyDecrypted":
        assert recovery(state).items() <= kept(data, pair_folder).items()
    done = run("-y")
    assert done.returncode == 0, done.stdout
    assert kept(data, pair_folder) == recovery(volume(pc))
    assert volume(pc)["ProtectionStatus"] == "On"
    assert re.search(r"Grand total +2 +- +- +2", run("-y").stdout)
