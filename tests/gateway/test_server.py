"""What the server does beside answering: bounded heads and patience, a reload by signal, signs of life, metrics."""

import asyncio
import json
import os
import re
import signal
import socket
from pathlib import Path

import pytest
import yaml
from gateway.server import Guarded

from .conftest import KEY, MODEL, Run, Stack, add_routes, change_policy
from .double import TOKENS, event
from .test_routes import head, post, raw

BODY = json.dumps({"model": MODEL, "stream": True, "messages": [{"role": "user", "content": "hi"}]}).encode()


async def closed(port: int, request: bytes) -> bytes:
    """Send, and read until the other side has closed; what came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "request_", [b"", b"GET", b"GET /v1/models HTTP/1.1\r\nHost: x\r\nX: ", head("GET", "/v1/models")[:-2], b"\r\n\r\n"]
)
def test_a_head_that_dawdles_is_cut(run: Run, policies: Path, request_: bytes) -> None:
    change_policy(policies, "limits", head_seconds=1)

    async def scenario(stack: Stack) -> None:
        assert b"200 OK" not in await closed(stack.port, request_)
        assert (await stack.ask())[0] == 200  # others are served all the time

    run(scenario)


def test_a_body_that_comes_after_its_answer_spoils_nothing(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        def kept(*request: str) -> bytes:
            return head(*request).replace(b"Connection: close\r\n", b"")

        reader, writer = await asyncio.open_connection("127.0.0.1", stack.port)
        for _ in range(2):
            writer.write(kept("POST", "/nowhere", "Content-Type: application/json", f"Content-Length: {len(BODY)}"))
            assert (await asyncio.wait_for(reader.readline(), 20)).startswith(b"HTTP/1.1 404 ")
            answered = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(answered.lower().partition(b"content-length: ")[2].split(b"\r")[0]))
            writer.write(BODY)
        writer.write(kept("GET", "/v1/models"))
        assert await asyncio.wait_for(reader.readline(), 20) == b"HTTP/1.1 200 OK\r\n"
        writer.close()

    run(scenario)


def test_requests_that_come_together_are_answered_in_their_order_and_who_asks_no_more_is_sent_away(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = Guarded.connection_made

    def impatient(self: Guarded, transport: asyncio.Transport) -> None:
        usual(self, transport)
        self.timeout_keep_alive = 1

    monkeypatch.setattr(Guarded, "connection_made", impatient)

    async def scenario(stack: Stack) -> None:
        kept = [
            head("GET", path).replace(b"Connection: close\r\n", b"") for path in ("/v1/models", "/nowhere", "/api/tags")
        ]
        answers = await closed(stack.port, b"".join(kept))
        assert re.findall(rb"HTTP/1.1 (\d+) ", answers) == [b"200", b"404", b"200"]
        assert answers.index(b'"object"') < answers.index(b"404") < answers.index(b'"models"')

    run(scenario)


def resident() -> int:
    """Memory of this process, and so of the gateway, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


