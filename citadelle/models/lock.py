"""The lock: which model files may be served, byte for byte; `policies/models.lock.json` is the real one.

Canonical JSON (sorted keys, two spaces, ASCII, one newline at the end), so that one content has one sha256 and a change reads well in
a diff. `verify.py` reads the same file on hosts with rules of its own; this is the side that writes, reviews and asks.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from citadelle.models import verify
from citadelle.models.manifest import canonical_name, short_name

Purpose = Literal["chat", "embeddings"]
Digest = Annotated[str, Field(pattern=f"^{verify.DIGEST.pattern}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class File(_Part):
    """One file of a model as its manifest names it: media type, `sha256:<hex>`, bytes."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)

    media_type: str
    digest: Digest
    size: Annotated[int, Field(ge=0)]

    @property
    def blob(self) -> str:
        """File name under `blobs/`: `sha256-<hex>`."""
        return self.digest.replace(":", "-")

    @property
    def kind(self) -> str:
        """For people: `model`, `template`, `config`."""
        return "config" if self.media_type == verify.CONFIG_TYPE else self.media_type.rpartition(".")[2]


class LockedModel(_Part):
    """One model: canonical name, what it is for, its licence (SPDX), where it came from, and every file of it."""

    name: str
    purpose: Purpose
    licence: str
    source: str
    manifest: File
    config: File
    layers: Annotated[list[File], Field(min_length=1)]

    @property
    def short_name(self) -> str:
        """The name as the engine's users write it: `mistral:latest`."""
        return short_name(self.name)

    @property
    def weights(self) -> File:
        """The GGUF file: what `llama-server` can serve as it is."""
        return next(file for file in self.layers if file.media_type.endswith(".model"))

    @property
    def size(self) -> int:
        """Bytes of the whole model on disk."""
        return sum({file.digest: file.size for file in (self.manifest, self.config, *self.layers)}.values())


class ModelsLock(_Part):
    """The lock file: `serial` grows with each release of it, after `expires` (UTC, or none) it is refused."""

    format: Literal[1] = 1
    serial: Annotated[int, Field(ge=1)]
    expires: Annotated[AwareDatetime, Field(strict=False)] | None = None
    models: Annotated[list[LockedModel], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [model.name.casefold() for model in self.models]
        if len(set(names)) != len(names):
            raise ValueError("one name twice in the lock (case folded)")
        return self

    @classmethod
    def read(cls, path: Path) -> Self:
        """`parse` for a file; whether it was approved is asked in `approval.py`."""
        return cls.parse(path.read_bytes())

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """The lock that `raw` is; raises `verify.Refused` or `ValidationError` where it is not canonical or not a lock."""
        verify.read_lock(raw)
        lock = cls.model_validate_json(raw)
        if lock.canonical() != raw:
            raise verify.Refused("not canonical JSON")
        return lock

    def canonical(self) -> bytes:
        """The bytes of the lock file."""
        value = self.model_dump(mode="json", by_alias=True)
        value["models"].sort(key=lambda model: model["name"])
        return json.dumps(value, sort_keys=True, indent=2).encode("ascii") + b"\n"

    @property
    def digest(self) -> str:
        """`sha256:<hex>` of the lock file."""
        return verify.digest_of(self.canonical())

    def expired(self, now: datetime | None = None) -> bool:
        """Whether the lock is past its date."""
        return self.expires is not None and (now or datetime.now(UTC)) >= self.expires

    def model(self, name: str) -> LockedModel:
        """The model of that name, short or canonical; KeyError where it is not locked."""
        wanted = canonical_name(name)
        for model in self.models:
            if model.name == wanted:
                return model
        raise KeyError(wanted)

    def for_purpose(self, purpose: Purpose) -> list[LockedModel]:
        """The models for `chat` or `embeddings`."""
        return [model for model in self.models if model.purpose == purpose]

    def checked(self, names: list[str]) -> tuple[verify.Model, ...]:
        """The named models (short or canonical names) in the form that `verify.verify` takes."""
        return verify.select(verify.read_lock(self.canonical()), [canonical_name(name) for name in names])


def locked_from_manifest(raw: bytes, *, name: str, purpose: Purpose, licence: str, source: str) -> LockedModel:
    """Lock entry for the manifest `raw` as a registry serves it; raises `verify.Refused` on anything but its strict form."""
    config, layers = verify.read_manifest(raw)
    manifest = File(media_type=verify.MANIFEST_TYPE, digest=verify.digest_of(raw), size=len(raw))
    files = [File(**entry._asdict()) for entry in (config, *layers)]
    return LockedModel(
        name=canonical_name(name),
        purpose=purpose,
        licence=licence,
        source=source,
        manifest=manifest,
        config=files[0],
        layers=files[1:],
    )
