"""The genuine `ollama pull` and our fetch, from one genuine registry behind redirects: the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from citadelle.models import verify
from citadelle.models.http import Patience
from citadelle.models.lock import ModelsLock
from tests.lab import model as lab
from tests.models.fetching import Registry, bring, findings, running
from tests.models.genuine import push, serving
from tests.models.ollama import docker, image, lab_store, wait

pytestmark = [pytest.mark.docker, pytest.mark.lab]
SLOW = Patience(connect=10, read=30)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """docker-registry with the lab's model, behind the front that redirects blobs as Ollama's registry does."""
    folder = tmp_path_factory.mktemp("registry")
    with serving(folder) as genuine, running(folder, folder / "control", genuine) as registry:
        push(genuine, lab_store(), lab.NAME)
        yield registry


@pytest.fixture(scope="module")
def pulled(front: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store that the genuine program has filled."""
    store = tmp_path_factory.mktemp("pulled")
    address = front.url.removeprefix("http://")
    options = ["--network=host", "--user=0:0", "--label=org.citadelle.lab=1", f"--volume={store}:/models"]
    settings = [
        "--env=OLLAMA_MODELS=/models",
        "--env=OLLAMA_HOST=127.0.0.1:11499",
        "--env=HOME=/tmp",
        "--env=OLLAMA_NO_CLOUD=1",
    ]
    box = docker("run", "--detach", "--rm", *options, *settings, image())
    try:
        wait("http://127.0.0.1:11499")
        body = {"model": f"{address}/library/{lab.NAME}", "insecure": True, "stream": False}
        answer = requests.post("http://127.0.0.1:11499/api/pull", json=body, timeout=300)
        assert answer.json() == {"status": "success"}, answer.text
    finally:
        docker("kill", box)
    return store


def test_byte_for_byte_the_same(front: Registry, pulled: Path, tmp_path: Path) -> None:
    lock = ModelsLock.read(lab.LOCK)
    bring(tmp_path / "store", lock, front.url, SLOW)
    assert findings(tmp_path / "store", lock) == []
    ours, theirs = (
        {path.name: path.read_bytes() for path in (store / "blobs").iterdir()} for store in (tmp_path / "store", pulled)
    )
    assert ours == theirs
    manifest = lab.NAME.replace(":", "/")
    [raw] = [
        path.read_bytes()
        for path in (pulled / "manifests").rglob("*")
        if path.is_file() and str(path).endswith(manifest)
    ]
    mine = (tmp_path / "store" / verify.manifest_path(lock.models[0].name)).read_bytes()
    assert json.loads(raw) == json.loads(mine)
