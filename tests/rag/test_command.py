"""`python -m rag.command`, each of its commands: what it prints for people and for programs, and its exit code."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rag.command import main

from tests.rag.test_evaluate import Double, double, files  # noqa: F401  fixtures

Said = pytest.CaptureFixture[str]


@pytest.fixture
def index(folder: Path, capsys: Said) -> list[str]:
    """The option that names an index of two documents, one of them for the board."""
    (folder / "garage.md").write_text("# Garage\n\nLe badge ouvre le garage.")
    (folder / "board").mkdir()
    (folder / "board/.acl.yaml").write_text("groups: [board]")
    (folder / "board/bonus.txt").write_text("Le badge des primes.")
    assert main(["ingest", str(folder), "--index", str(folder.parent / "index.sqlite")]) == 0
    capsys.readouterr()
    return ["--index", str(folder.parent / "index.sqlite")]


def test_what_was_read_and_what_was_left_out_is_told(folder: Path, capsys: Said) -> None:
    target = ["--index", str(folder.parent / "index.sqlite")]
    (folder / "a.md").write_text("# A\n\nUn texte.")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    (folder / "draft").mkdir()
    (folder / "draft/.acl.yaml").write_text("groups: []")
    (folder / "draft/b.md").write_text("Brouillon.")
    assert main(["ingest", str(folder), *target]) == 1
    said = capsys.readouterr()
    *lines, last = said.out.splitlines()
    assert lines == ["broken.pdf: left out: damaged", "draft/b.md: nobody may see it: no group in .acl.yaml"]
    assert last.startswith("2 documents, 2 passages: 2 read, 0 as they were, 0 gone, in ")
    assert said.err.splitlines()[-1] == "3/3 files, 0 s left"
    assert main(["ingest", str(folder), *target, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["kept"], report["problems"]) == (2, {"broken.pdf": "damaged"})


def test_a_question_by_hand_is_one_of_its_groups(
    index: list[str], capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["query", "badge", "--groups", "tous", *index]) == 0
    assert capsys.readouterr().out == "[p2] Garage (garage.md, page 1)\n# Garage\n\nLe badge ouvre le garage.\n\n"
    assert main(["query", "badge", "--groups", "tous,board", "--json", *index]) == 0
    assert {one["path"] for one in json.loads(capsys.readouterr().out)} == {"garage.md", "board/bonus.txt"}
    monkeypatch.setattr("sys.stdin", io.StringIO("badge\n"))
    assert main(["query", "-", "--groups", "board", "--limit", "1", *index]) == 0
    assert capsys.readouterr().out.startswith("[p1] bonus (board/bonus.txt, page 1)\n")
    for nobody in ("", "other"):
        assert main(["query", "badge", "--groups", nobody, *index]) == 1
    assert capsys.readouterr().out == ""


def test_the_state_of_an_index_is_told(index: list[str], capsys: Said, tmp_path: Path) -> None:
    assert main(["status", *index]) == 0
    assert capsys.readouterr().out == "documents: 2\npassages: 2\nembedder: \ndimension: 0\n"
    assert main(["status", "--json", "--index", str(tmp_path / "none.sqlite")]) == 1
    assert json.loads(capsys.readouterr().out) == {"documents": 0, "passages": 0, "embedder": "", "dimension": 0}


def test_how_good_it_is_is_told(files: Any, capsys: Said) -> None:  # noqa: F811
    asked = ["eval", *map(str, files)]
    assert main(asked) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["words", "stems", "fused"]
    assert "hit@1 0.500  hit@5 0.750  hit@10 0.750  MRR 0.625" in lines[2]
    assert main([*asked, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"][2]["mrr"] == 0.625


def test_vectors_of_another_model_than_the_index_has_are_not_used(
    folder: Path,
    capsys: Said,
    double: tuple[str, type[Double]],  # noqa: F811
) -> None:
    (folder / "a.md").write_text("# Garage\n\nLe badge ouvre le garage.")
    (folder / "b.md").write_text("# Cantine\n\nLe menu change.")
    target = ["--index", str(folder.parent / "index.sqlite"), "--embedder", double[0], "--model", "m"]
    assert main(["ingest", str(folder), *target, "--digest", "sha256:1"]) == 0
    assert main(["status", *target[:2]]) == 0
    assert "embedder: m@sha256:1\ndimension: 12" in capsys.readouterr().out
    for digest, count in (("sha256:1", 2), ("sha256:2", 1)):  # by nearness both, by its words one
        assert main(["query", "badge", "--groups", "tous", "--json", *target, "--digest", digest]) == 0
        assert len(json.loads(capsys.readouterr().out)) == count


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (["ingest", "/nowhere"], "rag: no folder: /nowhere"),
        (["query", "x", "--groups", "A B"], "groups"),
        (["query", "", "--groups", "tous"], "query"),
        (["query", "x", "--embedder", "/nowhere.sock"], "rag: /nowhere.sock: no answer: FileNotFoundError"),
        (["eval", "/nowhere", "/nowhere", "/nowhere"], "No such file"),
    ],
)
def test_wrong_use_is_said(tmp_path: Path, capsys: Said, wrong: list[str], what: str) -> None:
    more = [] if wrong[0] == "eval" else ["--index", str(tmp_path / "index.sqlite")]
    assert main([*wrong, *more]) == 2
    assert what in capsys.readouterr().err


def test_a_file_that_is_no_index_is_said(tmp_path: Path, capsys: Said) -> None:
    (tmp_path / "index.sqlite").write_bytes(b"x" * 5000)
    for words in (["status"], ["query", "x", "--groups", "tous"]):
        assert main([*words, "--index", str(tmp_path / "index.sqlite")]) == 2
        assert "no index" in capsys.readouterr().err
