"""`citadelle images lock` and `check`: which third-party images may run, by what their registries and archives say."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from citadelle import image_lock
from citadelle.cli.images import PINS, app, refusals, refuse
from citadelle.models.signing import replace
from citadelle.registry import Image, Registry, RegistryError
from citadelle.release import read_env

PinsOption = Annotated[Path, typer.Option("--pins", help="The lock of third-party images.")]
HINT = "https_proxy, SSL_CERT_FILE; nothing was changed"


@app.command()
def lock(
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=IMAGE:TAG...", help="Entries to add or change; none: every tag is asked anew."),
    ] = None,
    pins: PinsOption = PINS,
) -> None:
    """Write what the registries serve under these tags today into the lock, and show the difference for review."""
    text = read(pins)
    wanted = (
        entries(images) if images else {name: reference.partition("@")[0] for name, reference in read_env(text).items()}
    )
    found: dict[str, Image] = {}
    with refusals(HINT):
        for name, reference in wanted.items():
            try:
                found[name] = image_lock.resolved(Registry(), reference)
            except RegistryError as error:
                refuse(f"{name}: {error}", HINT)
        new = image_lock.changed(text, found, date.today())
        if new == text:
            typer.echo(f"{pins}: no change")
            return
        typer.echo(image_lock.diff(text, new, pins), nl=False)
        replace(pins, new.encode())
    typer.echo(f"{pins}: review the difference, then commit it", err=True)


def entries(images: list[str]) -> dict[str, str]:
    """`NAME=image:tag` as a mapping; exit code 2 for anything else."""
    found = {}
    for image in images:
        name, _, reference = image.partition("=")
        if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name) or not reference or "@" in reference:
            raise SystemExit(
                f"not NAME=image:tag: {image}\nhint: citadelle images lock OLLAMA_IMAGE=docker.io/ollama/ollama:0.35.1"
            )
        found[name] = reference
    return found


def read(pins: Path) -> str:
    """The lock's text; exit code 2 where it is absent."""
    if not pins.is_file():
        raise SystemExit(f"pins of images are absent: {pins}\nhint: give --pins, or git checkout -- {PINS}")
    return pins.read_text()


@app.command()
def check(
    pins: PinsOption = PINS,
    archive: Annotated[
        Path | None,
        typer.Option(
            "--archive", help="Judge this archive by the images.lock.env beside it instead; asks no registry."
        ),
    ] = None,
) -> None:
    """Judge the lock by its registries, or an archive by its lock: the very bytes, whole, for the hosts' platform."""
    if archive:
        beside = archive.with_name("images.lock.env")
        hint = "citadelle images build DIR makes both anew"
        with refusals(hint):
            problems = list(image_lock.archive_problems(archive, beside))
        rows = [("FAIL", problem) for problem in problems] or [("ok", f"{archive}: every byte is what its lock names")]
    else:
        text = read(pins)
        checks = image_lock.judged(Registry(), read_env(text))
        rows = [("ok" if right else "FAIL", f"{name}: {said}") for name, right, said in checks]
        unlocked = image_lock.left_open(text).items()
        rows += [("open", f"{name}: refused until citadelle images lock {name}={tag}") for name, tag in unlocked]
        hint = (
            "https_proxy, SSL_CERT_FILE where a registry does not answer; else citadelle images lock shows what differs"
        )
    for mark, said in rows:
        typer.echo(f"{mark:4} {said}")
    marks = {mark for mark, _ in rows}
    if "FAIL" in marks:
        typer.echo(f"hint: {hint}", err=True)
    raise typer.Exit(1 if "ok" not in marks or "FAIL" in marks else 0)
