"""policies/linux.yaml: what it must hold, and what the role must never set by it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from citadelle.hardening.table import Table, TableError
from citadelle.hardening.waivers import load_waivers
from tests.conftest import ROOT
from tests.hardening.linux_states import TABLE

# Debian Linux 12 1.1.0, Docker 1.6.0 and BP-028 2.0: which numbers they have at all.
SOURCES = re.compile(
    r"CIS [1-7](\.\d+){1,4}|CIS Docker [1-5](\.\d+){1,2}|ANSSI R([1-9]|[1-7]\d|80)|ANSSI, guide on OpenSSH R\d+|Bundle(, .+)?"
)
# Docker benchmark: what a host can be asked for, section by section, as far as it concerns a host without Swarm and registries of its own.
DOCKER = {
    "1": {"1.1.2", *(f"1.1.{number}" for number in (3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 17, 18)), "1.2.2"},
    "2": {f"2.{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16, 17, 18)},
    "3": {f"3.{number}" for number in (1, 2, 3, 4, 5, 6, 15, 16, 17, 18, 19, 20, 23, 24)},
    "5": {
        f"5.{number}"
        for number in (1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21, 22, 26, 27, 29, 30, 31, 32)
    },
}


def test_the_table_is_whole() -> None:
    groups = Counter(control.id[4:7] for control in TABLE.controls)
    assert set(groups) >= {"SSH", "FWL", "NET", "KRN", "AUD", "UPD", "PWD", "SVC", "FIL", "DKR", "CTR"}
    assert sum(groups.values()) >= 60
    assert all(control.id.startswith("LIN-") and control.title.en != control.title.fr for control in TABLE.controls)
    titles = [control.title.en for control in TABLE.controls]
    assert len(set(titles)) == len(titles)


def test_every_source_is_a_number_of_its_guide() -> None:
    wrong = {source for control in TABLE.controls for source in control.source if not SOURCES.fullmatch(source)}
    assert wrong == set()


def test_the_items_of_the_docker_benchmark_that_concern_a_host_are_judged() -> None:
    judged = {source.removeprefix("CIS Docker ") for control in TABLE.controls for source in control.source}
    assert {section: numbers - judged for section, numbers in DOCKER.items() if numbers - judged} == {}


def test_what_stands_against_the_mission_is_waived_with_its_reason_and_never_set() -> None:
    waived = {control.judge.target: control for control in TABLE.controls if control.waived}
    assert set(waived) == {
        "disableforwarding", "net.ipv4.ip_forward", "net.ipv4.conf.all.log_martians", "net.ipv4.conf.default.log_martians",
        "net.ipv6.conf.all.accept_ra", "docker.Security",
    }  # fmt: skip
    assert all(control.apply is None for control in TABLE.controls if control.waived)


def test_nothing_is_set_that_the_stack_or_the_line_stands_on() -> None:
    applied = {
        control.judge.kind + " " + control.judge.target: control.apply
        for control in TABLE.controls
        if control.apply is not None
    }
    units = {name for name in applied if name.startswith("unit ") and applied[name] == "masked"}
    needed = {
        "ssh",
        "sshd",
        "docker",
        "containerd",
        "systemd-networkd",
        "systemd-resolved",
        "NetworkManager",
        "networking",
        "cron",
        "dbus",
    }
    assert not units & {f"unit {name}" for name in needed}
    assert applied["sshd pubkeyauthentication"] == "yes"
    assert applied["sshd allowtcpforwarding"] == "local", "clients reach the gateway through SSH"
    assert not [name for name in applied if name.startswith(("sshd allow", "sshd deny")) and name != "sshd allowtcpforwarding"
                and applied[name] != "no"]  # fmt: skip


def test_a_plain_linux_control_is_not_asked_of_a_wsl_distribution() -> None:
    for control in TABLE.controls:
        if control.judge.kind == "sshd" or control.judge.kind == "pam":
            assert any("WSL" in condition.because for condition in control.when), control.id


def test_the_waivers_of_the_repository() -> None:
    assert load_waivers(ROOT / "policies/waivers.yaml", TABLE, "linux") == []


@pytest.mark.parametrize(
    ("judge", "apply", "told"),
    [
        ({"registry": "HKLM:\\X!Y"}, 1, "its host has no such place: registry"),
        ({"mount": "/tmp"}, 1, "cannot be applied: mount"),
        ({"unit": "cups"}, 1, "a unit can only be masked or enabled running: 1"),
        ({"package": "telnet"}, 1, "a package can only be installed: 1"),
        ({"sysctl": "net; reboot"}, 1, "controls.0.judge.sysctl"),
        ({"file": "/etc/$(reboot)"}, 1, "controls.0.judge.file"),
        ({"sshd": "port", "pam": "nullok"}, 1, "exactly one place of a value is needed"),
    ],
)
def test_a_wrong_control_is_refused_by_name(tmp_path: Path, judge: dict[str, str], apply: int, told: str) -> None:
    row = {"id": "LIN-TST-01", "title": {"en": "It is right", "fr": "C’est juste"}, "source": ["CIS 1.1"], "severity": "low",
           "judge": judge, "wanted": {"equals": 1}, "apply": apply}  # fmt: skip
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump({"controls": [row]}, allow_unicode=True))
    with pytest.raises(TableError) as error:
        Table.load(path)
    assert told in str(error.value)
