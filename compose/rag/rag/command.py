"""`python -m rag.command`: ingest a folder, ask, show and judge an index by hand.

Exit code: 0 done, 1 something was left out or not found, 2 wrong use.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rag import INDEX
from rag.embedder import Embedder, EmbedderError
from rag.search import Index, Query
from rag.store import StoreError

if TYPE_CHECKING:
    from rag.ingest import Report


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="rag", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    for name, text in (
        ("ingest", "make or renew an index"),
        ("query", "ask it"),
        ("status", "what it holds"),
        ("eval", "how good it is"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--json", action="store_true")
        if name != "eval":
            command.add_argument("--index", type=Path, default=INDEX)
        if name != "status":
            command.add_argument("--embedder", metavar="URL|SOCKET", help="who makes vectors; without: words alone")
            command.add_argument("--model", default="bge-m3", help="of the embedder")
            command.add_argument(
                "--digest", default="", help="of the model: the index remembers it, and takes no other's vectors"
            )
    commands.choices["ingest"].add_argument("folder", type=Path)
    commands.choices["query"].add_argument(
        "text", help="- reads it from the standard input, where no list of processes shows it"
    )
    commands.choices["query"].add_argument("--groups", default="", help="of who asks, by commas")
    commands.choices["query"].add_argument("--limit", type=int, default=5)
    for name in ("corpus", "queries", "qrels"):
        commands.choices["eval"].add_argument(name, type=Path)
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command."""
    asked = parser().parse_args(argv)
    work = {"ingest": _ingest, "query": _query, "status": _status, "eval": _eval}[asked.command]
    try:
        return work(asked)
    except (OSError, ValueError, StoreError, EmbedderError) as error:
        print(f"rag: {error}", file=sys.stderr)
        return 2


def _embedder(asked: argparse.Namespace) -> Embedder | None:
    return Embedder(asked.embedder, asked.model, asked.digest) if asked.embedder else None


def _ingest(asked: argparse.Namespace) -> int:
    from rag.ingest import Ingestion  # with readers that the service does not have
    from rag.worker import WorkerError

    if not asked.folder.is_dir():
        raise ValueError(f"no folder: {asked.folder}")
    began = time.monotonic()
    try:
        report = Ingestion(asked.folder, asked.index, _embedder(asked), progress=_progress(began)).run()
    except WorkerError as error:
        raise ValueError(error) from None
    print(json.dumps(asdict(report)) if asked.json else _said(report, time.monotonic() - began))
    return 1 if report.problems else 0


def _progress(began: float) -> Callable[[int, int], None]:
    """How far it is, on the standard error: on a terminal in place, elsewhere a line for the first, the last, and each second between."""
    is_terminal, told = sys.stderr.isatty(), 0.0

    def tell(done: int, total: int) -> None:
        nonlocal told
        now = time.monotonic()
        if done in (1, total) or now >= told + 1:
            told = now
            line = f"{done}/{total} files, {(now - began) / done * (total - done):.0f} s left"
            end = "\n" if done == total or not is_terminal else ""
            print(f"\r{line} " if is_terminal else line, end=end, file=sys.stderr, flush=True)

    return tell


def _said(report: "Report", seconds: float) -> str:
    counts = f"{report.documents} documents, {report.passages} passages: {report.read} read, {report.kept} as they were, {report.gone} gone"
    left_out = [f"{path}: left out: {problem}" for path, problem in sorted(report.problems.items())]
    unseen = [f"{path}: nobody may see it: no group in .acl.yaml" for path in report.unseen]
    return "\n".join([*left_out, *unseen, f"{counts}, in {seconds:.1f} s"])


def _query(asked: argparse.Namespace) -> int:
    text = sys.stdin.read() if asked.text == "-" else asked.text
    embedder = _embedder(asked)
    vector = embedder.query(text).tolist() if embedder else []
    groups = [name for name in asked.groups.split(",") if name]
    query = Query(
        query=text.strip(),
        groups=groups,
        limit=asked.limit,
        vector=vector,
        embedder=embedder.identity if embedder else "",
    )
    found = Index(asked.index).search(query).passages
    if asked.json:
        print(json.dumps([passage.model_dump() for passage in found], ensure_ascii=False))
    for passage in [] if asked.json else found:
        print(f"[{passage.id}] {passage.title} ({passage.path}, page {passage.page})\n{passage.text}\n")
    return 0 if found else 1


def _status(asked: argparse.Namespace) -> int:
    status = Index(asked.index).status().model_dump()
    print(json.dumps(status) if asked.json else "\n".join(f"{name}: {value}" for name, value in status.items()))
    return 0 if status["documents"] else 1


def _eval(asked: argparse.Namespace) -> int:
    from rag.evaluate import evaluate

    found = evaluate(asked.corpus, asked.queries, asked.qrels, _embedder(asked))
    lines = [*(score.line() for score in found.scores), *(threshold.line() for threshold in found.thresholds)]
    print(json.dumps(asdict(found)) if asked.json else "\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
