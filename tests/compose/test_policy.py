"""Every rule of the Compose policy holds for every service of every combination, and every rule can fail."""

import copy
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from citadelle.compose_policy import Finding, Policy, Waiver, judge, load_policy, load_waivers, waive

from . import render

POLICIES = Path(__file__).resolve().parents[2] / "policies"
POLICY = load_policy(POLICIES / "compose.yaml")
WAIVERS = load_waivers(POLICIES / "waivers.yaml")
SERVICES = ("engine", "gateway", "rag")
BY_NAME = {rule.id: rule for rule in POLICY.rules}
CIS_SECTION_5 = {f"5.{number}" for number in range(1, 33)}

Model = dict[str, Any]


@pytest.fixture(
    scope="module",
    params=[(how, engine) for how in ("own", "genuine") for engine in render.ENGINES],
    ids="-".join,
)
def model(request: pytest.FixtureRequest) -> Model:
    how, engine = request.param
    if how == "own":
        return render.own_model(engine)
    if not render.has_plugin():
        pytest.skip("no `docker compose` plugin on this machine")
    return render.genuine_model(engine)


@pytest.mark.parametrize("rule", BY_NAME)
def test_rule_holds_for_every_service(model: Model, rule: str) -> None:
    assert set(model["services"]) - {"tls"} == set(SERVICES)
    only = Policy(rules=(BY_NAME[rule],))
    left = waive(judge(model, only), [waiver for waiver in WAIVERS if waiver.rule == rule], date.today())
    assert [str(finding) for finding in left] == []


def findings(model: Model) -> list[str]:
    """What is left after the waivers."""
    return [str(finding) for finding in waive(judge(model, POLICY), WAIVERS, date.today())]


def test_every_rule_holds_in_every_combination() -> None:
    said = {str(one): findings(render.own_model(*one)) for one in render.every()}
    assert {combination: found for combination, found in said.items() if found} == {}


@pytest.mark.skipif(not render.has_plugin(), reason="no `docker compose` plugin on this machine")
@pytest.mark.parametrize("combination", render.GENUINE[len(render.ENGINES) :])
def test_every_rule_holds_with_each_accelerator_as_docker_reads_it(combination: render.Combination) -> None:
    assert findings(render.genuine_model(*combination)) == []


def setting(key: str, value: Any, service: str = "rag") -> Callable[[Model], None]:
    """Give a service a value."""

    def change(model: Model) -> None:
        model["services"][service][key] = value

    return change


def adding(key: str, value: Any, service: str = "gateway") -> Callable[[Model], None]:
    """Add an item to a service's list."""

    def change(model: Model) -> None:
        model["services"][service].setdefault(key, []).append(value)

    return change


def mounting(**mount: Any) -> Callable[[Model], None]:
    return adding("volumes", {"type": "bind", "target": "/x", "read_only": True, "bind": {}} | mount)


def publishing(**port: Any) -> Callable[[Model], None]:
    return setting("ports", [{"target": 8080, "published": "8080", "host_ip": "127.0.0.1"} | port], "gateway")


def of_stack(kind: str, name: str, value: Any) -> Callable[[Model], None]:
    def change(model: Model) -> None:
        model[kind][name] = value

    return change


