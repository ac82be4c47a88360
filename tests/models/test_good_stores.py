"""What may differ without harm is accepted: modes that allow less, times, layout of the JSON, a part of the lock."""

from __future__ import annotations

import json
import os

import pytest

from citadelle.models import verify
from tests.models.conftest import Spoil, Store


def _each_file(store: Store, mode: int) -> None:
    for folder, _, names in os.walk(store.path):
        for name in names:
            os.chmod(os.path.join(folder, name), mode)


def _relayout(store: Store, **style: object) -> None:
    store.relock_manifest(json.dumps(json.loads(store.manifest().read_bytes()), **style).encode())  # type: ignore[arg-type]


def _sparse(store: Store) -> None:
    """The same bytes once more, written with a hole where a run of zeros would be: content counts, not its storage."""
    content = store.blob().read_bytes()
    with store.blob().open("wb") as file:
        file.truncate(len(content))
        file.write(content)


GOOD: dict[str, Spoil] = {
    "as laid": lambda s: None,
    "read-only files": lambda s: _each_file(s, 0o444),
    "private files": lambda s: _each_file(s, 0o600),
    "private folder": lambda s: s.path.chmod(0o700),
    "other times": lambda s: os.utime(s.blob(), (0, 0)),
    "pretty manifest": lambda s: _relayout(s, indent=2),
    "keys in another order": lambda s: _relayout(s, sort_keys=True),
    "escaped key": lambda s: s.relock_manifest(s.manifest().read_bytes().replace(b'"layers"', b'"lay\\u0065rs"')),
    "lock in another order": lambda s: s.lock["models"].reverse(),
    "written with a hole": _sparse,
    "capabilities in the config": lambda s: s.relock_config(b'{"model_format":"gguf","capabilities":["completion"]}'),
}


@pytest.mark.parametrize("case", GOOD)
def test_good_store_is_accepted(store: Store, case: str) -> None:
    GOOD[case](store)
    assert store.findings() == []


def test_part_of_the_lock_is_exact_too(store: Store) -> None:
    models = verify.read_lock(json.dumps(store.lock).encode() + b"\n")
    root = os.open(store.path, os.O_RDONLY)
    chat = verify.select(models, [models[1].name])
    foreign = {finding.code for finding in verify.verify(root, chat, {store.owner}).findings}
    loose = verify.verify(root, chat, {store.owner}, exact=False).findings
    os.close(root)
    assert (foreign, loose) == ({"foreign"}, [])


def test_selecting_what_is_not_locked_is_refused(store: Store) -> None:
    models = verify.read_lock(json.dumps(store.lock).encode() + b"\n")
    with pytest.raises(verify.Refused, match="not in the lock: evil"):
        verify.select(models, ["evil"])
    with pytest.raises(verify.Refused, match="no model is selected"):
        verify.select(models, [])
