"""`citadelle rag ingest` over a real SSH connection: the genuine job on the other side, and how far it is, here."""

from __future__ import annotations

import io
import shlex
import sys
from pathlib import Path

import pytest
from rich.progress import Progress

from citadelle.cli import rag
from citadelle.cli.progress import counter
from tests.cli.conftest import Command
from tests.conftest import ROOT

FILES = 30


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Documents of the host; a stand-in of its `stack` starts the job without a container."""
    made, script = tmp_path / "documents", tmp_path / "stack"
    made.mkdir()
    (made / ".acl.yaml").write_text("groups: [all]")
    for number in range(FILES):
        (made / f"{number}.md").write_text(f"# Page {number}\n\nUn texte.")
    (made / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    job = [sys.executable, "-m", "rag.command", "ingest", "--json", "--index", str(tmp_path / "index.sqlite")]
    script.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT / "compose/rag"} exec {shlex.join(job)} "$2"\n')
    script.chmod(0o755)
    monkeypatch.setattr(rag, "STACK", str(script))
    return made


def test_how_far_the_job_is_reaches_the_operator(command: Command, inventory: str, folder: Path) -> None:
    said = command("rag", "ingest", str(folder), "--inventory", inventory)
    lines = said.err.splitlines()
    assert lines[0].startswith(f"pc: 1/{FILES + 1} files, ")
    assert lines[-1] == f"pc: {FILES + 1}/{FILES + 1} files, 0 s left"
    assert said.out.splitlines() == [
        "pc: broken.pdf: left out: damaged",
        f"pc: {FILES} documents, {FILES} passages: {FILES} read, 0 as they were, 0 gone",
    ]
    assert said.code == 1


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_on_a_terminal_and_a_line_for_each_tenth_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[float, float | None]] = []
    update = Progress.update
    monkeypatch.setattr(
        Progress,
        "update",
        lambda bar, task, **to: (seen.append((to["completed"], to["total"])), update(bar, task, **to))[1],
    )
    said = [f"{done}/40 files, {40 - done} s left" for done in range(1, 41)]
    for stream in (terminal := Terminal(), plain := io.StringIO()):
        with counter("pc", stream) as heard:
            for line in ["something else 3/4 files", *said]:
                heard(line)
    assert seen == [(done, 40) for done in range(1, 41)]
    assert "40/40" in terminal.getvalue()
    assert "0:00:0" in terminal.getvalue()
    assert plain.getvalue().splitlines() == [f"pc: {said[done - 1]}" for done in (1, *range(4, 41, 4))]
