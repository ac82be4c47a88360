"""Calls of Open WebUI, as its source writes them (open_webui/routers/openai.py, routers/ollama.py, utils/payload.py): shapes, not a client.

Its server is too large to run here. Where it asks for more than is allowed (options of the engine, /api/ps), it has to live with less.
"""

import json
from typing import Any

import pytest

from .conftest import KEY, MODEL, Run, Stack
from .double import TOKENS

HEADERS = {
    "Authorization": f"Bearer {KEY}",
    "Content-Type": "application/json",
    "X-OpenWebUI-User-Name": "Alice",
    "X-OpenWebUI-Chat-Id": "1",
}
TALK = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "Hello!"},
    {"role": "user", "content": "Paris?"},
]
TITLE = "### Task:\nGenerate a concise title.\n### Chat History:\n<chat_history>\nUSER: hi\n</chat_history>"
SYSTEM = {"role": "system", "content": "You are Alice's pirate."}
OPENAI: list[dict[str, Any]] = [
    {"stream": True, "model": MODEL, "messages": TALK},
    {"stream": True, "model": MODEL, "messages": [SYSTEM, *TALK], "stream_options": {"include_usage": True}, "temperature": 0.8,
    "top_p": 0.9,
     "max_tokens": 128, "frequency_penalty": 0, "presence_penalty": 0, "seed": 42, "stop": ["END"]},
    {"model": MODEL, "messages": [{"role": "user", "content": TITLE}], "stream": False, "max_completion_tokens": 1000},
    {"stream": True, "model": MODEL, "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]},
]  # fmt: skip
OLLAMA: list[dict[str, Any]] = [
    {"model": MODEL, "messages": TALK, "options": {}, "stream": True},
    {"model": MODEL, "messages": [SYSTEM, *TALK], "stream": True, "keep_alive": "5m", "format": None, "template": None, "tools": None,
     "options": {"temperature": 0.8, "num_ctx": 8192, "num_predict": 128, "mirostat": 0, "repeat_penalty": 1.1, "top_k": 40,
     "num_gpu": 1, "stop": ["END"]}},
    {"model": MODEL, "messages": [{"role": "user", "content": TITLE}], "stream": False, "options": {"num_predict": 1000}},
]  # fmt: skip


def text_of(path: str, body: str) -> str:
    """The answer's text, as the page puts it together."""
    parts = [json.loads(line.removeprefix("data: ")) for line in body.splitlines() if "{" in line]
    if path.startswith("/api"):
        return "".join(part["message"]["content"] for part in parts)
    choices = [choice for part in parts for choice in part["choices"]]
    return "".join((choice.get("delta") or choice["message"]).get("content") or "" for choice in choices)


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/chat/completions", body) for body in OPENAI] + [("/api/chat", body) for body in OLLAMA]
)
def test_its_questions_are_answered(run: Run, path: str, body: dict[str, Any]) -> None:
    async def scenario(stack: Stack) -> None:
        async with stack.client.post(stack.url + path, json=body, headers=HEADERS) as response:
            assert response.status == 200, await response.text()
            assert text_of(path, await response.text()) == "".join(TOKENS)
        [sent] = stack.engine.requests
        assert [message["role"] for message in sent["messages"]].count("system") == 1
        assert "pirate" not in json.dumps(sent)
        assert "Alice" not in json.dumps(stack.engine.headers)

    run(scenario)


def test_it_finds_the_models(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        assert [model["id"] for model in (await stack.get("/v1/models"))[1]["data"]] == [MODEL]
        assert [model["model"] for model in (await stack.get("/api/tags"))[1]["models"]] == [MODEL]
        assert (await stack.get("/api/version"))[0] == 200
        assert (await stack.get("/api/ps"))[0] == 404

    run(scenario)
