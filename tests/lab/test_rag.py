"""Documents of a PC: made into the index by the command, found by who may see them, part of the prompt of the right key only."""

from __future__ import annotations

import json
import re
import secrets
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.lab.conftest import Read
from tests.lab.powershell import MISSING
from tests.lab.state import Pc
from tests.rag import documents

pytestmark = pytest.mark.lab
FOLDER = "/srv/documents"


def citadelle(pc: Pc, *words: str) -> tuple[int, list[dict[str, object]]]:
    """Exit code and answers of `citadelle rag ... --json` for one PC."""
    command = [sys.executable, "-m", "citadelle.cli", "rag", *words, "--host", pc.name, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    return done.returncode, json.loads(done.stdout)


def lay(read: Read, pc: Pc, tmp_path: Path) -> None:
    """A document of each kind for the staff, one for the board, one for nobody, and one that is broken."""
    folder = tmp_path / "documents"
    documents.lay(folder / "staff")
    (folder / "staff/.acl.yaml").write_text("groups: [staff]")
    (folder / "staff/broken.pdf").write_bytes(b"%PDF-1.4 broken")
    (folder / "board").mkdir()
    (folder / "board/.acl.yaml").write_text("groups: [board]")
    (folder / "board/bonus.md").write_text("# Primes\n\nLe code du coffre est zebulon.")
    (folder / "draft.md").write_text("Brouillon sur le zebulon.")
    read(pc, f"rm -rf {FOLDER}")
    subprocess.run(["docker", "cp", str(folder), f"{pc.container}:{FOLDER}"], check=True, capture_output=True)
    read(pc, f"chmod -R a+rX {FOLDER}")  # a temporary folder of tests is for its owner only


@pytest.fixture(params=["pc1", "srv1"])
def pc(request: pytest.FixtureRequest, pcs: list[Pc], converged: None) -> Pc:
    found = [one for one in pcs if one.name == request.param]
    if not found:
        pytest.skip(MISSING)
    return found[0]


def test_documents_are_found_by_who_may_see_them(pc: Pc, read: Read, tmp_path: Path) -> None:
    lay(read, pc, tmp_path)
    code, [row] = citadelle(pc, "ingest", FOLDER)
    report = row["answer"]
    assert (code, report["documents"], report["problems"]) == (1, 12, {"staff/broken.pdf": "damaged"})
    assert report["unseen"] == ["draft.md"]
    _, [row] = citadelle(pc, "query", "badge bleu numero", "--groups", "staff", "--limit", "20")
    kinds = {"pdf", "docx", "odt", "pptx", "xlsx", "html", "md", "txt", "csv", "eml"}
    assert {found["path"].rpartition(".")[2] for found in row["answer"]} == kinds
    assert citadelle(pc, "query", "zebulon", "--groups", "staff")[1][0]["answer"] == []
    assert [found["path"] for found in citadelle(pc, "query", "zebulon", "--groups", "board")[1][0]["answer"]] == [
        "board/bonus.md"
    ]
    code, [row] = citadelle(pc, "ingest", FOLDER)
    assert (row["answer"]["read"], row["answer"]["kept"]) == (0, 12)
    code, [row] = citadelle(pc, "status")
    assert (code, row["answer"]["documents"], row["answer"]["passages"] >= 12) == (0, 12, True)


def test_the_index_is_of_the_service_alone_and_the_job_has_left_nothing(pc: Pc, read: Read) -> None:
    assert read(pc, "stat -c '%U %a' /var/lib/citadelle/rag /var/lib/citadelle/rag/*").splitlines() == [
        "citadelle-rag 750",
        "citadelle-rag 640",
    ]
    assert read(pc, "docker ps --all --quiet --filter label=com.docker.compose.project=citadelle-ingest") == ""


@pytest.mark.parametrize("pc", ["srv1"], indirect=True)
def test_a_folder_that_is_not_there_or_closed_is_named_with_a_cure(pc: Pc, read: Read) -> None:
    code, [row] = citadelle(pc, "ingest", "/srv/nowhere")
    assert (code, row["error"]) == (1, "folder of documents is not on this host: /srv/nowhere")
    read(pc, "install -d -m 700 /srv/closed")
    _, [row] = citadelle(pc, "ingest", "/srv/closed")
    assert row["error"] == "folder of documents cannot be read by the account of rag: /srv/closed"
    assert row["hint"] == "setfacl -R -m u:10003:rX '/srv/closed'"


def chat(pc: Pc, read: Read, key: str, text: str, **fields: object) -> dict[str, Any]:
    """An answer of the PC's gateway, asked on the PC."""
    body = {
        "model": read(pc, "sed -n s/^CHAT_MODEL=//p /opt/citadelle/current/stack.env").strip(),
        "max_tokens": 48,
    } | fields
    body["messages"] = [{"role": "user", "content": text}]
    head = shlex.quote(f"Authorization: Bearer {key}")
    asked = f"curl -sS -H {head} -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body))}"
    return json.loads(read(pc, f"{asked} http://127.0.0.1:8080/v1/chat/completions"))


def keys(pc: Pc, *words: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "citadelle.cli", "keys", *words, "--host", pc.name, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def pseudonyms_of(pc: Pc, identity: str) -> list[dict[str, str]]:
    """By the command, over SSH."""
    command = [sys.executable, "-m", "citadelle.cli", "audit", "resolve", identity, "--host", pc.name, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("pc", ["pc1", "srv1"], indirect=True)
def test_documents_are_asked_in_chat_by_keys_of_their_group(pc: Pc, read: Read) -> None:
    """With its sources for who may see the document; for others the documents do not say. The audit tells which was which."""
    run = secrets.token_hex(4)  # the name of a key is never used twice
    names = {f"rag-board-{run}": "board", f"rag-other-{run}": "other"}
    made = {name: keys(pc, "create", name, "--group", group, "--rag")[0]["key"] for name, group in names.items()}
    answers = {name: chat(pc, read, key, "Le code du coffre zebulon ?") for name, key in made.items()}
    board, other = (answers[name] for name in names)
    [source] = [one for one in board["sources"] if one["path"] == "board/bonus.md"]
    assert (source["title"], source["page"], source["span"][0] < source["span"][1]) == ("Primes", 1, True)
    said = board["choices"][0]["message"]["content"]
    assert re.search(rf"\n\nSources( \(not cited\))?:\n(.*\n)*\[{source['id']}\] Primes, page 1", said)
    assert set(re.findall(r"\[(p\d+)\]", said)) <= {one["id"] for one in board["sources"]}
    assert (other["sources"], "documents do not contain" in other["choices"][0]["message"]["content"]) == ([], True)
    assert "sources" not in chat(pc, read, made[next(iter(names))], "Hello", rag=False)
    records = [json.loads(line) for line in read(pc, "cat /var/log/citadelle/audit/*.jsonl | tail -n 20").splitlines()]
    whose = {row["name"]: row["id"] for name in names for row in pseudonyms_of(pc, name)}
    told = [(whose[one["key"]], one["passages"], one["code"]) for one in records if one.get("key") in whose]
    board, other = names
    assert told == [(board, True, None), (other, False, "no_answer"), (board, False, None)]
    for name in names:
        keys(pc, "revoke", name)


@pytest.mark.parametrize("pc", ["srv1"], indirect=True)
def test_how_well_documents_are_found_is_told_by_the_host(pc: Pc, tmp_path: Path) -> None:
    texts = {
        "d1": "Le badge ouvre le garage.",
        "d2": "Vingt-cinq jours de congés.",
        "d3": "Le café est au deuxième étage.",
    }
    lines = [json.dumps({"_id": name, "title": name, "text": text}) for name, text in texts.items()]
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines))
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "combien de jours de congé"}')
    (tmp_path / "qrels.tsv").write_text("query\tdocument\tscore\nq\td2\t1\n")
    code, [row] = citadelle(
        pc, "eval", *(str(tmp_path / name) for name in ("corpus.jsonl", "queries.jsonl", "qrels.tsv"))
    )
    assert (code, {score["name"]: score["mrr"] for score in row["answer"]["scores"]}) == (
        0,
        {"words": 1, "stems": 1, "fused": 1},
    )
