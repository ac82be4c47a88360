"""Fetching without a network: from a folder laid out as a store, and from an archive of one."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from citadelle.models import verify
from citadelle.models.fetch import Fetched, Job, fetch
from citadelle.models.http import Patience, RegistryError
from citadelle.models.lock import ModelsLock
from citadelle.models.origins import local_origin
from tests.models.fetching import SIZE, findings, lay_large, wrong_blobs
from tests.models.test_fetch import Silent, manifest_in


@pytest.fixture
def lock(tmp_path: Path) -> ModelsLock:
    """The lock of `tmp_path/source`."""
    return lay_large(tmp_path)


def bring(folder: Path, lock: ModelsLock, origin: Path) -> Fetched:
    return fetch(folder / "store", lock, lock.models, local_origin(origin), Job(Silent(), Patience(pause=0)))


def pack(folder: Path, mode: str = "w", prefix: str = "") -> Path:
    path = folder / "models.tar"
    with tarfile.open(path, mode) as tar:
        for name in ("blobs", "manifests"):
            tar.add(folder / "source" / name, f"{prefix}{name}")
    return path


def test_a_folder(tmp_path: Path, lock: ModelsLock) -> None:
    assert bring(tmp_path, lock, tmp_path / "source").files == 6
    assert findings(tmp_path / "store", lock) == []
    assert bring(tmp_path, lock, tmp_path / "source") == Fetched(0, 0)


@pytest.mark.parametrize(("mode", "prefix"), [("w", "home/.ollama/models/"), ("w:gz", "./")])
def test_an_archive(tmp_path: Path, lock: ModelsLock, mode: str, prefix: str) -> None:
    assert bring(tmp_path, lock, pack(tmp_path, mode, prefix)).files == 6
    assert findings(tmp_path / "store", lock) == []


def _weights(folder: Path, lock: ModelsLock) -> Path:
    return folder / "source/blobs" / lock.models[0].weights.blob


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[SIZE // 2] ^= 1
    path.write_bytes(content)


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "wrong byte": (_flip, "sends other bytes than sha256:"),
    "short": (lambda path: os.truncate(path, SIZE - 1), f"has {SIZE - 1} bytes instead of {SIZE}"),
    "long": (lambda path: os.truncate(path, SIZE + 1), f"has {SIZE + 1} bytes instead of {SIZE}"),
    "absent": (lambda path: path.unlink(), "No such file|not in the archive"),
}


@pytest.mark.parametrize("kind", ["folder", "archive"])
@pytest.mark.parametrize("case", SPOILED)
def test_a_spoiled_origin(tmp_path: Path, lock: ModelsLock, case: str, kind: str) -> None:
    spoil, told = SPOILED[case]
    good = _weights(tmp_path, lock).read_bytes()
    spoil(_weights(tmp_path, lock))
    origin = tmp_path / "source" if kind == "folder" else pack(tmp_path)
    with pytest.raises((verify.Refused, OSError)) as caught:
        bring(tmp_path, lock, origin)
    assert any(part in str(caught.value) for part in told.split("|"))
    assert wrong_blobs(tmp_path / "store") == []
    assert not manifest_in(tmp_path / "store").exists()
    _weights(tmp_path, lock).write_bytes(good)
    bring(tmp_path, lock, tmp_path / "source")
    assert findings(tmp_path / "store", lock) == []


def test_a_pipe_in_the_folder_does_not_hang(tmp_path: Path, lock: ModelsLock) -> None:
    _weights(tmp_path, lock).unlink()
    os.mkfifo(_weights(tmp_path, lock))
    with pytest.raises(RegistryError, match=r"^not a regular file"):
        bring(tmp_path, lock, tmp_path / "source")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_in_an_archive_lead_nowhere(tmp_path: Path, lock: ModelsLock, kind: bytes) -> None:
    """Not out of it, and to no other file in it either."""
    archive, blob = tmp_path / "evil.tar", lock.models[0].weights.blob
    with tarfile.open(archive, "w") as tar:
        tar.add(tmp_path / "source/blobs" / blob, "elsewhere")
        member = tarfile.TarInfo(f"blobs/{blob}")
        member.type, member.linkname = kind, "../elsewhere" if kind == tarfile.SYMTYPE else "elsewhere"
        tar.addfile(member)
        climbing = tarfile.TarInfo("../../blobs/../../evil")
        climbing.size = 1
        tar.addfile(climbing, io.BytesIO(b"x"))
        for path in (tmp_path / "source/blobs").iterdir():
            if path.name != blob:
                tar.add(path, f"blobs/{path.name}")
    with pytest.raises(RegistryError, match=f"not in the archive .*: blobs/{blob}"):
        bring(tmp_path, lock, archive)
    assert not (tmp_path.parent / "evil").exists()


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"\x1f\x8b\x08broken"])
def test_no_archive(tmp_path: Path, lock: ModelsLock, content: bytes) -> None:
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(RegistryError, match=r"not a tar archive|not in the archive"):
        bring(tmp_path, lock, tmp_path / "x.tar")


def test_no_origin(tmp_path: Path, lock: ModelsLock) -> None:
    with pytest.raises(FileNotFoundError):
        bring(tmp_path, lock, tmp_path / "none")
