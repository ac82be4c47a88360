"""What the engine said it used."""

from dataclasses import dataclass
from typing import Any


@dataclass
class Counted:
    """The engine's count of tokens; without its word, how many events with text it sent."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    events: int = 0

    def read(self, answer: Any) -> None:
        """Take the usage of an answer, or of the event that carries it."""
        usage = answer.get("usage") if isinstance(answer, dict) else None
        if isinstance(usage, dict):
            self.prompt_tokens = _count(usage.get("prompt_tokens"))
            self.completion_tokens = _count(usage.get("completion_tokens"))


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
