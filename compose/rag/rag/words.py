"""Words of French and English text as the two word indexes know them: folded, and stemmed besides. Pure."""

import re
import unicodedata
from functools import lru_cache
from pathlib import Path

import snowballstemmer

LANGUAGES = {"fr": "french", "en": "english"}
TERMS = 64  # of one question; more add time and no sense
_WORD = re.compile(r"[^\W_]+")  # as FTS5 cuts them: "max_tokens" is two
# Words that every text has. They tell the language of a text, and are left out of questions.
_COMMON = Path(__file__).parent / "common"
_STOP = {name: frozenset((_COMMON / f"{name}.txt").read_text("utf-8").split()) for name in LANGUAGES}
_STEMMERS = {language: snowballstemmer.stemmer(name) for language, name in LANGUAGES.items()}


def fold(text: str) -> str:
    """Lower case, compatibility forms and accents taken away: "Œuvre d’Été" is "oeuvre d’ete"."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("œ", "oe").replace("æ", "ae"))
    return "".join(character for character in plain if not unicodedata.combining(character))


def of(text: str) -> list[str]:
    """Folded words in order, single letters too."""
    return _WORD.findall(fold(text))


def tokens(text: str) -> list[str]:
    """Folded words in order; a single letter is none (elisions: l', d'), a single digit is."""
    return [word for word in of(text) if len(word) > 1 or word.isdigit()]


def language(text: str) -> str:
    """ "fr" or "en": whose most common words occur more. French without either."""
    found = of(text)
    counts = {name: sum(word in stop for word in found) for name, stop in _STOP.items()}
    return "en" if counts["en"] > counts["fr"] else "fr"


@lru_cache(maxsize=200_000)
def stem(word: str, name: str) -> str:
    """The stem of a folded word. The French stemmer knows accents, but a stem is compared with stems of the same fold only."""
    found: str = _STEMMERS[name].stemWord(word)
    return found


def stems(text: str, name: str) -> str:
    """The text as a line of stems, for the stemmed index."""
    return " ".join(stem(word, name) for word in tokens(text))


def question(text: str) -> list[str]:
    """The words of a question that tell something; all of them when none does. No word twice, at most TERMS."""
    found = list(dict.fromkeys(tokens(text)))
    telling = [word for word in found if word not in _STOP["fr"] and word not in _STOP["en"]]
    return (telling or found)[:TERMS]


def both_stems(word: str) -> list[str]:
    """A document is stemmed in its own language, so both stems of a question's word are asked for."""
    return list(dict.fromkeys(stem(word, name) for name in LANGUAGES))
