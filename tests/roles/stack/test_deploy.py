"""What the role makes of its settings: images by digest, the chat model, the release; and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyinfra.context import ctx_host

from citadelle.accelerator.hardware import Hardware
from citadelle.accelerator.shape import read_shape
from citadelle.models.lock import ModelsLock
from citadelle.release import Release, read_env
from citadelle.settings import DeployError
from roles.accelerator.settings import AcceleratorSettings
from roles.model_files.settings import ModelFilesSettings
from roles.observability.settings import ObservabilitySettings
from roles.stack.deploy import IMAGES, images, policies, sizing, stack_release
from roles.stack.models import Offered, chat_model, embed_model, offered_models
from roles.stack.settings import StackSettings
from roles.stack.watching import SHOWING, WATCHING
from tests.accelerator.gguf import gguf
from tests.accelerator.gguf import sizing as size
from tests.accelerator.trees import KINDS, read, recorded
from tests.conftest import ROOT
from tests.models.conftest import lay

BARE = Hardware(seen=True, kernel="Linux", memory=16 << 30)
MISTRAL = "registry.ollama.ai/library/mistral:latest"


@pytest.fixture(autouse=True)
def host() -> Iterator[None]:
    with ctx_host.use(SimpleNamespace(name="@linux/srv1")):
        yield


@pytest.fixture
def two_models(tmp_path: Path) -> Path:
    """A lock with the chat models `tiny:chat` and `tiny-other:latest`, and one for embeddings."""
    lock = lay(tmp_path / "store")
    [chat] = [model for model in lock["models"] if model["purpose"] == "chat"]
    lock["models"].append(chat | {"name": chat["name"].replace("tiny:chat", "tiny-other:latest")})
    path = tmp_path / "lock.json"
    path.write_bytes(ModelsLock.model_validate(lock).canonical())
    return path


def chosen(lock: Path, *served: str, **settings: str) -> str:
    return chat_model(StackSettings(**settings), ModelFilesSettings(models_lock=lock, models=served)).short_name


def test_the_only_chat_model_is_meant() -> None:
    model = chat_model(StackSettings(), ModelFilesSettings(models_lock=ROOT / "policies/models.lock.json"))
    assert model.name == MISTRAL


def test_a_chat_model_is_named_or_is_the_only_one_served(two_models: Path) -> None:
    assert chosen(two_models, stack_model="tiny-other") == "tiny-other:latest"
    assert chosen(two_models, "tiny:chat", "tiny-embed") == "tiny:chat"


@pytest.mark.parametrize(
    ("served", "named", "said"),
    [
        ((), "", "which chat model is meant: tiny-other:latest, tiny:chat\nhint: set stack_model"),
        (("tiny-embed",), "", "which chat model is meant: none\nhint: set stack_model"),
        ((), "evil", "stack_model is no chat model of this host: evil:latest\nhint: it serves tiny-other:latest, tiny:chat"),
        ((), "tiny-embed", "stack_model is no chat model of this host: tiny-embed:latest\nhint: it serves tiny-other:latest, tiny:chat"),
        (("tiny:chat",), "tiny-other", "stack_model is no chat model of this host: tiny-other:latest\nhint: it serves tiny:chat"),
    ],
    ids=["two", "none", "not locked", "embeddings", "not served"],
)  # fmt: skip
def test_no_guess_at_the_model(two_models: Path, served: tuple[str, ...], named: str, said: str) -> None:
    with pytest.raises(DeployError) as caught:
        chosen(two_models, *served, stack_model=named)
    assert str(caught.value) == f"@linux/srv1: {said}"


def test_a_model_for_vectors_is_one_of_the_lock_that_the_host_serves(two_models: Path) -> None:
    def vectors(*served: str, **settings: str) -> str:
        return embed_model(StackSettings(**settings), ModelFilesSettings(models_lock=two_models, models=served))

    assert (vectors(), vectors(stack_embed_model="tiny-embed")) == ("-", "tiny-embed:latest")
    both = offered_models(
        StackSettings(stack_model="tiny:chat", stack_embed_model="tiny-embed"),
        ModelFilesSettings(models_lock=two_models),
    )
    [locked] = ModelsLock.read(two_models).for_purpose("embeddings")
    assert (both.vectors, both.digest) == ("tiny-embed:latest", locked.weights.digest)
    said = "@linux/srv1: stack_embed_model is no model for vectors of this host: {}\nhint: with {} it serves {}"
    for served, settings, refusal in (
        ((), {"stack_embed_model": "tiny:chat"}, said.format("tiny:chat", "ollama", "tiny-embed:latest")),
        (("tiny:chat",), {"stack_embed_model": "tiny-embed"}, said.format("tiny-embed:latest", "ollama", "none")),
        ((), {"stack_embed_model": "tiny-embed", "stack_engine": "llamacpp"}, said.format("tiny-embed:latest", "llamacpp", "none")),
    ):  # fmt: skip
        with pytest.raises(DeployError) as caught:
            vectors(*served, **settings)
        assert str(caught.value) == refusal


def test_images_by_digest(tmp_path: Path) -> None:
    lock = tmp_path / "images.lock.env"
    settings = StackSettings(stack_images_lock=lock)
    with pytest.raises(
        DeployError, match=r"^@linux/srv1: images lock is absent: /.*\nhint: citadelle images build images, then set"
    ):
        images(settings)
    lines = [f"{name}=registry.example/{name.lower()}:1@sha256:{'0' * 64}" for name in IMAGES]
    lock.write_text("\n".join([*lines[:2], "RAG_IMAGE=registry.example/rag:1", "OTHER=x"]))
    with pytest.raises(
        DeployError, match=r"images lock gives no digest: RAG_IMAGE in .*\nhint: citadelle images build"
    ):
        images(settings)
    lock.write_text("\n".join([*lines, "OTHER=x"]))
    assert list(images(settings)) == list(IMAGES)


@pytest.fixture
def settings(tmp_path: Path) -> StackSettings:
    """With an images lock that has every engine."""
    lock = tmp_path / "images.lock.env"
    lock.write_text(
        "".join(f"{name}=registry.example/{name}:1@sha256:{'0' * 64}\n" for name in (*IMAGES, "ENGINE_ROCM_IMAGE"))
    )
    return StackSettings(stack_images_lock=lock)


def made(settings: StackSettings, hardware: Hardware = BARE, wanted: str = "auto", **seen: Any) -> Release:
    """`seen`: settings of the role observability, without its name before them."""
    model = chat_model(settings, ModelFilesSettings(models_lock=ROOT / "policies/models.lock.json"))
    choice = AcceleratorSettings(accelerator=wanted).choice(settings)
    return stack_release(settings, Offered(model), size(choice), hardware, ObservabilitySettings(**seen))


def env(release: Release, name: str = "stack.env") -> dict[str, str]:
    return read_env(release.files[name].decode())


def test_the_release_says_how_the_stack_runs(settings: StackSettings) -> None:
    settings = settings.model_copy(update={"stack_engine": "llamacpp", "stack_port": 9000})
    release = made(settings)
    values = env(release)
    assert values["COMPOSE_FILE"] == "compose.yaml:engine.llamacpp.yaml"
    assert (values["CHAT_MODEL"], values["GATEWAY_BIND"], values["GATEWAY_PORT"]) == (
        "mistral:latest",
        "127.0.0.1",
        "9000",
    )
    assert {f"compose/{name}" for name in values["COMPOSE_FILE"].split(":")} <= release.files.keys()
    assert made(settings).id == release.id
    assert made(settings.model_copy(update={"stack_port": 9001})).id != release.id


def test_every_variable_of_the_stack_is_there_with_each_accelerator(settings: StackSettings, tmp_path: Path) -> None:
    overlays = set()
    for kind in KINDS:
        record = recorded(kind)
        for wanted in ("auto", *record.get("chosen", {})):
            hardware = read(record, tmp_path / f"{kind}-{wanted}")
            release = made(settings, hardware, wanted)
            values = env(release)
            files = [release.files[f"compose/{name}"].decode() for name in values["COMPOSE_FILE"].split(":")]
            used = {name for text in files for name in re.findall(r"\$\{(\w+):", text)}
            assert used <= values.keys() | env(release, "images.lock.env").keys(), kind
            overlays.add(values["COMPOSE_FILE"].rpartition("accelerator.")[2])
    assert overlays >= {"nvidia.yaml", "amd.yaml", "amd-wsl.yaml", "intel.yaml"}


def test_what_sees_and_alerts_is_part_of_a_release_where_it_is_wanted(settings: StackSettings) -> None:
    with pytest.raises(DeployError, match="images lock gives no digest: PROMETHEUS_IMAGE, ALERTMANAGER_IMAGE in "):
        made(settings, observability=True)
    lock = settings.stack_images_lock
    lock.write_text(lock.read_text() + "".join(f"{name}=r.example/{name}:1@sha256:{'0' * 64}\n" for name in WATCHING))
    release = made(settings, observability=True)
    assert env(release)["COMPOSE_FILE"].endswith(":observability.yaml")
    assert {f"observability/{name}.yaml" for name in ("prometheus", "alertmanager", "limits")} <= release.files.keys()
    assert required(release, "observability") <= given(release)
    assert not any(name.startswith("observability/") for name in made(settings).files)


def required(release: Release, name: str) -> set[str]:
    return set(re.findall(r"\$\{(\w+):", release.files[f"compose/{name}.yaml"].decode()))


def given(release: Release) -> set[str]:
    return env(release).keys() | env(release, "images.lock.env").keys()


def test_grafana_and_loki_come_behind_tls_with_all_that_they_need(settings: StackSettings) -> None:
    lock = settings.stack_images_lock
    names = (*WATCHING, "TLS_IMAGE")
    lock.write_text(lock.read_text() + "".join(f"{name}=r.example/{name}:1@sha256:{'0' * 64}\n" for name in names))
    settings = settings.model_copy(update={"stack_tls_port": 8443})
    with pytest.raises(DeployError, match="images lock gives no digest: GRAFANA_IMAGE, LOKI_IMAGE in "):
        made(settings, observability=True, observability_grafana_port=3443)
    lock.write_text(lock.read_text() + "".join(f"{name}=r.example/{name}:1@sha256:{'0' * 64}\n" for name in SHOWING))
    release = made(settings, observability=True, observability_grafana_port=3443)
    assert env(release)["COMPOSE_FILE"].endswith(":tls.yaml:observability.yaml:dashboards.yaml")
    assert required(release, "dashboards") <= given(release)
    assert {"observability/loki.yaml", "observability/grafana/dashboards/overview.json"} <= release.files.keys()


def test_an_accelerators_image_takes_the_engines_place(settings: StackSettings, tmp_path: Path) -> None:
    amd = read(recorded("amd-linux"), tmp_path)
    assert env(made(settings, amd), "images.lock.env")["ENGINE_IMAGE"].startswith(
        "registry.example/ENGINE_ROCM_IMAGE:1@"
    )
    assert env(made(settings), "images.lock.env")["ENGINE_IMAGE"].startswith("registry.example/ENGINE_IMAGE:1@")
    plan = json.loads(made(settings, amd).files["plan.json"])
    assert (plan["wanted"], plan["accelerator"], plan["place"]) == ("auto", "amd", "card")


def test_the_same_hardware_gives_the_same_release(settings: StackSettings) -> None:
    """A few pages less after a new kernel must not restart the stack."""
    one, other = (
        made(settings, replace(BARE, memory=memory, kernel=f"Linux {memory}"))
        for memory in (16 << 30, (16 << 30) + 4096)
    )
    assert one.id == other.id


def test_an_engine_known_by_a_tag_alone_is_told_at_once(settings: StackSettings) -> None:
    lock = settings.stack_images_lock
    lock.write_text(lock.read_text() + "ENGINE_OPENVINO_IMAGE=ghcr.io/x:1\n")
    with pytest.raises(DeployError, match="images lock gives no digest: ENGINE_OPENVINO_IMAGE in "):
        images(settings)


def test_what_the_inventory_gives_is_taken(settings: StackSettings) -> None:
    given = {
        "stack_engine_context": 2048,
        "stack_engine_memory": "512m",
        "stack_engine_slots": 2,
        "stack_engine_keep_alive": "5m",
    }
    models = ModelFilesSettings(
        models_lock=ROOT / "policies/models.lock.json", models_store=settings.stack_images_lock.parent
    )
    model = chat_model(settings, models)
    blob = models.models_store / "blobs" / model.weights.blob
    blob.parent.mkdir()
    blob.write_bytes(gguf())
    stack = settings.model_copy(update=given)
    budget = sizing(stack, models, model, AcceleratorSettings().choice(stack)).on(BARE)
    assert (budget.context, budget.memory, budget.slots, budget.keep_alive) == (2048, "512m", 2, "5m")
    blob.write_bytes(b"GGUF")
    read_shape.cache_clear()
    with pytest.raises(
        DeployError,
        match=r"@linux/srv1: model file of the controller cannot be read: .*\nhint: citadelle models verify",
    ):
        sizing(stack, models, model, AcceleratorSettings().choice(stack))


def test_a_release_holds_the_policies_that_a_service_mounts_and_no_other(tmp_path: Path) -> None:
    """So that another control of Windows, or another model, starts no container anew."""
    shutil.copytree(ROOT / "compose", tmp_path / "compose")
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    before = policies(tmp_path)
    (tmp_path / "policies/windows.yaml").write_text("another control")
    assert policies(tmp_path) == before
    assert set(before) == {"policies/gateway.yaml", "policies/system-prompt.md", "policies/system-prompt.fr.md"}
    (tmp_path / "policies/gateway.yaml").write_text("another rule")
    assert policies(tmp_path) != before
