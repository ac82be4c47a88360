"""A Linux host judged: what its script answers, and that any state comes to rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citadelle.hardening import linux
from citadelle.hardening.state import State, StateError
from citadelle.operations.hardening import changes
from tests.hardening.linux_states import PLATFORM, TABLE, answered, as_set, by_target, one, parsed, verdicts

CONTAINER = {
    "Name": "/citadelle-rag-1", "User": "10003:10003", "Health": {"Test": ["CMD"]}, "Mounts": [], "Profile": "docker-default",
    "Host": {"Privileged": False, "NetworkMode": "none", "PidMode": "", "IpcMode": "private", "UTSMode": "", "UsernsMode": "",
             "ReadonlyRootfs": True, "Memory": 268435456, "CpuShares": 256, "PidsLimit": 32, "PublishAllPorts": False, "CapAdd": None,
             "CapDrop": ["ALL"], "Devices": [], "SecurityOpt": ["no-new-privileges:true"], "PortBindings": {},
             "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5}},
}  # fmt: skip


def published(address: str, port: str) -> dict[str, Any]:
    """A container's configuration with one published port."""
    return {"PortBindings": {"80/tcp": [{"HostIp": address, "HostPort": port}]}}


def statuses(state: State, group: str) -> dict[str, str]:
    return {name: verdict.status for name, verdict in verdicts(state).items() if name[4:7] == group}


def test_what_the_role_sets_is_right_by_its_own_table() -> None:
    found = verdicts(parsed(**as_set()))
    assert {
        name for name, verdict in found.items() if one(name).apply is not None and verdict.status != "pass"
    } == set()


def test_lines_of_the_script_become_values() -> None:
    state = answered(
        "sysctl\tkernel.sysrq\t438", "sysctl\tfs.suid_dumpable\t0 now, 2 after a start", "sshd\tport\t22", "sshd\tport\t2222",
        "setting\t/etc/login.defs!UMASK\t027", "setting\t/etc/security/faillock.conf!deny", "listeners\t",
        "listeners\t[::1]:631", "listeners\t127.0.0.53%lo:53", "error\tunit\texit code 1: no systemd",
    )  # fmt: skip
    assert state.sections["sysctl"] == {"kernel.sysrq": 438, "fs.suid_dumpable": "0 now, 2 after a start"}
    assert state.sections["sshd"]["port"] == "22 and 2222"
    assert state.sections["setting"]["/etc/login.defs!UMASK"] == "027"
    assert state.sections["listeners"] == [{"Address": "::1", "Port": 631}, {"Address": "127.0.0.53", "Port": 53}]
    found = verdicts(state)
    assert found[by_target("fs.suid_dumpable")].found == "0 now, 2 after a start"
    assert found[by_target("/etc/security/faillock.conf!deny")].found == "absent, which means 3"
    unit = found[by_target("cups")]
    assert (unit.status, unit.why) == ("unknown", "unit: exit code 1: no systemd")


def test_one_section_that_is_broken_spoils_no_other() -> None:
    state = answered("json\tdocker\tnonsense", "containers\t{", "listeners\tx", "sysctl\tkernel.sysrq\t0")
    assert set(state.errors) == {"docker", "containers", "listeners"}
    found = verdicts(state)
    assert len(found) == len(TABLE.controls)
    assert found[by_target("kernel.sysrq")].status == "pass"
    assert set(statuses(state, "CTR").values()) == {"unknown"}


def test_a_wsl_distribution_is_not_asked_for_what_windows_keeps() -> None:
    state = parsed(platform=PLATFORM | {"kind": "wsl", "apparmor": "N", "audit": "no"}, **as_set())
    assert set(statuses(state, "SSH").values()) == set(statuses(state, "PWD").values()) == {"not applicable"}
    assert set(statuses(state, "AUD").values()) == {"not applicable"}
    assert "WSL distribution" in verdicts(state)["LIN-SSH-01"].why


def test_a_container_is_not_asked_for_its_hosts_kernel() -> None:
    state = parsed(platform=PLATFORM | {"kind": "container", "kernel": "no", "audit": "no"}, **as_set())
    kernel = statuses(state, "KRN")
    assert {name for name, status in kernel.items() if status == "pass"} == {
        by_target("/etc/systemd/coredump.conf!Storage")
    }
    assert set(statuses(state, "MOD").values()) == {"not applicable"}
    assert verdicts(state)["LIN-MOD-01"].why == "it is a container: its kernel belongs to its host"
    assert set(statuses(state, "NET").values()) <= {"pass", "unknown"}


def test_the_login_of_root_is_told_and_left_where_there_is_no_other() -> None:
    wrong = {"sshd": as_set()["sshd"] | {"permitrootlogin": "yes"}}
    for login, planned in (("operator", ["LIN-SSH-01"]), ("root", [])):
        state = parsed(**as_set() | wrong, platform=PLATFORM | {"login": login})
        found = verdicts(state)
        assert found["LIN-SSH-01"].status == "fail"
        assert [change.control for change in changes(list(found.values()), state)] == planned


