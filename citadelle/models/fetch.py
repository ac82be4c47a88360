"""Bring the files of a lock into a store: only what is missing, each by its digest, and visible there only when it is right."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from citadelle.models import verify
from citadelle.models.arriving import PART, Arriving
from citadelle.models.download import Download
from citadelle.models.http import Patience, RegistryError
from citadelle.models.lock import File, LockedModel, ModelsLock
from citadelle.models.manifest import encode_manifest
from citadelle.models.origins import Origin
from citadelle.models.store import make_folder

STAGING = ".fetch"
SPARE = 64 << 20  # bytes that stay free on the disk


class Unable(verify.Refused):
    """What stands against a fetch on this machine; `hint`: the cure."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


class Watcher(Protocol):
    """Is told of the way; of bytes from any thread."""

    def begin(self, name: str, size: int) -> None:
        """A file of `size` bytes starts."""
        ...

    def advance(self, count: int) -> None:
        """So many more of its bytes are there and hashed."""
        ...


@dataclass(frozen=True)
class Job:
    """Who watches, with how much patience a registry is asked, and for how many bytes at once."""

    watch: Watcher
    patience: Patience = field(default_factory=Patience)
    part: int = PART


@dataclass(frozen=True)
class Fetched:
    """What a fetch did: files brought and their bytes."""

    files: int
    bytes: int


def fetch(store: Path, lock: ModelsLock, models: list[LockedModel], origin: Origin, job: Job) -> Fetched:
    """Make `store` hold the `models` of the lock, whatever else it holds.

    A file that is there and wrong is not touched: that is for a human to look at. What came before a kill is kept beside the store's
    files and not asked for again. Raises OSError, `verify.Refused` (also `RegistryError`).
    """
    make_folder(store / "blobs")
    with staging(store) as folder:
        blobs, manifests = _missing(store, lock, models)
        with ExitStack() as files:
            arriving = {path: Arriving(folder, verify.Entry(*_entry(file))) for path, (_, file) in blobs.items()}
            for one in arriving.values():
                files.callback(one.close)
            _keep_only(folder, {one.path.name for one in arriving.values()})
            check_space(store, sum(one.missing() for one in arriving.values()))
            for path, (model, file) in blobs.items():
                job.watch.begin(f"fetching {model.short_name} {file.kind}", file.size)
                _bring(arriving[path], model, file, origin, job)
                arriving[path].admit(store / path)
        _sync(store / "blobs")
        for model in manifests:  # last: a model is there with all its files, or not at all
            _add_manifest(store, folder, model, _manifest(origin, model))
        shutil.rmtree(folder)
    return Fetched(len(blobs) + len(manifests), sum(file.size for _, file in blobs.values()))


def _entry(file: File) -> tuple[str, str, int]:
    return file.media_type, file.digest, file.size


@contextmanager
def staging(store: Path) -> Iterator[Path]:
    """The folder beside `blobs` in which files arrive, for one process at a time."""
    folder = store / STAGING
    folder.mkdir(mode=0o700, exist_ok=True)
    root = os.open(folder, verify.OPEN | os.O_DIRECTORY)
    try:
        _lock(root, folder)
        yield folder
    finally:
        fcntl.flock(root, fcntl.LOCK_UN)  # not left to the end of the descriptor: in a run of pyinfra that comes later
        os.close(root)


def _lock(root: int, folder: Path) -> None:
    try:
        fcntl.flock(root, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Unable(f"another fetch is at work in this store: {folder}", "wait for its end") from None


def _missing(
    store: Path, lock: ModelsLock, models: list[LockedModel]
) -> tuple[dict[str, tuple[LockedModel, File]], list[LockedModel]]:
    """Blobs (path -> model and file, smallest first) and models without manifest; raises for files that are there and wrong."""
    root = os.open(store, verify.OPEN | os.O_DIRECTORY)
    try:
        wanted = lock.checked([model.name for model in models])
        findings = verify.verify(root, wanted, {0, os.geteuid()}, exact=False).findings
    finally:
        os.close(root)
    wrong = [finding for finding in findings if finding.code != "missing"]
    if wrong:
        seen = "; ".join(map(str, wrong))
        raise Unable(
            f"wrong files in the store: {store}: {seen}", "find out why, remove them, then the same command again"
        )
    absent = {finding.path for finding in findings}
    files = {f"blobs/{file.blob}": (model, file) for model in models for file in (model.config, *model.layers)}
    ordered = sorted((item for item in files.items() if item[0] in absent), key=lambda item: item[1][1].size)
    return dict(ordered), [model for model in models if verify.manifest_path(model.name) in absent]


def _keep_only(folder: Path, names: set[str]) -> None:
    """Remove what an earlier lock had begun to bring."""
    for path in folder.iterdir():
        if path.name.removesuffix(".chunks") not in names:
            path.unlink()


def check_space(store: Path, size: int) -> None:
    """Refused where the disk of the store has no room for `size` bytes and some to spare."""
    disk = os.statvfs(store)
    free = disk.f_bavail * disk.f_frsize
    if size and free < size + SPARE:
        raise Unable(
            f"not enough disk space: {(size + SPARE) / 1e6:.0f} MB needed, {free / 1e6:.0f} MB free: {store}",
            f"df -h {store}; free the difference, then the same command again",
        )


def _bring(arriving: Arriving, model: LockedModel, file: File, origin: Origin, job: Job) -> None:
    resumed, body = arriving.resumed, origin.body(model, file)
    found = Download(arriving, body, origin.streams, job.patience, job.part, origin.stop).run(job.watch.advance)
    if found != file.digest:
        arriving.discard()
        again = "; what had come before is forgotten: run again" if resumed else ""
        raise RegistryError(f"sends other bytes than {file.digest}: {found}{again}")


def _manifest(origin: Origin, model: LockedModel) -> bytes:
    """The manifest's bytes: most follow from the lock itself, so a tag that moved on at the registry does not matter."""
    config, layers = verify.Entry(*_entry(model.config)), [verify.Entry(*_entry(file)) for file in model.layers]
    raw = encode_manifest(config, layers)
    if verify.digest_of(raw) != model.manifest.digest:
        raw = origin.manifest(model)
    if verify.digest_of(raw) != model.manifest.digest:
        raise RegistryError(
            f"the manifest of {model.short_name} is another: {verify.digest_of(raw)} instead of {model.manifest.digest}"
        )
    return raw


def _add_manifest(store: Path, folder: Path, model: LockedModel, raw: bytes) -> None:
    fresh, target = folder / "manifest", store / verify.manifest_path(model.name)
    with fresh.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    fresh.chmod(0o644)
    make_folder(target.parent)
    fresh.rename(target)


def _sync(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(file)
    os.close(file)
