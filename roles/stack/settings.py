"""Settings of the role `stack`."""

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from citadelle.models import manifest
from citadelle.release import read_env
from citadelle.settings import RoleSettings


class StackSettings(RoleSettings):
    """Engine, gateway and rag: which images, which engine, how much of the PC, and where the gateway listens."""

    stack_engine: Literal["ollama", "llamacpp"] = Field(
        "ollama", description="Program that computes the answers; both serve the same verified model file."
    )
    stack_model: str = Field(
        "", description="Chat model that the gateway offers, as in the lock; empty: the only chat model there."
    )
    stack_embed_model: str = Field(
        "",
        description="Model for vectors that the gateway offers too, as in the lock; empty: none. Ollama alone serves two.",
    )
    stack_bind: IPv4Address | IPv6Address = Field(
        IPv4Address("127.0.0.1"),
        description="Address on which the gateway listens; nothing else of the stack listens at all.",
    )
    stack_port: int = Field(8080, ge=1024, le=65535, description="TCP port of the gateway.")
    stack_tls_port: int | None = Field(
        None, ge=1024, le=65535, description="TCP port of TLS in front of the gateway, by Caddy; None: no TLS."
    )
    stack_tls_bind: IPv4Address | IPv6Address = Field(
        IPv4Address("127.0.0.1"), description="Address on which TLS listens: one of the host's own."
    )
    stack_tls_folder: Path = Field(
        Path("certificates"),
        description="Folder on the controller with `<host>.pem` and `<host>.key`: from `citadelle certificates make`, or yours.",
    )
    stack_engine_memory: str | None = Field(
        None,
        pattern=r"^[1-9][0-9]*[mg]$",
        description="Memory limit of the engine, as `8g`; None: all but a quarter of the host's, and at least 2 GiB less.",
    )
    stack_engine_cpus: float = Field(2, gt=0, le=1024, description="Processor limit of the engine, in cores.")
    stack_engine_context: int | None = Field(
        None,
        ge=256,
        le=1048576,
        description="Context of one answer in tokens; None: as much as the memory holds, 2048 to 32768.",
    )
    stack_engine_slots: int | None = Field(
        None, ge=1, le=64, description="Answers at the same time; None: 1, and up to 4 on a card with room for them."
    )
    stack_engine_keep_alive: str | None = Field(
        None,
        pattern=r"^(-1|[1-9][0-9]*[smh])$",
        description="How long Ollama keeps a model loaded: `30m`, `-1` for good; None: for good where it takes at most 3/4 of the memory.",
    )
    stack_audit_days: int = Field(
        365, ge=7, le=3650, description="How long records of the audit trail are kept, and keys that have ended."
    )
    stack_pseudonym_days: int = Field(
        30,
        ge=1,
        le=3650,
        description="How long a key keeps its pseudonym in the audit trail; the secrets behind them are destroyed after stack_audit_days.",
    )
    stack_journal_days: int | None = Field(
        90,
        ge=1,
        le=3650,
        description="How long the host's journal is kept, the stack's lines with it; None: as long as journald does.",
    )
    stack_images_archive: Path | None = Field(
        None,
        description="Archive on the controller that `citadelle images build` wrote; without it hosts pull from the lock's registries.",
    )
    stack_images_lock: Path = Field(
        Path("images/images.lock.env"),
        description="File on the controller with ENGINE_IMAGE, GATEWAY_IMAGE, RAG_IMAGE by digest; `citadelle images build` writes it.",
    )

    def locked_images(self) -> dict[str, str]:
        """Names of the images lock and what they stand for; none where there is no such file."""
        return read_env(self.stack_images_lock.read_text()) if self.stack_images_lock.is_file() else {}

    @field_validator("stack_model", "stack_embed_model")
    @classmethod
    def _canonical(cls, name: str) -> str:
        return manifest.canonical_name(name) if name else name
