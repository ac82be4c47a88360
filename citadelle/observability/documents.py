"""What rag says of itself in its health check: the only word that leaves a container without a network. Used by metrics.py, on hosts.

It is rag's own word: a compromised one may say anything, so figures alone are taken from it, and by their names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from citadelle.textfile import Sample

PROGRAM = "/usr/local/lib/citadelle/observability/documents.py"
TEXTS = {
    "citadelle_rag_documents": "Documents that can be asked.",
    "citadelle_rag_passages": "Passages that they are cut into.",
    "citadelle_rag_index_timestamp_seconds": "When their index was written; 0: there is none.",
    "citadelle_rag_questions_total": "Questions to them, by what found the passages or why nothing did.",
    "citadelle_rag_seconds_total": "How long it took to find them.",
}
DOCUMENTS, PASSAGES, INDEX, QUESTIONS, TIME = TEXTS
OUTCOMES = ("vectors", "words", "refused", "failed")
_WORD = "ready "


def samples(health: dict[str, Any]) -> Iterator[Sample]:
    """Of the newest check that was well, as `docker container inspect` has it; none, none. Raises ValueError for another form."""
    well = [
        one["Output"] for one in health.get("Log") or () if one["ExitCode"] == 0 and one["Output"].startswith(_WORD)
    ]
    if not well:
        return
    try:
        yield from list(_figures(json.loads(well[-1].removeprefix(_WORD))))
    except (LookupError, TypeError, ValueError, RecursionError):
        raise ValueError("what rag says of itself is not what it should be") from None


def _figures(found: dict[str, Any]) -> Iterator[Sample]:
    yield DOCUMENTS, {}, _number(found["documents"])
    yield PASSAGES, {}, _number(found["passages"])
    yield INDEX, {}, _number(found["index"])
    for outcome in OUTCOMES:
        yield QUESTIONS, {"outcome": outcome}, _number(found["questions"][outcome])
    yield TIME, {}, _number(found["seconds"])


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1 << 53:
        raise ValueError("not a figure")
    return value
