"""The stack's script: a release becomes current when it is healthy, and never leaves a host with less than it had."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import threading
from pathlib import Path

import pytest

from citadelle.facts.stack import Stack, StackState
from tests.roles.stack.conftest import StackHost

ROOT = Path(__file__).resolve().parents[3]


def state(host: StackHost) -> StackState:
    done = host.run("state")
    assert (done.returncode, done.stderr) == (0, "")
    return Stack().process(done.stdout.splitlines())


def test_a_host_without_a_release_has_an_empty_state(stack_host: StackHost) -> None:
    assert state(stack_host) == StackState()
    assert stack_host.run("boot").returncode == 0
    assert stack_host.starts == []


def test_a_first_release_becomes_current(stack_host: StackHost) -> None:
    stack_host.place("one")
    done = stack_host.run("up", "one")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (stack_host.current, stack_host.runs) == ("one", "one")
    assert state(stack_host).problems("one") == []


def test_a_next_release_replaces_it(stack_host: StackHost) -> None:
    stack_host.place("one")
    stack_host.place("two")
    stack_host.run("up", "one")
    assert state(stack_host).problems("two") == ["current release is one"]
    assert stack_host.run("up", "two").returncode == 0
    assert (stack_host.current, stack_host.runs) == ("two", "two")
    assert stack_host.starts == ["up one", "up two"]


def test_a_sick_release_gives_way_to_the_previous_one(stack_host: StackHost) -> None:
    stack_host.place("one")
    stack_host.place("two")
    stack_host.run("up", "one")
    stack_host.tell("sick", "two\n")
    done = stack_host.run("up", "two")
    assert done.returncode == 1
    assert (stack_host.current, stack_host.runs) == ("one", "one")
    assert stack_host.starts == ["up one", "up two", "up one"]
    assert "container citadelle-engine-1 is unhealthy\nengine: running unhealthy" in done.stderr
    assert "srv1: release did not get healthy: two; the previous one runs again: one\nhint: " in done.stderr
    assert state(stack_host).problems("one") == []


def test_a_release_that_is_not_healthy_in_time_gives_way_whatever_compose_ends_with(stack_host: StackHost) -> None:
    stack_host.place("one")
    stack_host.place("two")
    stack_host.run("up", "one")
    stack_host.tell("late", "two\n")
    done = stack_host.run("up", "two")
    assert done.returncode == 1
    assert (stack_host.current, stack_host.starts) == ("one", ["up one", "up two", "up one"])
    assert "srv1: release did not get healthy: two; the previous one runs again: one\nhint: " in done.stderr


def test_a_sick_first_release_is_not_current(stack_host: StackHost) -> None:
    stack_host.place("one")
    stack_host.tell("sick", "one\n")
    done = stack_host.run("up", "one")
    assert done.returncode == 1
    assert "srv1: release did not get healthy: one; nothing runs in its place" in done.stderr
    assert stack_host.current == ""


def test_when_the_previous_release_is_sick_too_that_is_said(stack_host: StackHost) -> None:
    stack_host.place("one")
    stack_host.place("two")
    stack_host.run("up", "one")
    stack_host.tell("sick", "one\ntwo\n")
    done = stack_host.run("up", "two")
    assert done.returncode == 1
    assert "nothing runs in its place" in done.stderr
    assert stack_host.current == "one"


@pytest.mark.parametrize(
    ("fact", "text", "message"),
    [
        ("daemon-dead", "", "srv1: Docker daemon does not answer: /var/run/docker.sock\nhint: systemctl status docker"),
        ("not-verified", "", "srv1: model files are not verified in this boot: /run/citadelle/models\nhint: systemctl"),
        (
            "no-audit",
            "",
            "srv1: socket of the audit trail does not listen: /run/citadelle/audit\nhint: systemctl status",
        ),
        ("refuses", "two\n", "srv1: release has a configuration that Compose refuses: two\nhint: "),
    ],
)
def test_what_is_wrong_beforehand_leaves_the_running_release_alone(
    stack_host: StackHost, fact: str, text: str, message: str
) -> None:
    stack_host.place("one")
    stack_host.place("two")
    stack_host.run("up", "one")
    stack_host.tell(fact, text)
    done = stack_host.run("up", "two")
    assert done.returncode == 1
    assert message in done.stderr
    assert (stack_host.current, stack_host.runs, stack_host.starts) == ("one", "one", ["up one"])


def test_a_taken_port_names_its_holder_and_starts_nothing(stack_host: StackHost) -> None:
    stack_host.place("one")
    stack_host.tell("listens", 'LISTEN 0 5 127.0.0.1:8080 0.0.0.0:* users:(("python3",pid=42,fd=3))\n')
    done = stack_host.run("up", "one")
    assert done.returncode == 1
    assert 'srv1: gateway port is taken: 8080 by "python3",pid=42,fd=3\nhint: ss -ltnp' in done.stderr
    assert stack_host.starts == []


def test_our_own_gateway_on_the_port_is_no_obstacle(stack_host: StackHost) -> None:
    stack_host.place("one")
    stack_host.place("two")
    stack_host.run("up", "one")
    stack_host.tell("listens", 'LISTEN 0 5 127.0.0.1:8080 0.0.0.0:* users:(("docker-proxy",pid=42,fd=3))\n')
    assert stack_host.run("up", "two").returncode == 0


def test_a_release_that_is_not_there_is_refused(stack_host: StackHost) -> None:
    done = stack_host.run("up", "absent")
    assert (done.returncode, stack_host.starts) == (1, [])
    assert "srv1: release is not on this host: absent\nhint: run the deploy again" in done.stderr


def test_boot_brings_the_current_release_up_after_verification(stack_host: StackHost) -> None:
    stack_host.place("one")
    stack_host.run("up", "one")
    assert stack_host.run("boot").returncode == 0
    assert stack_host.starts == ["up one", "up one"]
    stack_host.tell("not-verified")
    done = stack_host.run("boot")
    assert done.returncode == 1
    assert "srv1: model files are not verified in this boot" in done.stderr
    assert stack_host.starts == ["up one", "up one", "up one without engine"]


def test_the_engine_alone_is_withheld(stack_host: StackHost) -> None:
    assert stack_host.run("withhold").returncode == 0
    assert stack_host.starts == []
    stack_host.tell("engine", "0123456789ab\n")
    assert stack_host.run("withhold").returncode == 0
    assert stack_host.starts == ["stop --time 1 0123456789ab"]


def test_withholding_waits_for_no_start(stack_host: StackHost) -> None:
    stack_host.tell("engine", "0123456789ab\n")
    with (stack_host.path / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert stack_host.run("withhold").returncode == 0
    assert stack_host.starts == ["stop --time 1 0123456789ab"]


def test_a_changed_file_is_seen_and_the_replaced_release_starts_anew(stack_host: StackHost) -> None:
    """Containers keep the files that they were given: a release placed again under the same name must recreate them."""
    stack_host.place("one")
    stack_host.run("up", "one")
    (stack_host.path / "releases/one/stack.env").write_text("GATEWAY_PORT=9999\n")
    assert state(stack_host).problems("one") == ["files of the release have changed"]
    shutil.rmtree(stack_host.path / "releases/one")
    stack_host.place("one")
    assert state(stack_host).problems("one") == ["engine has another configuration"]
    assert stack_host.run("up", "one").returncode == 0
    assert stack_host.starts == ["up one", "up one recreated"]
    assert state(stack_host).problems("one") == []


def test_an_unhealthy_container_gets_a_fresh_start(stack_host: StackHost) -> None:
    """Its cause may have been cured a moment ago: the state of the last health check must not fail the host."""
    stack_host.place("one")
    stack_host.run("up", "one")
    stack_host.tell("unhealthy", "0123\n4567\n")
    assert stack_host.run("up", "one").returncode == 0
    assert stack_host.starts == ["up one", "restart 0123 4567", "up one"]


def test_an_interrupted_start_is_finished_by_the_next(stack_host: StackHost) -> None:
    """Killed after the containers, before the link: the state tells it, the next `up` cures it."""
    stack_host.place("one")
    stack_host.place("two")
    stack_host.run("up", "one")
    stack_host.tell("runs", "two\n")
    assert state(stack_host).problems("two") == ["current release is one"]
    assert stack_host.run("up", "two").returncode == 0
    assert state(stack_host).problems("two") == []


def test_stop_ends_the_containers_and_boot_brings_them_back(stack_host: StackHost) -> None:
    assert stack_host.run("stop").returncode == 0
    stack_host.place("one")
    stack_host.run("up", "one")
    assert stack_host.run("stop").returncode == 0
    assert (stack_host.runs, stack_host.current) == ("", "one")
    assert stack_host.run("boot").returncode == 0
    assert stack_host.starts == ["up one", "stop one", "up one"]


def test_stop_does_not_wait_for_a_dead_daemon(stack_host: StackHost) -> None:
    stack_host.place("one")
    stack_host.run("up", "one")
    stack_host.tell("daemon-dead")
    assert stack_host.run("stop").returncode == 0
    assert stack_host.starts == ["up one"]


def test_old_releases_go_and_the_way_back_stays(stack_host: StackHost) -> None:
    names = ["one", "two", "three", "four", "five"]
    for age, name in enumerate(names):
        stack_host.place(name)
        os.utime(stack_host.path / "releases" / name, (age, age))
        assert stack_host.run("up", name).returncode == 0
    assert {folder.name for folder in (stack_host.path / "releases").iterdir()} == {"three", "four", "five"}
    stack_host.tell("sick", "six\n")
    stack_host.place("six")
    assert stack_host.run("up", "six").returncode == 1
    assert stack_host.current == "five"


def test_two_starts_wait_for_each_other(stack_host: StackHost) -> None:
    stack_host.place("one")
    with (stack_host.path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = threading.Thread(target=stack_host.run, args=("up", "one"))
        waiting.start()
        waiting.join(0.3)
        assert (waiting.is_alive(), stack_host.starts) == (True, [])
    waiting.join()
    assert stack_host.starts == ["up one"]


def test_it_waits_longer_than_any_container_may_take_to_start() -> None:
    """Else a release would be taken back whose containers were neither healthy nor unhealthy yet."""
    periods = [
        int(found)
        for file in (ROOT / "compose").glob("*.yaml")
        for found in re.findall(r"start_period: (\d+)s", file.read_text("utf-8"))
    ]
    script = (ROOT / "roles/stack/files/usr/local/lib/citadelle/stack").read_text("utf-8")
    [wait] = re.findall(r"^WAIT=\$\{STACK_WAIT:-(\d+)\}", script, re.MULTILINE)
    assert len(periods) >= 9
    assert int(wait) > max(periods)


def test_an_unknown_word_is_refused(stack_host: StackHost) -> None:
    done = stack_host.run("down")
    assert done.returncode == 1
    assert "srv1: unknown word: down" in done.stderr
