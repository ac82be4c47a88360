"""Stops an answer that gives away what must stay inside: canaries, and the system prompt, plain or in a simple disguise.

Compared are letters and digits alone, without case and accents, so that blanks, bold marks or line breaks between them hide nothing.
"""

import base64
import codecs
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

GRAM = 12  # letters and digits in a row by which something is recognised
PART = 4  # from so many letters and digits of a canary on the text is held back
HOLD = 128  # longest part of an answer that is held back here, in characters


class Secrets:
    """What must not get out. `canaries`: any part of GRAM letters and digits; `prompt`: any part of `length`, at least GRAM."""

    def __init__(self, canaries: Sequence[str], prompt: str, length: int) -> None:
        forms = [form for canary in canaries for form in _disguises(canary)]
        self.canaries = frozenset(gram for form in forms for gram in _grams(form))
        self.parts = frozenset(part for form in forms for size in range(PART, GRAM) for part in _grams(form, size))
        self.prompt = frozenset(gram for form in _disguises(prompt) for gram in _grams(form))
        self.run = length - GRAM + 1

    def is_plain(self, text: str) -> bool:
        """Whether nothing in a whole text begins with a secret or belongs to one."""
        return self.is_free(fold(text), 0)

    def is_free(self, letters: str, known: int) -> bool:
        """The same of folded letters, of which the first `known` were looked at before."""
        prompt, parts = self.prompt, self.parts
        for end in range(GRAM, len(letters) + 1):
            if letters[end - GRAM : end] in prompt:
                return False
        if parts:
            for end in range(max(PART, known + 1), len(letters) + 1):
                if letters[end - PART : end] in parts:
                    return False
        return True


class Watch:
    """One answer, piece by piece. `stopped` is set as soon as a secret was recognised: nothing comes out from then on."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets, self._tail, self._run, self._part = secrets, "", 0, 0
        self._held = ""  # not yet given out, though seen
        self.stopped = False

    def feed(self, text: str) -> str:
        """What may be given out now."""
        if self.stopped:
            return ""
        if not self._held and self._is_plain(text):
            return text
        pending, since = self._held + text, 0 if self._held else -1  # since: where what is held back begins
        for place in range(len(self._held), len(pending)):
            suspicious = self._step(pending[place])
            if self.stopped:
                self._held = ""
                return pending[: place if since < 0 else since]
            since = -1 if not suspicious else place if since < 0 else max(since, place + 1 - HOLD)
        if since < 0:
            self._held = ""
            return pending
        self._held = pending[since:]
        return pending[:since]

    def flush(self) -> str:
        """The rest, at the end of the answer."""
        rest, self._held = self._held, ""
        return rest

    def _is_plain(self, text: str) -> bool:
        """Whether nothing in the text begins or goes on with a secret: nearly all text, so it is asked first, of all of it at once."""
        known = self._tail[1 - GRAM :]
        seen = known + fold(text)
        if not self._secrets.is_free(seen, len(known)):
            return False
        self._tail = seen[-GRAM:]
        return True

    def _step(self, character: str) -> bool:
        """Take one character; whether it may belong to a secret. What is neither letter nor digit changes nothing."""
        for letter in _folded(character):
            self._tail = (self._tail + letter)[-GRAM:]
            self._run = self._run + 1 if self._tail in self._secrets.prompt else 0
            self._part = self._begun()
            if self._run >= self._secrets.run or self._tail in self._secrets.canaries:
                self.stopped = True
        return self._run > 0 or self._part > 0

    def _begun(self) -> int:
        """How much of a canary the text ends with, 0 for less than PART."""
        for size in (self._part + 1 if self._part else PART, PART):
            if self._tail[-size:] in self._secrets.parts:
                return size
        return 0


def _disguises(secret: str) -> Iterator[str]:
    """The secret's letters and digits as they are, backwards, by rot13, in hexadecimal and in base64."""
    raw = secret.encode()
    encoded = [
        raw.hex(),
        codecs.encode(secret, "rot13"),
        *(base64.b64encode(raw[shift:]).decode() for shift in range(3)),
    ]
    for form in (secret, secret[::-1], *encoded):
        yield fold(form)


def _grams(folded: str, size: int = GRAM) -> list[str]:
    return [folded[start : start + size] for start in range(len(folded) - size + 1)]


def fold(text: str) -> str:
    """The letters and digits of a text, without case and accents."""
    if text.isascii():
        return text.encode().translate(_LOWER, _BETWEEN).decode()
    return "".join(map(_folded, text))


_ASCII = bytes(range(128))
_LOWER = bytes(range(256)).lower()
_BETWEEN = bytes(byte for byte in _ASCII if not chr(byte).isalnum())


@lru_cache(maxsize=4096)
def _folded(character: str) -> str:
    plain = unicodedata.normalize("NFKD", character).casefold()
    return "".join(letter for letter in plain if letter.isalnum())
