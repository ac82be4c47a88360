"""The look at a Linux host, and what sets its controls, run by the genuine sh here; nothing outside of the tests' folders changes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from citadelle.facts.hardening import LOOK, LinuxHardening
from citadelle.hardening import linux
from citadelle.operations.hardening import LINUX_APPLY
from tests.hardening.linux_states import TABLE, verdicts

PATH = "PATH=/usr/local/sbin:"


def sh(program: str) -> subprocess.CompletedProcess[str]:
    """Run by /bin/sh as a host does: a file, no terminal."""
    return subprocess.run(["/bin/sh"], input=program, capture_output=True, text=True, timeout=60, check=False)


def look(names: dict[str, list[str]], stubs: Path | None = None) -> dict[str, object]:
    """The document of a look; `stubs`: a folder of programs that come before the genuine ones."""
    program = LinuxHardening().command(names).get_raw_value()
    assert PATH in program
    done = sh(program.replace(PATH, f"PATH={stubs}:/usr/local/sbin:") if stubs else program)
    assert (done.returncode, done.stderr) == (0, "")
    return linux.raw(done.stdout.splitlines())


def stub(folder: Path, name: str, text: str) -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


def test_every_name_is_answered_or_its_section_says_why() -> None:
    document = look(TABLE.names)
    state = linux.parse(document)
    assert {name: why for name, why in state.errors.items() if "not as expected" in why} == {}
    for kind in ("sysctl", "file", "setting", "pam", "mount", "firewall"):
        assert set(state.sections[kind]) >= set(TABLE.names[kind]), kind
    found = verdicts(state)
    assert len(found) == len(TABLE.controls)
    assert all(verdict.why for verdict in found.values() if verdict.status in ("unknown", "not applicable"))


def test_a_program_that_fails_is_told_with_its_words_and_spoils_nothing_else(tmp_path: Path) -> None:
    for name in ("systemctl", "ss", "apt-config", "nft", "dpkg-query"):
        stub(tmp_path, name, 'echo "first line" >&2; echo "no such bus" >&2; exit 4')
    state = linux.parse(look(TABLE.names, tmp_path))
    assert {name: state.errors[name] for name in ("unit", "listeners", "apt")} == dict.fromkeys(
        ("unit", "listeners", "apt"), "exit code 4: no such bus"
    )
    assert state.sections["firewall"]["containers"] == "open"
    assert set(state.sections["file"]) >= set(TABLE.names["file"])


def test_what_is_asked_is_read_as_it_stands(tmp_path: Path) -> None:
    conf = tmp_path / "some.conf"
    conf.write_text('# deny = 9\n deny=3\ndeny = 5  # five\neven_deny_root\nUMASK\t\t027\nName "a b"\n')
    (tmp_path / "some.conf.d").mkdir()
    (tmp_path / "some.conf.d/x.conf").write_text("early = 1\ndeny = 7\n")
    names = [f"{conf}!{key}" for key in ("deny", "even_deny_root", "UMASK", "Name", "early", "absent")]
    (tmp_path / "a.key").write_text("")
    (tmp_path / "a.key").chmod(0o600)
    (tmp_path / "b.key").write_text("")
    (tmp_path / "b.key").chmod(0o644)
    files = [f"{tmp_path}/*.key", f"{tmp_path}/none"]
    sections = look({"setting": names, "file": files})["sections"]
    assert isinstance(sections, dict)
    assert list(sections["setting"].values()) == ["5", "yes", "027", "a b", "1", None]
    first, second = sections["file"].values()
    assert first.startswith("0600 ")
    assert " and 0644 " in first
    assert second == "absent"


def test_units_are_told_with_their_sockets(tmp_path: Path) -> None:
    stub(
        tmp_path,
        "systemctl",
        r"""shift 3; printf '%s\n' "$*" >&2