def test_what_follows_a_body_is_of_no_head_and_takes_no_memory(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        request = head("POST", "/v1/chat/completions", "Content-Type: application/json", "Transfer-Encoding: chunked")
        key, body = f"Authorization: Bearer {KEY}\r\n".encode(), b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
        assert (await raw(stack.port, request + body + b"X: y\r\n\r\n"))[0] == 200
        assert (await raw(stack.port, request.replace(key, b"") + body + key + b"\r\n"))[0] == 401
        endless = (
            request.replace(key, b"").replace(b"close", b"keep-alive") + b"0\r\n" + b"a:\r\n" * 2_000_000 + b"\r\n"
        )
        before = resident()
        answers = await closed(stack.port, endless + head("GET", "/v1/models"))
        assert re.findall(rb"HTTP/1.1 (\d+) ", answers) == [b"401", b"200"]
        assert resident() - before < 100  # with each of them kept: 350

    run(scenario)


def test_of_requests_that_come_together_a_few_wait(run: Run) -> None:
    async def scenario(stack: Stack) -> None:
        few, many = (head("GET", "/nowhere").replace(b"close", b"keep-alive") * count for count in (17, 18))
        closing = head("GET", "/v1/models")
        assert (await closed(stack.port, few[: len(few) // 17 * 16] + closing)).count(b"HTTP/1.1 404 ") == 16
        assert (await closed(stack.port, many)).startswith(b"HTTP/1.1 400 ")
        assert (await stack.ask())[0] == 200

    run(scenario)


@pytest.mark.parametrize(
    "part", [b"X-Long: " + b"x" * 70000, b"".join(b"X-%d: y\r\n" % n for n in range(9000)), b"X" * 70000]
)
def test_a_head_that_is_too_large_is_refused(run: Run, part: bytes) -> None:
    async def scenario(stack: Stack) -> None:
        answer = await closed(stack.port, head("GET", "/v1/models")[:-2] + part)
        assert answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 ")) or answer == b""
        assert b"200 OK" not in answer
        long = await closed(stack.port, b"GET /" + b"x" * 70000)
        assert b"200 OK" not in long

    run(scenario)


def test_a_client_that_takes_nothing_ends_the_engines_work(run: Run, policies: Path) -> None:
    change_policy(policies, "limits", stall_seconds=1)

    async def scenario(stack: Stack) -> None:
        padded = b'data: {"choices":[{"delta":{"content":"x","padding":"%s"}}]}\n\n' % (b"x" * 60000)
        stack.engine.events = [padded] * 200  # more than both ends of a connection buffer
        plug = socket.create_connection(("127.0.0.1", stack.port))
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        length = f"Content-Length: {len(BODY)}"
        plug.sendall(head("POST", "/v1/chat/completions", "Content-Type: application/json", length) + BODY)
        await asyncio.wait_for(stack.engine.gone.wait(), 20)
        plug.close()

    run(scenario, mode="endless")


def test_signs_of_life_while_the_engine_is_silent(run: Run, policies: Path) -> None:
    change_policy(policies, "limits", heartbeat_seconds=1)

    async def scenario(stack: Stack) -> None:
        async with stack.client.post(f"{stack.url}/v1/chat/completions", data=BODY, headers=stack.json) as response:
            assert await asyncio.wait_for(response.content.readany(), 10) == b": keep-alive\n\n"
            assert await asyncio.wait_for(response.content.readany(), 10) == b": keep-alive\n\n"
        await asyncio.wait_for(stack.engine.gone.wait(), 5)
        stack.engine.mode = "answer"
        assert (await stack.ask(stream=True))[2].encode() == b"".join(map(event, TOKENS)) + b"data: [DONE]\n\n"

    run(scenario, mode="hang")


def test_an_error_after_a_sign_of_life_is_an_event(run: Run, policies: Path) -> None:
    change_policy(policies, "limits", heartbeat_seconds=1, idle_seconds=2)

    async def scenario(stack: Stack) -> None:
        async with stack.client.post(f"{stack.url}/v1/chat/completions", data=BODY, headers=stack.json) as response:
            last = (await response.text()).strip().rsplit("\n\n", 1)[-1]
        assert response.status == 200
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "engine_timeout"

    run(scenario, mode="hang")


def test_a_reload_takes_a_good_policy_and_refuses_a_bad_one(
    run: Run, policies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = {"model": MODEL, "prompt": "hi", "stream": False}
    prompt = policies / "system-prompt.md"

    async def reloaded(word: str) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        async with asyncio.timeout(10):
            while f'"event":"{word}"' not in (said := capsys.readouterr().err):
                await asyncio.sleep(0.01)
        assert "hi" not in said

    async def scenario(stack: Stack) -> None:
        assert (await stack.send("/api/generate", ask))[0] == 404
        add_routes(policies, "POST /api/generate")
        prompt.write_text("Another prompt, of this test alone.")
        assert (await stack.send("/api/generate", ask))[0] == 404
        await reloaded("reloaded")
        assert (await stack.send("/api/generate", ask))[0] == 200
        assert stack.engine.requests[-1]["messages"][0]["content"] == "Another prompt, of this test alone."
        good = (policies / "gateway.yaml").read_text("utf-8")
        for bad in (
            "",
            "{",
            "routes: []",
            good.replace("body_bytes", "body_byte"),
            good.replace("POST /api/generate", "POST /api/pull"),
        ):
            (policies / "gateway.yaml").write_text(bad, "utf-8")
            await reloaded("reload_refused")
            assert (await stack.send("/api/generate", ask))[0] == 200
        change = yaml.safe_load(good)
        change["per_key"]["requests_minute"] = 1
        (policies / "gateway.yaml").write_text(yaml.safe_dump(change), "utf-8")
        await reloaded("reloaded")
        assert (await stack.send("/api/generate", ask))[0] == 429  # what was used stays counted

    run(scenario)


def test_metrics_on_their_own_port_with_bounded_labels(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def scenario(stack: Stack) -> None:
        assert (await stack.ask("canary-question"))[0] == 200
        assert (await stack.ask(key="canary-key"))[0] == 401
        assert (await raw(stack.port, head("GET", "/canary-path")))[0] == 404
        assert (await raw(stack.port, post("/metrics")))[0] == 404
        async with stack.client.get(f"http://127.0.0.1:{port}/metrics") as response:
            text = await response.text()
        assert 'gateway_requests_total{code="",route="POST /v1/chat/completions",status="200"} 1.0' in text
        assert 'gateway_requests_total{code="invalid_key",route="none",status="401"} 1.0' in text
        assert 'gateway_requests_total{code="unknown_route",route="none",status="404"} 2.0' in text
        assert 'gateway_tokens_total{direction="in"} 300.0' in text
        assert 'gateway_request_seconds_bucket{le="+Inf",route="POST /v1/chat/completions"} 1.0' in text
        assert "gateway_keys 1.0" in text
        assert "canary" not in text
        assert KEY not in text

    run(scenario, metrics_port=port)
