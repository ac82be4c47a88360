"""The controller's own store, judged before any host is touched."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from citadelle.models import verify
from citadelle.models.lock import LockedModel, ModelsLock
from citadelle.settings import DeployError


def checked_models(host_name: str, store: Path, lock: ModelsLock, names: tuple[str, ...]) -> list[LockedModel]:
    """The wanted models (`names`, or every chat model) of an approved lock, after every file of theirs in `store` was hashed.

    Raises `DeployError` that names the host, each bad file and its cure. One store is hashed once a run, whatever the number of hosts.
    """
    try:
        wanted = [lock.model(name) for name in names] or lock.for_purpose("chat")
        findings = _findings(store, lock.canonical(), tuple(model.name for model in wanted))
    except KeyError as error:
        locked = ", ".join(model.short_name for model in lock.models)
        raise _refusal(host_name, f"model is not in the lock: {error.args[0]}", f"locked are: {locked}") from None
    except OSError as error:
        hint = (
            f"set models_store to the folder that holds the models of the lock; citadelle models fetch --store {store}"
        )
        raise _refusal(
            host_name, f"no model store on the controller: {error.filename}: {error.strerror}", hint
        ) from None
    if findings:
        raise DeployError("\n".join(_explain(host_name, store, finding) for finding in findings))
    return wanted


def _refusal(host_name: str, what: str, hint: str) -> DeployError:
    return DeployError(f"{host_name}: {what}\nhint: {hint}")


@lru_cache(maxsize=8)
def _findings(store: Path, lock: bytes, names: tuple[str, ...]) -> tuple[verify.Finding, ...]:
    models = verify.select(verify.read_lock(lock), list(names))
    root = os.open(store, verify.OPEN | os.O_DIRECTORY)
    try:
        # Not exact: an operator's store may hold other models; only the files of the lock leave it.
        return tuple(verify.verify(root, models, {0, os.geteuid()}, exact=False).findings)
    finally:
        os.close(root)


def _explain(host_name: str, store: Path, finding: verify.Finding) -> str:
    path = store / finding.path
    cures = {
        "missing": f"citadelle models fetch --store {store}, then run again",
        "owner": f"chown {os.geteuid()} '{path}'",
        "mode": f"chmod go-w '{path}'",
    }
    cure = cures.get(finding.code, f"rm '{path}'; citadelle models fetch --store {store}; then run again")
    return f"{host_name}: on the controller: {finding}\nhint: {cure}"
