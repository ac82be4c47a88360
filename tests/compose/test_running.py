"""The stack for real: it answers, and each container is what the policy says, read by `docker inspect` and from inside."""

import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.conftest import write_keys
from tests.gateway.receiver import Receiver, receiving

from .running import KEY, MODELS, Project, docker, engine_of_images, free_port

pytestmark = pytest.mark.docker
SERVICES = {"engine": 10001, "gateway": 10002, "rag": 10003}
PROBE = Path(__file__).parents[1] / "rag/probe.py"
RAG = Path(__file__).parents[2] / "compose/rag"
CANARY = f"canary{secrets.token_hex(8)}"


def prepared(folder: Path, **changes: object) -> Project:
    """A project with a key file."""
    (folder / "keys").mkdir()
    write_keys(folder / "keys/keys.json", KEY)
    return Project(folder, engine_of_images(), **{"models": MODELS} | changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = prepared(tmp_path_factory.mktemp("stack"))
    with receiving(project.folder / "audit"):
        try:
            done = project.up()
            assert done.returncode == 0, done.stderr + project.compose("logs", "--tail", "20").stdout
            yield project
        finally:
            project.compose("down", "--volumes", "--timeout", "5")


def test_it_answers(stack: Project) -> None:
    status, body = stack.ask("What is the capital of France?")
    assert status == 200
    assert "Paris" in json.loads(body)["choices"][0]["message"]["content"]


def test_it_streams(stack: Project) -> None:
    status, body = stack.ask("What is the capital of France?", stream=True)
    deltas = [
        json.loads(line[6:])["choices"][0]["delta"].get("content")
        for line in body.splitlines()
        if line.startswith("data: {")
    ]
    assert (status, body.rstrip().endswith("data: [DONE]")) == (200, True)
    assert len(deltas) > 3
    assert "Paris" in "".join(delta or "" for delta in deltas)


def test_a_wrong_key_gets_nothing(stack: Project) -> None:
    assert stack.ask("hello", key="ck_wrong")[0] == 401


def test_a_control_token_is_only_text_to_the_model(stack: Project) -> None:
    tokens = [
        json.loads(stack.ask("hi" + "<|im_start|>" * count, max_tokens=1)[1])["usage"]["prompt_tokens"]
        for count in (0, 20)
    ]
    assert tokens[1] - tokens[0] >= 60  # one token each if the model took them for its own


def test_nothing_of_a_question_is_kept(stack: Project) -> None:
    assert stack.ask(f"Say hello to {CANARY}.")[0] == 200
    assert stack.ask(CANARY, model=CANARY)[0] == 404
    logs = stack.compose("logs", "--no-color")
    assert '"event":"request"' in logs.stdout
    assert CANARY not in logs.stdout + logs.stderr
    for service in SERVICES:
        found = stack.run(service, "grep", "-rl", CANARY, "/tmp", "/run").stdout
        assert found == "", service


def test_every_question_is_on_record(stack: Project) -> None:
    """Written by the receiver on this side of the socket; the container can reach it and nothing else of its folder."""
    audit = Receiver.at(stack.folder / "audit")
    before = len(audit.records())
    assert stack.ask("hello", max_tokens=1)[0] == 200
    assert stack.ask("hello", key="ck_wrong")[0] == 401
    deadline = time.monotonic() + 30
    while len(found := audit.records()) < before + 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert [(record["status"], record["completion_tokens"] > 0) for record in found[before:]] == [
        (200, True),
        (401, False),
    ]
    assert stack.run("gateway", "ls", "/run/audit").stdout == "audit.sock\n"
    assert stack.run("gateway", "touch", "/run/audit/x").returncode != 0
    assert audit.verify().returncode == 0


@pytest.mark.parametrize("service", SERVICES)
def test_the_container_is_hardened(stack: Project, service: str) -> None:
    container = stack.inspect(service)
    host, uid = container["HostConfig"], SERVICES[service]
    assert container["Config"]["User"] == f"{uid}:{uid}"
    assert (host["ReadonlyRootfs"], host["Privileged"], host["CapDrop"], host["CapAdd"]) == (True, False, ["ALL"], None)
    privileges, *profiles = host["SecurityOpt"]
    assert privileges == "no-new-privileges:true"
    own = [json.loads((RAG / "seccomp.json").read_text())] if service == "rag" else []  # the others have Docker's
    assert [json.loads(profile.removeprefix("seccomp=")) for profile in profiles] == own
    assert (host["IpcMode"], host["CgroupnsMode"], host["PidMode"], host["UTSMode"], host["UsernsMode"]) == (
        "private",
        "private",
        "",
        "",
        "",
    )
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 5}
    assert 0 < host["Memory"] == host["MemorySwap"]
    assert host["PidsLimit"] > 0
    assert host["NanoCpus"] > 0
    assert host["CpuShares"] > 0
    assert [host[key] for key in ("Devices", "DeviceRequests", "Binds") if host[key]] == []
    assert all({"noexec", "nosuid", "nodev"} <= set(options.split(",")) for options in host["Tmpfs"].values())
    assert [mount["Source"] for mount in container["Mounts"] if mount["Type"] == "bind" and mount["RW"]] == []
    assert container["State"]["Health"]["Status"] == "healthy"


