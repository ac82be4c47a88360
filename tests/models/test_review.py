"""A change of the lock: what a registry serves becomes an entry, strictly; serials grow; removals; models of a second source."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from citadelle.models import verify
from citadelle.models.fetch import STAGING, Job
from citadelle.models.gguf import make, read_recipe
from citadelle.models.http import Http, Patience, RegistryError
from citadelle.models.lock import ModelsLock
from citadelle.models.manifest import canonical_name
from citadelle.models.origins import RegistryOrigin
from citadelle.models.removal import remove_model
from citadelle.models.review import changed, diff, entry_from_registry
from citadelle.models.store import GgufFacts, add_gguf
from tests.conftest import ROOT
from tests.models.conftest import Store
from tests.models.fetching import Registry, running
from tests.models.test_fetch import Silent

QUICK = Patience(connect=5, read=5, tries=2, pause=0.01)
LOCK = ROOT / "policies/models.lock.json"
MISTRAL, EMBED = canonical_name("mistral"), canonical_name("nomic-embed-text")


@pytest.fixture(scope="module")
def genuine(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """The double serving the genuine manifests and small blobs of Ollama's registry."""
    with running(shared_data / "ollama", tmp_path_factory.mktemp("genuine")) as registry:
        yield registry


@pytest.fixture
def own(tmp_path: Path, store: Store) -> Iterator[Registry]:
    """The double serving this test's store of two small models."""
    with running(store.path, tmp_path / "control") as registry:
        yield registry


@pytest.mark.parametrize("name", ["bge-m3", "nomic-embed-text"])
def test_the_genuine_manifests_give_the_entries_of_the_repositorys_lock(genuine: Registry, name: str) -> None:
    locked = ModelsLock.read(LOCK).model(name)
    origin = RegistryOrigin(genuine.url, Http(QUICK))
    entry = entry_from_registry(origin, locked.name, locked.purpose, locked.licence)
    source = f"{genuine.url}/v2/library/{name}/manifests/latest"
    assert entry == locked.model_copy(update={"source": source})
    assert RegistryOrigin().manifest_url(locked.name) == locked.source
    accepted = {one["headers"]["Accept"] for one in genuine.requests() if "manifests" in one["path"]}
    assert accepted == {verify.MANIFEST_TYPE}


def test_a_remote_model_is_not_locked(own: Registry, store: Store) -> None:
    store.relock_config(b'{"model_format":"gguf","remote_host":"https://ollama.com"}')
    with pytest.raises(verify.Refused, match="a remote model: remote_host"):
        entry_from_registry(RegistryOrigin(own.url, Http(QUICK)), store.lock["models"][1]["name"], "chat", "MIT")


def test_a_manifest_that_hosts_would_refuse_is_not_locked(own: Registry, store: Store) -> None:
    raw = store.manifest().read_bytes()
    store.manifest().write_bytes(raw.replace(b'"layers":[{', b'"layers":[{"from":"/root/x",'))
    with pytest.raises(verify.Refused, match="keys are"):
        entry_from_registry(RegistryOrigin(own.url, Http(QUICK)), store.lock["models"][1]["name"], "chat", "MIT")


def test_a_config_that_is_not_the_named_one_is_not_locked(own: Registry, store: Store) -> None:
    own.set(fault="wrong")
    with pytest.raises(RegistryError, match="sends other bytes than sha256:"):
        entry_from_registry(RegistryOrigin(own.url, Http(QUICK)), store.lock["models"][1]["name"], "chat", "MIT")


def test_the_serial_grows_with_every_difference() -> None:
    lock = ModelsLock.read(LOCK)
    mistral = lock.model("mistral")
    assert changed(lock, [mistral]) == lock
    dated = changed(lock, [], expires=datetime(2027, 12, 31, tzinfo=UTC))
    assert (dated.serial, verify.read_terms(dated.canonical()).expires) == (2, 1830211200)
    assert changed(dated, [], expires=None).expires is None
    fewer = changed(dated, [mistral.model_copy(update={"licence": "MIT"})], [EMBED])
    assert (fewer.serial, fewer.model("mistral").licence, fewer.expires) == (3, "MIT", dated.expires)
    assert [model.name for model in ModelsLock.parse(fewer.canonical()).models] == [canonical_name("bge-m3"), MISTRAL]
    assert changed(None, [mistral]).serial == 1
    with pytest.raises(verify.Refused, match="no model would be left"):
        changed(lock, [], [model.name for model in lock.models])


def test_the_diff_shows_what_changes() -> None:
    lock = ModelsLock.read(LOCK)
    new = changed(lock, [lock.model("mistral").model_copy(update={"licence": "MIT"})])
    lines = diff(lock.canonical(), new.canonical(), Path("lock.json")).splitlines()
    assert lines[:2] == ["--- lock.json", "+++ lock.json (new)"]
    assert [line for line in lines[2:] if line[0] in "+-"] == [
        '-      "licence": "Apache-2.0",',
        '+      "licence": "MIT",',
        '-  "serial": 1',
        '+  "serial": 2',
    ]


