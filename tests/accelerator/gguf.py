"""Headers of GGUF files as they are written, and the numbers of a genuine model; test_budget.py reads the lab's genuine file."""

from __future__ import annotations

import struct
from typing import Any

from citadelle.accelerator.budget import Given, Sizing
from citadelle.accelerator.decision import Choice
from citadelle.accelerator.shape import Shape

# Mistral 7B v0.3: 32 blocks, 8 of 32 heads keep keys and values, 128 numbers each; weights of the lock in policies/.
MISTRAL = Shape(weights=4372811712, token=32 * 8 * 256 * 2, trained=32768)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def entry(key: str, value: Any) -> bytes:
    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    if isinstance(value, list):
        kind, body = (
            (8, b"".join(map(text, value)))
            if isinstance(value[0], str)
            else (4, struct.pack(f"<{len(value)}I", *value))
        )
        return text(key) + struct.pack("<IIQ", 9, kind, len(value)) + body
    return text(key) + struct.pack("<II", 4, value)


def gguf(version: int = 3, **changes: Any) -> bytes:
    """A header like Mistral's; None leaves a key out."""
    values = {
        "general_architecture": "llama", "tokenizer_ggml_tokens": ["<s>", "</s>", "é"], "llama_block_count": 32,
        "llama_context_length": 32768, "llama_embedding_length": 4096, "llama_attention_head_count": 32,
        "llama_attention_head_count_kv": 8,
    } | changes  # fmt: skip
    dotted = {_key(name): value for name, value in values.items() if value is not None}
    return (
        b"GGUF"
        + struct.pack("<IQQ", version, 0, len(dotted))
        + b"".join(entry(key, value) for key, value in dotted.items())
    )


def _key(name: str) -> str:
    for group in ("general_", "tokenizer_ggml_", "llama_attention_", "llama_"):
        if name.startswith(group):
            return group.replace("_", ".") + name.removeprefix(group)
    raise KeyError(name)


def sizing(choice: Choice, **given: Any) -> Sizing:
    """What decides the budget of a host that serves Mistral."""
    return Sizing(choice, MISTRAL, 0, Given(**given))