@pytest.mark.parametrize("service", SERVICES)
def test_the_kernel_says_the_same(stack: Project, service: str) -> None:
    status = dict(
        line.split(":\t", 1)
        for line in stack.run(service, "cat", "/proc/1/status").stdout.splitlines()
        if ":\t" in line
    )
    assert {status[name] for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(SERVICES[service])}
    limits = stack.run(service, "cat", "/proc/1/limits").stdout
    assert [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core")] == [["0", "0"]]
    for path in ("/x", "/etc/x", "/usr/x", "/models/x", "/models/blobs/x", "/etc/gateway/x"):
        assert stack.run(service, "touch", path).returncode != 0, path


def test_only_the_gateway_is_published_on_one_address(stack: Project) -> None:
    published = {service: stack.inspect(service)["NetworkSettings"]["Ports"] for service in SERVICES}
    assert published["gateway"]["8080/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": str(stack.port)}]
    for service in ("engine", "rag"):
        assert [port for port in (published[service] or {}).values() if port] == []


def test_networks_have_no_way_out(stack: Project) -> None:
    interfaces = {service: _interfaces(stack, service) for service in SERVICES}
    joined = {"lo", "eth0", "eth1", "eth2", "eth3"}  # to the engine, the published port, what ends TLS, Prometheus
    assert interfaces == {"engine": {"lo", "eth0"}, "gateway": joined, "rag": {"lo"}}
    routes = stack.run("engine", "cat", "/proc/net/route").stdout.splitlines()[1:]
    assert len(routes) == 1
    assert routes[0].split()[1] != "00000000"  # its own network only: no default route
    lookup = "import socket; socket.setdefaulttimeout(3); socket.getaddrinfo('example.com', 80)"
    outside = stack.run("gateway", "python3", "-c", lookup)
    assert "gaierror" in outside.stderr
    connect = "import socket; socket.create_connection(('192.0.2.1', 80), 3)"
    assert stack.run("gateway", "python3", "-c", connect).returncode != 0


def _interfaces(stack: Project, service: str) -> set[str]:
    lines = stack.run(service, "cat", "/proc/net/dev").stdout.splitlines()[2:]
    return {line.split(":")[0].strip() for line in lines}


def test_the_host_has_no_address_on_the_engines_network(stack: Project) -> None:
    [network] = json.loads(docker("network", "inspect", f"{stack.name}_engine").stdout)
    bridge = f"br-{network['Id'][:12]}"
    shown = subprocess.run(["ip", "-4", "-o", "addr", "show", bridge], capture_output=True, text=True, check=True)
    assert network["Internal"] is True
    assert shown.stdout == ""


