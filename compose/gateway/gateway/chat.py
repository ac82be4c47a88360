"""The one form in which every chat goes to the engine, whichever API it came by: rebuilt from an allow-list, one system message, ours.

The engine never sees the client's bytes, so a second reading of them (repeated keys, odd numbers) has nothing to differ about.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.errors import Refusal, bad_request
from gateway.settings import Policy, Range

_OWN = frozenset(
    ["model", "messages", "stream", "stream_options", "stop", "max_completion_tokens", "tools", "tool_choice", "rag"]
)
_STOP_COUNT, _STOP_CHARS = 4, 64
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # of a tool, or of a call
Fields = dict[str, Any]


@dataclass
class Chat:
    """A checked request. `turns` are messages as OpenAI's API has them, the system's excepted; the last is the user's or a tool's.

    `rag`: whether the answer shall be from documents; None: as the key says.
    """

    turns: list[Fields]
    options: Fields
    stream: bool
    show_usage: bool = False
    tools: Fields = field(default_factory=dict)
    rag: bool | None = None

    @property
    def question(self) -> str:
        """The last message, if it is the user's."""
        last = self.turns[-1]
        return str(last["content"]) if last["role"] == "user" else ""

    def engine_body(self, model: str, system_prompt: str, fenced: str) -> bytes:
        """The body for the engine; `fenced` (passages, or empty) goes before the question, never into the system message."""
        last = self.turns[-1] | {"content": f"{fenced}{self.turns[-1]['content']}"}
        messages = [{"role": "system", "content": system_prompt}, *self.turns[:-1], last]
        asked = {"stream_options": {"include_usage": True}} if self.stream else {}  # to settle the budget
        body = {"model": model, "messages": messages, "stream": self.stream, **self.options, **self.tools, **asked}
        return orjson.dumps(body)


def read(request: Fields, policy: Policy) -> Chat:
    """Check a request's fields, named as OpenAI's API names them, against the policy. Raise Refusal (400)."""
    names = policy.fields.names
    for name in request:
        if name not in _OWN and name not in names:
            raise bad_request("unknown_field", "The request has a field that is not allowed here.")
    stream = boolean(request, "stream")
    show_usage = stream and _shows_usage(request.get("stream_options"))
    rag = None if request.get("rag") is None else boolean(request, "rag")
    turns, options = _turns(request.get("messages"), policy), _options(request, policy)
    return Chat(turns, options, stream, show_usage, _tools(request, policy), rag)


def check_model(request: Fields, model: str | None) -> None:
    """`model` is the one that this key may ask for. Raise Refusal (404)."""
    if model is None or request.get("model") != model:
        raise Refusal(
            404, "model_not_found", "This model is not served here: ask for the list of models.", param="model"
        )


def defuse(text: str, policy: Policy) -> str:
    """Break every control token with a space after its first character, so that it is read as text.

    Repeated, since a token may hold another one. It ends: each round breaks a bracket for good.
    """
    while policy.control.search(text):
        text = policy.control.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
    return text


def boolean(fields: Fields, name: str) -> bool:
    """A field that is true, false, or not there. Raise Refusal (400)."""
    value = fields.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise bad_request("invalid_type", "A boolean was expected.", name)


def _turns(messages: Any, policy: Policy) -> list[Fields]:
    if not isinstance(messages, list) or not 0 < len(messages) <= policy.limits.messages:
        limit = policy.limits.messages
        raise bad_request("invalid_messages", f"A list of 1 to {limit} messages was expected.", "messages")
    turns = [turn for message in messages if (turn := _turn(message, policy))]
    if not turns or turns[-1]["role"] == "assistant":
        raise bad_request("invalid_messages", "The last message has to be the user's, or a tool's.", "messages")
    return turns


