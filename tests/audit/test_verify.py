"""The judge names the first bad record, whatever was done to the log; and an intact log is said to be so."""

from __future__ import annotations

import hashlib
import hmac
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citadelle import audit
from tests.audit.conftest import Line
from tests.gateway.receiver import Receiver, receiving

FIRST, SECOND = "audit-000000000001.jsonl", "audit-000000000007.jsonl"
Lines = list[bytes]
CHANGED = "line {} (record {}): changed: its hash does not fit"


def change(log: Receiver, name: str, edit: Callable[[Lines], Lines]) -> None:
    path = log.log / name
    path.write_bytes(b"".join(edit(path.read_bytes().splitlines(keepends=True))))


def found(log: Receiver, *arguments: str, path: Path | None = None) -> str:
    done = log.verify(*arguments, path=path)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr.strip()


def test_an_intact_log(log: Receiver) -> None:
    done = log.verify()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("10 records intact: 1 of 2")
    assert log.verify(path=log.log / SECOND).stdout.startswith("4 records intact: 7 of ")


def test_the_hash_is_what_the_page_says(log: Receiver) -> None:
    """By hand, without our own code."""
    key, last = bytes.fromhex(log.key.read_text()), "0" * 64
    for name in (FIRST, SECOND):
        for line in (log.log / name).read_text().splitlines():
            body, mac = line[:-1].rsplit(',"mac":', 1)
            assert hmac.new(key, (body + "}").encode(), hashlib.sha256).hexdigest() == json.loads(mac)
            assert json.loads(line)["prev"] == last
            last = json.loads(mac)


DAMAGE: dict[str, tuple[str, Callable[[Lines], Lines], str]] = {
    "changed": (FIRST, lambda all: [*all[:3], all[3].replace(b"200", b"500"), *all[4:]], CHANGED.format(4, 4)),
    "removed": (FIRST, lambda all: [*all[:2], *all[3:]], "line 3 (record 3): records 3 to 3 are missing: it is record 4"),
    "three removed": (FIRST, lambda all: [all[0], *all[4:]], "line 2 (record 2): records 2 to 4 are missing: it is record 5"),
    "swapped": (FIRST, lambda all: [all[0], all[2], all[1], *all[3:]], "line 2 (record 2): records 2 to 2 are missing: it is record 3"),
    "replayed": (FIRST, lambda all: [*all[:3], all[2], *all[3:]], "line 4 (record 4): record 3 again: replayed, or out of order"),
    "cut within": (FIRST, lambda all: [*all[:5], all[5][:-20]], "line 6 (record 6): cut off within the record"),
    "added": (SECOND, lambda all: [*all, all[-1].replace(b'"seq":10', b'"seq":11')], "line 5 (record 11): changed: its hash does not fit"),
    "text": (FIRST, lambda all: [*all[:2], b"hello\n", *all[2:]], "line 3 (record 3): not a record"),
    "empty line": (FIRST, lambda all: [*all[:2], b"\n", *all[2:]], "line 3 (record 3): not a record"),
    "end of a file": (FIRST, lambda all: all[:4], f"{SECOND} line 1 (record 5): records 5 to 6 are missing: it is record 7"),
    "end of the log": (SECOND, lambda all: all[:2], "records 9 to 10 are missing at the end"),
    "beginning": (FIRST, lambda all: all[2:], "records 1 to 2 are missing at the beginning"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_with_its_place(log: Receiver, name: str) -> None:
    file, edit, said = DAMAGE[name]
    change(log, file, edit)
    assert found(log).removeprefix(f"{file} ") == said


def test_files_that_are_gone_or_moved(log: Receiver) -> None:
    (log.log / SECOND).rename(log.log / "audit-000000000000.jsonl")
    assert found(log) == f"{FIRST} line 1 (record 11): record 1 again: replayed, or out of order"
    (log.log / "audit-000000000000.jsonl").unlink()
    assert found(log) == "records 7 to 10 are missing at the end"
    (log.log / FIRST).unlink()
    assert found(log) == f"{log.log}: no records"


@pytest.mark.parametrize("content", [None, b"", b'{"seq":6}'])
def test_a_head_that_is_gone_or_forged(log: Receiver, content: bytes | None) -> None:
    (log.log / "head.json").unlink()
    if content is not None:
        (log.log / "head.json").write_bytes(content)
    assert found(log).startswith("head.json: ")


def test_a_record_of_another_log_with_the_same_key(log: Receiver, tmp_path: Path) -> None:
    other = Receiver.at(tmp_path / "other")
    shutil.copy(log.key, other.key)
    (other.log / "audit-000000000000.jsonl").touch()
    with receiving(tmp_path / "other"):
        line = Line(other)
        for number in range(2, 5):
            line.request(f"x{number}")
        line.close()
    [path] = [path for path in other.log.glob("audit-*.jsonl") if path.stat().st_size]
    foreign = path.read_bytes().splitlines(keepends=True)[3]
    change(log, FIRST, lambda all: [*all[:3], foreign, *all[4:]])
    assert found(log) == f"{FIRST} line 4 (record 4): does not follow the record before it: it is of another log"


def test_another_key_fits_nothing(log: Receiver) -> None:
    log.key.write_text("ab" * 32)
    assert found(log) == f"{FIRST} line 1: changed: its hash does not fit"
    log.key.write_text("ab")
    assert found(log) == f"not the key of an audit trail: {log.key}"


def test_what_was_judged_before_can_be_left_out(log: Receiver) -> None:
    change(log, FIRST, lambda all: all[:-1])
    assert log.verify("--since", "7").returncode == 0
    (log.log / FIRST).unlink()
    assert found(log) == "records 1 to 6 are missing at the beginning"
    assert log.verify("--since", "7").returncode == 0
    assert log.verify("--since", "9").stdout.startswith("2 records intact: 9 of ")
    assert found(log, "--since", "5") == "records 5 to 6 are missing at the beginning"


def test_an_anchor_shows_a_log_that_was_written_anew(log: Receiver) -> None:
    mac = json.loads((log.log / SECOND).read_bytes().splitlines()[1])["mac"]
    assert log.verify("--anchor", f"8:{mac}").returncode == 0
    assert found(log, "--anchor", f"8:{'0' * 64}") == "record 8: not the one that the anchor names"
    assert found(log, "--anchor", f"11:{mac}") == "record 11: missing, an anchor names it"
    assert found(log, "--anchor", "8:x") == "not an anchor: 8:x"


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_no_change_of_a_byte_and_no_order_of_lines_passes(
    written: Receiver, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    key = audit.read_key(written.key)
    whole = (written.log / FIRST).read_bytes() + (written.log / SECOND).read_bytes()
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(whole) - 1))
        byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[place]))
        changed = whole[:place] + bytes([byte]) + whole[place + 1 :]
    else:
        lines = whole.splitlines(keepends=True)
        changed = b"".join(
            data.draw(st.lists(st.sampled_from(lines), max_size=12).filter(lambda drawn: drawn != lines))
        )
    folder = tmp_path_factory.mktemp("changed")
    (folder / FIRST).write_bytes(changed)
    shutil.copy(written.log / "head.json", folder)
    with pytest.raises(audit.Problem):
        audit.verify(folder, key)
