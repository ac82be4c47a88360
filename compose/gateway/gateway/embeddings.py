"""Texts to vectors: the request in one form for both APIs, and the engine's answer judged before anything of it goes out."""

from dataclasses import dataclass
from typing import Any

import orjson

from gateway.errors import bad_request
from gateway.settings import Policy

Fields = dict[str, Any]
_DIMENSIONS = 8192


@dataclass(frozen=True)
class Texts:
    """What shall become vectors; `packed`: the client wants them in base64."""

    texts: list[str]
    dimensions: int | None = None
    packed: bool = False

    def engine_body(self, model: str) -> bytes:
        """For the engine's /v1/embeddings."""
        wanted = {"dimensions": self.dimensions} if self.dimensions else {}
        return orjson.dumps({"model": model, "input": self.texts, "encoding_format": "float", **wanted})


def read(request: Fields, policy: Policy, *, drop: frozenset[str]) -> Texts:
    """Check a request of either API; `drop` names the fields that are swallowed. Raise Refusal (400)."""
    if request.keys() - {"model", "input", "dimensions", "encoding_format"} - drop:
        raise bad_request("unknown_field", "The request has a field that is not allowed here.")
    texts = [request["input"]] if isinstance(request.get("input"), str) else request.get("input")
    if not isinstance(texts, list) or not 0 < len(texts) <= policy.limits.inputs or not all(map(_is_text, texts)):
        raise bad_request("invalid_input", f"A text, or 1 to {policy.limits.inputs} texts, were expected.", "input")
    if (encoding := request.get("encoding_format")) not in (None, "float", "base64"):
        raise bad_request("invalid_type", "float or base64 was expected.", "encoding_format")
    size = request.get("dimensions")
    if size is not None and (type(size) is not int or not 0 < size <= _DIMENSIONS):
        raise bad_request("invalid_type", f"A number from 1 to {_DIMENSIONS} was expected.", "dimensions")
    return Texts(texts, size, encoding == "base64")


def _is_text(text: Any) -> bool:
    return isinstance(text, str) and text != ""


def checked(raw: bytes, count: int) -> Fields:
    """`{"vectors", "tokens"}` of the engine's answer. Raise ValueError, KeyError or TypeError for one that is none."""
    answer = orjson.loads(raw)
    vectors = [entry["embedding"] for entry in sorted(answer["data"], key=lambda entry: entry["index"])]
    if len(vectors) != count or not all(isinstance(vector, list) and vector for vector in vectors):
        raise ValueError("not one vector a text")
    return {"vectors": vectors, "tokens": int(answer["usage"]["prompt_tokens"]), "usage": answer["usage"]}
