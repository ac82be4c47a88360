"""Something on a PC is broken: that PC fails with what is wrong and its cure, nothing is half applied, the next run converges."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.conftest import Read
from tests.lab.rollout import Run, answers, citadelle, rollout
from tests.lab.state import Pc
from tests.lab.test_model_gate import ALL_HEALTHY

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]

HOST = "@linux/srv1"
STORE = "/var/lib/citadelle/models"
RELEASES = "/opt/citadelle/releases"
# Enough in a policy file to make the gateway refuse to start.
WRONG = "\nno_such_key: 1\n"


def assert_refused(run: Run, *told: str) -> None:
    """srv1 alone failed and said all of this, with a hint; the other hosts found nothing to do."""
    assert run.code == 1, run.text
    for text in (*told, "hint: "):
        assert text in run.text, run.text
    assert run.hosts("error") == {HOST}
    assert run.hosts("no_change") - {HOST}
    assert run.hosts("success") <= {HOST}


@pytest.fixture
def in_srv1(server: Pc, read: Read) -> Iterator[Read]:
    """`in_srv1("line")`; whatever a test does, the next run converges, then one changes nothing, and srv1 serves."""
    yield lambda line: read(server, line)
    run = rollout("--limit", "linux")
    assert run.code == 0, run.text
    if not run.changed_nothing:
        run = rollout("--limit", "linux")
    assert run.changed_nothing, run.text
    assert "Paris" in answers(server.name)


def test_a_disk_too_full_for_the_models(in_srv1: Read) -> None:
    """The state's folder on a small disk of its own, empty: nothing is sent that cannot fit."""
    in_srv1("mount -t tmpfs -o size=32m tmpfs /var/lib/citadelle")
    try:
        assert_refused(rollout(), f"{HOST}: not enough disk space for the model files: ")
        assert in_srv1("find /var/lib/citadelle -type f -size +1M") == ""
    finally:
        in_srv1("umount /var/lib/citadelle")
    assert rollout("--limit", "linux").changed_nothing


def test_a_disk_too_full_for_the_release(in_srv1: Read, checkout: Path) -> None:
    prompt = checkout / "policies/system-prompt.md"
    prompt.write_text(prompt.read_text() + "\nAnswer briefly.\n")
    current = in_srv1("readlink /opt/citadelle/current")
    used = int(in_srv1(f"du -sk {RELEASES}").split()[0])
    in_srv1(f"cp -a {RELEASES} /opt/citadelle/copy && mount -t tmpfs -o size={used + 64}k tmpfs {RELEASES}")
    in_srv1(f"cp -a /opt/citadelle/copy/. {RELEASES}/")
    try:
        run = rollout("--limit", "linux", checkout=checkout)
        assert run.code == 1, run.text
        # Either its archive does not arrive whole, or it does and cannot be unpacked.
        assert re.search(f"{HOST}: (upload failed|release cannot be placed): {RELEASES}", run.text), run.text
        assert "hint: " in run.text
        assert in_srv1("readlink /opt/citadelle/current") == current
        assert in_srv1(f"{ALL_HEALTHY} && echo all") == "all\n"
    finally:
        in_srv1(f"umount {RELEASES} && rm -rf /opt/citadelle/copy")
    assert rollout("--limit", "linux", checkout=checkout).code == 0
    assert in_srv1("readlink /opt/citadelle/current") != current
    assert in_srv1(f"find {RELEASES} -name '*.new'") == ""


def test_a_port_that_someone_else_holds(in_srv1: Read) -> None:
    in_srv1("systemctl stop citadelle-stack")
    in_srv1("systemd-run --unit=squatter python3 -m http.server 8080 --bind 127.0.0.1")
    in_srv1("for i in $(seq 50); do ss -Hltn 'sport = :8080' | grep -q . && break; sleep 0.1; done")
    try:
        assert_refused(rollout(), 'srv1: gateway port is taken: 8080 by "python3"')
        assert in_srv1("docker ps --quiet") == ""
    finally:
        in_srv1("systemctl stop squatter")


def test_a_daemon_that_was_stopped_is_started(in_srv1: Read) -> None:
    in_srv1("systemctl stop docker docker.socket")
    run = rollout()
    assert run.code == 0, run.text
    assert "Docker Engine | Have Docker Engine and Compose, now and at boot" in run.operations("success", HOST)


def test_a_daemon_that_cannot_start(in_srv1: Read) -> None:
    in_srv1("systemctl stop docker docker.socket && systemctl mask --runtime docker.service")
    try:
        assert_refused(rollout(), f"{HOST}: Docker daemon does not answer: docker.service")
    finally:
        in_srv1("systemctl unmask --runtime docker.service")


def test_a_daemon_that_dies_takes_nothing_with_it(in_srv1: Read) -> None:
    """Killed, it comes back by itself, and so does every service, without a deploy."""
    in_srv1("kill -9 $(cat /run/docker.pid)")
    in_srv1("for i in $(seq 300); do docker info >/dev/null 2>&1 && " + ALL_HEALTHY + " && break; sleep 0.2; done")
    in_srv1("for i in $(seq 300); do systemctl is-active --quiet citadelle-stack && break; sleep 0.2; done")
    assert "Paris" in answers("srv1")
    assert rollout("--limit", "linux").changed_nothing


def test_a_flipped_byte_in_a_model_stops_the_engine(in_srv1: Read) -> None:
    blob = in_srv1(f"find {STORE}/blobs -size +10M").strip()
    in_srv1(f"printf X | dd of={blob} bs=1 seek=50000000 conv=notrunc status=none")
    name = blob.rpartition("/")[2]
    assert_refused(rollout(), f"{HOST}: model blob does not match its lock: {name}", f"rm -r -- {blob}")
    assert in_srv1("docker ps --quiet --filter name=engine") == ""
    assert in_srv1("find /run/citadelle/models -type f") == ""
    # Nothing that an operator types brings the wrong weights back.
    in_srv1(
        "! systemctl start citadelle-stack && ! /usr/local/lib/citadelle/stack up $(basename $(readlink /opt/citadelle/current))"
    )
    assert name in in_srv1("! docker start citadelle-engine-1 2>&1")
    running = sorted(in_srv1("docker ps --format '{{.Names}}'").split())
    assert running == [f"citadelle-{name}-1" for name in ("alertmanager", "gateway", "prometheus", "rag", "tls")]
    in_srv1(f"rm -r -- {blob}")
    run = rollout()
    assert run.code == 0, run.text
    assert "Model files | Bring the locked model files onto the host" in run.operations("success", HOST)


def test_a_release_that_does_not_get_healthy_gives_way_to_the_previous_one(in_srv1: Read, checkout: Path) -> None:
    policy = checkout / "policies/gateway.yaml"
    policy.write_text(policy.read_text() + WRONG)
    before = in_srv1("readlink /opt/citadelle/current")
    run = rollout("--limit", "linux", checkout=checkout)
    assert run.code == 1, run.text
    assert "srv1: release did not get healthy: " in run.text
    assert f"the previous one runs again: {before.strip().removeprefix('releases/')}" in run.text
    assert in_srv1("readlink /opt/citadelle/current") == before
    status = json.loads(citadelle("status", "--json", "--host", "srv1").stdout)
    assert [row["state"] for row in status] == ["ok"]
    assert "Paris" in answers("srv1")
    assert rollout("--limit", "linux").changed_nothing
