"""What each role claims, read by the PCs' own programs: nothing here goes through a connector, a fact or a role of ours."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from tests.lab import state
from tests.lab.commands import address
from tests.lab.conftest import Read
from tests.lab.state import SRV1, Pc

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]

SERVICES = {"engine": 10001, "gateway": 10002, "rag": 10003}
MEMORY = 700e6  # bytes, of a PC whose stack is up and whose model is loaded
WATCHING = 400e6  # of what watches it besides
BRIDGE = "198.18.254.1"  # of the host on the network that Prometheus and Alertmanager are on


@pytest.fixture(params=["pc1", "srv1"])
def pc(request: pytest.FixtureRequest, pcs: list[Pc]) -> Pc:
    """Each PC that serves."""
    found = {pc.name: pc for pc in pcs}
    if request.param not in found:
        request.getfixturevalue("windows")
    return found[request.param]


def container(read: Read, pc: Pc, service: str) -> dict[str, Any]:
    """`docker inspect` of a service's only container."""
    found: list[dict[str, Any]] = json.loads(read(pc, f"docker inspect citadelle-{service}-1"))
    assert len(found) == 1
    return found[0]


def inside(read: Read, pc: Pc, service: str, line: str) -> str:
    """What a shell line says in the mount and network namespaces of a container, whose image may have no shell."""
    pid = container(read, pc, service)["State"]["Pid"]
    return read(pc, f"nsenter --target {pid} --mount --net sh -c '{line}' 2>&1 || true")


# Docker


def test_the_engine_runs_as_its_configuration_says(pc: Pc, read: Read) -> None:
    info = json.loads(read(pc, "docker info --format '{{json .}}'"))
    assert info["LiveRestoreEnabled"] is True
    assert (info["Driver"], info["LoggingDriver"]) == ("overlayfs", "journald")
    assert ["driver-type", "io.containerd.snapshotter.v1"] in info["DriverStatus"]
    assert "name=no-new-privileges" in info["SecurityOptions"]
    assert read(pc, "stat -c %a:%U:%G /etc/docker/daemon.json /var/run/docker.sock").split() == [
        "644:root:root",
        "660:root:docker",
    ]
    assert read(pc, "getent group docker").strip().split(":")[3] == ""
    assert read(pc, "systemctl is-enabled docker").strip() == "enabled"


def test_the_daemon_listens_on_no_network(pc: Pc, read: Read) -> None:
    listeners = [line.split() for line in read(pc, "ss -Hltnp").splitlines()]
    open_to_all = [fields[3] for fields in listeners if not fields[3].startswith(("127.0.0.", "[::1]"))]
    tls = {"8443"} if pc == SRV1 else set()  # which serves it on its own address alone
    watched = (
        {f"{BRIDGE}:{port}" for port in ("9100", "9101", "9102")} if pc == SRV1 else set()
    )  # Prometheus' way alone
    assert {address.rpartition(":")[2] for address in set(open_to_all) - watched} == {"22"} | tls
    assert watched <= set(open_to_all)
    assert {address for address in open_to_all if address.endswith(":8443")} == {f"{pc.address}:{port}" for port in tls}


# Service users


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_an_account_that_nobody_can_use(pc: Pc, read: Read, service: str) -> None:
    name, _, uid, gid, _, _, shell = read(pc, f"getent passwd {SERVICES[service]}").strip().split(":")
    assert (name, int(uid)) == (f"citadelle-{service}", SERVICES[service])
    assert shell == "/usr/sbin/nologin"
    assert read(pc, f"id -G {name}").split() == [gid]
    assert read(pc, f"getent shadow {name}").split(":")[1][0] in "!*"


# Model files


def test_the_served_files_are_those_of_the_lock(pc: Pc, read: Read) -> None:
    lock = json.loads((state.CODE / "models.lock.json").read_text())
    wanted = {
        entry["digest"].removeprefix("sha256:"): entry["size"]
        for model in lock["models"]
        for entry in (model["manifest"], model["config"], *model["layers"])
    }
    lines = read(pc, "find /run/citadelle/models -type f -exec sha256sum {} +").splitlines()
    assert {line.split()[0] for line in lines} == set(wanted)
    sizes = read(pc, "find /run/citadelle/models -type f -printf '%s %U %m %n\\n'").splitlines()
    assert sorted(int(line.split()[0]) for line in sizes) == sorted(wanted.values())
    assert {line.split(" ", 1)[1] for line in sizes} == {"0 644 1"}


