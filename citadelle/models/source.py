"""The controller's own store, judged before any host is touched."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from citadelle.models import verify
from citadelle.models.lock import LockedModel, ModelsLock
from citadelle.settings import DeployError


def checked_models(
    host_name: str, store: Path, lock_path: Path, names: tuple[str, ...]
) -> tuple[ModelsLock, list[LockedModel]]:
    """The lock and the wanted models (`names`, or every chat model), after every file of theirs in `store` was hashed.

    Raises `DeployError` that names the host, each bad file and its cure. One store is hashed once a run, whatever the number of hosts.
    """
    lock = _read_lock(host_name, lock_path)
    try:
        wanted = [lock.model(name) for name in names] or lock.for_purpose("chat")
        findings = _findings(store, lock_path, tuple(model.name for model in wanted))
    except KeyError as error:
        locked = ", ".join(model.short_name for model in lock.models)
        raise _refusal(host_name, f"model is not in {lock_path}: {error.args[0]}", f"locked are: {locked}") from None
    except OSError as error:
        hint = f"set models_store to the folder that holds the models of {lock_path}"
        raise _refusal(
            host_name, f"no model store on the controller: {error.filename}: {error.strerror}", hint
        ) from None
    if findings:
        raise DeployError("\n".join(_explain(host_name, store, finding) for finding in findings))
    return lock, wanted


def _refusal(host_name: str, what: str, hint: str) -> DeployError:
    return DeployError(f"{host_name}: {what}\nhint: {hint}")


def _read_lock(host_name: str, path: Path) -> ModelsLock:
    try:
        lock = ModelsLock.read(path)
    except (OSError, verify.Refused, ValidationError) as error:
        raise _refusal(
            host_name, f"lock of the models is refused: {path}: {error}", f"git checkout -- {path}"
        ) from None
    if lock.expired():
        raise _refusal(host_name, f"lock of the models expired: {lock.expires}", f"take a newer release of {path}")
    return lock


@lru_cache(maxsize=8)
def _findings(store: Path, lock_path: Path, names: tuple[str, ...]) -> tuple[verify.Finding, ...]:
    models = ModelsLock.read(lock_path).checked(list(names))
    root = os.open(store, verify.OPEN | os.O_DIRECTORY)
    try:
        # Not exact: an operator's store may hold other models; only the files of the lock leave it.
        return tuple(verify.verify(root, models, {0, os.geteuid()}, exact=False).findings)
    finally:
        os.close(root)


def _explain(host_name: str, store: Path, finding: verify.Finding) -> str:
    path = store / finding.path
    cures = {
        "missing": f"bring the model into {store} (ollama pull), then run again",
        "owner": f"chown {os.geteuid()} '{path}'",
        "mode": f"chmod go-w '{path}'",
    }
    cure = cures.get(finding.code, f"rm '{path}', bring that model into {store} again, then run again")
    return f"{host_name}: on the controller: {finding}\nhint: {cure}"
