"""Bases of all facts: whatever goes wrong in one host's answer fails that host alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any, Generic, TypeVar

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

T = TypeVar("T")


def judged(fact: object, judge: Callable[[list[str]], T], output: list[str]) -> T:
    """What `judge` makes of a fact's output. Raise `FactProcessError`, the one exception that pyinfra takes for that host's trouble."""
    try:
        return judge(output)
    except FactProcessError:
        raise
    except Exception as error:
        shown = output[0][:200] if output else ""
        # Without a cause: pyinfra would print that instead of this text.
        raise FactProcessError(f"fact {type(fact).__name__} has an unexpected answer: {shown!r} ({error!r})") from None


def contain_stock_facts() -> None:
    """Have pyinfra's own facts, too, fail their own host alone: an exception in one would end the run for all hosts.

    One private name of pyinfra is replaced. Raises `SystemExit` with a hint where it has moved.
    """
    from pyinfra.api import facts

    try:
        get = facts._get_fact
    except AttributeError as error:
        raise SystemExit(
            f"config.py: this pyinfra does not let its facts be contained: {error}\nhint: pip install 'pyinfra>=3.10,<4'"
        ) from None

    def contained(state: Any, host: Any, cls: type[FactBase[Any]], *args: Any, **kwargs: Any) -> Any:
        if "process" not in cls.__dict__ or not hasattr(cls.process, "__wrapped__"):
            cls.process = _contained(cls.process)
        return get(state, host, cls, *args, **kwargs)

    facts._get_fact = contained


def _contained(process: Callable[[Any, list[str]], T]) -> Callable[[Any, list[str]], T]:
    @wraps(process)
    def judge(self: Any, output: list[str]) -> T:
        return judged(self, lambda lines: process(self, lines), output)

    return judge


class Fact(FactBase[T], Generic[T]):
    """A fact read by one command; subclasses give `command`, `default` and `parse` (of the lines of stdout; may raise anything)."""

    abstract = True

    def parse(self, output: list[str]) -> T:
        """Turn the lines of stdout into the fact's value."""
        raise NotImplementedError

    def process(self, output: Any) -> T:
        """Call `parse`; raises `FactProcessError`, whatever goes wrong."""
        return judged(self, self.parse, list(output))


class WindowsFact(Fact[T], Generic[T]):
    """A fact read by one PowerShell script whose only output line is JSON (see `citadelle.powershell.query`)."""

    abstract = True

    def parse(self, output: list[str]) -> T:
        """Decode the JSON line and hand it to `judge`."""
        return self.judge(json.loads("".join(output)))

    def judge(self, answer: Any) -> T:
        """Turn the decoded answer into the fact's value."""
        raise NotImplementedError
