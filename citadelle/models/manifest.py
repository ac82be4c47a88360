"""Names and manifests of models as Ollama's registry writes them."""

from __future__ import annotations

import json

from citadelle.models import verify

HOST, NAMESPACE, TAG = "registry.ollama.ai", "library", "latest"


def canonical_name(name: str) -> str:
    """`mistral` -> `registry.ollama.ai/library/mistral:latest`; raises `verify.Refused` for what is no model name."""
    head, _, last = name.rpartition("/")
    model, _, tag = last.partition(":")
    folders = head.split("/") if head else []
    host, namespace = [HOST, NAMESPACE][: 2 - len(folders)] + folders if len(folders) <= 2 else ("", "")
    full = f"{host}/{namespace}/{model}:{tag or TAG}"
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
