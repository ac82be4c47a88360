"""How much context, how many questions at once, and for how long a model stays loaded: from the memory that is there. Pure.

What lies in memory: the weights, and for each token of context of each slot the keys and values (`Shape.token`); beside it the program
and its working buffers, for which a share stays free (llama.cpp plans them per batch of 512 tokens, well below a gibibyte).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from citadelle.accelerator.decision import Choice, Decision
from citadelle.accelerator.hardware import Hardware
from citadelle.accelerator.shape import Shape

GIB = 1 << 30
CONTEXTS = (2048, 4096, 8192, 16384, 32768)
# A processor reads a long prompt for minutes; more than this only makes people wait.
LONGEST_WITHOUT_CARD = 8192
ENOUGH = 8192  # more slots only where each keeps this
SLOTS = (4, 2, 1)
FOREVER, FOR_A_WHILE = "-1", "30m"
UNITS = {"m": 1 << 20, "g": GIB}


@dataclass(frozen=True)
class Given:
    """What the inventory says itself; None is derived. `memory` as `8g` or `512m`: limit of the engine's container."""

    context: int | None = None
    slots: int | None = None
    keep_alive: str | None = None
    memory: str | None = None

    @property
    def said(self) -> tuple[str, ...]:
        """Which of them it says."""
        return tuple(name for name, value in vars(self).items() if value is not None)


@dataclass(frozen=True)
class Budget:
    """`context`: tokens of one slot; `memory`: limit of the engine's container, as `8g`; `need` of `room` bytes are taken, on the
    `place`; `keep_alive`: as Ollama takes it; `given`: which of them the inventory says, by their names here."""

    context: int
    slots: int
    keep_alive: str
    memory: str
    need: int
    room: int
    place: Literal["card", "memory"]
    given: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether weights and context have room."""
        return self.need <= self.room

    def line(self) -> str:
        """For people."""
        kept = "for good" if self.keep_alive == FOREVER else self.keep_alive
        taken = f"{_gib(self.need)} of {_gib(self.room)} on the {'card' if self.place == 'card' else 'host'}"
        return f"context {self.context} tokens, slots {self.slots}, loaded {kept}; {taken}"

    def source(self) -> str:
        """Where the numbers of `line` come from, for people."""
        rest = "derived from the memory and the model"
        return f"{', '.join(self.given)} said by the inventory, the rest {rest}" if self.given else rest


@dataclass(frozen=True)
class Sizing:
    """All that decides the budget of a host, but its hardware; `others`: bytes of another model that is loaded beside it."""

    choice: Choice
    shape: Shape
    others: int
    given: Given

    @property
    def derived(self) -> bool:
        """Whether nobody said how much is to be used."""
        return self.given.context is None and self.given.memory is None

    def on(self, hardware: Hardware) -> Budget:
        """The budget on a host with this hardware."""
        return plan(self.shape, self.others, self.choice.on(hardware), hardware.memory, self.given)


def plan(shape: Shape, others: int, decision: Decision, memory: int, given: Given) -> Budget:
    """The budget of a model on a host.

    `others` as for `Sizing`; `memory`: bytes of the host's memory, 0 where it is not known yet.
    A card that does not hold the weights is not counted on: the engine splits the blocks between card and processor.
    """
    limit = given.memory or _limit(memory)
    weights = round(shape.weights * (1 + decision.copies)) + others
    on_card = decision.memory is not None and weights + CONTEXTS[0] * shape.token <= _free(decision.memory)
    place: Literal["card", "memory"] = "card" if on_card else "memory"
    room = _free(decision.memory or 0) if on_card else in_bytes(limit) * 7 // 8
    left = room - weights
    slots = _slots(shape, left, decision, given) if on_card or given.slots else 1
    context = given.context or _longest(shape, left // slots, None if on_card else LONGEST_WITHOUT_CARD)
    need = weights + context * slots * shape.token
    whole = (decision.memory or 0) if on_card else max(memory, in_bytes(limit))
    keep = given.keep_alive or (FOREVER if need * 4 <= whole * 3 else FOR_A_WHILE)
    return Budget(context, slots, keep, limit, need, room, place, given.said)


def _slots(shape: Shape, left: int, decision: Decision, given: Given) -> int:
    if decision.accelerator == "npu":
        return 1  # llama.cpp, docs/backend/OPENVINO.md: no more on a neural processor
    return given.slots or next(n for n in SLOTS if n == 1 or _longest(shape, left // n, None) >= ENOUGH)


def in_bytes(limit: str) -> int:
    """Bytes of `8g` or `512m`."""
    return int(limit[:-1]) * UNITS[limit[-1]]


def _limit(memory: int) -> str:
    """A quarter of the memory, and at least 2 GiB, are left to the rest of the host. Whole gibibytes: the same at every boot."""
    return f"{max(1, (memory - max(2 * GIB, memory // 4)) // GIB)}g" if memory else "8g"


def _free(card: int) -> int:
    """A tenth of a card, and at least 1 GiB, are left to its driver, the engine's buffers and a screen."""
    return card - max(GIB, card // 10)


def _longest(shape: Shape, left: int, most: int | None) -> int:
    """The longest context that has room, at least the shortest of all."""
    bound = min(shape.trained, most or shape.trained)
    fitting = [context for context in CONTEXTS if context <= bound and context * shape.token <= left]
    return fitting[-1] if fitting else min(CONTEXTS[0], bound)


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
