"""A GGUF file from its publisher, by the sha256 that the publisher names: a second source beside the registry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from citadelle.models import verify
from citadelle.models.arriving import Arriving
from citadelle.models.download import Download
from citadelle.models.fetch import Job, check_space, staging
from citadelle.models.http import Http, RegistryError, checked_url
from citadelle.models.lock import LockedModel, Purpose, locked_from_manifest
from citadelle.models.manifest import canonical_name
from citadelle.models.store import GgufFacts, add_gguf, make_folder


class Recipe(BaseModel):
    """What a model is made of. `source`: https address at the publisher; `sha256`: 64 hex digits, as named there; `licence`: SPDX id;
    `licence_file`: its text, relative to the recipe; `template`: Go template; `params`: engine options; `family`, `parameters`,
    `quantization`: what the engine tells about the weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    source: Annotated[str, Field(pattern=r"^https?://")]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    purpose: Purpose
    licence: Annotated[str, Field(min_length=1)]
    licence_file: Annotated[Path, Field(strict=False)]
    template: str
    params: dict[str, Any] = {}
    family: str
    parameters: str
    quantization: str


def read_recipe(path: Path) -> Recipe:
    """Read a recipe. Raises OSError, ValidationError, `verify.Refused`."""
    try:
        recipe = Recipe.model_validate(yaml.safe_load(path.read_bytes()))
    except yaml.YAMLError as error:
        raise verify.Refused(f"not YAML: {path}: {error}") from None
    return recipe.model_copy(update={"licence_file": path.parent / recipe.licence_file})


def make(recipe: Recipe, store: Path, job: Job, file: Path | None = None) -> LockedModel:
    """Lay the model of a recipe into a store, its weights from `file` or from the publisher; returns its entry for the lock.

    Equal recipes give equal bytes. Raises OSError, `verify.Refused` (also `RegistryError`); nothing wrong is laid.
    """
    name, licence = canonical_name(recipe.name), recipe.licence_file.read_bytes()
    facts = GgufFacts(recipe.family, recipe.parameters, recipe.quantization)
    with nullcontext(file) if file else _downloaded(store, recipe, job) as weights:
        add_gguf(
            store,
            name,
            weights,
            sha256=recipe.sha256,
            facts=facts,
            template=recipe.template,
            params=recipe.params,
            licence=licence,
        )
    raw = (store / verify.manifest_path(name)).read_bytes()
    return locked_from_manifest(raw, name=name, purpose=recipe.purpose, licence=recipe.licence, source=recipe.source)


@contextmanager
def _downloaded(store: Path, recipe: Recipe, job: Job) -> Iterator[Path]:
    """The path of the verified download while the context lasts; one that was cut off earlier goes on where it was."""
    make_folder(store / "blobs")
    with staging(store) as folder:
        http = Http(job.patience)
        url = checked_url(recipe.source)
        arriving = Arriving(folder, verify.Entry("", f"sha256:{recipe.sha256}", http.size(url)))
        try:
            check_space(store, arriving.missing() + arriving.entry.size)  # it is copied into the store once more
            _download(arriving, http, url, job)
            yield arriving.path
        finally:
            arriving.close()
        arriving.discard()
        if not any(folder.iterdir()):
            folder.rmdir()


def _download(arriving: Arriving, http: Http, url: str, job: Job) -> None:
    size = arriving.entry.size
    job.watch.begin(f"fetching {arriving.path.name[:19]}", size)
    body = lambda start, end: http.body(url, start, end, size)  # noqa: E731
    found = Download(arriving, body, 4, job.patience, job.part, http.stop).run(job.watch.advance)
    if found != arriving.entry.digest:
        arriving.discard()
        raise RegistryError(f"sends other bytes than {arriving.entry.digest}: {found}")
