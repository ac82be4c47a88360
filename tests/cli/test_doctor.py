"""Programs of the doctor, by what the host's own shell makes of them."""

from __future__ import annotations

import subprocess

import pytest

from citadelle.cli.doctor import PROGRAMS, UNSEEN

LISTED = "LISTEN 0 128 127.0.0.1:{} 0.0.0.0:*"


def judged(identity: str, before: str) -> tuple[str, bool]:
    """Output and judgement of a program in a shell that `before` has prepared."""
    [program] = [program for program in PROGRAMS if program.id == identity]
    done = subprocess.run(
        ["sh", "-c", f"{before}\n{{ {program.command}; }} 2>&1"], capture_output=True, text=True, check=False
    )
    text = done.stdout.strip()
    return text, program.right(text)


def test_ids_are_unique() -> None:
    assert len({program.id for program in PROGRAMS}) == len(PROGRAMS)


@pytest.mark.parametrize("port", [22, 8080, 114340, 52375])
def test_other_listeners_are_right(port: int) -> None:
    assert judged("H050", f"ss() {{ echo '{LISTED.format(port)}'; }}") == (UNSEEN, True)


@pytest.mark.parametrize("port", [11434, 2375, 2376])
def test_an_engine_or_a_daemon_that_listens_is_found(port: int) -> None:
    assert judged("H050", f"ss() {{ echo '{LISTED.format(port)}'; }}") == (f"127.0.0.1:{port}", False)


@pytest.mark.parametrize("identity", [program.id for program in PROGRAMS])
def test_a_check_that_cannot_run_is_a_finding(identity: str) -> None:
    text, right = judged(identity, "PATH=/nonexistent")
    assert not right
    assert "not found" in text


@pytest.mark.parametrize(
    ("said", "text", "right"),
    [
        ('{"ok": true, "seal": "sealed: read once", "seconds": 1}', "sealed: read once", True),
        (
            '{"seal": "read at every start: open for writing: blobs/x"}',
            "read at every start: open for writing: blobs/x",
            True,
        ),
        ('{"ok": false, "findings": []}', '{"ok": false, "findings": []}', False),
    ],
)
def test_how_model_files_are_sealed_is_told(said: str, text: str, right: bool) -> None:
    assert judged("H025", f"python3() {{ echo '{said}'; }}") == (text, right)


@pytest.mark.parametrize(("full", "right"), [("  7%", True), (" 89%", True), (" 90%", False), ("100%", False)])
def test_a_disk_that_fills_up(full: str, right: bool) -> None:
    text, judgement = judged("H060", f"df() {{ printf 'Use%%%%\\n{full.replace('%', '%%')}\\n'; }}")
    assert text == f"{full.strip('% ')} % of the disk of /var/lib is full"
    assert judgement is right