def test_the_engine_cannot_write_what_it_serves(pc: Pc, read: Read) -> None:
    options = read(pc, "findmnt -n -o OPTIONS /run/citadelle/models").split(",")
    assert {"ro", "nosuid", "nodev", "noexec"} <= set(options)
    assert "Read-only file system" in inside(read, pc, "engine", "touch /models/new")
    models = next(mount for mount in container(read, pc, "engine")["Mounts"] if mount["Destination"] == "/models")
    assert (models["Source"], models["RW"]) == ("/run/citadelle/models", False)


# Stack


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_has_no_more_than_it_needs(pc: Pc, read: Read, service: str) -> None:
    found = container(read, pc, service)
    host = found["HostConfig"]
    assert found["State"]["Health"]["Status"] == "healthy"
    assert found["Config"]["User"] == f"{SERVICES[service]}:{SERVICES[service]}"
    assert (host["ReadonlyRootfs"], host["Privileged"], host["CapDrop"], host["CapAdd"]) == (True, False, ["ALL"], None)
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert not [option for option in host["SecurityOpt"] if "unconfined" in option]
    assert 0 < host["Memory"] == host["MemorySwap"]
    assert 0 < host["PidsLimit"] <= 512
    assert host["NanoCpus"] > 0
    assert [bind for bind in found["Mounts"] if bind["Type"] == "bind" and bind["RW"]] == []
    assert not [bind for bind in found["Mounts"] if "docker.sock" in bind["Source"]]
    status = read(pc, f"cat /proc/{found['State']['Pid']}/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert (int(fields["CapEff"], 16), int(fields["CapBnd"], 16), fields["NoNewPrivs"], fields["Seccomp"]) == (
        0,
        0,
        "1",
        "2",
    )


def test_only_the_gateway_listens_and_only_on_loopback(pc: Pc, read: Read) -> None:
    ports = {service: container(read, pc, service)["HostConfig"]["PortBindings"] for service in SERVICES}
    assert ports == {"engine": {}, "rag": {}, "gateway": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}}
    assert read(pc, "ss -Hltn 'sport = :11434'") == ""
    assert [line.split()[3] for line in read(pc, "ss -Hltn 'sport = :8080'").splitlines()] == ["127.0.0.1:8080"]


def test_rag_has_no_network(pc: Pc, read: Read) -> None:
    assert container(read, pc, "rag")["HostConfig"]["NetworkMode"] == "none"
    pid = container(read, pc, "rag")["State"]["Pid"]
    assert read(pc, f"nsenter --target {pid} --net ip -o link").count("\n") == 1


def test_the_engine_reaches_nothing(pc: Pc, read: Read) -> None:
    pid = container(read, pc, "engine")["State"]["Pid"]
    assert "default" not in read(pc, f"nsenter --target {pid} --net ip route")
    for there in (pc.address, address(1)):
        said = read(pc, f"nsenter --target {pid} --net ip route get {there} 2>&1 || true")
        assert "unreachable" in said, said


def test_the_host_itself_has_no_way_to_the_engine(pc: Pc, read: Read) -> None:
    """No address of the host on the engine's bridge, no route over it: nothing on the host can speak to the engine."""
    networks = container(read, pc, "engine")["NetworkSettings"]["Networks"]
    assert set(networks) == {"citadelle_engine"}
    bridge = f"br-{networks['citadelle_engine']['NetworkID'][:12]}"
    assert "inet " not in read(pc, f"ip -4 addr show dev {bridge}")
    assert bridge not in read(pc, f"ip route get {networks['citadelle_engine']['IPAddress']}")
    assert bridge not in read(pc, "ip route")


def test_the_gateway_wants_a_key_and_knows_its_routes(pc: Pc, read: Read) -> None:
    ask = "curl -s -o /dev/null -w '%{http_code}' --path-as-is"
    key = '-H "Authorization: Bearer $(cat /etc/citadelle/operator.key)"'
    base = "http://127.0.0.1:8080"
    codes = {
        "no key": f"{ask} {base}/v1/models",
        "wrong key": f"{ask} -H 'Authorization: Bearer ck_wrong' {base}/v1/models",
        "key": f"{ask} {key} {base}/v1/models",
        "other route": f"{ask} {key} {base}/api/ps",
        "way around": f"{ask} {key} {base}/v1/../api/ps",
        "other method": f"{ask} {key} -X DELETE {base}/v1/models",
    }
    found = {name: read(pc, line) for name, line in codes.items()}
    assert found == {
        "no key": "401",
        "wrong key": "401",
        "key": "200",
        "other route": "404",
        "way around": "404",
        "other method": "404",
    }


