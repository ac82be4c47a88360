"""Manifests, configs and locks that break the strict rules although their digest is locked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from citadelle.models import verify
from tests.models.conftest import Store

Edit = Callable[[bytes], bytes]


def _sub(pattern: str, by: str) -> Edit:
    def edit(raw: bytes) -> bytes:
        changed = re.sub(pattern.encode(), by.encode(), raw, count=1)
        assert changed != raw, f"{pattern} is not in {raw!r}"
        return changed

    return edit


LAYERS = r'"layers":\[.*\]'
EVIL = '[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:' + "0" * 64 + '","size":1}]'

MANIFESTS: dict[str, tuple[Edit, str]] = {
    "byte order mark": (lambda raw: b"\xef\xbb\xbf" + raw, "before or after"),
    "space before": (lambda raw: b" " + raw, "before or after"),
    "newline after": (lambda raw: raw + b"\n", "before or after"),
    "second object after": (lambda raw: raw + b"{}", "not JSON"),
    "UTF-16": (lambda raw: raw.decode().encode("utf-16"), "before or after"),
    "invalid byte": (lambda raw: raw.replace(b'"layers"', b'"l\xffyers"'), "not JSON"),
    "raw control character": (lambda raw: raw.replace(b'"layers"', b'"lay\x01ers"'), "not JSON"),
    "a list": (lambda raw: b"[" + raw + b"]", "before or after"),
    "empty": (lambda raw: raw[:0], "before or after"),
    "cut short": (lambda raw: raw[:-1], "before or after"),
    "very deep": (lambda raw: b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "not JSON"),
    "too large": (lambda raw: raw[:-1] + b" " * verify.SMALL + b"}", "too large"),
    "key twice": (_sub(f"({LAYERS})", rf'\1,"layers":{EVIL}'), "duplicate key"),
    "key twice in capitals": (_sub(f"({LAYERS})", rf'\1,"LAYERS":{EVIL}'), "duplicate key"),
    "key twice, null": (_sub(f"({LAYERS})", r'\1,"Layers":null'), "duplicate key"),
    "key with a long s": (_sub(f"({LAYERS})", rf'\1,"layer\\u017f":{EVIL}'), "duplicate key"),
    "key in capitals only": (_sub('"layers"', '"Layers"'), "keys are"),
    "digest twice": (_sub('("digest":"[^"]*")', r'\1,"Digest":"sha256:' + "0" * 64 + '"'), "duplicate key"),
    "size twice": (_sub(r'("size":\d+)', r'\1,"Size":1'), "duplicate key"),
    "unknown key": (_sub('"schemaVersion"', '"extra":1,"schemaVersion"'), "keys are"),
    "unknown key in a layer": (_sub(r'("layers":\[\{)', r'\1"urls":["http://x/"],'), "keys are"),
    "path of origin": (_sub(r'("layers":\[\{)', r'\1"from":"/root/x",'), "keys are"),
    "name of a tensor": (_sub(r'("layers":\[\{)', r'\1"name":"blk.0",'), "keys are"),
    "key missing": (_sub(r',"size":\d+\}', "}"), "keys are"),
    "size with a fraction": (_sub(r'"size":(\d+)', r'"size":\1.0'), "whole number"),
    "size with an exponent": (_sub(r'"size":(\d+)', r'"size":\1e0'), "whole number"),
    "size below zero": (_sub(r'"size":(\d+)', r'"size":-\1'), "whole number"),
    "minus zero": (_sub(r'"size":(\d+)', r'"size":-0'), "whole number"),
    "size beyond 64 bits": (_sub(r'"size":(\d+)', r'"size":18446744073709551617'), "whole number"),
    "size not a number": (_sub(r'"size":(\d+)', r'"size":NaN'), "whole number"),
    "size infinite": (_sub(r'"size":(\d+)', r'"size":Infinity'), "whole number"),
    "size as text": (_sub(r'"size":(\d+)', r'"size":"\1"'), "not a size"),
    "size true": (_sub(r'"size":(\d+)', r'"size":true'), "not a size"),
    "size null": (_sub(r'"size":(\d+)', r'"size":null'), "not a size"),
    "digest in capitals": (_sub("sha256:([0-9a-f]{10})", "SHA256:\\1"), "sha256 digest"),
    "digest that climbs": (_sub("sha256:[0-9a-f]{64}", "sha256:../../../../etc/passwd"), "sha256 digest"),
    "digest with a newline": (_sub("(sha256:[0-9a-f]{64})", r"\1\\n"), "sha256 digest"),
    "digest with a dash": (_sub("sha256:", "sha256-"), "sha256 digest"),
    "digest too short": (_sub("(sha256:[0-9a-f]{63})[0-9a-f]", r"\1"), "sha256 digest"),
    "digest of another kind": (_sub("sha256:", "sha512:"), "sha256 digest"),
    "digest a number": (_sub('"digest":"[^"]*"', '"digest":1'), "sha256 digest"),
    "no layers": (_sub(LAYERS, '"layers":[]'), "not empty"),
    "layers null": (_sub(LAYERS, '"layers":null'), "not empty"),
    "layers an object": (_sub(LAYERS, '"layers":{}'), "not empty"),
    "layer is text": (_sub(LAYERS, '"layers":["x"]'), "keys are"),
    "no weights": (_sub(r"ollama\.image\.model", "ollama.image.system"), "no layer with weights"),
    "tensor layer": (_sub(r"ollama\.image\.template", "ollama.image.tensor"), "unknown media type"),
    "media type of the layer null": (_sub(r'"application/vnd.ollama.image.model"', "null"), "unknown media type"),
    "media type of the config": (_sub("docker.container.image", "oci.image.config"), "unknown media type"),
    "image index": (_sub("distribution.manifest.v2", "distribution.manifest.list.v2"), "version 2"),
    "schema 1": (_sub('"schemaVersion":2', '"schemaVersion":1'), "version 2"),
    "schema as text": (_sub('"schemaVersion":2', '"schemaVersion":"2"'), "version 2"),
    "other weights": (_sub(LAYERS, f'"layers":{EVIL}'), "other files"),
    "one digest, two sizes": (
        _sub('^(.*)(\\{[^{}]*image.model[^{}]*"size":)(\\d+)\\}', r"\1\2\3},\g<2>1}"),
        "two sizes",
    ),
}

CONFIGS: dict[str, tuple[bytes, str]] = {
    "remote host": (b'{"model_format":"gguf","remote_host":"https://ollama.com"}', "remote model"),
    "remote model": (b'{"model_format":"gguf","remote_model":"x"}', "remote model"),
    "remote in capitals": (b'{"model_format":"gguf","Remote_Host":"https://x"}', "remote model"),
    "remote, escaped": (b'{"model_format":"gguf","\\u0072emote_host":"https://x"}', "remote model"),
    "key twice": (b'{"model_format":"gguf","MODEL_FORMAT":"x"}', "duplicate key"),
    "no JSON": (b"gguf", "before or after"),
    "a list": (b'["gguf"]', "before or after"),
}

LOCKS: dict[str, tuple[Edit, str]] = {
    "no newline": (lambda raw: raw[:-1], "before or after"),
    "two newlines": (lambda raw: raw + b"\n", "before or after"),
    "format of the future": (_sub('"format": 1', '"format": 2'), "unknown format"),
    "format true": (_sub('"format": 1', '"format": true'), "unknown format"),
    "unknown key": (_sub('"format": 1', '"format": 1, "also": 1'), "keys are"),
    "key twice": (_sub('"format": 1', '"format": 1, "Format": 1'), "duplicate key"),
    "no models": (lambda raw: json.dumps({**json.loads(raw), "models": []}).encode() + b"\n", "not empty"),
    "serial zero": (_sub('"serial": 1', '"serial": 0'), "not a serial number"),
    "serial true": (_sub('"serial": 1', '"serial": true'), "not a serial number"),
    "serial as text": (_sub('"serial": 1', '"serial": "1"'), "not a serial number"),
    "time without a zone": (_sub('"expires": null', '"expires": "2027-01-01T00:00:00"'), "not a time as"),
    "time elsewhere": (_sub('"expires": null', '"expires": "2027-01-01T00:00:00+02:00"'), "not a time as"),
    "time with a fraction": (_sub('"expires": null', '"expires": "2027-01-01T00:00:00.5Z"'), "not a time as"),
    "no such day": (_sub('"expires": null', '"expires": "2027-02-30T00:00:00Z"'), "not a time"),
    "time as a number": (_sub('"expires": null', '"expires": 1798761600'), "not a time as"),
    "model twice": (lambda raw: _twice(raw, str), "one name twice"),
    "model twice in capitals": (lambda raw: _twice(raw, str.upper), "one name twice"),
    "name that climbs": (_sub("library/tiny:chat", "../../../../etc:chat"), "canonical model name"),
    "name with more behind it": (_sub('library/tiny:chat"', 'library/tiny:chat/../x"'), "canonical model name"),
    "name with a newline": (_sub('library/tiny:chat"', 'library/tiny:chat\\\\n"'), "canonical model name"),
    "name that is short": (_sub("registry.ollama.ai/library/tiny:chat", "tiny:chat"), "canonical model name"),
    "digest that climbs": (_sub("sha256:[0-9a-f]{64}", "sha256:../x"), "sha256 digest"),
}


def _twice(raw: bytes, fold: Callable[[str], str]) -> bytes:
    lock = json.loads(raw)
    lock["models"].append({**lock["models"][0], "name": fold(lock["models"][0]["name"])})
    return json.dumps(lock).encode() + b"\n"


@pytest.mark.parametrize("case", MANIFESTS)
def test_locked_but_bad_manifest_is_refused(store: Store, case: str) -> None:
    edit, reason = MANIFESTS[case]
    store.relock_manifest(edit(store.manifest().read_bytes()))
    assert [finding.code for finding in store.findings()] == ["content"]
    assert reason in store.findings()[0].seen


@pytest.mark.parametrize("case", CONFIGS)
def test_locked_but_bad_config_is_refused(store: Store, case: str) -> None:
    raw, reason = CONFIGS[case]
    store.relock_config(raw)
    assert [finding.code for finding in store.findings()] == ["content"]
    assert reason in store.findings()[0].seen


def test_a_config_that_is_a_layer_too_is_judged_as_a_config(store: Store) -> None:
    """The engine reads one blob as both."""
    store.relock_config(CONFIGS["remote host"][0])
    config = store.lock["models"][1]["config"]
    twin = {**config, "mediaType": "application/vnd.ollama.image.params"}
    store.lock["models"][1]["layers"].append(twin)
    manifest = json.loads(store.manifest().read_bytes())
    manifest["layers"].append(twin)
    store.relock_manifest(json.dumps(manifest).encode())
    assert [(finding.code, finding.seen) for finding in store.findings()] == [
        ("content", "a remote model: remote_host")
    ]


@pytest.mark.parametrize("case", LOCKS)
def test_bad_lock_is_refused(store: Store, case: str) -> None:
    edit, reason = LOCKS[case]
    raw = json.dumps(store.lock, indent=2, sort_keys=True).encode() + b"\n"
    assert verify.read_lock(raw)
    with pytest.raises(verify.Refused, match=re.escape(reason)):
        verify.read_lock(edit(raw))