FAILING: dict[str, list[Callable[[Model], None]]] = {
    "user": [setting("user", None), setting("user", "0:0"), setting("user", "root"), setting("user", "10001:0")],
    "root-filesystem": [setting("read_only", None), setting("read_only", False)],
    "capabilities": [setting("cap_drop", []), setting("cap_drop", ["NET_RAW"])],
    "added-capabilities": [setting("cap_add", ["SYS_ADMIN"])],
    "new-privileges": [setting("security_opt", []), setting("security_opt", ["no-new-privileges:false"])],
    "profiles": [adding("security_opt", "seccomp:unconfined"), adding("security_opt", "label=disable")],
    "syscalls": [setting("security_opt", ["no-new-privileges:true"]), setting("security_opt", ["seccomp:other/seccomp.json"])],
    "privileged": [setting("privileged", True)],
    "host-network": [setting("network_mode", "host"), setting("network_mode", "container:x")],
    "cpus": [setting("cpus", None)],
    "cpu-shares": [setting("cpu_shares", None)],
    "restart": [setting("restart", "always"), setting("restart", "on-failure"), setting("restart", None)],
    "pid-namespace": [setting("pid", "host")],
    "ipc-namespace": [setting("ipc", "host"), setting("ipc", None)],
    "devices": [
        setting("devices", [{"source": "/dev/dri/renderD128"}]), setting("devices", ["/dev/kfd"], "gateway"),
        *(setting("devices", [value], "engine") for value in (
            "/dev/dri", "/dev/sda:/dev/sda:rw", "/dev/dri/card0:/dev/dri/card0:rw", "/dev/kfd:/dev/dri/renderD128:rw", "/dev/kfd",
            "/dev/kfd:/dev/kfd:rwm", {"source": "/dev/mem", "target": "/dev/kfd", "permissions": "rw"}, "vendor.com/gpu=all",
        )),
    ],
    "gpus": [setting("gpus", "all")],
    "reserved-devices": [setting("deploy", {"resources": {"reservations": {"devices": [{"driver": "nvidia"}]}}})],
    "uts-namespace": [setting("uts", "host")],
    "cgroup": [setting("cgroup", "host")],
    "cgroup-parent": [setting("cgroup_parent", "/")],
    "health": [setting("healthcheck", None), setting("healthcheck", {"disable": True})],
    "health-start": [setting("healthcheck", {"test": ["CMD", "true"]})],
    "image": [setting("image", "citadelle/rag:1"), setting("image", "citadelle/rag@sha256:" + "0" * 64)],
    "pull": [setting("pull_policy", "missing"), setting("pull_policy", None)],
    "build": [setting("build", {"context": "."})],
    "pids": [setting("pids_limit", None), setting("pids_limit", 0)],
    "user-namespace": [setting("userns_mode", "host")],
    "logging": [setting("logging", {"driver": "syslog"}), setting("logging", None)],
    "container-name": [setting("container_name", "rag")],
    "groups": [
        setting("group_add", ["992"]), setting("group_add", ["0"], "engine"), setting("group_add", ["docker"], "engine"),
    ],
    "memory": [setting("mem_limit", None), setting("memswap_limit", None), setting("memswap_limit", "-1")],
    "core-files": [setting("ulimits", {}), setting("ulimits", {"core": {"soft": 0, "hard": 1}})],
    "ports": [
        setting("ports", [{"target": 8080, "published": "8080", "host_ip": "127.0.0.1"}], "engine"),
        publishing(host_ip=None), publishing(host_ip="0.0.0.0"), publishing(host_ip="::"), publishing(target=22),
        publishing(published="443"), publishing(published="8080-8090"), publishing(published=None),
    ],
    "networks": [
        setting("networks", {"engine": None}), setting("networks", {"edge": None}, "engine"), setting("network_mode", None),
        of_stack("services", "other", {"networks": {"engine": None}}),
    ],
    "keys": [setting("use_api_socket", True), setting("provider", {"type": "x"}), setting("post_start", [{"privileged": True}])],
    "egress": [
        of_stack("networks", "engine", {"internal": False}), of_stack("networks", "default", None),
        of_stack("networks", "edge", {"driver_opts": {"com.docker.network.bridge.enable_ip_masquerade": "true"}}),
        of_stack("networks", "engine", {"internal": True, "external": True}),
        of_stack("networks", "engine", {"internal": True, "driver": "macvlan"}),
    ],
    "mounts": [
        mounting(source="/srv/x", read_only=False), mounting(source="/etc"), mounting(source="/proc/1"), mounting(source="/"),
        mounting(source="/usr/lib/wsl"), adding("volumes", {"type": "bind", "source": "/usr/lib/x", "read_only": True}, "engine"),
        mounting(source="/var/lib/citadelle/prometheus", read_only=False),
        mounting(source="/srv/x", bind={"propagation": "rshared"}), mounting(source="/srv/x", bind={"create_host_path": True}),
    ],
    "runtime": [
        setting("runtime", None, "engine"), setting("runtime", "runc", "engine"),
        setting("runtime", "verified"), setting("runtime", "runc"),
        mounting(source="/run/citadelle/models"), mounting(source="/run/citadelle/models/"),
    ],
    "docker-socket": [mounting(source=f"/{name}") for name in ("var/run/docker.sock", "run", "run/containerd/containerd.sock")],
    "volumes": [
        of_stack("volumes", "data", {}), of_stack("volumes", "data", None),
        of_stack("volumes", "data", {"driver_opts": {"type": "tmpfs", "o": "size=1m,nosuid,nodev"}}),
    ],
    "tmpfs": [adding("tmpfs", "/x"), adding("tmpfs", "/x:noexec,nosuid,nodev"), adding("volumes", {"type": "tmpfs", "target": "/x"})],
    "environment": [setting("environment", {name: "x"}) for name in ("API_KEY", "db_password", "HF_TOKEN", "SIGNING_KEY")],
}  # fmt: skip


def test_every_rule_has_a_failing_example() -> None:
    assert set(FAILING) == set(BY_NAME)


