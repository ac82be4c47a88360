"""Stores spoiled by hand, one way each: every one is refused, and for the right reason."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path

import pytest

from citadelle.models import verify
from tests.models.conftest import Spoil, Store


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def _swap(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def _replace(path: Path, make: object) -> None:
    path.unlink()
    make(path)  # type: ignore[operator]


def _link_elsewhere(path: Path, store: Store) -> None:
    outside = store.path.parent / "outside"
    shutil.move(path, outside)
    path.symlink_to(outside)


def _bind_socket(path: Path) -> None:
    # A socket's path may not exceed 108 characters, a test's folder easily does.
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(path.parent, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/{path.name[:20]}")
        os.close(here)
    (path.parent / path.name[:20]).rename(path)


BLOBS: dict[str, tuple[Spoil, str]] = {
    "first byte flipped": (lambda s: _flip(s.blob(), 0), "digest"),
    "last byte flipped": (lambda s: _flip(s.blob(), -1), "digest"),
    "config flipped": (lambda s: _flip(s.blob("config"), 5), "digest"),
    "template flipped": (lambda s: _flip(s.blob("template"), 2), "digest"),
    "params flipped": (lambda s: _flip(s.blob("params"), 2), "digest"),
    "zeroed, same size": (lambda s: s.blob().write_bytes(bytes(s.blob().stat().st_size)), "digest"),
    "contents exchanged": (lambda s: _swap(s.blob("template"), s.blob("params")), "size"),
    "one byte short": (lambda s: os.truncate(s.blob(), s.blob().stat().st_size - 1), "size"),
    "one byte long": (lambda s: _write(s.blob(), s.blob().read_bytes() + b"\0"), "size"),
    "empty": (lambda s: _write(s.blob(), b""), "size"),
    "missing": (lambda s: s.blob().unlink(), "missing"),
    "symbolic link to the right bytes": (lambda s: _link_elsewhere(s.blob(), s), "type"),
    "dangling link": (lambda s: _replace(s.blob(), lambda p: p.symlink_to("/nowhere")), "type"),
    "second name outside": (lambda s: os.link(s.blob(), s.path.parent / "other"), "links"),
    "second name inside": (lambda s: os.link(s.blob(), s.path / "blobs" / ("sha256-" + "0" * 64)), "links"),
    "a pipe": (lambda s: _replace(s.blob(), os.mkfifo), "type"),
    "a socket": (lambda s: _replace(s.blob(), _bind_socket), "type"),
    "a folder": (lambda s: _replace(s.blob(), Path.mkdir), "type"),
    "group may write": (lambda s: s.blob().chmod(0o664), "mode"),
    "others may write": (lambda s: s.blob().chmod(0o646), "mode"),
    "upper-case digest": (lambda s: s.blob().rename(s.path / "blobs" / s.blob().name.upper()), "foreign"),
    "colon in the name": (lambda s: s.blob().rename(s.path / "blobs" / s.blob().name.replace("-", ":")), "foreign"),
    "one blob too many": (lambda s: _write(s.path / "blobs" / ("sha256-" + "0" * 64), b"x"), "foreign"),
    "a partial download": (lambda s: _write(Path(f"{s.blob()}-partial-0"), b"x"), "foreign"),
    "a temporary file": (lambda s: _write(s.path / "blobs/x.tmp", b"x"), "foreign"),
    "a folder among the blobs": (lambda s: (s.path / "blobs/more").mkdir(), "foreign"),
}

TREE: dict[str, tuple[Spoil, str]] = {
    "manifest flipped": (lambda s: _flip(s.manifest(), 30), "digest"),
    "manifest missing": (lambda s: s.manifest().unlink(), "missing"),
    "newline after the manifest": (lambda s: _write(s.manifest(), s.manifest().read_bytes() + b"\n"), "size"),
    "second object after it": (lambda s: _write(s.manifest(), s.manifest().read_bytes() + b" " * 4096 + b"{}"), "size"),
    "manifest of the other model": (lambda s: _swap(s.manifest(0), s.manifest(1)), "digest"),
    "manifest is a link": (lambda s: _link_elsewhere(s.manifest(), s), "type"),
    "folder of the model is a link": (lambda s: _link_elsewhere(s.manifest().parent, s), "foreign"),
    "manifests is a link": (lambda s: _link_elsewhere(s.path / "manifests", s), "foreign"),
    "blobs is a link": (lambda s: _link_elsewhere(s.path / "blobs", s), "foreign"),
    "second name of a manifest": (lambda s: os.link(s.manifest(), s.path.parent / "other"), "links"),
    "one more tag": (lambda s: shutil.copy(s.manifest(), s.manifest().with_name("other")), "foreign"),
    "tag that differs in case": (lambda s: shutil.copy(s.manifest(), s.manifest().with_name("CHAT")), "foreign"),
    "model that differs in case": (
        lambda s: s.manifest().parent.rename(s.manifest().parent.with_name("TINY")),
        "foreign",
    ),
    "one more model": (lambda s: _write(s.path / "manifests/registry.ollama.ai/library/evil/latest", b"{}"), "foreign"),
    "other registry": (lambda s: _write(s.path / "manifests/evil.example/library/tiny/chat", b"{}"), "foreign"),
    "second root of manifests": (lambda s: (s.path / "manifests-v2").mkdir(), "foreign"),
    "file at the top": (lambda s: _write(s.path / "readme", b""), "foreign"),
    "hidden file": (lambda s: _write(s.path / ".hidden", b""), "foreign"),
    "deeper than any manifest": (lambda s: _write(s.manifest().with_name("x") / "y/z", b""), "foreign"),
    "name that is no text": (lambda s: os.mkdir(bytes(s.path) + b"/blobs/\xff\xfe"), "foreign"),
    "store folder open to its group": (lambda s: s.path.chmod(0o775), "mode"),
    "blobs open to all": (lambda s: (s.path / "blobs").chmod(0o1777), "mode"),
    "folder of the model open to all": (lambda s: s.manifest().parent.chmod(0o777), "mode"),
    "blobs missing": (lambda s: shutil.rmtree(s.path / "blobs"), "missing"),
}

AS_ROOT: dict[str, tuple[Spoil, str]] = {
    "blob of another user": (lambda s: os.chown(s.blob(), 10001, 0), "owner"),
    "manifest of another user": (lambda s: os.chown(s.manifest(), 10001, 0), "owner"),
    "store of another user": (lambda s: os.chown(s.path, 10001, 0), "owner"),
    "folder of another user": (lambda s: os.chown(s.path / "blobs", 10001, 0), "owner"),
    "a device": (lambda s: _replace(s.blob(), lambda p: os.mknod(p, 0o020600, os.makedev(1, 5))), "type"),
}


def test_the_store_is_good_before_it_is_spoiled(store: Store) -> None:
    assert store.findings() == []


@pytest.mark.parametrize("case", BLOBS | TREE)
def test_spoiled_store_is_refused(store: Store, case: str) -> None:
    spoil, code = (BLOBS | TREE)[case]
    spoil(store)
    assert code in {finding.code for finding in store.findings()}


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize("case", AS_ROOT)
def test_spoiled_by_root_is_refused(store: Store, case: str) -> None:
    spoil, code = AS_ROOT[case]
    spoil(store)
    assert code in {finding.code for finding in store.findings()}


def test_a_file_that_is_written_while_it_is_read_is_refused(store: Store) -> None:
    """Also where its bytes were the locked ones each time they were looked at."""
    models, content = verify.read_lock(json.dumps(store.lock).encode() + b"\n"), store.blob().read_bytes()
    root = os.open(store.path, verify.OPEN | os.O_DIRECTORY)
    told: list[int] = []

    def meanwhile(count: int) -> None:
        told.append(count)
        with store.blob().open("r+b") as file:
            file.write(content)
        os.utime(store.blob(), ns=(0, len(told)))  # a clock may show the same time twice

    found = verify.verify(root, models, {store.owner}, told=meanwhile).findings
    os.close(root)
    assert told
    assert f"blobs/{store.blob().name}" in {finding.path for finding in found if finding.code == "changed"}
