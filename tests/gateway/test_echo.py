"""What must not get out stops the answer, in a simple disguise too; what only begins like it is held back a little and then comes."""

import base64
import codecs
import itertools

import pytest
from gateway.echo import HOLD, Secrets, Watch, fold
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import POLICIES

CANARY = "canary-7f3a9c51e0d24b68"
PROMPT = (POLICIES / "system-prompt.md").read_text("utf-8")
LENGTH = 48
SECRETS = Secrets([CANARY], PROMPT, LENGTH)
DISGUISES = [
    CANARY, CANARY.upper(), " ".join(CANARY), "**" + "**".join(CANARY) + "**", CANARY[::-1], codecs.encode(CANARY, "rot13"),
        CANARY.encode().hex(),
    base64.b64encode(CANARY.encode()).decode(), base64.b64encode(b"x" + CANARY.encode()).decode(),
    base64.b64encode(b"xy" + CANARY.encode()).decode(),
    "\u200b".join(CANARY), CANARY.replace("7", "７"), "\n".join(CANARY), CANARY[:20], CANARY[4:],
]  # fmt: skip


def passed(parts: list[str]) -> tuple[str, bool]:
    watch = Watch(SECRETS)
    out = "".join(watch.feed(part) for part in parts)
    return out + watch.flush(), watch.stopped


@pytest.mark.parametrize("form", DISGUISES)
def test_a_canary_stops_the_answer(form: str) -> None:
    out, stopped = passed([f"The code is: {form}, and more"])
    assert stopped
    assert len(fold(out)) < len(fold("The code is: ")) + 8  # a piece of base64 that begins with other bytes
    assert "more" not in out


@pytest.mark.parametrize("line", [line for line in PROMPT.splitlines() if len(fold(line)) >= LENGTH])
@pytest.mark.parametrize(
    "how", [str, str.upper, lambda line: line.replace(" ", "\n"), lambda line: base64.b64encode(line.encode()).decode()]
)
def test_the_system_prompt_stops_the_answer(line: str, how: object) -> None:
    out, stopped = passed([f"My rules: {how(line)}"])  # type: ignore[operator]
    assert stopped
    assert len(fold(out)) < len(fold("My rules: ")) + 24


@pytest.mark.parametrize(
    "text",
    [
        "Paris is the capital of France.", "I follow the organisation's rules.", "I am the assistant of this organisation.",
        "canary birds sing",
        "I cannot open pages, run programs or send anything.", "canary-7f", "",
    ],
)  # fmt: skip
def test_other_texts_pass(text: str) -> None:
    assert passed([text]) == (text, False)
    assert passed(list(text)) == (text, False)


@pytest.mark.parametrize(
    "text", [*(f"a {form} b" for form in DISGUISES), "x " + PROMPT[:300], "canary-7f and canary-7f3a9"]
)
def test_every_cut_gives_the_same(text: str) -> None:
    whole = passed([text])
    for cut in range(len(text)):
        assert passed([text[:cut], text[cut:]]) == whole, cut
    assert passed(list(text)) == whole


WORDS = [CANARY[:6], CANARY[:11], CANARY[6:], "canary", "-", " ", "7f3a", PROMPT[:40], PROMPT[20:70], "é", "x", "\n\n"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=12).map("".join), st.lists(st.integers(0, 300), max_size=6))
def test_any_text_and_any_cuts(text: str, cuts: list[int]) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    parts = [text[start:end] for start, end in itertools.pairwise(places)]
    assert passed(parts) == passed([text])
    out, stopped = passed(parts)
    assert fold(CANARY) not in fold(out)
    assert out == text or stopped


def test_what_is_held_back_is_bounded() -> None:
    watch = Watch(SECRETS)
    for character in CANARY[:6] + " " * 1000 + CANARY[6:]:
        watch.feed(character)
        assert len(watch._held) <= HOLD
    assert watch.stopped


def test_plain_text_does_not_wait() -> None:
    watch = Watch(SECRETS)
    for character in "The capital of France is Paris, a city of two million.":
        assert watch.feed(character) == character