def test_the_release_is_what_its_manifest_says(pc: Pc, read: Read) -> None:
    target = read(pc, "readlink /opt/citadelle/current").strip()
    assert target.startswith("releases/")
    assert (
        read(pc, "cd /opt/citadelle/current/ && sha256sum --check --quiet MANIFEST.sha256 && echo right") == "right\n"
    )
    listed = {line.split("  ", 1)[1] for line in read(pc, "cat /opt/citadelle/current/MANIFEST.sha256").splitlines()}
    there = read(
        pc, "cd /opt/citadelle/current/ && find . -type f ! -name MANIFEST.sha256 ! -name hashes -printf '%P\\n'"
    )
    assert set(there.split()) == listed
    for name in ("compose/compose.yaml", "policies/gateway.yaml"):
        local = hashlib.sha256((state.ROOT / name).read_bytes()).hexdigest()
        assert read(pc, f"sha256sum < /opt/citadelle/current/{name}").split()[0] == local
    units = "citadelle-models.service citadelle-stack.service"
    assert read(pc, f"systemctl is-enabled {units}").split() == ["enabled"] * 2
    assert read(pc, f"systemctl is-active {units}").split() == ["active"] * 2


def test_only_root_reads_the_operators_key(pc: Pc, read: Read) -> None:
    assert read(pc, "stat -c %a:%U:%G /etc/citadelle/operator.key").strip() == "600:root:root"
    key = read(pc, "cat /etc/citadelle/operator.key").strip()
    assert (
        read(pc, "cd /etc/citadelle/gateway && stat -c %a:%u:%g . keys.json pepper").split()
        == ["750:0:10002"] + ["640:0:10002"] * 2
    )
    stored = json.loads(read(pc, "cat /etc/citadelle/gateway/keys.json"))["keys"]
    pepper = bytes.fromhex(read(pc, "cat /etc/citadelle/gateway/pepper").strip())
    assert {entry["id"]: entry["hmac"] for entry in stored}["operator"] == hmac.new(
        pepper, key.encode(), "sha256"
    ).hexdigest()


def test_a_pc_with_the_model_loaded_stays_small(pc: Pc, read: Read) -> None:
    """Private and shared pages of all processes by their share (the mapped model counts), and what lies in memory file systems."""
    each = (
        'for p in /proc/[0-9]*; do echo "$(grep ^Pss: $p/smaps_rollup) $(tr "\\0" " " <$p/cmdline)"; done 2>/dev/null'
    )
    found = [line.split(None, 3) for line in read(pc, each).splitlines() if line.startswith("Pss:")]
    names = "prometheus", "alertmanager", "citadelle/relay"
    watching = sum(int(size) for _, size, *words in found if any(name in " ".join(words) for name in names))
    held = sum(int(size) for _, size, *_ in found) - watching
    files = sum(int(line) for line in read(pc, "df --output=used -t tmpfs | tail -n +2").splitlines())
    assert "runner" in read(pc, "ps -eo args") or "llama-server" in read(pc, "ps -eo args")
    assert 100e6 < (held + files) * 1024 < MEMORY
    assert (50e6 if pc == SRV1 else -1) < watching * 1024 < WATCHING


# Windows


def test_wsl_is_configured_on_the_windows_side(windows: Pc, read: Read) -> None:
    lines = read(windows, "cat '/C:/Users/citadelle-wsl/.wslconfig'").split("\r\n")
    assert {
        "[wsl2]",
        "networkingMode=nat",
        "firewall=true",
        "vmIdleTimeout=-1",
        "[general]",
        "instanceIdleTimeout=-1",
    } <= set(lines)
    registry = json.loads(read(windows, "cat /var/lib/windows-double/registry.json"))
    environment = next(values for key, values in registry.items() if key.endswith("Session Manager\\Environment"))
    assert "1" in json.dumps(environment["WSL_UTF8"])
    names = [values.get("DistributionName") for key, values in registry.items() if "\\Lxss\\" in key]
    assert "citadelle" in json.dumps(names)
