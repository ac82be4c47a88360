"""Ollama's API: what its clients send and what they get, streamed and whole, over the same engine."""

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import EMBED, MODEL, Run, Stack, add_routes, change_policy
from .double import TOKENS, USAGE, tool_call

USER = {"role": "user", "content": "hello"}
ASK = {"model": MODEL, "messages": [USER]}


async def lines(stack: Stack, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """A stream's lines."""
    async with stack.client.post(stack.url + path, json=body, headers=stack.bearer) as response:
        assert (response.status, response.headers["Content-Type"]) == (200, "application/x-ndjson")
        return [json.loads(line) for line in (await response.text()).splitlines()]


@pytest.mark.parametrize("said", [{}, {"stream": None}, {"stream": True}])
def test_a_chat_streams_by_default(run: Run, said: dict[str, Any]) -> None:
    async def scenario(stack: Stack) -> None:
        got = await lines(stack, "/api/chat", ASK | said)
        assert [line["message"] for line in got[:-1]] == [{"role": "assistant", "content": token} for token in TOKENS]
        assert [line["done"] for line in got] == [False] * len(TOKENS) + [True]
        assert {line["model"] for line in got} == {MODEL}
        last = got[-1]
        assert (last["done_reason"], last["message"]["content"]) == ("stop", "")
        assert (last["prompt_eval_count"], last["eval_count"]) == (USAGE["prompt_tokens"], USAGE["completion_tokens"])
        assert last["total_duration"] > 0
        [sent] = stack.engine.requests
        assert sent["messages"] == [{"role": "system", "content": stack.prompt}, USER]

    run(scenario)


def test_a_whole_chat(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        status, said = await stack.send("/api/chat", ASK | {"stream": False})
        assert (status, said["message"]) == (200, {"role": "assistant", "content": "".join(TOKENS)})
        assert (said["done"], said["done_reason"], said["eval_count"]) == (True, "stop", USAGE["completion_tokens"])

    run(scenario)


def test_generate_is_off_unless_the_policy_says_so(run: Run, policies: Path) -> None:
    ask = {"model": MODEL, "prompt": "hello"}

    async def closed(stack: Stack) -> None:
        assert await stack.send("/api/generate", ask) == (404, {"error": "There is nothing here."})

    async def opened(stack: Stack) -> None:
        got = await lines(stack, "/api/generate", ask | {"system": "", "context": [], "raw": False})
        assert "".join(line["response"] for line in got) == "".join(TOKENS)
        assert got[-1]["done"] is True
        assert (await stack.send("/api/generate", ask | {"stream": False}))[1]["response"] == "".join(TOKENS)
        assert stack.engine.requests[0]["messages"][1] == USER

    run(closed)
    add_routes(policies, "POST /api/generate")
    run(opened)


@pytest.mark.parametrize(
    ("options", "arrives"),
    [
        ({}, {"max_tokens": 512, "temperature": 0}),
        ({"num_predict": 7, "temperature": 0.5, "seed": 3, "top_p": 0.5}, {"max_tokens": 7, "temperature": 0.5, "seed": 3, "top_p": 0.5}),
        ({"num_predict": -1}, {"max_tokens": 2048, "temperature": 0}),
        ({"num_predict": 10**9, "temperature": 99}, {"max_tokens": 2048, "temperature": 2}),
        ({"num_ctx": 10**6, "num_gpu": 99, "top_k": 3, "mirostat": 1, "stop": ["END"]}, {"max_tokens": 512, "temperature": 0,
        "stop": ["END"]}),
    ],
)  # fmt: skip
def test_options_are_clamped(run: Run, options: dict[str, Any], arrives: dict[str, Any]) -> None:
    async def scenario(stack: Stack) -> None:
        assert (await stack.send("/api/chat", ASK | {"options": options, "keep_alive": -1, "stream": False}))[0] == 200
        [sent] = stack.engine.requests
        assert {name: sent[name] for name in sent.keys() - {"model", "messages", "stream"}} == arrives

    run(scenario)


def test_calls_of_tools_there_and_back(run: Run) -> None:
    tool = {"type": "function", "function": {"name": "weather", "description": "d", "parameters": {"type": "object"}}}
    call = {"function": {"name": "weather", "arguments": {"city": "Paris"}}}
    talk = [
        USER,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "rain", "tool_name": "weather"},
    ]

    async def scenario(stack: Stack) -> None:
        stack.engine.answer = tool_call("weather", '{"city": "Paris"}')
        got = await lines(stack, "/api/chat", ASK | {"tools": [tool]})
        assert [line["message"].get("tool_calls") for line in got] == [[call], None]
        _, said = await stack.send("/api/chat", ASK | {"tools": [tool], "stream": False})
        assert said["message"]["tool_calls"] == [call]
        assert (await stack.send("/api/chat", ASK | {"messages": talk, "stream": False}))[0] == 200
        sent = stack.engine.requests[-1]["messages"]
        assert json.loads(sent[2]["tool_calls"][0]["function"]["arguments"]) == {"city": "Paris"}
        assert sent[3] == {"role": "tool", "tool_call_id": sent[2]["tool_calls"][0]["id"], "content": "rain"}

    run(scenario)


def test_errors_have_ollamas_shape(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        for body, status in (
            (ASK | {"model": "x"}, 404),
            (ASK | {"messages": 1}, 400),
            (ASK | {"template": "x"}, 400),
            ("{", 400),
        ):
            got, said = await stack.send("/api/chat", body)
            assert (got, list(said), type(said["error"])) == (status, ["error"], str)
        stack.engine.mode = "break"
        got = await lines(stack, "/api/chat", ASK)
        assert list(got[-1]) == ["error"]
        assert (await stack.send("/api/nothing", ASK))[1] == {"error": "There is nothing here."}

    run(scenario)


def test_what_else_its_clients_ask_for(run: Run, policies: Path) -> None:
    add_routes(policies, "POST /api/show", "HEAD /")

    async def scenario(stack: Stack) -> None:
        _, tags = await stack.get("/api/tags")
        assert [model["name"] for model in tags["models"]] == [MODEL, EMBED]
        assert (await stack.get("/api/version"))[1]["version"].count(".") == 2
        assert (await stack.send("/api/show", {"model": MODEL}))[1]["capabilities"] == ["completion"]
        assert (await stack.send("/api/show", {"model": "x"}))[0] == 404
        async with stack.client.head(stack.url + "/", headers=stack.bearer) as response:
            assert response.status == 200
        async with stack.client.head(stack.url + "/") as response:
            assert response.status == 401

    run(scenario, embed_model=EMBED)


def test_curl_says_it_sends_a_form(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        headers = stack.bearer | {"Content-Type": "application/x-www-form-urlencoded"}
        for path, status in (("/api/chat", 200), ("/v1/chat/completions", 415)):
            async with stack.client.post(stack.url + path, data=json.dumps(ASK), headers=headers) as response:
                assert response.status == status

    run(scenario)


@pytest.mark.parametrize("path", ["/api/embed", "/v1/embeddings"])
def test_vectors(run: Run, policies: Path, path: str) -> None:
    change_policy(policies, "limits", inputs=3)

    async def scenario(stack: Stack) -> None:
        status, said = await stack.send(path, {"model": EMBED, "input": ["one", "two"]})
        vectors = said["embeddings"] if path == "/api/embed" else [entry["embedding"] for entry in said["data"]]
        assert (status, vectors) == (200, [[0.5, 3.0], [0.5, 3.0]])
        assert stack.engine.requests == [{"model": EMBED, "input": ["one", "two"], "encoding_format": "float"}]
        for wrong in ([], ["x"] * 4, [""], [1], {"a": 1}, None, [[1, 2]]):
            assert (await stack.send(path, {"model": EMBED, "input": wrong}))[0] == 400, wrong
        assert (await stack.send(path, {"model": MODEL, "input": "x"}))[0] == 404
        assert (await stack.send(path, {"model": EMBED, "input": "x", "system": "y"}))[0] == 400
        assert len(stack.engine.requests) == 1

    run(scenario, embed_model=EMBED)


def test_vectors_in_base64(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        _, said = await stack.send("/v1/embeddings", {"model": EMBED, "input": "one", "encoding_format": "base64"})
        assert said["data"][0]["embedding"] == "AAAAPwAAQEA="
        assert said["usage"] == {"prompt_tokens": 3, "total_tokens": 3}

    run(scenario, embed_model=EMBED)


def test_no_vectors_without_a_model_for_them(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        assert (await stack.send("/v1/embeddings", {"model": MODEL, "input": "one"}))[0] == 404

    run(scenario)
