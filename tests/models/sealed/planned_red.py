"""The tests of by_hand.py can fail: each verifier here lacks one thing, and the tests that are about it are red.

A machine for each, so by hand too: `pytest tests/models/sealed/planned_red.py`, some minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from citadelle.models import verify
from tests.models.sealed import by_hand, machine
from tests.models.sealed.packages import Debian, brought

pytestmark = pytest.mark.lab
Claim = Callable[[dict[str, Any]], None]


def note(case: str) -> Claim:
    return partial(by_hand.test_a_note_that_is_not_this_boots_own_counts_for_nothing, case=case)


def other(case: str) -> Claim:
    return partial(by_hand.test_other_bytes_are_refused, case=case)


NEVER_READ = partial(by_hand.test_a_byte_flipped_below_the_file_system_is_never_read, where="data", elsewhere=[0, 0])
# What the verifier lacks: its text there, the text in its place, the claims that must be red, others that must hold.
LACKS: dict[str, tuple[str, str, list[Claim], list[Claim]]] = {
    "the boot of a note": (
        "return seals if boot == _boot() and",
        "return seals if",
        [note("note of another boot")],
        [note("no note")],
    ),
    "the owner and mode of a note": (
        "or any(_guarded(path, info, owners)):",
        "or False:",
        [note("note that others can write"), note("note of another user")],
        [note("note of another boot"), other("other bytes, sealed")],
    ),
    "which tree is in force": (
        "if not tree or self._tree(file, entry) != tree:",
        "if not tree:",
        [
            other("other bytes, no seal"),
            other("other bytes, sealed"),
            by_hand.test_the_right_bytes_without_a_seal_are_read,
            by_hand.test_another_tree_in_force_is_seen_at_once,
        ],
        [by_hand.test_nobody_writes_it],
    ),
    "the seal itself": (
        "            if self.make:\n                seal(file)\n",
        "            pass\n",
        [by_hand.test_what_was_read_once_is_accepted_unread, by_hand.test_nobody_writes_it],
        [by_hand.test_without_fs_verity_all_is_read_and_the_reason_told],
    ),
    "the reading of all by the timer": (
        "known = {} if options.read else read_seals",
        "known = read_seals",
        [NEVER_READ],
        [by_hand.test_what_was_read_once_is_accepted_unread],
    ),
}


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Debian:
    return brought(tmp_path_factory.mktemp("packages"))


@pytest.mark.parametrize("lack", LACKS)
def test_a_verifier_that_lacks_it_is_noticed(debian: Debian, tmp_path: Path, lack: str) -> None:
    there, instead, red, green = LACKS[lack]
    text = Path(verify.__file__).read_text()
    assert text.count(there) == 1
    (tmp_path / "content").mkdir()
    content = by_hand.lay(tmp_path / "content", by_hand.SIZE)
    found = machine.answer(debian, tmp_path, content, program=text.replace(there, instead).encode())
    for claim in red:
        with pytest.raises(AssertionError):
            claim(found)
    for claim in green:
        claim(found)
