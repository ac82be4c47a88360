"""The gateway of a host, reached through the host's SSH connection: its port need not be open to any network."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass

from citadelle.cli.hosts import Serving
from citadelle.operations.stack import CURRENT, KEY
from citadelle.release import read_env

ENV = f"{CURRENT}/stack.env"
ANSWER_SECONDS = 300


@dataclass(frozen=True)
class Answer:
    """`text` of the model, or `error` with its `hint`; `seconds` from the question to the last word."""

    seconds: float
    text: str = ""
    error: str = ""
    hint: str = ""


def ask(serving: Serving, question: str) -> Answer:
    """One question, one answer; never raises for what a host does wrong."""
    start = time.monotonic()
    try:
        text = _ask(serving, question)
    except (OSError, ValueError, LookupError) as error:
        what, hint = serving.problem(error)
        return Answer(time.monotonic() - start, error=what, hint=hint)
    return Answer(time.monotonic() - start, text=text)


def _ask(serving: Serving, question: str) -> str:
    env = read_env(serving.read(f"cat {ENV}"))
    # Held in this process for one request; it is not printed, not stored, and no argument of any program.
    key = serving.read(f"cat {KEY}").strip()
    body = {"model": env["CHAT_MODEL"], "messages": [{"role": "user", "content": question}], "max_tokens": 256}
    code, answer = request(serving, env, "/v1/chat/completions", key, body)
    if code != http.HTTPStatus.OK:
        raise ValueError(f"gateway answers {code}: {answer[:300].decode(errors='replace')}")
    return json.loads(answer)["choices"][0]["message"]["content"].strip()


def request(
    serving: Serving, env: dict[str, str], path: str, key: str | None = None, body: object = None
) -> tuple[int, bytes]:
    """Status and body of one HTTP request to the host's gateway: POST when there is a `body`, else GET. Raises OSError."""
    channel = serving.connection.forward(env["GATEWAY_BIND"], int(env["GATEWAY_PORT"]))
    channel.settimeout(ANSWER_SECONDS)
    client = http.client.HTTPConnection("gateway")
    client.sock = channel  # a paramiko channel has the parts of a socket that http.client uses
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    try:
        client.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body), headers)
        response = client.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise OSError(f"gateway does not speak HTTP: {error!r}") from error
    finally:
        client.close()
