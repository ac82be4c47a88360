"""Where the files of models come from: a registry, a folder laid out as an Ollama store, or an archive of one."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from citadelle.models import verify
from citadelle.models.http import Http, RegistryError, checked_url
from citadelle.models.lock import File, LockedModel

Body = Callable[[int, int], Iterator[bytes]]


class Origin(Protocol):
    """`streams`: how many ranges may be read side by side. All raise OSError, `RegistryError`; only digests are ever asked for."""

    streams: int

    def manifest(self, model: LockedModel) -> bytes:
        """The manifest as it lies there; the caller judges it."""
        ...

    def body(self, model: LockedModel, file: File) -> Body:
        """What reads bytes [start, end) of a blob."""
        ...

    def stop(self) -> None:
        """End what is being read, for whoever gives up."""
        ...


class RegistryOrigin:
    """A registry at `url` (default: the one in the model's name), with or without redirects to another host for blobs."""

    streams = 4

    def __init__(self, url: str | None = None, http: Http | None = None) -> None:
        self._url = checked_url(url) if url else None
        self._http = http or Http()

    def manifest(self, model: LockedModel) -> bytes:
        """By tag; where that leads to other bytes by now, by digest, which plain registries answer and Ollama's does not."""
        raw = self.tagged(model.name)
        if verify.digest_of(raw) == model.manifest.digest:
            return raw
        try:
            return self._http.small(f"{self._base(model.name)}/manifests/{model.manifest.digest}", verify.MANIFEST_TYPE)
        except RegistryError:
            found = verify.digest_of(raw)
            raise RegistryError(
                f"{model.short_name} is another model there by now: {found} instead of {model.manifest.digest}"
            ) from None

    def tagged(self, name: str) -> bytes:
        """The manifest that a canonical name leads to today."""
        return self._http.small(self.manifest_url(name), verify.MANIFEST_TYPE)

    def manifest_url(self, name: str) -> str:
        """Where the manifest of a canonical name lies."""
        return f"{self._base(name)}/manifests/{name.rpartition(':')[2]}"

    def small_blob(self, name: str, file: verify.Entry) -> bytes:
        """A whole small blob. Raises `RegistryError` where it is not the one that its digest names."""
        if file.size > verify.SMALL:
            raise RegistryError(f"too large: {file.size} bytes: {file.digest}")
        raw = self._http.small(f"{self._base(name)}/blobs/{file.digest}")
        if (verify.digest_of(raw), len(raw)) != (file.digest, file.size):
            raise RegistryError(f"sends other bytes than {file.digest}")
        return raw

    def body(self, model: LockedModel, file: File) -> Body:
        url = f"{self._base(model.name)}/blobs/{file.digest}"
        return lambda start, end: self._http.body(url, start, end, file.size)

    def stop(self) -> None:
        self._http.stop()

    def _base(self, name: str) -> str:
        host, _, rest = name.partition("/")
        return f"{self._url or f'https://{host}'}/v2/{rest.rpartition(':')[0]}"


class FolderOrigin:
    """A folder with `manifests/` and `blobs/`, as Ollama lays one."""

    streams = 1

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def manifest(self, model: LockedModel) -> bytes:
        with _regular(self._folder / verify.manifest_path(model.name)) as file:
            return file.read(verify.SMALL + 1)

    def body(self, model: LockedModel, file: File) -> Body:
        path = self._folder / "blobs" / file.blob
        return lambda start, end: _slice(_regular(path), start, end, file.size)

    def stop(self) -> None:
        """A disk keeps nobody waiting."""


class ArchiveOrigin:
    """A tar archive of such a folder, compressed or not, below any folder name. Nothing is unpacked by its name."""

    streams = 1

    def __init__(self, path: Path) -> None:
        try:
            self._tar = tarfile.open(path, "r:*")  # noqa: SIM115  (open for as long as the origin is)
            members = [member for member in self._tar if member.isfile()]
        except (tarfile.TarError, EOFError) as error:
            raise RegistryError(f"not a tar archive: {path}: {error}") from None
        self._path, self._members = path, {_below(member.name): member for member in members}

    def manifest(self, model: LockedModel) -> bytes:
        with self._open(verify.manifest_path(model.name)) as file:
            return file.read(verify.SMALL + 1)

    def body(self, model: LockedModel, file: File) -> Body:
        return lambda start, end: _slice(self._open(f"blobs/{file.blob}"), start, end, file.size)

    def stop(self) -> None:
        """A disk keeps nobody waiting."""

    def _open(self, path: str) -> IO[bytes]:
        member = self._members.get(path)
        file = self._tar.extractfile(member) if member else None
        if file is None:
            raise RegistryError(f"not in the archive {self._path}: {path}")
        return file


def local_origin(path: Path) -> Origin:
    """The origin that a path on this machine is. Raises OSError, `RegistryError`."""
    return FolderOrigin(path) if path.is_dir() else ArchiveOrigin(path)


def _below(name: str) -> str:
    """The part of a member's name that counts: from `manifests/` or `blobs/` on."""
    parts = PurePosixPath(name).parts
    starts = [index for index, part in enumerate(parts) if part in {"manifests", "blobs"}]
    return "/".join(parts[starts[0] :]) if starts else name


def _regular(path: Path) -> IO[bytes]:
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a fifo must not make the command hang
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise RegistryError(f"not a regular file: {path}")
    return os.fdopen(file, "rb")


def _slice(file: IO[bytes], start: int, end: int, size: int) -> Iterator[bytes]:
    with file:
        if (found := file.seek(0, os.SEEK_END)) != size:
            raise RegistryError(f"has {found} bytes instead of {size}: {file.name}")
        file.seek(start)
        while start < end:
            piece = file.read(min(verify.CHUNK, end - start))
            if not piece:
                raise RegistryError(f"ended early: {file.name}")
            start += len(piece)
            yield piece
