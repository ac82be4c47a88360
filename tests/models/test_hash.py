"""Hashing by mapped parts and by reading gives what hashlib gives, whatever the size."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from random import Random

import pytest

from citadelle.models import verify

SIZES = [
    0,
    1,
    verify.SMALL - 1,
    verify.SMALL,
    verify.WINDOW - 1,
    verify.WINDOW,
    verify.WINDOW + 1,
    2 * verify.WINDOW + verify.SMALL + 7,
]


def written(path: Path, size: int) -> str:
    content = Random(size).randbytes(min(size, 4096))
    with path.open("wb") as file:
        file.write(content)
        file.truncate(size)
        if size > 8192:
            file.seek(size - 4096)
            file.write(content)
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def hashed(path: Path) -> tuple[str, int]:
    file = os.open(path, os.O_RDONLY)
    try:
        return verify._hash(file, lambda count: None)
    finally:
        os.close(file)


@pytest.mark.parametrize("size", SIZES)
def test_whatever_the_size(tmp_path: Path, size: int) -> None:
    wanted = written(tmp_path / "file", size)
    assert hashed(tmp_path / "file") == (wanted, size)


def test_a_kernel_that_knows_no_such_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = written(tmp_path / "file", SIZES[-1])
    monkeypatch.setattr(verify, "POPULATE_READ", 9999)
    assert hashed(tmp_path / "file") == (wanted, SIZES[-1])


@pytest.mark.parametrize("at", [0, verify.WINDOW - 1, verify.WINDOW, 2 * verify.WINDOW + 5, SIZES[-1] - 1])
def test_a_byte_counts_wherever_it_lies(tmp_path: Path, at: int) -> None:
    wanted = written(tmp_path / "file", SIZES[-1])
    with (tmp_path / "file").open("r+b") as file:
        file.seek(at)
        old = file.read(1)
        file.seek(at)
        file.write(bytes([old[0] ^ 1]))
    assert hashed(tmp_path / "file")[0] != wanted
