"""Ollama's API, for clients that speak no other: its requests in the one form of `chat.py`, answers and errors back in its own.

Shapes: https://github.com/ollama/ollama/blob/main/docs/api.md and api/types.go there, as of VERSION.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from gateway import chat
from gateway.counted import Counted
from gateway.embeddings import Texts
from gateway.errors import Refusal, bad_request
from gateway.output import STOPPED
from gateway.settings import Policy
from gateway.wire import JSON

VERSION = "0.17.4"
LINES = b"application/x-ndjson"
Fields = dict[str, Any]
_EMPTY: tuple[Any, ...] = (None, "", [], {}, False)
_CHAT, _GENERATE = (
    frozenset(["model", "messages", "stream", "options", "tools", "rag"]),
    frozenset(["model", "prompt", "stream", "options", "rag"]),
)
_NO_LIMIT = 1 << 31  # num_predict below zero: as much as is allowed
_UNKNOWN = "0" * 64  # a digest that clients only show


class Stream:
    """A streamed answer as lines of JSON."""

    def __init__(self, model: str, began: float, name: str) -> None:
        self._model, self._began, self._name = model, began, name
        self._calls: dict[int, Fields] = {}
        self._reason = "stop"

    def event(self, _raw: bytes, chunk: Fields, _changed: bool) -> bytes:
        """The line for one event; nothing for an event without text."""
        choice = chunk["choices"][0]
        delta = choice.get("delta") or {}
        self._reason = choice.get("finish_reason") or self._reason
        for call in delta.get("tool_calls") or ():
            _add(
                self._calls.setdefault(call.get("index", 0), {"name": "", "arguments": ""}), call.get("function") or {}
            )
        text, thinking = delta.get("content") or "", delta.get("reasoning_content") or delta.get("reasoning") or ""
        return self._line(text, thinking) if text or thinking else b""

    def usage(self, _raw: bytes) -> bytes:
        """Nothing: the last line counts."""
        return b""

    def beat(self) -> bytes:
        """Nothing: a line without meaning does not exist here."""
        return b""

    def end(self, counted: Counted) -> bytes:
        """The calls of tools, if any, and the line that ends the answer."""
        calls = [_called(call) for _, call in sorted(self._calls.items())]
        last = _head(self._model) | _said(self._name, "", "", []) | _done(self._reason, self._began, counted)
        return (self._line("", "", calls) if calls else b"") + orjson.dumps(last) + b"\n"

    def _line(self, text: str, thinking: str, calls: Sequence[Fields] = ()) -> bytes:
        return orjson.dumps(_head(self._model) | _said(self._name, text, thinking, calls) | {"done": False}) + b"\n"


class Api:
    """`POST /api/chat`, or `/api/generate` if `name` is "response"; the rest is of all routes below /api."""

    kind = LINES
    kinds = (JSON, b"application/x-www-form-urlencoded")  # what `curl -d` says, and the genuine server takes

    def __init__(self, name: str = "message") -> None:
        self._name = name

    def not_of_embeddings(self, policy: Policy) -> frozenset[str]:
        """Fields of /api/embed that are swallowed."""
        return policy.ollama.drop | {"options"}

    def read(self, request: Fields, policy: Policy) -> chat.Chat:
        """Raise Refusal (400)."""
        known = _CHAT if self._name == "message" else _GENERATE
        given = {
            key: value
            for key, value in request.items()
            if key not in policy.ollama.drop and (key in known or value not in _EMPTY)
        }
        if given.keys() - known:
            raise bad_request("unknown_field", "The request has a field that is not allowed here.")
        plain = {name: given.get(name) for name in ("model", "tools", "rag")} | {
            "stream": True if given.get("stream") is None else given["stream"]
        }
        if known is _CHAT:
            plain["messages"] = _messages(given.get("messages"))
        else:
            plain["messages"] = [{"role": "user", "content": given.get("prompt")}]
        return chat.read(plain | _options(given.get("options"), policy), policy)

    def stream(self, _request: chat.Chat, model: str, began: float) -> Stream:
        """The writer of a streamed answer."""
        return Stream(model, began, self._name)

    def whole(self, _raw: bytes, answer: Fields, _changed: bool, model: str, began: float) -> bytes:
        """A whole answer."""
        choice, counted = answer["choices"][0], Counted()
        counted.read(answer)
        said = choice.get("message") or {}
        thinking = said.get("reasoning_content") or said.get("reasoning") or ""
        calls = [_called(call.get("function") or {}) for call in said.get("tool_calls") or ()]
        text = _said(self._name, said.get("content") or "", thinking, calls)
        return orjson.dumps(_head(model) | text | _done(choice.get("finish_reason") or "stop", began, counted))

    def embedded(self, answer: Fields, _texts: Texts, model: str, began: float) -> bytes:
        """`POST /api/embed`."""
        counts = {"total_duration": _since(began), "load_duration": 0, "prompt_eval_count": answer["tokens"]}
        return orjson.dumps({"model": model, "embeddings": answer["vectors"]} | counts)

    def models(self, names: Sequence[str], started: int) -> bytes:
        """`GET /api/tags`: what exists is told, of what it is made is not."""
        since = _text(datetime.fromtimestamp(started, UTC))
        listed = [
            {"name": name, "model": name, "modified_at": since, "size": 0, "digest": _UNKNOWN, "details": _DETAILS}
            for name in names
        ]
        return orjson.dumps({"models": listed})

    def error(self, refusal: Refusal) -> bytes:
        """`{"error": text}` as JSON bytes."""
        return orjson.dumps({"error": refusal.message})

    def broken(self, refusal: Refusal) -> bytes:
        """An error after the stream has begun."""
        return self.error(refusal) + b"\n"


_DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "",
    "families": None,
    "parameter_size": "",
    "quantization_level": "",
}


def shown() -> bytes:
    """`POST /api/show`: that there is such a model to talk to; its template, licence and system prompt are nobody's business."""
    return orjson.dumps({"details": _DETAILS, "model_info": {}, "capabilities": ["completion"]})


