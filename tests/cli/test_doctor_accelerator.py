"""What the doctor says of accelerator and memory: recorded hosts, and files as a deploy leaves them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from citadelle.accelerator.decision import Choice
from citadelle.accelerator.hardware import Hardware, Node
from citadelle.cli.accelerator import Said, judged
from citadelle.release import read_env, write_env
from roles.stack.deploy import plan
from tests.accelerator.gguf import sizing
from tests.accelerator.trees import read, recorded

LOCKED = frozenset({"ENGINE_IMAGE", "GATEWAY_IMAGE", "RAG_IMAGE", "ENGINE_ROCM_IMAGE"})


def said(then: Hardware, now: Hardware, wanted: str = "auto", **given: Any) -> dict[str, Said]:
    """The checks of a host that was deployed with hardware `then` and has `now`."""
    size = sizing(Choice(wanted, "ollama", LOCKED), **given)
    decision = size.choice.on(then)
    env = read_env(write_env({"COMPOSE_FILE": "x", **decision.env}).decode())
    checks = judged(now, env, json.loads(plan(size.choice, decision, size.on(then))))
    return {check.id: check for check in checks}


@pytest.fixture
def intel(tmp_path: Path) -> Hardware:
    return read(recorded("intel-linux"), tmp_path / "intel")


def test_an_unchanged_host_is_right_and_says_what_it_uses(intel: Hardware) -> None:
    checks = said(intel, intel)
    assert [(check.id, check.ok) for check in checks.values()] == [("H070", True), ("H071", True), ("H072", True)]
    assert checks["H070"].found == "intel: Intel GPU 8086:e20b (xe)"
    assert checks["H071"].found == "no other accelerator"
    assert checks["H072"].found == (
        "context 8192 tokens, slots 1, loaded for good; 5.1 GiB of 20.1 GiB on the host; derived from the memory and the model"
    )


def test_it_says_what_the_inventory_has_set_itself(intel: Hardware) -> None:
    assert said(intel, intel, context=4096, keep_alive="10m")["H072"].found == (
        "context 4096 tokens, slots 1, loaded 10m; 4.6 GiB of 20.1 GiB on the host;"
        " context, keep_alive said by the inventory, the rest derived from the memory and the model"
    )


def test_an_accelerator_that_is_there_and_not_used_is_named_with_the_reason(tmp_path: Path) -> None:
    npu = read(recorded("intel-npu-wsl"), tmp_path)
    checks = said(npu, npu)
    assert (checks["H070"].ok, checks["H070"].found) == (True, "cpu: the processor")
    assert "npu: WSL 2 passes no neural processor through" in checks["H071"].found


def test_a_card_that_is_gone_is_a_finding(intel: Hardware) -> None:
    gone = replace(intel, devices=(), nodes=())
    assert said(intel, gone)["H070"][1:3] == (
        False,
        "intel: Intel GPU 8086:e20b (xe); by now it would be cpu: the processor",
    )
    found = said(intel, gone, "intel")["H070"]
    assert (found.ok, found.next_step) == (False, "pyinfra inventory deploy.py")
    assert found.found.startswith("accelerator is asked for and is not there: intel; found: Linux, 31 GiB")


def test_a_card_that_came_is_a_finding(intel: Hardware) -> None:
    bare = replace(intel, devices=(), nodes=())
    assert said(bare, intel)["H070"].found == "cpu: the processor; by now it would be intel: Intel GPU 8086:e20b (xe)"


def test_another_group_of_the_device_is_a_finding(intel: Hardware) -> None:
    moved = replace(intel, nodes=(Node("/dev/dri/renderD128", 105, 0o660),))
    found = said(intel, moved)["H070"]
    assert (found.ok, found.found) == (False, "intel: Intel GPU 8086:e20b (xe); ACCELERATOR_GROUP is 105 by now")


def test_less_memory_than_planned_is_a_finding(intel: Hardware) -> None:
    found = said(intel, replace(intel, memory=4 << 30))["H072"]
    assert (found.ok, found.found.rpartition("; ")[2]) == (False, "the host has 4096 MiB")
    assert "stack_engine_memory" in found.next_step