def _turn(message: Any, policy: Policy) -> Fields | None:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise bad_request("invalid_messages", "Each message needs a role.", "messages")
    role = message["role"]
    if role not in policy.roles.forward:
        role = unicodedata.normalize("NFKC", role).casefold().strip()
    if role in policy.roles.drop:
        return None
    if role not in policy.roles.forward or (role == "tool" and not policy.tools.count):
        raise bad_request("invalid_role", "A message has a role that is not allowed here.", "messages")
    turn: Fields = {"role": role}
    if role == "tool":
        turn["tool_call_id"] = _named(message.get("tool_call_id"))
    content = message.get("content")
    if role == "assistant" and (calls := _calls(message.get("tool_calls"), policy)):
        turn["tool_calls"], content = calls, "" if content is None else content
    turn["content"] = defuse(_text(content), policy)
    return turn


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not all(_is_text_part(part) for part in content):
        raise bad_request("invalid_content", "Message content has to be text.", "messages")
    return "\n".join(part["text"] for part in content)


def _is_text_part(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _calls(calls: Any, policy: Policy) -> list[Fields]:
    if not calls:
        return []
    if not isinstance(calls, list) or len(calls) > policy.tools.count:
        raise _bad_tool("messages")
    return [_call(call, policy) for call in calls]


def _call(call: Any, policy: Policy) -> Fields:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
        raise _bad_tool("messages")
    name, arguments = _named(function.get("name")), defuse(function["arguments"], policy)
    return {"id": _named(call.get("id")), "type": "function", "function": {"name": name, "arguments": arguments}}


def _named(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _bad_tool("messages")
    return name


def _bad_tool(param: str) -> Refusal:
    return bad_request("invalid_tool", "A tool, or a call of one, is not well formed or not allowed here.", param)


def _tools(request: Fields, policy: Policy) -> Fields:
    """`tools` and `tool_choice` for the engine. What a tool says of itself is text of the client's: defused like a message."""
    tools, choice = request.get("tools"), request.get("tool_choice")
    if not tools:
        return {}
    if not isinstance(tools, list) or len(tools) > policy.tools.count or len(orjson.dumps(tools)) > policy.tools.bytes:
        raise _bad_tool("tools")
    named = [_tool(tool, policy) for tool in tools]
    return {"tools": named} | ({} if choice is None else {"tool_choice": _choice(choice)})


def _tool(tool: Any, policy: Policy) -> Fields:
    function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
    if not isinstance(function, dict):
        raise _bad_tool("tools")
    about, parameters = function.get("description") or "", function.get("parameters") or {}
    if not isinstance(about, str) or not isinstance(parameters, dict):
        raise _bad_tool("tools")
    name = _named(function.get("name"))
    described = {"name": name, "description": defuse(about, policy), "parameters": _defused(parameters, policy)}
    return {"type": "function", "function": described}


def _defused(value: Any, policy: Policy) -> Any:
    if isinstance(value, str):
        return defuse(value, policy)
    if isinstance(value, list):
        return [_defused(one, policy) for one in value]
    if isinstance(value, dict):
        return {defuse(name, policy): _defused(one, policy) for name, one in value.items()}
    return value


def _choice(choice: Any) -> Any:
    if choice in ("none", "auto", "required"):
        return choice
    if not isinstance(choice, dict) or not isinstance(choice.get("function"), dict):
        raise _bad_tool("tool_choice")
    return {"type": "function", "function": {"name": _named(choice["function"].get("name"))}}


def _options(request: Fields, policy: Policy) -> Fields:
    if request.get("max_tokens") is None:
        request["max_tokens"] = request.get("max_completion_tokens")
    options: Fields = dict(policy.fields.defaults)
    limits = policy.fields.forward
    for name, value in request.items():
        if value is not None and name in limits:
            options[name] = _clamp(name, value, limits[name])
    if stops := _stop(request.get("stop")):
        options["stop"] = stops
    return options


def _clamp(name: str, value: Any, limit: Range) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or (limit.type == "integer" and value % 1):
        raise bad_request("invalid_type", f"A value of type {limit.type} was expected.", name)
    return limit.clamp(value)


def _stop(value: Any) -> list[str] | None:
    stops = [value] if isinstance(value, str) else value
    if not stops:
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
    return boolean(value, "include_usage")
