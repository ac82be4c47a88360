"""The run itself ends early, a secret is made: what is there afterwards is whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import state
from tests.lab.conftest import Read
from tests.lab.pcs import exec_in_pc
from tests.lab.rollout import SECONDS, answers, citadelle, command, environment, plain, rollout
from tests.lab.state import Pc

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]

BLOBS = "/var/lib/citadelle/models/blobs"


def kill_at(operation: str, delay: float, checkout: Path) -> None:
    """Start a rollout of srv1, and kill -9 it `delay` seconds after it has begun an operation."""
    with subprocess.Popen(
        command("--limit", "linux"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=checkout,
        env=environment(), text=True, start_new_session=True,
    ) as run:  # fmt: skip
        assert run.stderr is not None
        for line in run.stderr:
            if f"Starting operation: {operation}" in plain(line):
                time.sleep(delay)
                os.killpg(run.pid, signal.SIGKILL)
                break
        run.stderr.read()
    assert run.returncode == -signal.SIGKILL, f"the run ended before it was killed: {run.returncode}"


@pytest.fixture(scope="module", autouse=True)
def as_the_checkout_says(converged: None) -> Iterator[None]:
    """Releases of other checkouts run while these tests do; afterwards srv1 has this one's again."""
    yield
    run = rollout("--limit", "linux")
    assert run.code == 0, run.text


DAEMON = 'echo \'{"features": {"containerd-snapshotter": true}}\' > /etc/docker/daemon.json'
MODEL = f"rm -- $(find {BLOBS} -size +10M)"


@pytest.mark.parametrize(
    ("operation", "delay", "broken"),
    [
        ("Docker Engine | Write the hardened configuration of the Docker daemon", 0.05, f"{DAEMON}; {MODEL}"),
        ("Model files | Bring the locked model files onto the host", 0.1, MODEL),
        ("Stack | Place the operator's key and the release of the stack", 0.02, "true"),
        ("Stack | Run the release, every service healthy", 0.3, "true"),
        ("Stack | Run the release, every service healthy", 2.0, "true"),
    ],
)
def test_a_run_killed_anywhere_is_finished_by_the_next(
    server: Pc, read: Read, checkout: Path, operation: str, delay: float, broken: str
) -> None:
    """Something to do for the role that is cut and for all after it: a daemon setting, a missing model file, a new release."""
    read(server, broken)
    prompt = checkout / "policies/system-prompt.md"
    prompt.write_text(prompt.read_text() + f"\nAnswer briefly: {operation} {delay}\n")
    kill_at(operation, delay, checkout)
    for line in read(server, f"cd {BLOBS} && sha256sum *").splitlines():
        digest, name = line.split()
        assert name == f"sha256-{digest}"
    current = read(server, "readlink /opt/citadelle/current").strip()
    assert (
        read(server, f"cd /opt/citadelle/{current} && sha256sum --check --quiet MANIFEST.sha256 && echo whole")
        == "whole\n"
    )
    again = rollout("--limit", "linux", checkout=checkout)
    assert again.code == 0, again.text
    assert rollout("--limit", "linux", checkout=checkout).changed_nothing
    assert "journald" in read(server, "docker info --format '{{.LoggingDriver}}'")
    assert "Paris" in answers(server.name)


def test_the_operators_key_is_in_no_output_argument_environment_or_file(server: Pc, read: Read) -> None:
    """Made anew under the loudest output there is; looked for on the host and on the controller, byte for byte."""
    read(server, "mv /etc/citadelle/operator.key /etc/citadelle/operator.key.old")
    done = subprocess.run(
        [*command("-vvv", "--debug", "--diff", "--limit", "linux")],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=state.ROOT, env=environment(),
        timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    key = read(server, "cat /etc/citadelle/operator.key").strip()
    read(server, "rm /etc/citadelle/operator.key.old")
    assert key.startswith("ck_")
    assert len(key) > 40
    assert "Paris" in answers(server.name)
    for text in (done.stdout, done.stderr, citadelle("doctor", "--json").stdout, citadelle("status").stdout):
        assert len(text) > 0
        assert key not in text
    keyed = json.loads(read(server, "cat /etc/citadelle/gateway/keys.json"))["keys"][0]["hmac"]
    assert occurrences(server, keyed) > 0  # the search finds what is there
    assert occurrences(server, key) == 0


LOOK = """exec 3<&0 </dev/null
{ cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ; docker inspect $(docker ps -aq); journalctl --no-pager
find /opt /run /var/lib/citadelle /var/log /etc /tmp /root /home -xdev -type f ! -name operator.key ! -size +10M -exec cat {} +
} 2>/dev/null | grep -c -a -F -f /dev/fd/3"""


def occurrences(pc: Pc, text: str) -> int:
    """Lines with `text` on the PC, outside of the key's own file. It is given on standard input: the search leaves no trace of it."""
    looked = exec_in_pc(pc.name, ["sh", "-c", LOOK], stdin=text.encode())
    assert looked.returncode in (0, 1), looked.stderr
    return int(looked.stdout)