def _messages(messages: Any) -> Any:
    """With the calls of tools as OpenAI's API has them; they have no ids here, so the order of calls and results tells."""
    if not isinstance(messages, list):
        return messages
    waiting: list[str] = []
    return [
        _message(message, place, waiting) if isinstance(message, dict) else message
        for place, message in enumerate(messages)
    ]


def _message(message: Fields, place: int, waiting: list[str]) -> Fields:
    if message.get("images"):
        raise bad_request("invalid_content", "Message content has to be text.", "messages")
    plain = {"role": message.get("role"), "content": message.get("content", "")}
    calls = message.get("tool_calls")
    if calls and isinstance(calls, list):
        plain["tool_calls"] = [_call(call, f"call_{place}_{number}") for number, call in enumerate(calls)]
        waiting[:] = [call["id"] for call in plain["tool_calls"]]
    if message.get("role") == "tool":
        plain["tool_call_id"] = waiting.pop(0) if waiting else "call"
    return plain


def _call(call: Any, identity: str) -> Fields:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        function = {}
    arguments = function.get("arguments", {})
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    return {"id": identity, "function": {"name": function.get("name"), "arguments": text}}


def _options(options: Any, policy: Policy) -> Fields:
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise bad_request("invalid_type", "An object was expected.", "options")
    given = {name: value for name, value in options.items() if name not in policy.ollama.drop_options}
    if given.keys() - policy.fields.forward.keys() - {"num_predict", "stop"} or "max_tokens" in given:
        raise bad_request("unknown_field", "There is an option that is not allowed here.", "options")
    if (most := given.pop("num_predict", None)) is not None:
        given["max_tokens"] = _NO_LIMIT if isinstance(most, int) and most < 0 else most
    return given


def _add(call: Fields, function: Fields) -> None:
    call["name"] += function.get("name") or ""
    call["arguments"] += function.get("arguments") or ""


def _called(function: Fields) -> Fields:
    try:
        arguments = orjson.loads(function.get("arguments") or "{}")
    except orjson.JSONDecodeError:
        arguments = {}
    return {"function": {"name": function.get("name") or "", "arguments": arguments}}


def _head(model: str) -> Fields:
    return {"model": model, "created_at": _text(datetime.now(UTC))}


def _said(name: str, text: str, thinking: str, calls: Sequence[Fields]) -> Fields:
    thought = {"thinking": thinking} if thinking else {}
    if name == "response":
        return {"response": text} | thought
    return {
        "message": {"role": "assistant", "content": text} | thought | ({"tool_calls": list(calls)} if calls else {})
    }


def _done(reason: str, began: float, counted: Counted) -> Fields:
    ended = {"done": True, "done_reason": reason if reason in ("stop", "length", STOPPED) else "stop"}
    counts = {
        "prompt_eval_count": counted.prompt_tokens or 0,
        "eval_count": counted.completion_tokens or counted.events,
    }
    return (
        ended
        | {
            "total_duration": _since(began),
            "load_duration": 0,
            "prompt_eval_duration": 0,
            "eval_duration": _since(began),
        }
        | counts
    )


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1e9)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