@pytest.mark.parametrize(
    ("rule", "change"), [(rule, change) for rule, changes in FAILING.items() for change in changes]
)
def test_rule_fails(rule: str, change: Callable[[Model], None]) -> None:
    broken = copy.deepcopy(render.own_model("ollama"))
    change(broken)
    assert rule in {finding.rule for finding in judge(broken, POLICY)}


def test_every_item_of_cis_section_5_is_placed() -> None:
    covered = {cis for rule in POLICY.rules for cis in rule.cis if cis.startswith("5.")}
    assert covered | set(POLICY.elsewhere) == CIS_SECTION_5
    assert covered & set(POLICY.elsewhere) == set()


def test_an_empty_model_does_not_pass() -> None:
    assert judge({}, POLICY) != []
    assert judge({"services": {}}, POLICY) != []


FOUND = [Finding("user", "rag", "x")]
TODAY = date(2026, 12, 1)


def waiver(**changes: Any) -> Waiver:
    return Waiver.model_validate(
        {"rule": "user", "service": "rag", "reason": "the image needs it until 2.0", "expires": TODAY} | changes
    )


def test_a_waiver_excuses_until_its_last_day() -> None:
    assert waive(FOUND, [waiver()], TODAY) == []
    late = waive(FOUND, [waiver()], TODAY + timedelta(days=1))
    assert FOUND[0] in late
    assert "expired" in late[-1].problem


@pytest.mark.parametrize("other", [{"service": "gateway"}, {"rule": "image"}])
def test_a_waiver_excuses_its_own_rule_and_service_only(other: dict[str, str]) -> None:
    left = waive(FOUND, [waiver(**other)], TODAY)
    assert FOUND[0] in left
    assert left[-1].problem == "waiver excuses nothing"


def test_waivers_name_rules_that_exist() -> None:
    assert {entry.rule for entry in WAIVERS} <= set(BY_NAME)


@pytest.mark.parametrize("wrong", [{"reason": ""}, {"expires": None}, {"more": 1}])
def test_a_waiver_needs_reason_and_expiry(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        waiver(**wrong)


@pytest.mark.parametrize(
    "rule",
    [
        "{id: a, title: t}",
        "{id: a, title: t, path: user}",
        "{id: a, title: t, path: user, equals: x, present: true}",
        "{id: a, title: t, check: nothing}",
        "{id: a, title: t, path: user, equls: x}",
        "{id: a, title: t, path: user, present: true, check: memory}",
    ],
)
def test_a_rule_that_checks_nothing_is_refused(rule: str) -> None:
    with pytest.raises(ValidationError):
        Policy.model_validate({"rules": [yaml.safe_load(rule)]})


def job(*names: str) -> Model:
    texts = [
        (render.COMPOSE / name).read_text("utf-8").replace("${RAG_DOCUMENTS:?}", "/srv/documents") for name in names
    ]
    parts = [yaml.safe_load(render.interpolate(text)) for text in texts]
    return {"services": {name: one for part in parts for name, one in part["services"].items()}}


def test_the_jobs_that_read_documents_are_confined_as_services_are() -> None:
    """The reader runs once, without any network, and writes the index; who brings its texts to the engine sees that alone."""
    model = job("embedder.yaml", "ingest.yaml")
    assert sorted(str(finding) for finding in judge(model, POLICY)) == [
        "embedder: networks: is not named by the policy",
        "ingest: health-start: healthcheck.start_period is None, present True is required",
        "ingest: health: healthcheck.test is None, present True is required",
        "ingest: mounts: /var/lib/citadelle/rag is mounted for writing",
        "ingest: networks: is not named by the policy",
        "ingest: restart: restart is 'no', equals 'on-failure:5' is required",
    ]
    services = model["services"]
    assert (services["ingest"]["network_mode"], services["embedder"]["networks"]) == ("none", ["engine"])
    added = job("embedder.yaml")["services"]["ingest"]
    assert added.keys() == {"command", "depends_on", "volumes"}
    assert [mount["target"] for mount in added["volumes"] if mount["read_only"]] == ["/run/embed"]


def test_the_job_runs_with_the_user_and_the_image_of_the_service_whose_index_it_makes() -> None:
    job = yaml.safe_load((render.COMPOSE / "ingest.yaml").read_text("utf-8"))["services"]["ingest"]
    rag = yaml.safe_load((render.COMPOSE / "compose.yaml").read_text("utf-8"))["services"]["rag"]
    assert (job["user"], job["image"], job["network_mode"]) == (rag["user"], rag["image"], rag["network_mode"])
