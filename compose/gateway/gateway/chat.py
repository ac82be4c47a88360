"""Turn what a client sent into what the engine gets: rebuilt from an allow-list, with exactly one system message, ours.

The engine never sees the client's bytes, so a second reading of them (repeated keys, odd numbers) has nothing to differ about.
"""

import unicodedata
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.errors import Refusal, bad_request
from gateway.settings import Policy, Range

_OWN = {"model", "messages", "stream", "stream_options", "stop", "max_completion_tokens"}
_STOP_COUNT, _STOP_CHARS = 4, 64


@dataclass
class Chat:
    """A checked request. `turns` are the user's and the assistant's messages in order; the last one is the user's."""

    turns: list[dict[str, str]]
    options: dict[str, Any]
    stream: bool
    show_usage: bool = False

    @property
    def question(self) -> str:
        """The last message of the user."""
        return self.turns[-1]["content"]

    def engine_body(self, model: str, system_prompt: str, fenced: str) -> bytes:
        """The body for the engine; `fenced` (passages, or empty) goes before the question, never into the system message."""
        last = {"role": "user", "content": f"{fenced}{self.question}"}
        messages = [{"role": "system", "content": system_prompt}, *self.turns[:-1], last]
        asked = {"stream_options": {"include_usage": True}} if self.stream else {}  # to settle the budget
        return orjson.dumps({"model": model, "messages": messages, "stream": self.stream, **self.options, **asked})


def parse(body: bytes, model: str | None, policy: Policy) -> Chat:
    """Check a request body against the policy; `model` is the one that may be asked for. Raise Refusal (400, 404)."""
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise bad_request("invalid_json", "The request body is not valid JSON.") from None
    if not isinstance(request, dict):
        raise bad_request("invalid_json", "The request body is not a JSON object.")
    _known_fields(request, policy)
    if model is None or request.get("model") != model:
        raise Refusal(404, "model_not_found", "This model is not served here: see GET /v1/models.", param="model")
    stream = _boolean(request, "stream")
    show_usage = stream and _shows_usage(request.get("stream_options"))
    return Chat(_turns(request.get("messages"), policy), _options(request, policy), stream, show_usage)


def defuse(text: str, policy: Policy) -> str:
    """Break every control token with a space after its first character, so that it is read as text.

    Repeated, since a token may hold another one. It ends: each round breaks a bracket for good.
    """
    while policy.control.search(text):
        text = policy.control.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
    return text


def _known_fields(request: dict[str, Any], policy: Policy) -> None:
    known = _OWN | policy.fields.forward.keys() | policy.fields.drop
    if request.keys() - known:
        raise bad_request("unknown_field", "The request has a field that is not allowed here.")


def _boolean(fields: dict[str, Any], name: str) -> bool:
    value = fields.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise bad_request("invalid_type", "A boolean was expected.", name)


def _turns(messages: Any, policy: Policy) -> list[dict[str, str]]:
    if not isinstance(messages, list) or not 0 < len(messages) <= policy.limits.messages:
        limit = policy.limits.messages
        raise bad_request("invalid_messages", f"A list of 1 to {limit} messages was expected.", "messages")
    turns = [turn for message in messages if (turn := _turn(message, policy))]
    if not turns or turns[-1]["role"] != "user":
        raise bad_request("invalid_messages", "The last message has to be the user's.", "messages")
    return turns


def _turn(message: Any, policy: Policy) -> dict[str, str] | None:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise bad_request("invalid_messages", "Each message needs a role.", "messages")
    role = unicodedata.normalize("NFKC", message["role"]).casefold().strip()
    if role in policy.roles.drop:
        return None
    if role not in policy.roles.forward:
        raise bad_request("invalid_role", "A message has a role that is not allowed here.", "messages")
    return {"role": role, "content": defuse(_text(message.get("content")), policy)}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not all(_is_text_part(part) for part in content):
        raise bad_request("invalid_content", "Message content has to be text.", "messages")
    return "\n".join(part["text"] for part in content)


def _is_text_part(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _options(request: dict[str, Any], policy: Policy) -> dict[str, Any]:
    if request.get("max_tokens") is None:
        request["max_tokens"] = request.get("max_completion_tokens")
    options: dict[str, Any] = {
        name: _clamp(name, request.get(name), limit) for name, limit in policy.fields.forward.items()
    }
    options["stop"] = _stop(request.get("stop"))
    return {name: value for name, value in options.items() if value is not None}


def _clamp(name: str, value: Any, limit: Range) -> float | int | None:
    if value is None:
        value = limit.default
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or (limit.type == "integer" and value % 1):
        raise bad_request("invalid_type", f"A value of type {limit.type} was expected.", name)
    value = min(max(value, limit.min), limit.max)
    return int(value) if limit.type == "integer" else value


def _stop(value: Any) -> list[str] | None:
    stops = [value] if isinstance(value, str) else value
    if stops is None:
        return None
    if not isinstance(stops, list) or len(stops) > _STOP_COUNT or not all(_is_stop(stop) for stop in stops):
        message = f"At most {_STOP_COUNT} texts of at most {_STOP_CHARS} characters were expected."
        raise bad_request("invalid_stop", message, "stop")
    return stops


def _is_stop(stop: Any) -> bool:
    return isinstance(stop, str) and 0 < len(stop) <= _STOP_CHARS


def _shows_usage(value: Any) -> bool:
    if value is None:
        return False
    if not isinstance(value, dict) or value.keys() - {"include_usage"}:
        raise bad_request("unknown_field", "Only include_usage is allowed in stream_options.", "stream_options")
    return _boolean(value, "include_usage")