printf 'LoadState=loaded\nUnitFileState=disabled\nActiveState=inactive\n\n'
printf 'LoadState=loaded\nUnitFileState=enabled\nActiveState=active\n\n'
printf 'LoadState=not-found\nUnitFileState=\nActiveState=inactive\n\n'
printf 'LoadState=masked\nUnitFileState=masked\nActiveState=inactive\n\n'
printf 'LoadState=loaded\nUnitFileState=enabled\nActiveState=active\n'""",
    )
    sections = look({"unit": ["cups", "none", "apt-daily.timer"]}, tmp_path)["sections"]
    assert isinstance(sections, dict)
    assert sections["unit"] == {"cups": "enabled running", "none": "masked", "apt-daily.timer": "enabled running"}


@pytest.fixture
def program(tmp_path: Path) -> str:
    """The functions, with the host's own files in a folder of the test, and what would be taken up left out."""
    moved = "\n".join(f"{name}={tmp_path}/{name.lower()}" for name in ("SYSCTL", "SSHD", "APT", "MODULES", "WATCHES"))
    return f"{LOOK}\n{LINUX_APPLY}\n{moved}\nafter_setting() {{ :; }}\n"


def test_a_line_is_replaced_and_the_others_stay(program: str, tmp_path: Path) -> None:
    file = tmp_path / "login.defs"
    file.write_text("# UMASK 077\nUMASK 022\nOTHER yes\nUMASK 000\n")
    file.chmod(0o640)
    done = sh(f"{program}replace {file} UMASK 'UMASK 0\\n27'")
    assert (done.returncode, done.stderr) == (0, "")
    assert file.read_text() == "# UMASK 077\nOTHER yes\nUMASK 0\\n27\n"
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["login.defs"]


def test_what_cannot_be_set_is_named_and_the_others_are_set(program: str, tmp_path: Path) -> None:
    file, closed = tmp_path / "x.conf", tmp_path / "open"
    closed.write_text("")
    settings = f"""LIN-TST-01 sysctl no.such_key 1 LIN-TST-02 setting {file}!minlen 14
        LIN-TST-03 file {closed} '0600 root:nobody-at-all' LIN-TST-04 setting {file}!enforce_for_root yes"""
    done = sh(f"{program}apply srv1 {' '.join(settings.split())}")
    assert done.returncode == 1
    told = done.stderr.splitlines()
    assert [line.partition(": ")[0] for line in told] == ["srv1", "srv1", "hint"]
    assert told[0].startswith("srv1: this host does not keep a setting: LIN-TST-01: ")
    assert told[1].startswith("srv1: this host does not keep a setting: LIN-TST-03: chown: ")
    assert file.read_text() == "minlen = 14\nenforce_for_root\n"


def test_a_setting_that_is_taken_without_a_word_and_not_kept_is_named(program: str, tmp_path: Path) -> None:
    done = sh(f"{program}set_setting() {{ :; }}\napply srv1 LIN-TST-01 setting {tmp_path}/x.conf!minlen 14")
    assert done.returncode == 1
    assert "srv1: this host does not keep a setting: LIN-TST-01: is absent after it was set to 14\n" in done.stderr


def test_a_configuration_that_sshd_refuses_is_taken_back(program: str, tmp_path: Path) -> None:
    stub(tmp_path, "sshd", '[ "$1" = -T ] && { echo "permitrootlogin yes"; exit 0; }; echo "Bad option" >&2; exit 255')
    stub(tmp_path, "systemctl", 'echo "systemctl $*" >&2; exit 1')
    conf = tmp_path / "conf"
    conf.write_text("permitrootlogin yes\n")
    text = program.replace(PATH, f"PATH={tmp_path}:/usr/local/sbin:") + f"SSHD={conf}\n"
    done = sh(f"{text}apply srv1 LIN-SSH-01 sshd permitrootlogin no")
    assert done.returncode == 1
    assert (
        "srv1: this host does not keep a setting: sshd: it refuses its configuration, which is as it was: Bad option"
        in done.stderr
    )
    assert "LIN-SSH-01: is yes after it was set to no" in done.stderr
    assert conf.read_text() == "permitrootlogin yes\n"
