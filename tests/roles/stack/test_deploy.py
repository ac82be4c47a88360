"""What the role makes of its settings: images by digest, the chat model, the release; and what it refuses."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyinfra.context import ctx_host

from citadelle.models.lock import ModelsLock
from citadelle.release import read_env
from citadelle.settings import DeployError
from roles.model_files.settings import ModelFilesSettings
from roles.stack.deploy import IMAGES, chat_model, images, policies, stack_release
from roles.stack.settings import StackSettings
from tests.conftest import ROOT
from tests.models.conftest import lay

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


def test_the_release_says_how_the_stack_runs(tmp_path: Path) -> None:
    lock = tmp_path / "images.lock.env"
    lock.write_text("".join(f"{name}=registry.example/x:1@sha256:{'0' * 64}\n" for name in IMAGES))
    settings = StackSettings(stack_images_lock=lock, stack_engine="llamacpp", stack_port=9000)
    model = chat_model(settings, ModelFilesSettings(models_lock=ROOT / "policies/models.lock.json"))
    made = stack_release(settings, model)
    values = read_env(made.files["stack.env"].decode())
    assert values["COMPOSE_FILE"] == "compose.yaml:engine.llamacpp.yaml"
    assert (values["CHAT_MODEL"], values["GATEWAY_BIND"], values["GATEWAY_PORT"]) == (
        "mistral:latest",
        "127.0.0.1",
        "9000",
    )
    assert {f"compose/{name}" for name in values["COMPOSE_FILE"].split(":")} <= made.files.keys()
    assert stack_release(settings, model).id == made.id
    assert stack_release(StackSettings(stack_images_lock=lock, stack_port=9001), model).id != made.id


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
