"""The process that reads documents: bounded, ended by a bad one at most, and told when it does not start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rag.command import main
from rag.worker import Worker

from tests.rag.conftest import PACKAGE, found, ingest


def test_a_file_that_hangs_or_eats_memory_costs_itself_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a reader that does both, since the libraries' own holes are closed: the process is ended, and another one goes on."""
    module = tmp_path / "site/sitecustomize.py"
    module.parent.mkdir()
    module.write_text(
        "import rag.readers.plain as plain, rag.readers.markdown as markdown, time\n"
        "markdown.read = lambda path: time.sleep(600)\n"
        "import os, signal\n"
        "dies = {'p.txt': lambda: (os.write(1, b'{\"title\": \"'), os.kill(os.getpid(), signal.SIGKILL)),\n"
        "        'm.txt': lambda: bytearray(1 << 40), 'k.txt': lambda: os.kill(os.getpid(), signal.SIGKILL),\n"
        "        's.txt': lambda: os.kill(os.getpid(), signal.SIGSEGV), 'e.txt': lambda: os._exit(3)}\n"
        "plain.read = lambda path, read=plain.read: dies.get(path.name, lambda: read(path))()\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{module.parent}{os.pathsep}{PACKAGE}")
    for name in ("a.txt", "e.txt", "hang.md", "k.txt", "m.txt", "p.txt", "s.txt", "z.txt"):
        (folder / name).write_text("La prime.")
    report, reader = ingest(folder, jobs=1, seconds=2.0)
    assert report.problems == {
        "hang.md": "takes longer than 2 s", "m.txt": "takes too much memory", "e.txt": "its reader ended: exit status 3",
        "k.txt": "its reader ended: signal SIGKILL, as when the host's memory is short",
        "s.txt": "its reader ended: signal SIGSEGV",
        "p.txt": "its reader ended: signal SIGKILL, as when the host's memory is short",
    }  # fmt: skip
    assert sorted(found(reader, "prime")) == ["a.txt", "z.txt"]


def test_a_reader_that_does_not_start_is_no_fault_of_the_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The job ends, says so, and the index that was there stays."""
    (folder / "a.txt").write_text("La prime.")
    ingest(folder)
    before = (folder.parent / "index.sqlite").read_bytes()
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\nos._exit(7) if 'rag.worker' in sys.orig_argv else None\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{PACKAGE}")
    (folder / "b.txt").write_text("Autre.")
    assert main(["ingest", str(folder), "--index", str(folder.parent / "index.sqlite")]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("rag: what reads documents does not start: exit status 7: ")
    assert (folder.parent / "index.sqlite").read_bytes() == before


def test_the_process_that_reads_is_bounded_in_memory(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    worker = Worker()
    worker.read(tmp_path / "a.txt")
    limits = Path(f"/proc/{worker._process.pid}/limits").read_text()  # type: ignore[union-attr]
    worker.close()
    assert "Max address space         1073741824           1073741824" in limits
    assert "Max core file size        0                    0" in limits
