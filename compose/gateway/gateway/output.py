"""What an answer may say: one filter for each text of a choice, as it streams or as a whole."""

from collections.abc import Container
from typing import Any

from gateway.echo import Secrets, Watch
from gateway.links import Links, is_plain

TEXTS = ("content", "reasoning_content", "reasoning")  # of a message; engines differ in how they name the last two
STOPPED = "content_filter"  # the finish_reason of an answer that was cut, as OpenAI's API names it


class Filter:
    """One text, piece by piece."""

    def __init__(self, secrets: Secrets, hosts: Container[str]) -> None:
        self.watch, self._links = Watch(secrets), Links(hosts)  # once the watch has stopped, nothing more is given out

    def feed(self, text: str) -> str:
        """What may be given out now."""
        return self._links.feed(self.watch.feed(text))

    def flush(self) -> str:
        """The rest, at the end."""
        held = self.watch.flush()
        return (self._links.feed(held) if held else "") + self._links.flush()


class Output:
    """One answer. `stopped` once it was cut."""

    def __init__(self, secrets: Secrets, hosts: Container[str]) -> None:
        self._secrets, self._hosts = secrets, hosts
        self._filters: dict[tuple[int, str], Filter] = {}
        self._calls: dict[str, Watch] = {}  # of tools, for each part that has text
        self.stopped = False

    def _filter(self, index: int, name: str) -> Filter:
        if (found := self._filters.get((index, name))) is None:
            found = self._filters[index, name] = Filter(self._secrets, self._hosts)
        return found

    def delta(self, choice: dict[str, Any]) -> bool:
        """Filter a choice of a stream's event in place; whether it was changed. Its texts are flushed with the last one."""
        delta, index = choice.get("delta") or {}, choice.get("index", 0)
        changed = self._texts(delta, index) if delta else False
        if self.stopped:
            return True
        if choice.get("finish_reason") is not None:
            changed |= self._flush(delta, index)
            choice["delta"] = delta
        return changed

    def whole(self, choice: dict[str, Any]) -> bool:
        """Filter a choice of a whole answer in place; whether it was changed."""
        message, index = choice.get("message") or {}, choice.get("index", 0)
        if self._is_plain(message):
            return False
        return self._texts(message, index) | self._flush(message, index)

    def _is_plain(self, message: dict[str, Any]) -> bool:
        """Whether one look at each text is enough: nearly always, and no filter has to be made for it."""
        texts = [message[name] for name in TEXTS if message.get(name)]
        return not message.get("tool_calls") and all(
            isinstance(text, str) and is_plain(text) and self._secrets.is_plain(text) for text in texts
        )

    def rest(self, index: int = 0) -> dict[str, str]:
        """What a stream still owes when it ends without a last event."""
        left: dict[str, str] = {}
        self._flush(left, index)
        return left

    def _texts(self, message: dict[str, Any], index: int) -> bool:
        changed = False
        for name in TEXTS:
            if name in message and (text := message[name]) and isinstance(text, str):
                one = self._filters.get((index, name)) or self._filter(index, name)
                out = one.feed(text)
                if one.watch.stopped:
                    self.stopped = True
                if out != text:
                    message[name], changed = out, True
        for call in message["tool_calls"] or () if "tool_calls" in message else ():
            called = call.get("function") or {}
            for part in ("name", "arguments"):
                watch = self._calls.setdefault(part, Watch(self._secrets))
                watch.feed(str(called.get(part) or ""))
                self.stopped |= watch.stopped
        if self.stopped:
            message.pop("tool_calls", None)
        return changed

    def _flush(self, message: dict[str, Any], index: int) -> bool:
        changed = False
        for (place, name), one in self._filters.items():
            if place == index and (rest := one.flush()):
                message[name] = (message.get(name) or "") + rest
                changed = True
        return changed
