"""While the host's verdict on the model files is not good, the engine is asked nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.conftest import Run, Stack

BAD = {
    "no": '{"ok": false}',
    "empty": "",
    "a list": "[]",
    "as text": '{"ok": "true"}',
    "as a number": '{"ok": 1}',
    "cut": '{"ok": tr',
}


def judge(path: Path, text: str) -> None:
    """As the host's verifier does it: beside, then renamed."""
    fresh = path.with_suffix(".fresh")
    fresh.write_text(text)
    fresh.replace(path)


async def health(stack: Stack) -> tuple[int, Any]:
    async with stack.client.get(f"{stack.url}/healthz") as response:
        return response.status, json.loads(await response.read())


@pytest.mark.parametrize("text", [*BAD.values(), None], ids=[*BAD, "absent"])
def test_nothing_is_asked_while_the_verdict_is_bad(run: Run, tmp_path: Path, text: str | None) -> None:
    verdict = tmp_path / "models.json"
    judge(verdict, '{"ok": true}')

    async def scenario(stack: Stack) -> None:
        assert (await stack.ask())[0] == 200
        assert await health(stack) == (200, {"status": "ready"})
        asked = len(stack.engine.requests)
        if text is None:
            verdict.unlink()
        else:
            judge(verdict, text)
        status, headers, body = await stack.ask()
        assert (status, body["error"]["code"], headers["Retry-After"]) == (503, "models_unverified", "30")
        assert "do not match their lock" in body["error"]["message"]
        assert await health(stack) == (503, {"status": "not_ready", "reason": "models_unverified"})
        assert len(stack.engine.requests) == asked
        judge(verdict, '{"ok": true}')
        assert (await stack.ask())[0] == 200

    run(scenario, verdict_file=verdict)


def test_a_wrong_key_learns_nothing_of_it(run: Run, tmp_path: Path) -> None:
    async def scenario(stack: Stack) -> None:
        assert (await stack.ask(key="ck_wrong"))[0] == 401

    run(scenario, verdict_file=tmp_path / "absent.json")