def test_removing_keeps_what_others_need(store: Store) -> None:
    chat, embed = (store.lock["models"][index]["name"] for index in (1, 0))
    shared = {part["digest"] for part in store.lock["models"][0]["layers"]} & {
        part["digest"] for part in store.lock["models"][1]["layers"]
    }
    assert shared
    gone = remove_model(store.path, "tiny:chat")
    assert gone[0] == verify.manifest_path(chat)
    assert not {f"blobs/{digest.replace(':', '-')}" for digest in shared} & set(gone)
    store.lock["models"] = store.lock["models"][:1]
    assert store.findings() == []
    remove_model(store.path, embed)
    assert [path for path in store.path.rglob("*") if path.is_file()] == []
    assert not (store.path / "manifests/registry.ollama.ai").exists()
    with pytest.raises(verify.Refused, match="not in the store: tiny:chat"):
        remove_model(store.path, "tiny:chat")


def test_removing_beside_an_unreadable_manifest_is_refused(store: Store) -> None:
    store.manifest(0).write_bytes(b"{}")
    before = sorted(store.path.rglob("*"))
    with pytest.raises(verify.Refused, match=f"what another model needs is not known: {store.manifest(0)}"):
        remove_model(store.path, "tiny:chat")
    with pytest.raises(verify.Refused, match="not a model name"):
        remove_model(store.path, "../../etc/passwd")
    assert sorted(store.path.rglob("*")) == before


WEIGHTS = b"GGUF" + bytes(range(256)) * 20_000


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "LICENSE").write_text("MIT")
    content = {
        "name": "me/tiny:q4",
        "source": "https://publisher.example/tiny.gguf",
        "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
        "purpose": "chat",
        "licence": "MIT",
        "licence_file": "LICENSE",
        "template": "{{ .Prompt }}",
        "params": {"num_ctx": 512},
        "family": "llama",
        "parameters": "5K",
        "quantization": "Q4_0",
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def _say(recipe: Path, **changes: object) -> None:
    recipe.write_text(yaml.safe_dump(yaml.safe_load(recipe.read_text()) | changes))


def test_a_gguf_gets_a_manifest_of_ours(tmp_path: Path, recipe: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(WEIGHTS)
    entry = make(read_recipe(recipe), tmp_path / "store", Job(Silent(), QUICK), tmp_path / "tiny.gguf")
    assert (entry.short_name, entry.licence, entry.source) == (
        "me/tiny:q4",
        "MIT",
        "https://publisher.example/tiny.gguf",
    )
    assert entry.weights.digest == f"sha256:{hashlib.sha256(WEIGHTS).hexdigest()}"
    again = make(read_recipe(recipe), tmp_path / "other", Job(Silent(), QUICK), tmp_path / "tiny.gguf")
    assert again == entry
    (tmp_path / "tiny.gguf").write_bytes(WEIGHTS[:-1] + b"X")
    with pytest.raises(verify.Refused, match="sha256 is"):
        make(read_recipe(recipe), tmp_path / "third", Job(Silent(), QUICK), tmp_path / "tiny.gguf")
    assert not list((tmp_path / "third/blobs").iterdir())


def test_what_is_no_gguf_is_not_laid_though_its_digest_is_right(tmp_path: Path, recipe: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(b"PK\x03\x04")
    _say(recipe, sha256=hashlib.sha256(b"PK\x03\x04").hexdigest())
    with pytest.raises(verify.Refused, match="not a GGUF file"):
        make(read_recipe(recipe), tmp_path / "store", Job(Silent(), QUICK), tmp_path / "tiny.gguf")
    assert not list((tmp_path / "store/blobs").iterdir())


def test_a_gguf_comes_from_its_publisher(tmp_path: Path, recipe: Path) -> None:
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    (tmp_path / "theirs/blobs").mkdir(parents=True)
    (tmp_path / "theirs/blobs" / f"sha256-{digest}").write_bytes(WEIGHTS)
    job, store = Job(Silent(), QUICK, part=verify.CHUNK), tmp_path / "store"
    with running(tmp_path / "theirs", tmp_path / "control") as registry:
        _say(recipe, source=f"{registry.url}/v2/me/tiny/blobs/sha256:{digest}")
        registry.set(fault="wrong")
        with pytest.raises(RegistryError, match=f"sends other bytes than sha256:{digest}"):
            make(read_recipe(recipe), store, job)
        registry.set(mode="redirect")
        entry = make(read_recipe(recipe), store, job)
    models = ModelsLock(serial=1, models=[entry])
    spoiled = Store(store, json.loads(models.canonical()), (store / "blobs").stat().st_uid)
    assert spoiled.findings() == []
    assert not (store / STAGING).exists()


@pytest.mark.parametrize(
    "changes",
    [{"sha256": "0" * 63}, {"source": "ftp://x/y"}, {"purpose": "fun"}, {"licence": ""}, {"also": 1}, {"params": []}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_recipe_that_is_none(recipe: Path, changes: dict[str, object]) -> None:
    assert read_recipe(recipe)
    _say(recipe, **changes)
    with pytest.raises(ValidationError):
        read_recipe(recipe)
    recipe.write_text("{")
    with pytest.raises(verify.Refused, match="not YAML"):
        read_recipe(recipe)


def test_a_host_with_a_port_keeps_its_folder(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(WEIGHTS)
    add_gguf(
        tmp_path / "store",
        "mirror.example:5000/me/tiny:1",
        tmp_path / "tiny.gguf",
        sha256=hashlib.sha256(WEIGHTS).hexdigest(),
        facts=GgufFacts("llama", "5K", "Q4_0"),
        template="",
        params={},
        licence=b"MIT",
    )
    assert (tmp_path / "store/manifests/mirror.example:5000/me/tiny/1").is_file()
    shutil.rmtree(tmp_path / "store")