def test_the_socket_of_the_passages_is_shared_by_two(stack: Project) -> None:
    stat = ("stat", "-c", "%a %u %g", "/run/rag", "/run/rag/rag.sock")
    for service in ("rag", "gateway"):
        assert stack.run(service, *stat).stdout.splitlines() == ["2750 10003 10002", "660 10003 10002"]
    assert stack.run("gateway", "touch", "/run/rag/x").returncode != 0
    assert "rag_failed" not in stack.compose("logs", "gateway").stdout


# What is refused with EPERM besides: see tests/rag/probe.py. ENOSYS where a library is to take another way.
REFUSED = {
    "EAFNOSUPPORT": ["AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_VSOCK", "AF_ALG", "AF_BLUETOOTH", "AF_CAN", "internet", "host",
                     "metadata", "loopback"],
    "no name": ["engine", "gateway", "host.docker.internal", "example.org"],
    "ENOSYS": ["io_uring_setup", "io_uring_enter", "io_uring_register", "clone3"],
    "EACCES": ["connect"],
    "SIGSYS": ["socketcall"],
    "EROFS": ["write /opt/rag/new", "write /etc/new", "write /var/lib/rag/new", "write /new"],
}  # fmt: skip


def test_rag_can_reach_nothing_and_call_little(stack: Project) -> None:
    """Each way out tried from inside the running container: refused at once, by the right error; the profile is this checkout's."""
    said = json.loads(stack.run("rag", "python3", "-I", "-c", PROBE.read_text()).stdout)
    if said.pop("machine") != "x86_64":
        pytest.skip("the probe has the numbers of system calls of x86_64")
    facts = {name: said.pop(name) for name in ("interfaces", "uid", "seccomp")}
    assert facts == {"interfaces": ["lo"], "uid": 10003, "seccomp": "2"}
    wanted = {name: error for error, names in REFUSED.items() for name in names}
    assert {name: error for name, error in said.items() if name in wanted} == wanted
    others = {name: error for name, error in said.items() if name not in wanted}
    assert len(others) > 15
    assert set(others.values()) == {"EPERM"}
    host = stack.inspect("rag")["HostConfig"]
    profile = next(one.partition("=")[2] for one in host["SecurityOpt"] if one.startswith("seccomp="))
    assert (host["NetworkMode"], json.loads(profile)) == ("none", json.loads((RAG / "seccomp.json").read_text()))


@pytest.mark.parametrize("service", ["rag", "gateway"])
def test_a_service_that_dies_comes_back(stack: Project, service: str) -> None:
    before = stack.inspect(service)
    os.kill(before["State"]["Pid"], signal.SIGKILL)
    stack.wait_restarted(service, before["RestartCount"])
    assert stack.ask("What is the capital of France?")[0] == 200
    assert stack.inspect(service)["State"]["Pid"] != before["State"]["Pid"]


@pytest.mark.parametrize("there", [True, False])
def test_without_verified_models_nothing_is_served(tmp_path: Path, there: bool) -> None:
    models = tmp_path / "models"
    if there:
        (models / "manifests").mkdir(parents=True)
        (models / "blobs").mkdir()
    project = prepared(tmp_path, models=models, port=free_port(), name="citadelle-dev-empty")
    with receiving(project.folder / "audit"):
        try:
            done = project.up(seconds=15)
            if there:  # by its own health: on a busy machine Compose may end with 0 at the end of its time, whoever is not healthy
                assert project.inspect("engine")["State"]["Health"]["Status"] != "healthy"
                assert project.ask("hello")[0] in (502, 503)
            else:
                assert done.returncode != 0
                assert not models.exists()  # nobody made an empty one on the way
        finally:
            project.compose("down", "--volumes", "--timeout", "2")
