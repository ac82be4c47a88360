"""Nothing leaves: seen from inside of containers, by refused connections that the host counts; the host itself still updates."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.lab.conftest import Read
from tests.lab.rollout import answers, rollout
from tests.lab.state import Pc

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]

CONNECT = "import socket; socket.create_connection(({address!r}, {port}), 5)"
LOOKUP = "import socket; socket.getaddrinfo('deb.debian.org', 80)"
ASK = (
    "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5);"
    " s.connect(({address!r}, 53)); s.send(b'x' * 20); s.recv(9)"
)
Try = Callable[..., str]


@pytest.fixture
def other(pcs: list[Pc]) -> Callable[[Pc], Pc]:
    """A PC that answers at port 22 on the network of the first."""
    if len(pcs) < 2:
        pytest.skip("the lab has one PC alone: nobody to reach out to")
    return lambda pc: next(found for found in pcs if found.name != pc.name)


@pytest.fixture
def attempt(read: Read) -> Try:
    """What a Python program says in the gateway's container, or in a new one on Docker's default network: its last line."""

    def run(pc: Pc, code: str, *, default_network: bool = False) -> str:
        image = read(pc, "docker inspect --format '{{.Image}}' citadelle-gateway-1").strip()
        # A lab PC may not open as many files as the daemon grants by default.
        fresh = f"docker run --rm --pull never --network bridge --ulimit nofile=1024 --entrypoint python3 {image}"
        command = fresh if default_network else "docker exec citadelle-gateway-1 python3"
        said = read(pc, f'{command} -c "{code}" 2>&1 || true').strip()
        return said.splitlines()[-1] if said else "nothing was refused"

    return run


def counted(read: Read, pc: Pc) -> dict[str, int]:
    found = json.loads(read(pc, "nft -j list counters table inet citadelle"))["nftables"]
    return {row["counter"]["name"]: row["counter"]["packets"] for row in found if "counter" in row}


@pytest.mark.parametrize("default_network", [False, True])
def test_a_container_is_refused_and_counted_and_the_host_is_not(
    pcs: list[Pc], other: Callable[[Pc], Pc], attempt: Try, read: Read, default_network: bool
) -> None:
    for pc in pcs:
        address = other(pc).address
        before = counted(read, pc)["from_containers"]
        said = attempt(pc, CONNECT.format(address=address, port=22), default_network=default_network)
        assert said.startswith("ConnectionRefusedError"), said
        assert counted(read, pc)["from_containers"] > before
        assert "SSH-2.0" in read(pc, f"bash -c 'exec 3<>/dev/tcp/{address}/22 && head -n 1 <&3'")


def test_no_name_of_the_outside_is_told(pcs: list[Pc], attempt: Try, read: Read) -> None:
    for pc in pcs:
        server = read(pc, "sed -n 's/^nameserver //p' /etc/resolv.conf").split()[0]
        assert attempt(pc, LOOKUP).startswith("socket.gaierror")
        before = counted(read, pc)["from_containers"]
        said = attempt(pc, ASK.format(address=server), default_network=True)
        assert "Error" in said, said
        assert "timed out" not in said, "refused, not lost"
        assert counted(read, pc)["from_containers"] > before


AS_ROOT_THEN_NOT = """
import os, socket
listener = socket.create_server(('127.0.0.1', 3100))
socket.create_connection(('127.0.0.1', 3100), 5).close()
print('root is let in')
os.setuid(65534)
try:
    socket.create_connection(('127.0.0.1', 3100), 5)
except ConnectionRefusedError:
    print('nobody is not')
"""


def test_only_root_reaches_the_intake_of_logs(pcs: list[Pc], read: Read) -> None:
    """Where Loki does not run, something else listens at its port."""
    for pc in pcs:
        before = counted(read, pc)["to_logs"]
        said = read(pc, f'python3 -I -c "{AS_ROOT_THEN_NOT}"')
        assert said.splitlines() == ["root is let in", "nobody is not"]
        assert counted(read, pc)["to_logs"] > before


def test_a_container_does_not_reach_its_own_host(pcs: list[Pc], attempt: Try, read: Read) -> None:
    for pc in pcs:
        before = counted(read, pc)["to_host"]
        said = attempt(pc, CONNECT.format(address=pc.address, port=22), default_network=True)
        assert said.startswith("ConnectionRefusedError"), said
        assert counted(read, pc)["to_host"] > before


def test_the_host_itself_still_reads_its_package_lists(server: Pc, read: Read) -> None:
    assert "Reading package lists" in read(server, "apt-get update 2>&1")


def test_dockers_rules_stay_and_so_do_ours_when_docker_restarts(
    pcs: list[Pc], attempt: Try, other: Callable[[Pc], Pc], read: Read
) -> None:
    for pc in pcs:
        rules = read(pc, "iptables -S FORWARD; iptables -S DOCKER-USER")
        assert "DOCKER-USER" in rules
        before = read(pc, "nft -s list table inet citadelle")
        read(pc, "systemctl restart docker && systemctl start citadelle-stack")
        assert read(pc, "nft -s list table inet citadelle") == before
        assert read(pc, "iptables -S FORWARD; iptables -S DOCKER-USER") == rules
        said = attempt(pc, CONNECT.format(address=other(pc).address, port=22), default_network=True)
        assert said.startswith("ConnectionRefusedError"), said
    assert rollout().changed_nothing
    for pc in pcs:
        assert "Paris" in answers(pc.name)
