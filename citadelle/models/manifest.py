"""Names and manifests of models as Ollama's registry writes them."""

from __future__ import annotations

import json

from citadelle.models import verify

HOST, NAMESPACE, TAG = "registry.ollama.ai", "library", "latest"


def canonical_name(name: str) -> str:
    """`mistral` -> `registry.ollama.ai/library/mistral:latest`; raises `verify.Refused` for what is no model name."""
    *folders, last = name.split("/")
    model, _, tag = last.partition(":")
    full = "/".join([*[HOST, NAMESPACE][: max(0, 2 - len(folders))], *folders, f"{model}:{tag or TAG}"])
    if not verify.NAME.fullmatch(full):
        raise verify.Refused(f"not a model name: {name!r}")
    return full


def short_name(name: str) -> str:
    """The canonical name without the parts that are default, but with its tag: `mistral:latest`."""
    return name.removeprefix(f"{HOST}/").removeprefix(f"{NAMESPACE}/")


def encode_manifest(config: verify.Entry, layers: list[verify.Entry]) -> bytes:
    """The manifest in the registry's own form: its order of keys, no spaces, no newline at the end."""
    body = {
        "schemaVersion": 2,
        "mediaType": verify.MANIFEST_TYPE,
        "config": _encode(config),
        "layers": [_encode(layer) for layer in layers],
    }
    return json.dumps(body, separators=(",", ":")).encode("ascii")


def _encode(entry: verify.Entry) -> dict[str, str | int]:
    return {"mediaType": entry.media_type, "digest": entry.digest, "size": entry.size}
