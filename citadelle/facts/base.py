"""Bases of all facts: whatever goes wrong in one host's answer fails that host alone."""

from __future__ import annotations

import json
from typing import Any, Generic, TypeVar

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

T = TypeVar("T")


class Fact(FactBase[T], Generic[T]):
    """A fact read by one command; subclasses give `command`, `default` and `parse`.

    `parse` gets the lines of stdout and may raise anything: pyinfra contains only `FactProcessError`, every other exception would
    end the run for all hosts.
    """

    abstract = True

    def parse(self, output: list[str]) -> T:
        """Turn the lines of stdout into the fact's value."""
        raise NotImplementedError

    def process(self, output: Any) -> T:
        """Call `parse`, with every failure turned into `FactProcessError`."""
        lines = list(output)
        try:
            return self.parse(lines)
        except Exception as error:
            shown = lines[0][:200] if lines else ""
            # Without a cause: pyinfra would print that instead of this text.
            raise FactProcessError(
                f"fact {type(self).__name__} has an unexpected answer: {shown!r} ({error!r})"
            ) from None


class WindowsFact(Fact[T], Generic[T]):
    """A fact read by one PowerShell script whose only output line is JSON (see `citadelle.powershell.query`)."""

    abstract = True

    def parse(self, output: list[str]) -> T:
        """Decode the JSON line and hand it to `judge`."""
        return self.judge(json.loads("".join(output)))

    def judge(self, answer: Any) -> T:
        """Turn the decoded answer into the fact's value."""
        raise NotImplementedError
