"""policies/gateway.yaml: strict, and the system prompts say what the rest relies on."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from gateway.settings import load_policy
from pydantic import ValidationError

from .conftest import POLICIES, Run, Stack, change_policy

PROMPTS = ("system-prompt.md", "system-prompt.fr.md")


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("limits", {"body_bytes": 0}),
        ("limits", {"in_flight": -1}),
        ("limits", {"more": 1}),
        ("limits", {"queue": -1}),
        ("per_key", {"requests_minute": 0}),
        ("per_key", {"requests_hour": 5}),
        ("ceiling", {"concurrency": 5}),
        ("roles", {"forward": ["user", "system"]}),
        ("fields", {"forward": {"max_tokens": {"type": "text", "min": 1, "max": 2}}}),
        ("rag", {"passages": "many"}),
    ],
)
def test_wrong_values_are_refused(policies: Path, section: str, values: dict[str, Any]) -> None:
    change_policy(policies, section, **values)
    with pytest.raises(ValidationError):
        load_policy(policies / "gateway.yaml")


@pytest.mark.parametrize(
    "change",
    [
        {"system_prompt": "../system-prompt.md"},
        {"system_prompt": "/etc/passwd"},
        {"routes": ["POST /api/pull"]},
        {"routes": ["GET /v1/*"]},
        {"more": 1},
        {"control_tokens": []},
        {"control_tokens": ["<("]},
        {"control_tokens": ["</?s>", "<"]},
        {"control_tokens": ["x*"]},
        {"control_tokens": [""]},
        {"control_tokens": ["é"]},
    ],
)
def test_wrong_entries_are_refused(policies: Path, change: dict[str, Any]) -> None:
    path = policies / "gateway.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(ValidationError):
        load_policy(path)


def test_an_empty_system_prompt_is_refused(policies: Path) -> None:
    (policies / "system-prompt.md").write_text(" \n")
    with pytest.raises(ValueError, match="empty"):
        load_policy(policies / "gateway.yaml")


def test_a_route_taken_from_the_policy_is_gone(run: Run, policies: Path) -> None:
    path = policies / "gateway.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text("utf-8")) | {"routes": ["GET /v1/models"]}), "utf-8")

    async def scenario(stack: Stack) -> None:
        assert (await stack.ask())[0] == 404
        assert stack.engine.requests == []

    run(scenario)


def test_the_french_prompt_can_be_chosen(run: Run, policies: Path) -> None:
    path = policies / "gateway.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text("utf-8")) | {"system_prompt": PROMPTS[1]}), "utf-8")

    async def scenario(stack: Stack) -> None:
        await stack.ask()
        assert stack.engine.requests[0]["messages"][0]["content"] == (POLICIES / PROMPTS[1]).read_text("utf-8").strip()

    run(scenario)


@pytest.mark.parametrize("name", PROMPTS)
def test_both_prompts_have_the_same_rules_and_explain_the_fence(name: str) -> None:
    text = (POLICIES / name).read_text("utf-8")
    assert [line[:2] for line in text.splitlines() if line[:1].isdigit()] == [f"{number}." for number in range(1, 8)]
    assert "<data-...>" in text
