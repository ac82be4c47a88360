"""A sealed store on a kernel that has fs-verity: accepted unread, closed to writers, and no wrong byte of it is ever read.

This machine's own kernel need not have it: one of Debian's runs in QEMU (`machine.py`), once for all of these.
It takes more than a minute of processor time, so `bin/test` leaves it out: `pytest tests/models/sealed/by_hand.py` (docs/models.md).
"""

from __future__ import annotations

import errno
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from benchmarks.verify import stores
from citadelle.models import verify
from tests.models.sealed import machine
from tests.models.sealed.packages import brought

pytestmark = pytest.mark.lab
SIZE = 4 << 20  # the hash tree has two levels; all is slow in this machine
SEALED = "sealed: read once in this boot; the kernel judges each later read of the large files"


def lay(folder: Path, size: int) -> Path:
    """What the machine is given: a store, its lock, and a file that is as large as its weights."""
    stores.lay(folder / "store", size, 1)
    (folder / "store.json").rename(folder / "lock.json")
    weights = max((folder / "store/blobs").iterdir(), key=lambda path: path.stat().st_size)
    shutil.copyfile(weights, folder / "evil")
    with (folder / "evil").open("r+b") as file:
        file.write(b"evil")
    return folder


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the machine's verifier said; sizes in bytes."""
    folder = tmp_path_factory.mktemp("sealed")
    (folder / "content").mkdir()
    told = machine.answer(brought(folder), folder, lay(folder / "content", SIZE))
    print(json.dumps(told, indent=1))
    return told


def outcome(report: dict[str, Any]) -> tuple[int, list[str], bool]:
    """Exit code, findings, whether the engine's path shows anything."""
    return report["code"], report["codes"], bool(report["bound"])


GOOD = (0, [], True)


def test_without_fs_verity_all_is_read_and_the_reason_told(found: dict[str, Any]) -> None:
    for report in (found["plain"], found["plain again"]):
        assert outcome(report) == GOOD
        assert report["bytes"] > SIZE
        assert report["seal"].startswith(
            "read at every start: the kernel or the file system has no fs-verity: blobs/sha256-"
        )


def test_what_was_read_once_is_accepted_unread(found: dict[str, Any]) -> None:
    assert (outcome(found["bind"]), found["bind"]["seal"], found["bind"]["bytes"] > SIZE) == (GOOD, SEALED, True)
    assert (outcome(found["recheck"]), found["recheck"]["seal"]) == (GOOD, SEALED)
    assert found["recheck"]["bytes"] < verify.SMALL  # manifest and configuration


def test_nobody_writes_it(found: dict[str, Any]) -> None:
    assert (found["write"], found["truncate"]) == (errno.EPERM, errno.EPERM)


@pytest.mark.parametrize(
    "case",
    [
        "note of another boot",
        "note that others can write",
        "note of another user",
        "note behind a link",
        "note that is none",
        "no note",
    ],
)
def test_a_note_that_is_not_this_boots_own_counts_for_nothing(found: dict[str, Any], case: str) -> None:
    first, second = found[case]
    assert (first > SIZE, second < verify.SMALL) == (True, True)


def test_the_right_bytes_without_a_seal_are_read(found: dict[str, Any]) -> None:
    report = found["same bytes, no seal"]
    assert (outcome(report), report["bytes"] > SIZE) == (GOOD, True)
    assert report["seal"].startswith("read at every start: not sealed: blobs/")
    assert found["open for writing"]["seal"].startswith("read at every start: open for writing: blobs/")
    assert (found["sealed again"]["seal"], found["and held"]["bytes"] < verify.SMALL) == (SEALED, True)


@pytest.mark.parametrize("case", ["other bytes, no seal", "other bytes, sealed"])
def test_other_bytes_are_refused(found: dict[str, Any], case: str) -> None:
    assert outcome(found[case]) == (1, ["digest"], False)
    assert found[case]["bytes"] > SIZE
    assert outcome(found["back"]) == GOOD


@pytest.mark.parametrize(("where", "elsewhere"), [("data", [0, 0]), ("tree", [errno.EIO, -signal.SIGBUS])])
def test_a_byte_flipped_below_the_file_system_is_never_read(
    found: dict[str, Any], where: str, elsewhere: list[int]
) -> None:
    """The gate needs not see it: the kernel gives an error in its place, by reading and through a mapping. The timer's look finds it."""
    assert outcome(found[f"flipped {where}: recheck"]) == GOOD
    assert found[f"flipped {where}: engine"] == [[errno.EIO, -signal.SIGBUS], elsewhere]
    assert outcome(found[f"flipped {where}: read"]) == (1, ["unreadable"], False)
    assert outcome(found[f"flipped {where}: back"]) == GOOD


def test_another_tree_in_force_is_seen_at_once(found: dict[str, Any]) -> None:
    assert outcome(found["flipped descriptor: recheck"]) == (1, ["unreadable"], False)
    assert outcome(found["flipped descriptor: back"]) == GOOD


def test_a_mounted_file_system_is_allowed_to_have_seals_from_then_on(found: dict[str, Any]) -> None:
    assert found["tune2fs"][0] == 0, found["tune2fs"]
    assert (outcome(found["allowed"]), found["allowed"]["seal"], found["allowed"]["bytes"] > SIZE) == (
        GOOD,
        SEALED,
        True,
    )
    assert (outcome(found["allowed, held"]), found["allowed, held"]["bytes"] < verify.SMALL) == (GOOD, True)
