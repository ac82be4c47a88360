"""The accelerator on lab PCs, which have none: found to be so, refused where it is asked for. What overlays do to a genuine container."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.conftest import Read
from tests.lab.rollout import citadelle, rollout
from tests.lab.state import SRV1

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]
# A stand-in for what `nvidia-ctk cdi generate` writes: a device file, a variable and a library of the host's, all without use.
CDI = {
    "cdiVersion": "0.6.0",
    "kind": "nvidia.com/gpu",
    "devices": [
        {
            "name": "all",
            "containerEdits": {
                "deviceNodes": [{"path": "/dev/nvidia0", "hostPath": "/dev/null", "type": "c", "major": 1, "minor": 3}]
            },
        }
    ],
    "containerEdits": {
        "env": ["NVIDIA_VISIBLE_DEVICES=void"],
        "mounts": [
            {
                "hostPath": "/etc/hostname",
                "containerPath": "/usr/lib/libcuda.so.1",
                "options": ["ro", "nosuid", "nodev", "rbind"],
            }
        ],
    },
}
COMPOSE = "cd /opt/citadelle/current/compose && COMPOSE_ENV_FILES=../images.lock.env,../stack.env,/run/probe.env docker compose -p probe"


def test_a_pc_without_one_says_so(read: Read) -> None:
    said = json.loads(citadelle("doctor", "--json", "--host", "srv1").stdout)
    found = {check["id"]: (check["ok"], check["found"]) for check in said}
    assert found["H070"] == (True, "cpu: the processor")
    assert found["H071"][0] is True
    assert found["H072"][0] is True
    assert found["H072"][1].startswith("context 2048 tokens, slots 1, loaded for good; 0.1 GiB of 0.4 GiB")
    engine = read(SRV1, "docker exec citadelle-engine-1 env")
    assert "OLLAMA_CONTEXT_LENGTH=2048" in engine or "OLLAMA" not in engine


@pytest.mark.parametrize("wanted", ["nvidia", "npu"])
def test_one_that_is_asked_for_and_absent_stops_the_host_before_any_change(read: Read, wanted: str) -> None:
    before = read(SRV1, "readlink /opt/citadelle/current; docker ps --format '{{.ID}}'")
    run = rollout("--limit", "@linux/srv1", "--data", f"accelerator={wanted}")
    assert run.code != 0
    assert f"@linux/srv1: accelerator is asked for and is not there: {wanted}; found: Linux, " in run.text
    assert "hint: accelerator = 'auto' or 'cpu' in the inventory" in run.text
    assert run.operations("success", "@linux/srv1") == []
    assert read(SRV1, "readlink /opt/citadelle/current; docker ps --format '{{.ID}}'") == before


@pytest.fixture(params=["nvidia", "intel"])
def engine(request: pytest.FixtureRequest, lab: dict[str, Any], read: Read) -> Iterator[tuple[str, dict[str, Any]]]:
    """The PC's engine once more, with an accelerator's overlay on stand-in devices, in a project of its own; its `docker inspect`."""
    name = request.param
    read(SRV1, f"mkdir -p /etc/cdi && cat > /etc/cdi/nvidia.yaml <<'E'\n{json.dumps(CDI)}\nE\ntrue")
    read(SRV1, "printf 'ACCELERATOR_NODE=/dev/null\\nACCELERATOR_GROUP=992\\n' > /run/probe.env")
    files = f"-f compose.yaml -f engine.{lab['engine']}.yaml -f accelerator.{name}.yaml"
    try:
        read(SRV1, f"{COMPOSE} {files} up --detach --no-deps --wait --wait-timeout 120 engine")
        yield name, json.loads(read(SRV1, "docker inspect probe-engine-1"))[0]
    finally:
        read(SRV1, f"{COMPOSE} {files} down --timeout 2; rm -rf /etc/cdi /run/probe.env")


def plain(value: Any) -> Any:
    """A value of Docker's without the order of its lists: that of ulimits is another each time; an empty one is none after its restart."""
    if value in ([], {}):
        return None
    return sorted(json.dumps(one, sort_keys=True) for one in value) if isinstance(value, list) else value


def test_an_engine_with_a_device_is_as_confined_as_without(engine: tuple[str, dict[str, Any]], read: Read) -> None:
    name, found = engine
    without = json.loads(read(SRV1, "docker inspect citadelle-engine-1"))[0]
    given = {"Devices", "DeviceRequests", "GroupAdd"}
    differs = {key for key, value in found["HostConfig"].items() if plain(value) != plain(without["HostConfig"][key])}
    assert differs <= given | {"NetworkMode", "LogConfig"}
    assert differs & given
    assert found["State"]["Health"]["Status"] == "healthy"
    assert (found["Config"]["User"], found["HostConfig"]["Privileged"]) == ("10001:10001", False)
    pid = found["State"]["Pid"]
    status = dict(line.split(":\t", 1) for line in read(SRV1, f"cat /proc/{pid}/status").splitlines() if ":\t" in line)
    assert {status[key] for key in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"], set(status["Uid"].split())) == ("1", "2", {"10001"})
    assert status["Groups"].split() == (["992", "10001"] if name == "intel" else ["10001"])
    root = f"/proc/{pid}/root"
    assert (
        read(SRV1, f"nsenter --target {pid} --mount --setuid 10001 --setgid 10001 sh -c 'touch /usr/x 2>&1 || true'")
        .strip()
        .endswith("Read-only file system")
    )
    if name == "nvidia":
        assert (
            read(SRV1, f"stat -c %F {root}/dev/nvidia0; cat {root}/usr/lib/libcuda.so.1")
            == "character special file\nsrv1\n"
        )
