"""The measure of retrieval, against ranks counted by hand; and vectors from a double of an embeddings' service."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rag.embedder import Embedder, EmbedderError, model
from rag.evaluate import evaluate

CORPUS = {
    "d1": ("Congés", "Vingt-cinq jours par an."),
    "d2": ("Badge", "Le badge ouvre."),
    "d3": ("Garage", "Le garage du badge ferme."),
}
QUERIES = {"q1": "jours de congés", "q2": "badge", "q3": "garage badge", "q4": "inconnu total", "q5": "sans jugement"}
QRELS = (("q1", "d1", 1), ("q2", "d3", 1), ("q3", "d3", 1), ("q4", "d1", 1), ("q2", "d1", 0))


class Double(BaseHTTPRequestHandler):
    """A double of `/v1/embeddings`: a vector of counts of letters, so that equal words are near. `asked` keeps what came."""

    asked: list[dict[str, Any]]
    broken = b""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        rows = [
            {"index": place, "embedding": [float(text.lower().count(letter)) + 0.01 for letter in "abcdeginorst"]}
            for place, text in enumerate(body["input"])
        ]
        content = self.broken or json.dumps({"data": rows[::-1]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def double() -> Iterator[tuple[str, type[Double]]]:
    handler = type("Handler", (Double,), {"asked": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    corpus = [json.dumps({"_id": name, "title": title, "text": text}) for name, (title, text) in CORPUS.items()]
    queries = [json.dumps({"_id": name, "text": text}) for name, text in QUERIES.items()]
    (tmp_path / "corpus.jsonl").write_text("\n".join(corpus))
    (tmp_path / "queries.jsonl").write_text("\n".join(queries))
    rows = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, row)) for row in QRELS)]
    (tmp_path / "qrels.tsv").write_text("\n".join(rows))
    return tmp_path / "corpus.jsonl", tmp_path / "queries.jsonl", tmp_path / "qrels.tsv"


def test_ranks_are_those_counted_by_hand(files: tuple[Path, Path, Path]) -> None:
    """d1 first for q1; d2 then d3 for "badge"; d3 first for q3; nothing for q4: 2/4 at 1, 3/4 at 5, (1 + 1/2 + 1 + 0)/4."""
    scores = {score.name: score for score in evaluate(*files).scores}
    assert set(scores) == {"words", "stems", "fused"}
    assert (scores["fused"].hits, scores["fused"].mrr) == ((0.5, 0.75, 0.75), 0.625)


def test_vectors_have_a_list_of_their_own(files: tuple[Path, Path, Path], double: tuple[str, type[Double]]) -> None:
    scores = {score.name: score for score in evaluate(*files, Embedder(double[0], "e5")).scores}
    assert set(scores) == {"words", "stems", "vectors", "fused"}
    assert scores["vectors"].hits[1] == 1.0  # near or not, three documents are all among five
    assert {body["model"] for body in double[1].asked} == {"e5-query", "e5-passage"}


def test_a_threshold_says_what_it_keeps_back_and_what_it_lets_through(files: tuple[Path, Path, Path]) -> None:
    """By words alone: q1 to q3 have all their words in a passage (1), q4 none (0); q6, without an answer, half, and q7 none."""
    assert evaluate(*files).thresholds == []
    with files[1].open("a") as queries, files[2].open("a") as qrels:
        queries.write('\n{"_id": "q6", "text": "prix du badge"}\n{"_id": "q7", "text": "zebulon"}')
        qrels.write("\nq6\td2\t0\nq7\t-\t0\n")
    found = [(row.sure, row.silent, row.spoken) for row in evaluate(*files).thresholds]
    assert found == [(0.0, 0.0, 1.0)]  # even of two in ten nobody may go without: q4 would be one in four
    asked = [json.loads(line) for line in files[1].read_text().splitlines()]
    files[1].write_text("\n".join(json.dumps(row) for row in asked if row["_id"] != "q4"))
    assert [(row.sure, row.silent, row.spoken) for row in evaluate(*files).thresholds] == [(1.0, 0.0, 0.0)]


def test_a_piece_is_embedded_under_its_title(double: tuple[str, type[Double]]) -> None:
    """And what the index gets is the sum of two unit vectors: its title's, and its own."""
    embedder = Embedder(double[0], "bge-m3")
    rows = embedder.document("Badge", ["un texte", "deux"])
    assert double[1].asked[0]["input"] == ["Badge", "Badge\nun texte", "Badge\ndeux"]
    title, *texts = embedder.texts(["Badge", "Badge\nun texte", "Badge\ndeux"])
    assert np.allclose(rows, np.stack(texts) + title)
    assert embedder.document("Badge", []).shape[0] == 0


def test_a_question_that_nobody_judged_is_wrong_use(files: tuple[Path, Path, Path]) -> None:
    files[1].write_text(json.dumps({"_id": "q9", "text": "x"}))
    with pytest.raises(ValueError, match=r"no question that .*qrels\.tsv knows"):
        evaluate(*files)


@pytest.mark.parametrize(
    ("name", "query", "text"),
    [
        ("nomic-embed-text:latest", "search_query: ", "search_document: "),
        ("intfloat/multilingual-e5-small", "query: ", "passage: "),
        ("bge-m3", "", ""),
    ],
)
def test_prefixes_are_those_of_the_models_card(name: str, query: str, text: str) -> None:
    assert (model(name).query_prefix, model(name).text_prefix) == (query, text)


def test_vectors_come_in_order_and_of_unit_length(double: tuple[str, type[Double]]) -> None:
    found = Embedder(double[0], "bge-m3").texts([f"texte {'a' * number}" for number in range(70)])
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    assert (np.diff(found[:, 0]) > 0).all()
    assert [len(body["input"]) for body in double[1].asked] == [32, 32, 6]


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'{"data": []}',
        b'{"data": [{"index": 0, "embedding": ["x"]}]}',
        b'{"data": [{"index": 0, "embedding": [NaN]}]}',
    ],
)
def test_an_answer_that_is_no_vector_is_named(double: tuple[str, type[Double]], content: bytes) -> None:
    double[1].broken = content
    with pytest.raises(EmbedderError, match=double[0]):
        Embedder(double[0], "bge-m3").texts(["x"])


def test_nobody_there_is_named() -> None:
    with pytest.raises(EmbedderError, match=r"/nowhere\.sock: no answer: FileNotFoundError"):
        Embedder("/nowhere.sock", "bge-m3").texts(["x"])
