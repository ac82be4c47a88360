"""`citadelle rag`: documents of a host to its index, a question to that index, what it holds; all on the host, without a network."""

from __future__ import annotations

import io
import json as json_module
import shlex
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from citadelle.cli.hosts import Serving, chosen
from citadelle.cli.options import HostOption, InventoryOption, JsonOption
from citadelle.cli.progress import COUNT, counter
from citadelle.facts.stack import STACK

app = typer.Typer(
    no_args_is_help=True, help="Documents: make each host's index of a folder, ask it, show what it holds."
)
COMMAND = "docker exec --interactive citadelle-rag-1 python3 -m rag.command"
INGEST_SECONDS = 24 * 3600.0
FOUND_NOTHING = 1  # the exit code of the program on the host for an empty answer


@app.command()
def ingest(
    folder: Annotated[
        str, typer.Argument(help="Folder of documents on the host; `.acl.yaml` in it says who may see them.")
    ],
    host: HostOption = "*",
    inventory: InventoryOption = "inventory",
    json: JsonOption = False,
) -> None:
    """Make or renew the index; what has not changed is not read again, and how far it is shows. Exit code 1 when a file was left out."""
    rows = [_followed(one, f"{STACK} ingest {shlex.quote(folder)}") for one in chosen(inventory, host)]
    _show(rows, json, _ingested)
    raise typer.Exit(1 if any("error" in row or row["answer"]["problems"] for row in rows) else 0)


def _followed(serving: Serving, command: str) -> dict[str, Any]:
    with counter(serving.pc) as heard:
        return _said(serving, command, seconds=INGEST_SECONDS, heard=heard)


def _ingested(report: dict[str, Any]) -> list[str]:
    lines = [f"{path}: left out: {problem}" for path, problem in sorted(report["problems"].items())]
    lines += [f"{path}: nobody may see it: no group in .acl.yaml" for path in report["unseen"]]
    counts = f"{report['read']} read, {report['kept']} as they were, {report['gone']} gone"
    return [*lines, f"{report['documents']} documents, {report['passages']} passages: {counts}"]


@app.command()
def query(  # noqa: PLR0917  options of a command
    text: Annotated[str, typer.Argument(help="What to look for.")],
    groups: Annotated[str, typer.Option(help="Groups of who asks, by commas: nothing is found for nobody.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=20)] = 5,
    host: HostOption = "*",
    inventory: InventoryOption = "inventory",
    json: JsonOption = False,
) -> None:
    """Ask the index itself, without a model: the passages that somebody of these groups would get. Exit code 1 when there are none."""
    command = f"{COMMAND} query --json --groups={shlex.quote(groups)} --limit={limit} -"
    rows = [_said(one, command, stdin=text.encode()) for one in chosen(inventory, host)]
    _show(
        rows,
        json,
        lambda found: [
            f"[{row['id']}] {row['title']} ({row['path']}, page {row['page']})\n{row['text']}\n" for row in found
        ],
    )
    raise typer.Exit(0 if all(row.get("answer") for row in rows) else 1)


@app.command("eval")
def evaluate(  # noqa: PLR0917  options of a command
    corpus: Annotated[Path, typer.Argument(help="Lines of `{_id, title, text}`.", exists=True, dir_okay=False)],
    queries: Annotated[Path, typer.Argument(help="Lines of `{_id, text}`.", exists=True, dir_okay=False)],
    qrels: Annotated[Path, typer.Argument(help="Lines `query TAB document TAB score`.", exists=True, dir_okay=False)],
    host: HostOption = "*",
    inventory: InventoryOption = "inventory",
    json: JsonOption = False,
) -> None:
    """Show how well each host finds what it should, with its own embedding model: each list alone, and all. Its index stays."""
    archive = _archive({"corpus.jsonl": corpus, "queries.jsonl": queries, "qrels.tsv": qrels})
    rows = [_said(one, f"{STACK} eval", stdin=archive, seconds=INGEST_SECONDS) for one in chosen(inventory, host)]
    _show(rows, json, lambda found: [*map(_score, found["scores"]), *map(_threshold, found["thresholds"])])
    raise typer.Exit(1 if any("error" in row for row in rows) else 0)


def _archive(files: dict[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, path in files.items():
            archive.add(path, name)
    return buffer.getvalue()


def _score(score: dict[str, Any]) -> str:
    hits = "  ".join(f"hit@{at} {share:.3f}" for at, share in zip((1, 5, 10), score["hits"], strict=True))
    return f"{score['name']:8} {hits}  MRR {score['mrr']:.3f}  {score['seconds'] * 1000:.1f} ms"


def _threshold(found: dict[str, float]) -> str:
    wrong = f"{found['silent']:.1%} without their answer, {found['spoken']:.1%} answered without one"
    return f"sure >= {found['sure']:.3f}  {wrong}"


@app.command()
def status(host: HostOption = "*", inventory: InventoryOption = "inventory", json: JsonOption = False) -> None:
    """Show what each index holds. Exit code 1 when one holds nothing."""
    rows = [_said(one, f"{COMMAND} status --json") for one in chosen(inventory, host)]
    _show(rows, json, _counts)
    raise typer.Exit(0 if all("answer" in row and row["answer"]["documents"] for row in rows) else 1)


def _counts(answer: dict[str, Any]) -> list[str]:
    embedder = answer["embedder"] or "none: words alone"
    return [f"{answer['documents']} documents, {answer['passages']} passages, embedder {embedder}"]


def _said(
    serving: Serving,
    command: str,
    *,
    stdin: bytes = b"",
    seconds: float = 60,
    heard: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """The answer of a program on the host, or the problem with its hint."""
    try:
        result = serving.run(command, seconds=seconds, stdin=stdin, heard=heard)
        if result.code in (0, FOUND_NOTHING) and result.stdout.strip():
            return {"host": serving.pc, "answer": json_module.loads(result.stdout)}
        lines = result.stderr.decode(errors="replace").strip().splitlines()
        said = "\n".join(line for line in lines if not COUNT.fullmatch(line)).removeprefix(f"{serving.pc}: ")
        what, hint = serving.problem(OSError(said or f"exit code {result.code}: {command}"))
    except (OSError, ValueError) as error:
        what, hint = serving.problem(error)
    return {"host": serving.pc, "error": what, "hint": hint}


def _show(rows: list[dict[str, Any]], json: bool, lines: Any) -> None:
    if json:
        typer.echo(json_module.dumps(rows, ensure_ascii=False))
        return
    for row in rows:
        if "error" in row:
            typer.echo(f"{row['host']}: {row['error']}\nhint: {row['hint']}", err=True)
        for line in lines(row["answer"]) if "answer" in row else []:
            typer.echo(f"{row['host']}: {line}")
