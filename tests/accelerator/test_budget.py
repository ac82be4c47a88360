"""Context, slots and keep-alive from memory; the shape of a model from its GGUF's own header."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from citadelle.accelerator.budget import GIB, Budget, Given, plan
from citadelle.accelerator.decision import Decision
from citadelle.accelerator.shape import Shape, read_shape
from tests.accelerator.gguf import MISTRAL, gguf, text
from tests.lab import state

CPU, CARD = Decision(), Decision(accelerator="nvidia", memory=24 * GIB)


def test_a_header_tells_what_a_token_takes(tmp_path: Path) -> None:
    file = tmp_path / "model"
    file.write_bytes(gguf() + bytes(1000))
    assert read_shape(file) == Shape(len(gguf()) + 1000, MISTRAL.token, 32768)


@pytest.mark.parametrize(
    ("changes", "token"),
    [
        ({"llama_attention_head_count_kv": None}, 32 * 32 * 256 * 2),
        ({"llama_attention_head_count_kv": [8] * 16 + [4] * 16}, 16 * 12 * 256 * 2),
        ({"llama_attention_key_length": 64}, 32 * 8 * 192 * 2),
        ({"llama_attention_key_length": 96, "llama_attention_value_length": 64}, 32 * 8 * 160 * 2),
        ({"version": 2}, MISTRAL.token),
    ],
    ids=["every head keeps", "per block", "short keys", "keys and values differ", "version 2"],
)
def test_models_of_other_shapes(tmp_path: Path, changes: dict[str, Any], token: int) -> None:
    file = tmp_path / "model"
    file.write_bytes(gguf(**changes))
    assert read_shape(file).token == token


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a GGUF file"),
        (b"PK\x03\x04" + bytes(40), "not a GGUF file"),
        (gguf()[:-3], "GGUF ends within its header"),
        (gguf()[:10], "GGUF ends within its header"),
        (gguf(version=1), "GGUF of an unknown form: version 1"),
        (gguf(llama_block_count=None), "GGUF does not say block_count"),
        (gguf(llama_context_length=None), "GGUF does not say context_length"),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1 << 40),
            "GGUF with a text of 1099511627776 bytes",
        ),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<I", 77), "GGUF with a value of kind 77"),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 4, 1 << 40),
            "GGUF with a list of 1099511627776",
        ),
    ],
)
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "model"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{said}.*{file.name}$"):
        read_shape(file)


@pytest.mark.skipif(not (state.STATE / "models/blobs").is_dir(), reason="no model of the lab here: bin/lab lays it")
def test_the_labs_genuine_model() -> None:
    """SmolLM2-135M: 30 blocks, 3 of 9 heads keep keys and values, 576/9 numbers each; 8192 tokens (its card on Hugging Face)."""
    shapes = [read_shape(path) for path in (state.STATE / "models/blobs").iterdir() if path.read_bytes()[:4] == b"GGUF"]
    assert Shape(weights=shapes[0].weights, token=30 * 3 * 2 * 64 * 2, trained=8192) in shapes


@pytest.mark.parametrize(
    ("decision", "memory", "given", "wanted"),
    [
        (CPU, 16 * GIB, Given(), (8192, 1, "-1", "12g", "memory")),
        (CPU, 8 * GIB, Given(), (8192, 1, "-1", "6g", "memory")),
        (CPU, 64 * GIB, Given(), (8192, 1, "-1", "48g", "memory")),
        (CPU, 0, Given(), (8192, 1, "-1", "8g", "memory")),
        (CPU, 8 * GIB, Given(memory="5g"), (2048, 1, "-1", "5g", "memory")),
        (CPU, 16 * GIB, Given(context=16384, slots=2, keep_alive="5m"), (16384, 2, "5m", "12g", "memory")),
        (CARD, 32 * GIB, Given(), (32768, 4, "30m", "24g", "card")),
        (Decision("nvidia", memory=12 * GIB), 32 * GIB, Given(), (8192, 4, "-1", "24g", "card")),
        (Decision("nvidia", memory=8 * GIB), 32 * GIB, Given(), (8192, 2, "30m", "24g", "card")),
        (Decision("nvidia", memory=6 * GIB), 32 * GIB, Given(), (4096, 1, "30m", "24g", "card")),
        (Decision("nvidia", memory=4 * GIB), 32 * GIB, Given(), (8192, 1, "-1", "24g", "memory")),
        (Decision("amd", memory=512 << 20), 32 * GIB, Given(), (8192, 1, "-1", "24g", "memory")),
        (Decision("npu"), 32 * GIB, Given(slots=4), (8192, 1, "-1", "24g", "memory")),
        (Decision("npu", copies=3.5), 32 * GIB, Given(), (8192, 1, "-1", "24g", "memory")),
        (Decision("npu", copies=3.5), 30 * GIB, Given(), (4096, 1, "-1", "22g", "memory")),
    ],
)  # fmt: skip
def test_budgets_of_mistral(
    decision: Decision, memory: int, given: Given, wanted: tuple[int, int, str, str, str]
) -> None:
    budget = plan(MISTRAL, 0, decision, memory, given)
    assert (budget.context, budget.slots, budget.keep_alive, budget.memory, budget.place) == wanted
    assert budget.need == MISTRAL.weights * (1 + decision.copies) + budget.context * budget.slots * MISTRAL.token


def test_what_is_planned_fits_whatever_the_memory() -> None:
    for size in range(4, 130):
        for decision in (CPU, Decision("nvidia", memory=size * GIB)):
            budget = plan(MISTRAL, 0, decision, size * GIB, Given())
            assert budget.fits or (budget.context, budget.slots) == (2048, 1), size


def test_more_memory_never_gives_less() -> None:
    budgets = [plan(MISTRAL, 0, Decision("nvidia", memory=size << 28), 64 * GIB, Given()) for size in range(24, 400)]
    totals = [budget.context * budget.slots for budget in budgets if budget.place == "card"]
    assert totals == sorted(totals)
    assert len(set(totals)) > 3


def test_a_model_that_has_no_room_is_said() -> None:
    budget = plan(MISTRAL, 0, CPU, 4 * GIB, Given())
    assert not budget.fits
    assert budget.line() == "context 2048 tokens, slots 1, loaded 30m; 4.3 GiB of 1.8 GiB on the host"
    assert plan(MISTRAL, 1157671200, CPU, 8 * GIB, Given()).context < plan(MISTRAL, 0, CPU, 8 * GIB, Given()).context
    assert not plan(MISTRAL, 1157671200, CPU, 7 * GIB, Given()).fits


def test_a_budget_reads_well() -> None:
    budget = Budget(32768, 4, "-1", "24g", 20 * GIB, 22 * GIB, "card")
    assert budget.line() == "context 32768 tokens, slots 4, loaded for good; 20.0 GiB of 22.0 GiB on the card"
    assert budget.source() == "derived from the memory and the model"
    said = plan(MISTRAL, 0, CPU, 16 * GIB, Given(slots=2, keep_alive="5m")).source()
    assert said == "slots, keep_alive said by the inventory, the rest derived from the memory and the model"
