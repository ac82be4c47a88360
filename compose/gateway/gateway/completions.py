"""OpenAI's older API, `POST /v1/completions`: a prompt instead of messages, which the model gets as the one message of a chat.

Shapes: https://platform.openai.com/docs/api-reference/completions
"""

from typing import Any

import orjson

from gateway import chat, openai
from gateway.errors import bad_request
from gateway.settings import Policy

Fields = dict[str, Any]


class Stream(openai.Stream):
    """A streamed answer, an event for each piece of text."""

    def __init__(self, show_usage: bool, model: str) -> None:
        super().__init__(show_usage)
        self._model = model

    def event(self, _raw: bytes, chunk: Fields, _changed: bool) -> bytes:
        """One event."""
        told = [_choice(choice, (choice.get("delta") or {}).get("content")) for choice in chunk["choices"]]
        return b"data: " + orjson.dumps(_head(chunk, self._model) | {"choices": told}) + openai.END

    def usage(self, raw: bytes) -> bytes:
        """The event that only counts."""
        if not self._show_usage:
            return b""
        chunk = orjson.loads(raw.removeprefix(b"data:"))
        counted = {"choices": [], "usage": chunk["usage"]}
        return b"data: " + orjson.dumps(_head(chunk, self._model) | counted) + openai.END


class Api(openai.Api):
    """`POST /v1/completions`."""

    def read(self, request: Fields, policy: Policy) -> chat.Chat:
        """Raise Refusal (400)."""
        prompt = request.pop("prompt", None)
        if isinstance(prompt, list) and len(prompt) == 1:
            prompt = prompt[0]
        if not isinstance(prompt, str) or request.keys() & {"messages", "tools", "tool_choice"}:
            raise bad_request("invalid_prompt", "One text was expected, and no messages or tools.", "prompt")
        return chat.read(request | {"messages": [{"role": "user", "content": prompt}]}, policy)

    def stream(self, request: chat.Chat, model: str, began: float) -> Stream:
        """The writer of a streamed answer."""
        return Stream(request.show_usage, model)

    def whole(self, _raw: bytes, answer: Fields, _changed: bool, model: str, _began: float) -> bytes:
        """A whole answer."""
        told = [_choice(choice, (choice.get("message") or {}).get("content")) for choice in answer["choices"]]
        usage = {"usage": answer["usage"]} if "usage" in answer else {}
        return orjson.dumps(_head(answer, model) | {"choices": told} | usage)


def _head(answer: Fields, model: str) -> Fields:
    made = {"id": answer.get("id", ""), "created": answer.get("created", 0)}
    return made | {"object": "text_completion", "model": model}


def _choice(choice: Fields, text: Any) -> Fields:
    return {
        "index": choice.get("index", 0), "text": text or "", "logprobs": None, "finish_reason": choice.get("finish_reason"),
    }  # fmt: skip
