"""From folders to an index: every kind of file, who may see it, what is new and what is gone, and files that want to hurt."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from rag import readers
from rag.embedder import Embedder
from rag.ingest import JOBS
from rag.ranking import search
from rag.readers import KINDS
from rag.store import Vectors

from tests.rag import documents
from tests.rag.conftest import PACKAGE, found, ingest


def test_every_kind_is_read(folder: Path) -> None:
    kinds = documents.lay(folder / "tous")
    assert set(kinds.values()) >= {suffix[1:] for suffix in KINDS} - {"text", "log", "markdown", "tsv", "htm", "xhtml"}
    report, reader = ingest(folder)
    assert (report.problems, report.documents, report.unseen) == ({}, len(kinds), [])
    for name, kind in kinds.items():
        assert found(reader, f"numero {kind}")[0] == f"tous/{name}", kind
    assert found(reader, "caché") == []
    assert found(reader, "12 euros") == ["tous/page.docx"]


def test_a_second_run_reads_what_changed_and_drops_what_is_gone(folder: Path) -> None:
    for name in ("a", "b", "c"):
        (folder / f"{name}.txt").write_text(f"Le texte {name}{name}.")
    ingest(folder)
    (folder / "b.txt").write_text("Autre chose.")
    (folder / "c.txt").unlink()
    report, reader = ingest(folder)
    assert (report.documents, report.read, report.kept, report.gone) == (2, 1, 1, 1)
    assert found(reader, "texte aa") == ["a.txt"]
    assert found(reader, "texte bb cc") == ["a.txt"]
    assert found(reader, "autre chose") == ["b.txt"]


def test_groups_come_from_the_nearest_folder_and_change_without_a_new_reading(folder: Path) -> None:
    (folder / "rh/paie").mkdir(parents=True)
    (folder / "rh/.acl.yaml").write_text("groups: [rh, direction]")
    for name in ("a.txt", "rh/b.txt", "rh/paie/c.txt"):
        (folder / name).write_text("La prime.")
    _, reader = ingest(folder)
    assert {group: sorted(found(reader, "prime", group)) for group in ("tous", "rh", "direction")} == {
        "tous": ["a.txt"],
        "rh": ["rh/b.txt", "rh/paie/c.txt"],
        "direction": ["rh/b.txt", "rh/paie/c.txt"],
    }
    (folder / "rh/paie/.acl.yaml").write_text("groups: [direction]")
    report, reader = ingest(folder)
    assert (report.read, report.kept) == (0, 3)
    assert found(reader, "prime", "rh") == ["rh/b.txt"]


def test_without_a_group_nobody_sees_it_and_that_is_said(folder: Path) -> None:
    (folder / ".acl.yaml").unlink()
    (folder / "a.txt").write_text("La prime.")
    report, reader = ingest(folder)
    assert report.unseen == ["a.txt"]
    assert found(reader, "prime") == []


BOMB = "a"  # a list of lists of lists that are one and the same: a few lines, and more than any memory holds when it is told
for _level in range(12):
    BOMB = f"&l{_level} [{BOMB}, {', '.join([f'*l{_level - 1}'] * 8 if _level else 'bcd')}]"


@pytest.mark.parametrize(
    "text",
    [
        "groups: tous",
        "groups: [tous]\nusers: [x]",
        "groups: [tous]\n#" + "x" * 70_000,
        "[tous]",
        "groups: ['']",
        "groups: [1]",
        "{",
        "groups: ['a b']",
        "",
        "[" * 20_000,
        f"groups: [{BOMB}]",
        "groups: [rh]\ngroups: [tous]",
        'groups: ["\\e[2J"]',
    ],
)
def test_a_wrong_list_of_groups_closes_its_folder(folder: Path, text: str) -> None:
    (folder / "in").mkdir()
    (folder / "in/.acl.yaml").write_text(text)
    (folder / "in/a.txt").write_text("La prime.")
    report, reader = ingest(folder)
    assert report.problems["in/.acl.yaml"].startswith("nobody may see its folder: ")
    assert report.problems["in/.acl.yaml"].isprintable()
    assert (report.unseen, found(reader, "prime")) == (["in/a.txt"], [])


@pytest.mark.parametrize("name", [".acl.yml", ".ACL.yaml", ".acl.yaml.txt", "acl.yaml", ".acl", "acl.yml.txt"])
def test_a_list_of_groups_by_another_name_closes_its_folder_too(folder: Path, name: str) -> None:
    """The folder above is for everybody: what somebody wanted to close must not be open for a letter. Beside a right one it is nothing."""
    (folder / "in").mkdir()
    (folder / f"in/{name}").write_text("groups: [rh]")
    (folder / "in/a.txt").write_text("La prime.")
    report, reader = ingest(folder)
    assert report.problems == {f"in/{name}": "nobody may see its folder: the name of a list of groups is .acl.yaml"}
    assert (report.unseen, found(reader, "prime"), found(reader, "prime", "rh")) == (["in/a.txt"], [], [])
    (folder / "in/.acl.yaml").write_text("groups: [rh]")
    report, reader = ingest(folder)
    assert "nobody" not in report.problems.get(f"in/{name}", "")
    assert (found(reader, "prime"), found(reader, "prime", "rh")) == ([], ["in/a.txt"])


def test_what_is_no_document_is_told_and_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.txt").write_text("La prime.")
    (folder / "link.txt").symlink_to("/etc/passwd")
    (folder / "away").symlink_to("/etc")
    (folder / ".hidden.txt").write_text("x")
    (folder / "program.exe").write_bytes(b"MZ")
    (folder / "bell\a\x1b[2J.txt").write_text("x")
    os.mkfifo(folder / "pipe.txt")
    (folder / "shut").mkdir()
    (folder / "piped").mkdir()
    os.mkfifo(folder / "piped/.acl.yaml")  # nobody writes to it
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.txt")).write_text("x")
    scan = os.scandir
    monkeypatch.setattr("rag.folder.os.scandir", lambda path: scan(path if path.name != "shut" else path / "not"))
    report, _ = ingest(folder)
    assert report.problems == {
        "shut/": "a folder that cannot be read: FileNotFoundError",
        "piped/.acl.yaml": "nobody may see its folder: no file",
        "caf\ufffd.txt": "a name that is not UTF-8",
        "link.txt": "a link",
        "away": "a link",
        ".hidden.txt": "hidden",
        "program.exe": "a kind that is not read",
        "bell\\x07\\x1b[2J.txt": "a name with control characters",
        "pipe.txt": "no file",
    }
    assert report.documents == 1


def test_what_a_document_says_is_text_and_its_title_a_line(folder: Path) -> None:
    """No command to the terminal of who asks by hand, and no title that the gateway would not take."""
    (folder / "a.md").write_text(f"# Prime \x1b]0;x\x07 {'longue ' * 200}\n\nLa prime\x1b[2J est là.\x85\tFin.")
    _, reader = ingest(folder)
    *_, last = sorted((hit.passage for hit in search(reader, "prime", ["tous"], 5)), key=lambda passage: passage.id)
    assert last.title.startswith("Prime ]0;x longue longue ")
    assert len(last.title) == 300
    assert last.text.endswith("La prime[2J est là.\tFin.")


def test_no_more_is_read_at_once_than_the_job_has_processors_and_memory_for() -> None:
    """Whatever the host has: each file that is read at a time may take a gigabyte."""
    job = yaml.safe_load((PACKAGE.parent / "ingest.yaml").read_text())["services"]["ingest"]
    assert (JOBS, f"{JOBS}g") == (job["cpus"], job["mem_limit"])


@pytest.mark.lab
def test_files_that_want_to_hurt_are_left_out_by_name_and_the_rest_is_read(folder: Path) -> None:
    (folder / "a.txt").write_text("La prime.")
    documents.zip_bomb(folder / "bomb.docx")
    (folder / "encrypted.docx").write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 600)
    (folder / "encrypted.pdf").write_bytes(documents.encrypted_pdf())
    documents.encrypt_odt(folder / "encrypted.odt")
    (folder / "cut.pdf").write_bytes(documents.pdf("x")[:200])
    (folder / "cut.xlsx").write_bytes(b"PK\x03\x04broken")
    (folder / "empty.pdf").write_bytes(documents.pdf(" "))
    (folder / "many.pdf").write_bytes(documents.pdf("x", pages=readers.PAGES + 1))
    (folder / "binary.txt").write_bytes(b"\0\1\2" * 100)
    (folder / "deep.html").write_text("<div>" * 50_000 + "profond")
    report, reader = ingest(folder)
    assert report.problems == {
        "bomb.docx": "too large unpacked",
        "encrypted.docx": "encrypted",
        "encrypted.pdf": "encrypted",
        "encrypted.odt": "encrypted",
        "cut.pdf": "damaged",
        "cut.xlsx": "damaged",
        "empty.pdf": "no text in it",
        "many.pdf": "too many pages",
        "binary.txt": "not text",
    }
    assert found(reader, "prime") == ["a.txt"]


class Counting(Embedder):
    """A stand-in: the vectors of `asked` texts."""

    asked = 0

    def _asked(self, texts: Sequence[str], name: str) -> Vectors:
        self.asked += len(texts)
        return np.ones((len(texts), 4), np.float32)


def test_vectors_of_the_same_embedder_are_taken_over_if_texts_were_embedded_the_same_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.md").write_text("# Prime\n\nLa prime.")
    embedder = Counting("nowhere", "m")
    report, reader = ingest(folder, embedder=embedder)
    assert (report.read, reader.dimension, embedder.asked) == (1, 4, 3)  # one to know the length, title, piece
    assert ingest(folder, embedder=embedder)[0].kept == 1
    monkeypatch.setattr("rag.reader.MADE", "otherwise")
    report, reader = ingest(folder, embedder=embedder)
    assert (report.read, report.kept) == (1, 0)
    assert found(reader, "prime") == ["a.md"]


def test_a_failure_leaves_the_index_that_was_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a.txt").write_text("La prime.")
    ingest(folder)
    before = (folder.parent / "index.sqlite").read_bytes()
    (folder / "b.txt").write_text("Autre.")
    monkeypatch.setattr("rag.ingest._place", lambda fresh, target: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space left"):
        ingest(folder)
    assert (folder.parent / "index.sqlite").read_bytes() == before
    assert sorted(os.listdir(folder.parent)) == ["documents", "index.sqlite"]
