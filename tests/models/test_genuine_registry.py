"""The genuine docker-registry (Debian's package): we fetch from it, plain and behind redirects, and the double is held against it."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from citadelle.models import verify
from citadelle.models.fetch import Fetched, Job, fetch
from citadelle.models.http import Http, RegistryError
from citadelle.models.lock import ModelsLock, locked_from_manifest
from citadelle.models.origins import RegistryOrigin
from citadelle.models.review import entry_from_registry
from tests.models.fetching import (
    NAME,
    QUICK,
    SIZE,
    Silent,
    bring,
    findings,
    kill_and_resume,
    manifest_in,
    running,
    same_files,
    wrong_blobs,
)
from tests.models.genuine import push, serving

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def genuine(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address, with the large model in it."""
    with serving(tmp_path_factory.mktemp("registry")) as url:
        push(url, source / "source", NAME)
        yield url


def test_plain(tmp_path: Path, source: Path, lock: ModelsLock, genuine: str) -> None:
    assert bring(tmp_path / "store", lock, genuine).files == 6
    assert findings(tmp_path / "store", lock) == []
    assert same_files(source / "source", tmp_path / "store")
    assert bring(tmp_path / "store", lock, genuine) == Fetched(0, 0)


def test_behind_a_front_that_redirects_blobs(tmp_path: Path, source: Path, lock: ModelsLock, genuine: str) -> None:
    with running(source, tmp_path / "control", genuine) as front:
        front.set(fault="503", times=1)
        assert bring(tmp_path / "store", lock, front.url).files == 6
        asked = front.requests()
    assert same_files(source / "source", tmp_path / "store")
    assert len([one for one in asked if "/blobs/" in one["path"]]) > 5


@pytest.mark.timeout(1800)
def test_killed_and_resumed_at_fifty_points(tmp_path: Path, source: Path, lock: ModelsLock, genuine: str) -> None:
    with running(source, tmp_path / "control", genuine) as front:
        for index, after in enumerate(random.Random(2).sample(range(SIZE), 50)):
            kill_and_resume(tmp_path / str(index), source, lock, front, after, on="cdn", short=index > 0)


def test_its_manifests_give_the_entry_and_are_found_by_digest(
    tmp_path: Path, source: Path, lock: ModelsLock, genuine: str
) -> None:
    origin, model = RegistryOrigin(genuine, Http(QUICK)), lock.models[0]
    entry = entry_from_registry(origin, model.name, "chat", "MIT")
    assert entry == model.model_copy(update={"source": f"{genuine}/v2/library/large/manifests/chat"})
    theirs = shutil.copytree(source / "source", tmp_path / "theirs")
    raw = json.dumps(json.loads(manifest_in(theirs).read_bytes()), indent=1).encode()
    manifest_in(theirs).write_bytes(raw)
    push(genuine, theirs, NAME, tag="another")
    moved = locked_from_manifest(raw, name=NAME, purpose="chat", licence="MIT", source="https://example.org/")
    pretty = ModelsLock(serial=1, models=[moved])  # its tag leads to the first layout there: only the digest finds it
    fetch(tmp_path / "store", pretty, pretty.models, origin, Job(Silent(), QUICK))
    assert findings(tmp_path / "store", pretty) == []
    assert manifest_in(tmp_path / "store").read_bytes() == raw


def test_what_it_does_not_have(tmp_path: Path, source: Path, lock: ModelsLock, genuine: str) -> None:
    other = lock.models[0].model_copy(update={"name": "registry.ollama.ai/library/absent:1"})
    absent = ModelsLock(serial=1, models=[other])
    with pytest.raises(RegistryError, match=r"does not have it \(404\)"):
        bring(tmp_path / "store", absent, genuine)
    assert wrong_blobs(tmp_path / "store") == []


REQUESTS: dict[str, tuple[str, dict[str, str]]] = {
    "manifest by tag": ("manifests/chat", {"Accept": verify.MANIFEST_TYPE}),
    "manifest by digest": ("manifests/MANIFEST", {"Accept": verify.MANIFEST_TYPE}),
    "unknown tag": ("manifests/other", {"Accept": verify.MANIFEST_TYPE}),
    "unknown digest": ("blobs/sha256:" + "0" * 64, {}),
    "whole blob": ("blobs/WEIGHTS", {}),
    "first bytes": ("blobs/WEIGHTS", {"Range": "bytes=0-1048575"}),
    "one byte": ("blobs/WEIGHTS", {"Range": "bytes=0-0"}),
    "the middle": ("blobs/WEIGHTS", {"Range": "bytes=2097152-4194303"}),
    "the last bytes": ("blobs/WEIGHTS", {"Range": f"bytes=6291456-{SIZE - 1}"}),
    "beyond the end": ("blobs/WEIGHTS", {"Range": f"bytes=6291456-{SIZE + 99}"}),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_the_double_answers_as_the_genuine_one(
    tmp_path: Path, source: Path, lock: ModelsLock, genuine: str, case: str
) -> None:
    path, headers = REQUESTS[case]
    model = lock.models[0]
    path = path.replace("WEIGHTS", model.weights.digest).replace("MANIFEST", model.manifest.digest)

    def answer(url: str) -> tuple[int, str | None, str | None, str]:
        response = requests.get(f"{url}/v2/library/large/{path}", headers=headers, timeout=10)
        length = response.headers.get("Content-Length") if response.ok else None  # a 404 has a body of its own
        body = hashlib.sha256(response.content).hexdigest() if response.ok else ""
        return response.status_code, response.headers.get("Content-Range"), length, body

    with running(source / "source", tmp_path / "control") as double:
        assert answer(double.url) == answer(genuine)
