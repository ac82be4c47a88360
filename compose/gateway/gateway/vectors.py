"""The vector of a question, from the engine or whatever else speaks OpenAI's `/v1/embeddings` at a fixed address."""

import orjson

from gateway.embeddings import checked
from gateway.settings import Limits, Settings
from gateway.upstream import Upstream

PATH = "/v1/embeddings"
_ANSWER_BYTES = 1 << 23


def question_prefix(model: str) -> str:
    """What a model's card demands before a question; `rag/embedder.py` has the same for both sides."""
    short = model.rpartition("/")[2].partition(":")[0]
    return "search_query: " if short == "nomic-embed-text" else "query: " if "e5" in short else ""


class Vectors:
    """`identity`: name and digest of the model, as the index has them. Create inside the running loop."""

    @classmethod
    def of_settings(cls, settings: Settings, limits: Limits) -> "Vectors | None":
        """None without an embedding model."""
        if not settings.embed_model:
            return None
        where, model = settings.embed_url or settings.engine_url, settings.embed_model
        return cls(where, model, settings.embed_digest, limits.connect_seconds, limits.idle_seconds)

    def __init__(self, url: str, model: str, digest: str, connect_seconds: float, idle_seconds: float) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._upstream = Upstream((host, int(port)), connect_seconds, idle_seconds)
        self._model, self._prefix = model, question_prefix(model)
        self.identity = f"{model}@{digest}" if digest else model

    def close(self) -> None:
        """Close the connections."""
        self._upstream.close()

    async def of(self, text: str) -> list[float]:
        """Raise one of FAILURES, or ValueError, KeyError, TypeError for an answer that is none."""
        body = orjson.dumps({"model": self._model, "input": [self._prefix + text], "encoding_format": "float"})
        answer = checked(await self.posted(body), 1)
        vector: list[float] = answer["vectors"][0]
        return vector

    async def posted(self, body: bytes) -> bytes:
        """The answer to a body that is whole already. Raise as `of`."""
        return await self._upstream.post(PATH, body, _ANSWER_BYTES)
