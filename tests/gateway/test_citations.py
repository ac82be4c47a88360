"""An answer from passages: what it may cite, and how its sources are told in each API, whole and streamed."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from gateway.citations import HOLD, Citations, CitedOutput, Supplied
from gateway.echo import Secrets
from gateway.passages import Passage
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import MODEL, Run, Stack
from .double import event
from .test_passages import PASSAGE, rag_double

HERE = Passage(id="p7", title="Holidays", text="x", path="a.pdf", page=3, start=10, stop=80)
OTHER = Passage(id="p12", title="Badge", text="y", page=1)
CASES = {
    "25 days [p7].": "25 days [p7].",
    "25 days [p8].": "25 days .",
    "a [P7, p8; p12] b": "a [p7, p12] b",
    "a [ p7 ] b 【p12】【p9】": "a [p7] b [p12]",
    "[1] [x] [p] [page 7] p7 [p7x]": "[1] [x] [p] [page 7] p7 [p7x]",
    "[[p9]p8]": "p8]",
    "[[p7]]": "[[p7]]",
    "ends [p7": "ends [p7",
    f"no end [p{', p'.join('12345678' for _ in range(40))}": "no end ",
}


def streamed(text: str, sizes: list[int]) -> str:
    one, out, place = Citations(Supplied([HERE, OTHER])), "", 0
    for size in sizes:
        out += one.feed(text[place : place + size])
        place += size
    return out + one.feed(text[place:]) + one.flush()


@pytest.mark.parametrize("text", CASES)
def test_what_was_not_supplied_is_taken_out(text: str) -> None:
    whole = Citations(Supplied([HERE, OTHER]))
    assert whole.feed(text) + whole.flush() == CASES[text]
    if len(text) <= HOLD:
        assert streamed(text, [1] * len(text)) == CASES[text]


@settings(max_examples=200, deadline=None)
@given(st.text("[]p78 ,;a12【】", max_size=60), st.lists(st.integers(1, 9), max_size=20))
def test_pieces_of_any_size_give_the_same(text: str, sizes: list[int]) -> None:
    assert streamed(text, sizes) == streamed(text, [])


def test_nothing_that_is_taken_out_uncovers_a_secret() -> None:
    canary = "canary5c1e9a7f00d2"
    output = CitedOutput(Secrets([canary], "", 48), (), [HERE])
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"content": f"x {canary[:8]}[p9]{canary[8:]} http[p9]s://evil.example/x"},
    }
    output.whole(choice)
    assert output.stopped
    assert canary not in choice["message"]["content"]
    output = CitedOutput(Secrets([], "", 48), (), [HERE])
    choice = {"index": 0, "message": {"content": "see http[p9]s://evil.example/x"}}
    output.whole(choice)
    assert "evil" not in choice["message"]["content"]


def test_no_more_than_512_characters_are_held_back_by_all_together() -> None:
    """Each waits for its own: a tag that does not end, then what may become a canary, then what may become a citation."""
    canary, most = "canary5c1e9a7f00d2", 0
    one = CitedOutput(Secrets([canary], "", 48), (), [HERE])._filter(0, "content")
    for character in "<a" + " " * 314 + canary[:6] + " " * 122 + "[" + "p7," * 40:
        one.feed(character)
        most = max(most, sum(len(part._held) for part in (one._citations, one.watch, one._links)))  # type: ignore[attr-defined]
    assert 450 < most <= 512


def test_a_title_is_judged_like_the_answer() -> None:
    title = "Plan ![x](https://evil.example/x)"
    output = CitedOutput(Secrets([], "", 48), (), [HERE.model_copy(update={"title": title})])
    choice: dict[str, Any] = {"index": 0, "message": {"content": "25 [p7]"}}
    output.whole(choice)
    assert "evil" not in choice["message"]["content"] + output.sources()[0]["title"]


SOURCE = {"id": "p7", "title": "Holidays", "path": "staff/holidays.pdf", "page": 3, "span": [10, 80], "cited": True}
CITED = "\n\nSources:\n[p7] Holidays, page 3"
PIECES = ("25 da", "ys [p", "7] and [p", "99] more.")


async def asked(stack: Stack, path: str, tmp_path: Path, **fields: Any) -> bytes:
    stack.engine.answer = None if fields["stream"] else {"role": "assistant", "content": "".join(PIECES)}
    last = b"data: " + orjson.dumps({"choices": [{"delta": {}, "finish_reason": "stop"}]}) + b"\n\n"
    stack.engine.events = [*(event(piece) for piece in PIECES), *([last] if fields.pop("ends", True) else [])]
    body = {"model": MODEL, "messages": [{"role": "user", "content": "days?"}], "rag": True} | fields
    async with (
        rag_double(tmp_path / "rag.sock", {"passages": [PASSAGE]}),
        stack.client.post(stack.url + path, json=body, headers=stack.bearer) as response,
    ):
        assert response.status == 200
        return await response.read()


def test_sources_come_as_text_and_in_a_field(run: Run, tmp_path: Path) -> None:
    async def scenario(stack: Stack) -> None:
        said = "25 days [p7] and  more." + CITED
        whole = orjson.loads(await asked(stack, "/v1/chat/completions", tmp_path, stream=False))
        assert (whole["choices"][0]["message"]["content"], whole["sources"]) == (said, [SOURCE])
        whole = orjson.loads(await asked(stack, "/api/chat", tmp_path, stream=False))
        assert (whole["message"]["content"], whole["sources"]) == (said, [SOURCE])
        for ends in (True, False):
            raw = await asked(stack, "/v1/chat/completions", tmp_path, stream=True, ends=ends)
            *events, done, rest = raw.decode().split("\n\n")
            chunks = [orjson.loads(one.removeprefix("data: ")) for one in events]
            assert (done, rest) == ("data: [DONE]", "")
            assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks) == said
            assert [chunk["sources"] for chunk in chunks if "sources" in chunk] == [[SOURCE]]
        lines = [orjson.loads(line) for line in (await asked(stack, "/api/chat", tmp_path, stream=True)).splitlines()]
        assert "".join(line["message"]["content"] for line in lines) == said
        assert [line.get("sources") for line in lines if line["done"]] == [[SOURCE]]

    run(scenario, rag_socket=tmp_path / "rag.sock")


def test_an_answer_that_cites_nothing_says_what_it_was_given(run: Run, tmp_path: Path) -> None:
    async def scenario(stack: Stack) -> None:
        async with rag_double(tmp_path / "rag.sock", {"passages": [PASSAGE]}):
            _, _, body = await stack.ask("days?", rag=True)
        assert body["choices"][0]["message"]["content"].endswith(
            "Paris.\n\nSources (not cited):\n[p7] Holidays, page 3"
        )
        assert body["sources"] == [SOURCE | {"cited": False}]

    run(scenario, rag_socket=tmp_path / "rag.sock")