@pytest.mark.parametrize(
    ("change", "source"),
    [
        ({"User": ""}, "4.1"), ({"User": "0:10"}, "4.1"), ({"Profile": "unconfined"}, "5.2"), ({"Profile": ""}, "5.2"),
        ({"Host": {"CapAdd": ["NET_ADMIN"]}}, "5.4"), ({"Host": {"CapDrop": []}}, "5.4"), ({"Host": {"Privileged": True}}, "5.5"),
        ({"Mounts": [{"Source": "/etc", "RW": True}]}, "5.6"), ({"Host": published("127.0.0.1", "80")}, "5.8"),
        ({"Host": {"PublishAllPorts": True}}, "5.9"), ({"Host": {"NetworkMode": "host"}}, "5.10"), ({"Host": {"Memory": 0}}, "5.11"),
        ({"Host": {"CpuShares": 0}}, "5.12"), ({"Host": {"ReadonlyRootfs": False}}, "5.13"),
        ({"Host": published("", "8080")}, "5.14"),
        ({"Host": {"RestartPolicy": {"Name": "always"}}}, "5.15"), ({"Host": {"PidMode": "host"}}, "5.16"),
        ({"Host": {"IpcMode": "host"}}, "5.17"), ({"Host": {"Devices": [{"PathOnHost": "/dev/sda"}]}}, "5.18"),
        ({"Mounts": [{"Source": "/srv", "Propagation": "shared"}]}, "5.20"), ({"Host": {"UTSMode": "host"}}, "5.21"),
        ({"Host": {"SecurityOpt": ["no-new-privileges:true", "seccomp=unconfined"]}}, "5.22"), ({"Host": {"SecurityOpt": None}}, "5.26"),
        ({"Health": None}, "5.27"), ({"Host": {"PidsLimit": None}}, "5.29"), ({"Host": {"NetworkMode": "bridge"}}, "5.30"),
        ({"Host": {"UsernsMode": "host"}}, "5.31"), ({"Mounts": [{"Source": "/var/run/docker.sock", "RW": False}]}, "5.32"),
    ],
)  # fmt: skip
def test_a_container_that_breaks_one_rule_fails_that_one(change: dict[str, Any], source: str) -> None:
    right = parsed(containers=[json.dumps(CONTAINER)])
    assert set(statuses(right, "CTR").values()) == {"pass"}
    wrong = {**CONTAINER, **change, "Host": {**CONTAINER["Host"], **change.get("Host", {})}}  # type: ignore[dict-item]
    failed = {
        name for name, status in statuses(parsed(containers=[json.dumps(wrong)]), "CTR").items() if status == "fail"
    }
    assert [f"CIS Docker {source}" in one(name).source for name in failed] == [True]
    assert "citadelle-rag-1" in verdicts(parsed(containers=[json.dumps(wrong)]))[failed.pop()].found


def test_nothing_secret_of_dockers_configuration_is_kept() -> None:
    text = json.dumps({"icc": False, "proxies": {"http-proxy": "http://user:canary@proxy"}})
    assert "canary" not in json.dumps(linux.raw(["platform\tkind\thost", f"json\tdaemon\t{text}"]))


@pytest.mark.parametrize(
    "document", [[1], {"format": 9}, {"format": 1, "sections": {}}, {"format": 1, "system": "windows", "sections": {}}]
)
def test_something_else_is_no_state(document: Any) -> None:
    with pytest.raises(StateError, match="no state of a Linux host"):
        linux.parse(document)


def test_a_state_of_linux_is_none_of_windows() -> None:
    with pytest.raises(StateError, match="no state of a Windows PC: linux"):
        State.parse({"format": 1, "system": "linux", "sections": {}})


RIGHT = as_set()
VALUES = st.none() | st.sampled_from(
    ["yes", "no", "absent", "masked", "enabled running", "disabled stopped", "installed", "0777 root:root", "1", "x"]
)
TARGETS = {kind: names for kind, names in TABLE.names.items() if kind != "state"}


def named(kind: str, names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of a section's names, with values that are right, wrong or nonsense."""
    right = sorted({str(value) for value in RIGHT.get(kind, {}).values()} | {"x"})
    return st.dictionaries(st.sampled_from(names), VALUES | st.sampled_from(right), max_size=30)


NAMED = {kind: named(kind, names) for kind, names in TARGETS.items()}
HOSTS = st.fixed_dictionaries(
    {name: st.sampled_from([value, "no", "N", "wsl", "container", "root"]) for name, value in PLATFORM.items()}
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["Name", "Host", "Icc", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
SECTIONS = st.fixed_dictionaries(
    {"platform": HOSTS | ANYTHING},
    optional={**{kind: values | ANYTHING for kind, values in NAMED.items()},
              **dict.fromkeys(("accounts", "listeners", "docker", "daemon", "containers", "clock", "other"), ANYTHING)},
)  # fmt: skip
ERRORS = st.dictionaries(
    st.sampled_from([*TARGETS, "sysctl.kernel.sysrq", "docker"]), st.just("exit code 1: denied"), max_size=3
)


@settings(max_examples=20, deadline=None)
@given(SECTIONS, ERRORS)
def test_any_state_is_judged_put_right_and_then_right(sections: dict[str, Any], errors: dict[str, str]) -> None:
    converge(sections, errors)


@pytest.mark.lab
@settings(max_examples=1000, deadline=None)
@given(SECTIONS, ERRORS)
def test_a_thousand_states_are_judged_put_right_and_then_right(
    sections: dict[str, Any], errors: dict[str, str]
) -> None:
    converge(sections, errors)


def converge(sections: dict[str, Any], errors: dict[str, str]) -> None:
    """Never an error; every control gets its verdict; what is set passes afterwards, and what was right is not touched."""
    state = linux.parse({"format": 1, "system": "linux", "sections": sections, "errors": errors})
    before = verdicts(state)
    planned = changes(list(before.values()), state)
    after_sections = {
        name: dict(section) if isinstance(section, dict) else section for name, section in state.sections.items()
    }
    for change in planned:
        after_sections[change.kind][change.target] = change.value
    right = State(after_sections, errors=state.errors)
    after = verdicts(right)
    assert len(before) == len(after) == len(TABLE.controls)
    assert all(before[change.control].status == "fail" and after[change.control].status == "pass" for change in planned)
    assert all(verdict.why or verdict.found for verdict in before.values() if verdict.status != "pass")
    assert changes(list(after.values()), right) == []
