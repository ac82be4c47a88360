"""Settings of the role `model_files`."""

from pathlib import Path

from pydantic import Field, field_validator

from citadelle.models import manifest
from citadelle.settings import RoleSettings


class ModelFilesSettings(RoleSettings):
    """Which models a host serves, and from where the controller takes their files."""

    models: tuple[str, ...] = Field(
        (), description="Models this host serves, as `mistral:latest`; empty: every chat model of the lock."
    )
    models_lock: Path = Field(
        Path("policies/models.lock.json"),
        description="The lock that names each allowed model file (path on the controller).",
    )
    models_keys: Path = Field(
        Path("policies/models.keys/keyring.yaml"),
        description="Keyring on the controller: whose signatures beside the lock (`<lock>.sig`) count, and how many are needed.",
    )
    models_store: Path = Field(
        Path("~/.ollama/models"), description="Ollama store on the controller that holds the files of the lock."
    )

    @field_validator("models")
    @classmethod
    def _canonical(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(manifest.canonical_name(name) for name in names)
