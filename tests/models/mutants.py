"""Generated stores: mutants that are bad by construction, and variants that are good by construction. Equal seeds give equal stores."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from tests.models.conftest import Store

Pairs = list[tuple[str, Any]]
KEYS = ("schemaVersion", "mediaType", "config", "layers", "digest", "size", "from", "name", "urls", "annotations")
EVIL = {"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:" + "0" * 64, "size": 1}


# Manifests whose digest is locked: the strict rules alone stand in their way


def manifest_mutant(raw: bytes, rng: Random) -> bytes:
    """A manifest that is not what `raw`, a good one, says; or that two parsers could read differently."""
    while True:
        mutant = rng.choice(MANIFESTS)(raw, rng)
        if mutant != raw and not _says_the_same(mutant, raw):
            return mutant


def _says_the_same(mutant: bytes, raw: bytes) -> bool:
    """Strictly the same value in another layout: no mutant."""
    try:
        return _pairs(mutant) == _pairs(raw) and mutant[:1] == b"{" and mutant[-1:] == b"}"
    except (ValueError, RecursionError):
        return False


def _pairs(raw: bytes) -> Any:
    """The value with all its pairs, and numbers as they are written; order of keys does not count."""
    text = raw.decode("utf-8")
    return json.loads(text, object_pairs_hook=lambda pairs: sorted(pairs, key=repr), parse_int=str, parse_float=str)


def _spliced(raw: bytes, rng: Random) -> bytes:
    start = rng.randrange(len(raw) + 1)
    return raw[:start] + rng.randbytes(rng.randrange(6)) + raw[start + rng.randrange(40) :]


def _flipped(raw: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ 1 << rng.randrange(8)]) + raw[at + 1 :]


def _surrounded(raw: bytes, rng: Random) -> bytes:
    around = [b"\xef\xbb\xbf", b" ", b"\n", b"\0", b"{}", b"null", b" " * 4096, raw, b"[", b"\xfe\xff"]
    return rng.choice(around) + raw if rng.random() < 0.5 else raw + rng.choice(around)


def _renumbered(raw: bytes, rng: Random) -> bytes:
    number = rng.choice(
        [
            "2.0",
            "2e0",
            "-1",
            "-0",
            "02",
            "1" + "0" * 19,
            "9" * 30,
            "0x2",
            "+2",
            '"2"',
            "true",
            "null",
            "NaN",
            "2.",
            ".2",
        ]
    )
    places = [
        index for index in range(len(raw)) if raw[index : index + 1] in b"}," and raw[index - 1 : index].isdigit()
    ]
    end = rng.choice(places)
    start = raw.rindex(b":", 0, end) + 1
    return raw[:start] + number.encode() + raw[end:]


def _with_pairs(raw: bytes, rng: Random) -> bytes:
    """A key more, in any case, at any place; or one of the others gone or renamed."""
    good = json.loads(raw)
    place = rng.choice([good, good["config"], *good["layers"]])
    pairs = list(place.items())
    for _ in range(rng.randint(1, 2)):
        _edit(pairs, rng)
    return _encode(good, place, pairs)


def _edit(pairs: Pairs, rng: Random) -> None:
    at = rng.randrange(len(pairs)) if pairs else 0
    what = rng.random() if pairs else 1.0
    if what < 0.2:
        del pairs[at]
    elif what < 0.4:
        pairs[at] = (_cased(pairs[at][0], rng), pairs[at][1])
    else:
        pairs.insert(rng.randint(0, len(pairs)), (_cased(rng.choice(KEYS), rng), _value(rng)))


def _cased(key: str, rng: Random) -> str:
    forms = [
        str.upper,
        str.title,
        str.swapcase,
        str,
        lambda text: text.replace("s", "ſ"),
        lambda text: text.replace("k", "\u212a"),
    ]
    return rng.choice(forms)(key)


def _value(rng: Random) -> Any:
    values = [
        None,
        True,
        0,
        2,
        -1,
        1.5,
        "",
        "x",
        [],
        {},
        [EVIL],
        EVIL,
        EVIL["digest"],
        EVIL["mediaType"],
        "/etc/passwd",
    ]
    return rng.choice(values)


def _encode(good: dict[str, Any], place: dict[str, Any], pairs: Pairs) -> bytes:
    text = "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{json.dumps(value)}" for key, value in pairs) + "}"
    if place is good:
        return text.encode()
    marked = json.dumps(good, separators=(",", ":"))
    return marked.replace(json.dumps(place, separators=(",", ":")), text, 1).encode()


def _shadowed(raw: bytes, rng: Random) -> bytes:
    """A key that is there once more in another case, after it, with a value of its own kind: the engine takes the last."""
    good = json.loads(raw)
    place = rng.choice([good, good["config"], *good["layers"]])
    key = rng.choice(sorted(place))
    form = _cased(key, rng)
    evil = {"layers": [EVIL], "config": EVIL, "size": place.get("size", 0) + 1, "schemaVersion": 3}.get(
        key, EVIL.get(key)
    )
    return _encode(good, place, [*place.items(), (form, evil)])


def _revalued(raw: bytes, rng: Random) -> bytes:
    good = json.loads(raw)
    place = rng.choice([good, good["config"], *good["layers"]])
    place[rng.choice(sorted(place))] = _value(rng)
    return json.dumps(good).encode()


def _rearranged(raw: bytes, rng: Random) -> bytes:
    good = json.loads(raw)
    layers = good["layers"]
    one, other = rng.sample(range(len(layers)), 2)
    key = rng.choice(["digest", "size", "mediaType", ""])
    if not key:
        layers[one], layers[other] = layers[other], layers[one]
    elif key == "size":
        layers[one][key] += 1
    else:
        layers[one][key] = layers[other][key]
    return json.dumps(good).encode()


MANIFESTS: list[Callable[[bytes, Random], bytes]] = [
    _spliced,
    _flipped,
    _surrounded,
    _renumbered,
    _with_pairs,
    _shadowed,
    _revalued,
    _rearranged,
]


# Stores whose files, names or modes are not those of the lock


def spoil(store: Store, rng: Random) -> None:
    """Make a good store bad in one way, any file of it and any place in that file."""
    rng.choice(SPOILS)(store, _any(store, rng), rng)


def _any(store: Store, rng: Random) -> Path:
    return rng.choice(sorted(path for path in store.path.rglob("*") if path.is_file()))


def _flip(_: Store, path: Path, rng: Random) -> None:
    path.write_bytes(_flipped(path.read_bytes(), rng))


def _zero(_: Store, path: Path, rng: Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(len(content))].ljust(len(content), b"\0"))
    if path.read_bytes() == content:
        path.unlink()


def _resize(_: Store, path: Path, rng: Random) -> None:
    size = path.stat().st_size
    os.truncate(path, rng.choice([0, rng.randrange(size), size + 1 + rng.randrange(9000)]))


def _other_content(store: Store, path: Path, rng: Random) -> None:
    content = path.read_bytes()
    others = [
        other.read_bytes() for other in store.path.rglob("*") if other.is_file() and other.read_bytes() != content
    ]
    path.write_bytes(rng.choice(others))


def _gone(_: Store, path: Path, rng: Random) -> None:
    shutil.rmtree(path.parent) if rng.random() < 0.3 else path.unlink()


def _renamed(_: Store, path: Path, rng: Random) -> None:
    name = rng.choice(
        [
            path.name.upper(),
            path.name.swapcase(),
            path.name + "x",
            path.name.replace("-", ":"),
            "." + path.name,
            path.name[:-1],
        ]
    )
    path.rename(path.with_name(name if name != path.name else name + "y"))


def _added(store: Store, path: Path, rng: Random) -> None:
    folder = rng.choice([store.path, *sorted(one for one in store.path.rglob("*") if one.is_dir())])
    name = rng.choice(
        [
            "evil",
            "latest",
            "sha256-" + rng.randbytes(32).hex(),
            "x-partial",
            "x.tmp",
            ".hidden",
            "manifests-v2",
            "Blobs",
        ]
    )
    new = folder / name
    if new.exists():
        new = folder / f"{name}-more"
    new.mkdir() if rng.random() < 0.3 else shutil.copy(path, new)


def _linked(store: Store, path: Path, rng: Random) -> None:
    outside = store.path.parent / "outside"
    outside.unlink(missing_ok=True)
    if rng.random() < 0.5:
        shutil.move(path, outside)
        path.symlink_to(outside)
    else:
        os.link(path, outside)


def _special(_: Store, path: Path, rng: Random) -> None:
    path.unlink()
    rng.choice([os.mkfifo, os.mkdir, lambda there: os.symlink("/nowhere", there)])(path)


def _opened(store: Store, path: Path, rng: Random) -> None:
    folders = [store.path, *(parent for parent in path.parents if store.path in parent.parents)]
    target = rng.choice([path, path, *folders])
    target.chmod(target.stat().st_mode | rng.choice([0o020, 0o002, 0o022]))


def _relocked(store: Store, _: Path, rng: Random) -> None:
    store.relock_manifest(manifest_mutant(store.manifest().read_bytes(), rng))


SPOILS = [
    _flip,
    _flip,
    _zero,
    _resize,
    _other_content,
    _gone,
    _renamed,
    _added,
    _added,
    _linked,
    _special,
    _opened,
    *[_relocked] * 8,
]


# Good variants


def relayout(raw: bytes, rng: Random) -> bytes:
    """The same value in another layout: order of keys, white space, escapes."""
    return _laid(json.loads(raw), rng).encode()


def _laid(value: Any, rng: Random) -> str:
    space = rng.choice(["", "", " ", "\n", "\t", "\r\n  "])
    if isinstance(value, dict):
        pairs = rng.sample(sorted(value.items()), len(value))
        inner = f",{space}".join(f"{_text(key, rng)}{space}:{space}{_laid(item, rng)}" for key, item in pairs)
        return f"{{{space}{inner}{space}}}"
    if isinstance(value, list):
        return f"[{space}{f',{space}'.join(_laid(item, rng) for item in value)}{space}]"
    return _text(value, rng) if isinstance(value, str) else json.dumps(value)


def _text(text: str, rng: Random) -> str:
    return '"' + "".join(f"\\u{ord(letter):04x}" if rng.random() < 0.05 else letter for letter in text) + '"'


def vary(store: Store, rng: Random) -> None:
    """Change what may change: layout of the manifest, the lock's order, modes that allow less, times."""
    store.relock_manifest(relayout(store.manifest().read_bytes(), rng))
    for path in store.path.rglob("*"):
        if rng.random() < 0.3:
            path.chmod(rng.choice([0o755, 0o700, 0o555]) if path.is_dir() else rng.choice([0o644, 0o600, 0o444, 0o400]))
        if rng.random() < 0.3:
            os.utime(path, (rng.randrange(1 << 31), rng.randrange(1 << 31)))
    if rng.random() < 0.5:
        extra = {"capabilities": ["completion"], "renderer": "x", "requires": "0.1"}
        config = json.loads(store.blob("config").read_bytes()) | dict(
            rng.sample(sorted(extra.items()), rng.randint(1, 3))
        )
        store.relock_config(json.dumps(config).encode())
        store.relock_manifest(relayout(store.manifest().read_bytes(), rng))
