"""What can cut the line to a Linux host is set apart, behind the timed rollback; everything else is not."""

from __future__ import annotations

import shlex
from pathlib import Path

import yaml

from citadelle.operations.hardening import SAVE, UNDO
from tests.hardening.linux_states import TABLE
from tests.operations.cases import run

IDS = ("LIN-SSH-01", "LIN-FWL-01", "LIN-FWL-05", "LIN-NET-01")


def case(folder: Path) -> Path:
    """A host on which one of each is wrong."""
    rows = [control.model_dump(mode="json", exclude_unset=True) for control in TABLE.controls if control.id in IDS]
    for row in rows:
        row.pop("when", None)
    sections = {"sshd": {"permitrootlogin": "yes"}, "firewall": {"containers": "open"}, "unit": {"citadelle-firewall": "absent"},
                "sysctl": {"net.ipv4.conf.all.accept_redirects": 1}}  # fmt: skip
    wrong = {"control": "LIN-NET-01", "kind": "sysctl", "target": "net.ipv4.conf.all.accept_redirects", "value": 0}
    arguments = {
        "table": {"controls": rows},
        "waivers": [],
        "changes": [wrong],
        "seen": True,
        "placed": [],
        "after": "",
        "seconds": 77,
    }
    file = folder / "hardening.controls" / "line.yaml"
    file.parent.mkdir()
    file.write_text(
        yaml.safe_dump({"args": arguments, "facts": {"LinuxHardening": {"sections": sections, "raw": {"format": 1}}}})
    )
    return file


def test_the_line_is_set_apart_behind_a_rollback(tmp_path: Path) -> None:
    (safe, arm, confirm), noop = run(case(tmp_path), tmp_path)
    assert noop is None
    assert shlex.split(safe.rpartition("\napply ")[2]) == [
        "@linux/srv1", "LIN-NET-01", "sysctl", "net.ipv4.conf.all.accept_redirects", "0",
    ]  # fmt: skip
    assert confirm["seconds"] == 77
    shell, option, program = shlex.split(arm["attempt"])
    assert (shell, option) == ("sh", "-c")
    given = {
        name: value for name, _, value in (word.partition("=") for word in shlex.split(program, comments=True)[:6])
    }
    assert (given["undo"], given["save"], given["check"]) == (UNDO, SAVE, ":")
    words = shlex.split(given["change"].rpartition("\napply ")[2])
    assert [words[at] for at in range(1, len(words), 4)] == ["LIN-SSH-01", "LIN-FWL-01", "LIN-FWL-05"]
    assert given["change"].startswith("set +eu\n")
