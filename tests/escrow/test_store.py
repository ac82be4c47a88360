"""Two copies that outlive a loss of power, each with its checksum; what is wrong with one is said, and mended from the other."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from citadelle.escrow import store
from citadelle.escrow.store import Escrow, EscrowError, Kept
from tests.escrow.keys import ID, OTHER, entry

FILE = Path("pc1", ID.strip("{}") + ".json")


def test_both_copies_are_kept_and_read_again(vault_folders: Escrow) -> None:
    vault_folders.keep(entry())
    assert vault_folders.find("pc1", ID) == Kept(entry())
    assert vault_folders.find("pc1", ID).is_whole
    assert list(vault_folders.names()) == [("pc1", ID)]
    first, second = (folder / FILE for folder in vault_folders.folders)
    assert first.read_bytes() == second.read_bytes()
    assert [path.stat().st_mode & 0o777 for path in (first, second, first.parent)] == [0o600, 0o600, 0o700]
    assert [path.name for path in first.parent.iterdir()] == [first.name], "nothing is left beside it"


def test_content_and_name_reach_the_disk_before_it_counts(
    vault_folders: Escrow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file before it gets its name, every folder after: seen in the order of the calls."""
    calls: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def synced(handle: int) -> None:
        calls.append("sync " + os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    def renamed(self: Path, target: Path) -> Path:
        calls.append(f"name {target}")
        return rename(self, target)

    monkeypatch.setattr(store.os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    vault_folders.keep(entry())
    for folder in vault_folders.folders:
        path = folder / FILE
        mine = [call for call in calls if str(folder.parent) in call]
        named = mine.index(f"name {path}")
        assert any(call.startswith(f"sync {path.parent}/.") for call in mine[:named])
        assert {f"sync {path.parent}", f"sync {folder}", f"sync {folder.parent}"} <= set(mine[named:])


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("harm", ["absent", "torn", "flipped", "empty", "list"])
def test_a_harmed_copy_is_said_and_mended_from_the_other(vault_folders: Escrow, which: int, harm: str) -> None:
    vault_folders.keep(entry())
    path = vault_folders.folders[which] / FILE
    content = path.read_bytes()
    changed = {"torn": content[:40], "flipped": content.replace(b"c2Vh", b"c2Vi"), "empty": b"", "list": b"[1]"}
    path.unlink() if harm == "absent" else path.write_bytes(changed[harm])
    found = vault_folders.find("pc1", ID)
    assert found.entry == entry()
    assert not found.is_whole
    assert len(found.problems) == 1
    assert str(path) in found.problems[0]
    vault_folders.change("pc1", ID)
    assert vault_folders.find("pc1", ID).is_whole


def test_copies_that_differ_are_said(vault_folders: Escrow) -> None:
    vault_folders.keep(entry())
    (vault_folders.copy / FILE).write_bytes(entry(created="2020-01-01T00:00:00Z").encode())
    found = vault_folders.find("pc1", ID)
    assert found.entry == entry()
    assert "copies differ" in found.problems[0]


def test_an_entry_under_another_name_is_not_taken(vault_folders: Escrow) -> None:
    vault_folders.keep(entry())
    for folder in vault_folders.folders:
        (folder / FILE).rename(folder / "pc1" / (OTHER.strip("{}") + ".json"))
    assert vault_folders.find("pc1", OTHER).entry is None


def test_both_gone_is_not_in_escrow(vault_folders: Escrow) -> None:
    assert vault_folders.find("pc1", ID).entry is None
    with pytest.raises(EscrowError, match="not in escrow"):
        vault_folders.change("pc1", ID)


@pytest.mark.parametrize(
    ("host", "protector"), [("../x", ID), ("a/b", ID), ("", ID), (".", ID), ("pc1", "{..}"), ("pc1", ID.lower() + "/")]
)
def test_a_name_that_would_lie_elsewhere_is_refused(vault_folders: Escrow, host: str, protector: str) -> None:
    with pytest.raises(ValueError, match="no name of a key"):
        vault_folders.find(host, protector)
    with pytest.raises(ValueError, match="no name of a key"):
        vault_folders.keep(entry(protector, host=host))


def test_a_folder_that_cannot_be_written_is_named_and_the_key_does_not_count(vault_folders: Escrow) -> None:
    vault_folders.copy.parent.mkdir(parents=True)
    vault_folders.copy.write_text("a file where the folder should be")
    with pytest.raises(EscrowError, match=r"escrow cannot be written: .*second/keys"):
        vault_folders.keep(entry())
    assert not vault_folders.find("pc1", ID).is_whole


@pytest.mark.parametrize("copy", ["keys", "keys/copy", "."])
def test_two_folders_in_one_another_are_no_two_copies(tmp_path: Path, copy: str) -> None:
    assert "lie in one another" in Escrow(tmp_path / "keys", tmp_path / copy).problem()
    assert Escrow(tmp_path / "keys", tmp_path / "keys.copy").problem() == ""
