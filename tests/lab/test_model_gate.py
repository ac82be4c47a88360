"""A byte of a served model file is flipped while the genuine engine runs: whoever starts it, it does not start with that byte."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.lab.conftest import Read
from tests.lab.pcs import reboot_pc
from tests.lab.rollout import answers, rollout
from tests.lab.state import Pc

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]

ENGINE = "citadelle-engine-1"
PID = f"$(docker inspect --format '{{{{.State.Pid}}}}' {ENGINE})"
WATCH = "citadelle-models-watch"
BLOB = "$(find /var/lib/citadelle/models/blobs -size +10M)"
OFFSET = 50_000_000
FLIP = f"old=$(dd if={BLOB} bs=1 skip={OFFSET} count=1 status=none | od -An -tu1); printf $old >/root/flipped; " + (
    f'printf "\\\\$(printf %o $((old ^ 1)))" | dd of={BLOB} bs=1 seek={OFFSET} conv=notrunc status=none'
)
BACK = f'printf "\\\\$(printf %o $(cat /root/flipped))" | dd of={BLOB} bs=1 seek={OFFSET} conv=notrunc status=none && rm /root/flipped'
COMPOSE = "cd /opt/citadelle/current/compose && COMPOSE_ENV_FILES=../images.lock.env,../stack.env docker compose"
ASK = """curl --silent --write-out ' %{http_code}' -H "Authorization: Bearer $(cat /etc/citadelle/operator.key)" \
  -H 'Content-Type: application/json' -d '{"messages":[{"role":"user","content":"hello"}]}' http://127.0.0.1:8080/v1/chat/completions"""
ALL_HEALTHY = "test $(docker ps --quiet --filter health=healthy | wc -l) = $(docker ps --all --quiet | wc -l)"
GAUGE = "grep '^llm_model_digest_match' /var/lib/node_exporter/textfile/citadelle_models.prom"


def until(line: str, seconds: int = 60) -> str:
    """A shell line that waits for another to succeed, and fails when it never does."""
    return f"for i in $(seq {seconds * 10}); do {line} && exit 0; sleep 0.1; done; exit 1"


@pytest.fixture
def on(server: Pc, read: Read) -> Iterator[Read]:
    """`on("line")` on srv1. Each test puts the byte back and sees it served; one that failed before is cleaned up after here."""
    yield lambda line: read(server, line)
    if read(server, "test ! -e /root/flipped || echo left"):
        read(server, f"{BACK}; systemctl restart citadelle-models")
        run = rollout()
        assert run.code == 0, run.text


def flip(on: Read) -> None:
    on(FLIP)


def assert_nothing_is_served(on: Read) -> None:
    assert on(f"docker inspect --format '{{{{.State.Running}}}}' {ENGINE}") == "false\n"
    assert on("pgrep -x ollama || pgrep -x llama-server || true") == ""
    assert on("find /run/citadelle/models -type f") == ""
    assert on(GAUGE).split()[-1] == "0"
    body, _, status = on(ASK).rpartition(" ")
    assert (status, json.loads(body)["error"]["code"]) == ("503", "models_unverified")


def put_back_and_serve(on: Read) -> None:
    on(BACK)
    on("systemctl restart citadelle-models")
    on(until(ALL_HEALTHY, 120))
    assert on(GAUGE).split()[-1] == "1"
    on("systemctl is-active citadelle-stack citadelle-models citadelle-models-watch citadelle-models-check.timer")


def test_the_engine_ends_by_itself_and_no_way_starts_it(on: Read, server: Pc) -> None:
    flip(on)
    on(until(f"docker inspect --format '{{{{.State.Running}}}}' {ENGINE} | grep -qx false"))
    assert_nothing_is_served(on)
    for line in (
        f"docker start {ENGINE}",
        f"docker restart {ENGINE}",
        f"{COMPOSE} up --detach --force-recreate engine",
        f"{COMPOSE} start engine",
    ):
        assert "model file does not match its lock: blobs/sha256-" in on(f"! {{ {line}; }} 2>&1"), line
        assert_nothing_is_served(on)
    on("! systemctl restart citadelle-stack")
    on("! /usr/local/lib/citadelle/stack up $(basename $(readlink /opt/citadelle/current))")
    assert_nothing_is_served(on)
    put_back_and_serve(on)
    assert "Paris" in answers(server.name)


WAYS = {
    "docker restart": f"! docker restart {ENGINE} 2>&1",
    "docker start": f"docker stop --time 1 {ENGINE} >/dev/null && ! docker start {ENGINE} 2>&1",
    "docker compose up": f"! {{ {COMPOSE} up --detach --force-recreate engine; }} 2>&1",
    "docker compose restart": f"! {{ {COMPOSE} restart engine; }} 2>&1",
    "a new container by hand": f"! docker run --rm --runtime verified --volume /run/citadelle/models:/models:ro "
    f"$(docker inspect --format '{{{{.Image}}}}' {ENGINE}) 2>&1",
}


def test_a_start_is_refused_without_the_watch_too(on: Read) -> None:
    """The start itself is the gate: nothing has noticed the byte before. Each way begins with an engine that serves."""
    for way, line in WAYS.items():
        on(f"systemctl stop {WATCH}")
        flip(on)
        assert on("find /run/citadelle/models -type f | wc -l") != "0\n", way
        assert "model file does not match its lock: blobs/sha256-" in on(line), way
        # What the next look of the watch or the timer would do to one that still runs.
        on("systemctl start citadelle-engine-stop")
        assert_nothing_is_served(on)
        put_back_and_serve(on)


def test_an_engine_that_is_killed_again_and_again_does_not_come_back(on: Read) -> None:
    for _ in range(2):  # sound: Docker brings it back
        on(f"pid={PID}; kill -9 $pid; " + until(f"test {PID} != $pid -a {PID} != 0"))
    on(f"systemctl stop {WATCH}")
    flip(on)
    on(f"kill -9 {PID}")
    on(until(f"docker inspect --format '{{{{.State.Status}}}}' {ENGINE} | grep -qx exited"))
    assert_nothing_is_served(on)
    put_back_and_serve(on)


def test_a_reboot_brings_the_gateway_and_no_engine(on: Read, server: Pc) -> None:
    on(f"systemctl stop {WATCH}")
    flip(on)
    reboot_pc(server.name)
    on(until("curl --silent --output /dev/null http://127.0.0.1:8080/healthz"))
    assert_nothing_is_served(on)
    on(f"! docker start {ENGINE}")
    assert_nothing_is_served(on)
    put_back_and_serve(on)


def test_the_timers_look_finds_what_gave_no_event_and_a_killed_watch_comes_back(on: Read) -> None:
    assert (
        on("systemctl list-timers --no-legend citadelle-models-check.timer | grep -c citadelle-models-check.service")
        == "1\n"
    )
    on(
        f"pid=$(systemctl show --value -p MainPID {WATCH}); kill -9 $pid; "
        + until(f"systemctl is-active --quiet {WATCH} && test $(systemctl show --value -p MainPID {WATCH}) != $pid")
    )
    on(f"systemctl stop {WATCH}")
    flip(on)
    on("! systemctl start citadelle-models-check")
    on(until(f"docker inspect --format '{{{{.State.Running}}}}' {ENGINE} | grep -qx false"))
    assert_nothing_is_served(on)
    put_back_and_serve(on)
    assert rollout().changed_nothing
