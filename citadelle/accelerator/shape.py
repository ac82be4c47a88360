"""What a model takes beside its weights: the few numbers of a GGUF's own header that the cache of keys and values depends on.

Form of the header: github.com/ggml-org/ggml, docs/gguf.md. Names of the numbers there: `<architecture>.block_count` and so on.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

F16 = 2  # bytes of a number in the cache, unless told otherwise: llama.cpp and Ollama alike
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
LONGEST = 1 << 20  # bytes of one text
MOST = 1 << 24  # entries of one list: the largest vocabularies have 262,144
WANTED = (
    "block_count", "context_length", "embedding_length", "attention.head_count", "attention.head_count_kv",
    "attention.key_length", "attention.value_length",
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """`weights`: bytes of the file; `token`: bytes that each token of context takes in the cache; `trained`: the longest context."""

    weights: int
    token: int
    trained: int


@lru_cache(maxsize=32)
def read_shape(path: Path) -> Shape:
    """The shape of the model in a GGUF file. Raises OSError, and ValueError where it is no GGUF or does not say what is needed.

    A token takes, in every block, a key and a value of each head that keeps some: head_count_kv * (key_length + value_length) numbers
    (llama.cpp, src/llama-kv-cache.cpp; Ollama, fs/ggml/ggml.go, GraphSize). Blocks with a sliding window take less: this is the most.
    """
    with path.open("rb") as file:
        try:
            found = _metadata(file)
        except (struct.error, UnicodeDecodeError):
            raise ValueError(f"GGUF ends within its header: {path}") from None
    try:
        return Shape(path.stat().st_size, _token_bytes(found), int(found["context_length"]))
    except KeyError as error:
        raise ValueError(f"GGUF does not say {error.args[0]}: {path}") from None


def _token_bytes(found: dict[str, Any]) -> int:
    blocks, heads = int(found["block_count"]), found["attention.head_count"]
    keeping = found.get("attention.head_count_kv", heads)
    per_block = keeping if isinstance(keeping, list) else [keeping] * blocks
    most = max(heads) if isinstance(heads, list) else heads
    width = found["embedding_length"] // most if most else 0
    length = found.get("attention.key_length", width) + found.get("attention.value_length", width)
    return F16 * length * sum(per_block)


def _metadata(file: IO[bytes]) -> dict[str, Any]:
    """The wanted numbers by their name without the architecture."""
    if file.read(4) != b"GGUF":
        raise ValueError(f"not a GGUF file: {file.name}")
    version, _, count = struct.unpack("<IQQ", file.read(20))
    if version not in {2, 3} or count > MOST:
        raise ValueError(f"GGUF of an unknown form: version {version}: {file.name}")
    found, architecture = {}, ""
    for _ in range(count):
        key = _text(file)
        value = _value(file, *struct.unpack("<I", file.read(4)))
        if key == "general.architecture":
            architecture = str(value)
        found[key] = value
    prefix = f"{architecture}."
    return {key.removeprefix(prefix): value for key, value in found.items() if key.removeprefix(prefix) in WANTED}


def _text(file: IO[bytes]) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > LONGEST:
        raise ValueError(f"GGUF with a text of {length} bytes: {file.name}")
    return file.read(length).decode()


def _value(file: IO[bytes], kind: int) -> Any:
    """A value; of a list, only numbers are kept."""
    if kind == STRING:
        return _text(file)
    if kind != ARRAY:
        return struct.unpack(f"<{_code(file, kind)}", file.read(struct.calcsize(f"<{_code(file, kind)}")))[0]
    kind, count = struct.unpack("<IQ", file.read(12))
    if count > MOST:
        raise ValueError(f"GGUF with a list of {count}: {file.name}")
    if kind in {STRING, ARRAY}:
        for _ in range(count):
            _value(file, kind)
        return None
    code = f"<{count}{_code(file, kind)}"
    return list(struct.unpack(code, file.read(struct.calcsize(code))))


def _code(file: IO[bytes], kind: int) -> str:
    if kind not in SCALARS:
        raise ValueError(f"GGUF with a value of kind {kind}: {file.name}")
    return SCALARS[kind]
