"""Which models of the lock the gateway offers on a host."""

from typing import NamedTuple

from pyinfra import host

from citadelle.models import manifest
from citadelle.models.lock import LockedModel, ModelsLock
from citadelle.settings import DeployError
from roles.model_files.settings import ModelFilesSettings
from roles.stack.settings import StackSettings


class Offered(NamedTuple):
    """The chat model, and of the one for vectors the name and its weights' digest, "-" for none."""

    chat: LockedModel
    vectors: str = "-"
    digest: str = "-"


def chat_model(settings: StackSettings, models: ModelFilesSettings) -> LockedModel:
    """The model that the gateway offers: the one named, else the only chat model that this host serves. Raises `DeployError`."""
    chat = ModelsLock.read(models.models_lock).for_purpose("chat")
    served = [model for model in chat if not models.models or model.name in models.models]
    named = [model for model in served if model.name == settings.stack_model]
    names = ", ".join(model.short_name for model in served) or "none"
    if settings.stack_model and not named:
        wanted = manifest.short_name(settings.stack_model)
        raise DeployError(f"{host.name}: stack_model is no chat model of this host: {wanted}\nhint: it serves {names}")
    if not named and len(served) != 1:
        raise DeployError(f"{host.name}: which chat model is meant: {names}\nhint: set stack_model")
    return (named or served)[0]


def embed_model(settings: StackSettings, models: ModelFilesSettings) -> str:
    """The model for vectors that the gateway offers, "-" for none. Raises `DeployError`."""
    if not settings.stack_embed_model:
        return "-"
    locked = ModelsLock.read(models.models_lock).for_purpose("embeddings")
    served = [model for model in locked if not models.models or model.name in models.models]
    names = {model.name: model.short_name for model in served if settings.stack_engine == "ollama"}
    if settings.stack_embed_model not in names:
        wanted = manifest.short_name(settings.stack_embed_model)
        raise DeployError(
            f"{host.name}: stack_embed_model is no model for vectors of this host: {wanted}\n"
            f"hint: with {settings.stack_engine} it serves {', '.join(names.values()) or 'none'}"
        )
    return names[settings.stack_embed_model]


def offered_models(settings: StackSettings, models: ModelFilesSettings) -> Offered:
    """What the gateway offers on a host. Raises `DeployError`."""
    chat, vectors = chat_model(settings, models), embed_model(settings, models)
    digest = "-" if vectors == "-" else ModelsLock.read(models.models_lock).model(vectors).weights.digest
    return Offered(chat, vectors, digest)
