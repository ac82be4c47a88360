"""An answer from passages: what it cites is checked against what was supplied, and its sources are told, in a field and as text."""

import re
from collections.abc import Callable, Container, Sequence
from typing import Any

import orjson

from gateway.counted import Counted
from gateway.echo import Secrets
from gateway.output import Filter, Output
from gateway.passages import Passage
from gateway.relay import Writer

HOLD = 64  # longest citation, in characters
FIELD = "sources"  # of an answer: beside `choices` in OpenAI's API, beside `message` in Ollama's
# With the brackets before it: one that is taken out of `[[p9]p8]` must not leave another.
_CITATION = re.compile(r"([\[【]{0,7})[\[【] ?(p\d{1,12} ?(?:[,;] ?p\d{1,12} ?)*)[\]】]", re.IGNORECASE)
_OPEN = re.compile(r"[\[【]{1,8} ?(?:p\d{0,12}(?: ?[,;])? ?)*\Z", re.IGNORECASE)
_ID = re.compile(r"p\d+", re.IGNORECASE)
Fields = dict[str, Any]


class Supplied:
    """The passages of one question, and which of them the answer has named."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = {passage.id: passage for passage in passages}
        self._named: set[str] = set()

    def checked(self, citation: re.Match[str]) -> str:
        """The citation with what was supplied; nothing when none of it was."""
        found = [name for name in map(str.lower, _ID.findall(citation[2])) if name in self._passages]
        self._named.update(found)
        return f"{citation[1]}[{', '.join(found)}]" if found else ""

    def sources(self, clean: Callable[[str], str]) -> list[Fields]:
        """Each passage that was supplied: where it stands (`span` in characters of its page), and whether the answer names it."""
        return [
            {
                "id": name, "title": clean(found.title), "path": clean(found.path), "page": found.page,
                "span": [found.start, found.stop], "cited": name in self._named,
            }
            for name, found in self._passages.items()
        ]  # fmt: skip

    def text(self) -> str:
        """The same for who reads the text alone: what is cited, or, of an answer that cites nothing, what it was given."""
        named = [passage for name, passage in self._passages.items() if name in self._named]
        shown = named or list(self._passages.values())
        if not shown:
            return ""
        lines = [f"[{one.id}] {' '.join(one.title.split())}, page {one.page}" for one in shown]
        return "\n\n" + "\n".join(["Sources:" if named else "Sources (not cited):", *lines])


class Citations:
    """One text, piece by piece: held back from where a citation may begin until it is one or not."""

    def __init__(self, supplied: Supplied) -> None:
        self._supplied, self._held = supplied, ""

    def feed(self, text: str) -> str:
        """What may be given out now. A citation that does not end is none of ours, and goes."""
        text = self._held + text
        begun = _OPEN.search(text)
        stop = begun.start() if begun else len(text)
        self._held = text[stop:] if len(text) - stop <= HOLD else ""
        return _CITATION.sub(self._supplied.checked, text[:stop])

    def flush(self) -> str:
        """The rest, at the end of the answer."""
        rest, self._held = self._held, ""
        return rest


class _Cited(Filter):
    """Citations go first: what is left when one is taken out is judged as the client gets it."""

    def __init__(self, secrets: Secrets, hosts: Container[str], supplied: Supplied) -> None:
        super().__init__(secrets, hosts)
        self._citations = Citations(supplied)

    def feed(self, text: str) -> str:
        return super().feed(self._citations.feed(text))

    def flush(self) -> str:
        return super().feed(self._citations.flush()) + super().flush()


class CitedOutput(Output):
    """The output filter of an answer from passages; the sources come with its end."""

    def __init__(self, secrets: Secrets, hosts: Container[str], passages: Sequence[Passage]) -> None:
        super().__init__(secrets, hosts)
        self._supplied, self._told = Supplied(passages), False

    def _filter(self, index: int, name: str) -> Filter:
        if name == "content" and (index, name) not in self._filters:
            self._filters[index, name] = _Cited(self._secrets, self._hosts, self._supplied)
        return super()._filter(index, name)

    def _is_plain(self, message: Fields) -> bool:
        return False  # citations have to be looked for

    def delta(self, choice: Fields) -> bool:
        changed = super().delta(choice)
        if choice.get("finish_reason") is not None:
            changed |= self._tell(choice["delta"], choice)
        return changed

    def whole(self, choice: Fields) -> bool:
        changed = super().whole(choice)
        return self._tell(choice["message"], choice) | changed

    def rest(self, index: int = 0) -> dict[str, str]:
        left = super().rest(index)
        self._tell(left, {})
        return left

    def _tell(self, message: Fields, choice: Fields) -> bool:
        """An answer that was cut, or that calls a tool, is not one from passages (yet)."""
        if self.stopped or self._told or message.get("tool_calls") or choice.get("finish_reason") == "tool_calls":
            return False
        self._told, text = True, self._clean(self._supplied.text())
        message["content"] = (message.get("content") or "") + text
        return bool(text)

    def _clean(self, text: str) -> str:
        """A title is text of a document: judged like the answer."""
        one = Filter(self._secrets, self._hosts)
        out = one.feed(text)
        return "" if one.watch.stopped else out + one.flush()

    def sources(self) -> list[Fields]:
        """For the field of the answer."""
        return self._supplied.sources(self._clean)


class _Told:
    """The writer of a client's API, with the sources in the last event that has a choice, or in the last line."""

    def __init__(self, writer: Writer, output: CitedOutput) -> None:
        self._writer, self._output = writer, output
        self.usage, self.beat = writer.usage, writer.beat

    def event(self, raw: bytes, chunk: Fields, changed: bool) -> bytes:
        is_last = not raw or any(choice.get("finish_reason") is not None for choice in chunk["choices"])
        if is_last:
            chunk[FIELD] = self._output.sources()
        return self._writer.event(raw, chunk, changed or is_last)

    def end(self, counted: Counted) -> bytes:
        before, _, last = self._writer.end(counted).rstrip(b"\n").rpartition(b"\n")
        if not last.startswith(b"{"):
            return self._writer.end(counted)
        return (before + b"\n" if before else b"") + _told(last, self._output) + b"\n"


def _told(body: bytes, output: CitedOutput) -> bytes:
    return orjson.dumps(orjson.loads(body) | {FIELD: output.sources()})


def filtered(passages: Sequence[Passage] | None, secrets: Secrets, hosts: Container[str]) -> Output:
    """The output filter of an answer from these passages, or from none at all (None)."""
    return Output(secrets, hosts) if passages is None else CitedOutput(secrets, hosts, passages)


def written(writer: Writer, output: Output) -> Writer:
    """The writer of a stream, and of its sources if it has any."""
    return _Told(writer, output) if isinstance(output, CitedOutput) else writer


def told(body: bytes, output: Output) -> bytes:
    """A whole answer with its sources if it has any."""
    return _told(body, output) if isinstance(output, CitedOutput) else body
