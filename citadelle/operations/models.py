"""The model files of a host: brought there by digest, never repaired in silence, served only after a verification."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Iterable
from pathlib import Path, PurePosixPath

from pyinfra import host
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation
from pyinfra.api.command import PyinfraCommand

from citadelle.facts.models import (
    PLACED,
    RUN,
    STATE,
    TIMER,
    UNIT,
    WATCH,
    LockFloor,
    ModelsServed,
    ModelStore,
    StoreState,
)
from citadelle.models.lock import LockedModel, ModelsLock
from citadelle.models.verify import FLOOR, STORE, Expected, Finding, expected_files
from citadelle.operations.files import File, present
from citadelle.operations.refusal import refusal

STAGING = f"{STATE}/models.staging"
SPARE = 64 << 20  # bytes that stay free after an upload: a full disk stops the host's logs first
Commands = Generator[PyinfraCommand, None, None]


@operation()
def programs(lock: ModelsLock, files: list[File], after: str, orders: list[File]) -> Commands:
    """Have the programs that judge models in place, then what they judge by; nothing of a host changes for a lock that it is beyond.

    + lock: the lock that is about to be placed.
    + files: as for `files.present`.
    + after: as for `files.present`.
    + orders: the lock, and which of its models are this host's.
    """
    yield from _beyond(lock)
    yield from present._inner(files=files, after=after)
    yield from present._inner(files=orders)


def _beyond(lock: ModelsLock) -> Commands:
    """Stop a host that has served a newer lock before: what an approval took back must not return with an old checkout."""
    floor = host.get_fact(LockFloor)
    if floor < 0:
        what = f"the note of the newest lock makes no sense: {FLOOR}"
        yield refusal(what, f"find out why; citadelle doctor; cat {FLOOR}")
    elif lock.serial < floor:
        what = f"the lock of the models is older than the one served here before: serial {lock.serial} after {floor}"
        yield refusal(what, "git pull; to go back on purpose, sign the old content again under a higher serial")


@operation()
def store(source: str, lock: ModelsLock, wanted: list[LockedModel]) -> Commands:
    """Make the host's store hold exactly the wanted models; a file that is there and wrong stops the host.

    + source: the Ollama store on the controller, already verified.
    + lock: the lock that lies on the host.
    + wanted: the models of it that this host serves.

    Only missing files are sent, blobs before manifests; files of earlier runs that are no longer wanted are removed.
    """
    state = host.get_fact(ModelStore)
    files = expected_files(lock.checked([model.name for model in wanted]))
    missing, leftover, wrong = _sort(state, files, judged=_is_judged(state, lock, wanted))
    size = sum(files[path].entry.size for path in missing)
    if wrong:
        yield from _stop_serving(wrong)
    elif missing and state.free is not None and state.free < size + SPARE:
        what = (
            f"not enough disk space for the model files: {_mb(size + SPARE)} needed, {_mb(state.free)} free in {STATE}"
        )
        yield refusal(what, f"df -h {STATE}; free the difference, then run again")
    elif missing or leftover:
        # What is served goes on; `served` starts both again. A first run has neither.
        yield StringCommand("systemctl stop", WATCH, TIMER, "2>/dev/null || true")
        yield from _remove(leftover)
        yield from _bring(Path(source), {path: files[path] for path in missing})
    else:
        host.noop(f"the store is the lock: {len(files)} files")


def _is_judged(state: StoreState, lock: ModelsLock, wanted: list[LockedModel]) -> bool:
    """Whether the report is about this lock and these models; while planning it may still be about the former ones."""
    refused = any(finding.code == "lock" for finding in state.findings)
    names = {model.name for model in wanted}
    return state.lock == lock.digest and not refused and (not state.models or set(state.models) == names)


def _sort(state: StoreState, files: dict[str, Expected], *, judged: bool) -> tuple[list[str], list[str], list[Finding]]:
    """Split the findings into paths to bring, paths to remove, and what no run may touch."""
    if not judged:
        return list(files), [], []
    absent = {finding.path for finding in state.findings if finding.code == "missing"}
    missing = [path for path in files if path in absent or "." in absent]
    ours = state.placed | {str(folder) for path in state.placed for folder in PurePosixPath(path).parents}
    leftover = [finding.path for finding in state.findings if finding.code == "foreign" and finding.path in ours]
    wrong = [finding for finding in state.findings if finding.code != "missing" and finding.path not in leftover]
    return missing, leftover, wrong


def _stop_serving(wrong: list[Finding]) -> Commands:
    # The verification of this restart fails as well, and that empties the engine's path.
    yield StringCommand("systemctl restart", UNIT, "2>/dev/null || true")
    what = f"\n{host.name}: ".join(_message(finding) for finding in wrong)
    yield refusal(what, f"find out why, then on the host: {'; '.join(map(_cure, wrong))}; then run again")


def _cure(finding: Finding) -> str:
    cures = {"owner": "chown root:root", "mode": "chmod go-w"}
    path = shlex.quote(str(PurePosixPath(STORE, finding.path)))
    return f"{cures.get(finding.code, 'rm -r')} -- {path}"


def _message(finding: Finding) -> str:
    if finding.code in {"digest", "size"} and finding.path.startswith("blobs/"):
        return f"model blob does not match its lock: {finding.path.removeprefix('blobs/')}"
    return str(finding)


def _mb(size: int) -> str:
    return f"{size / 1e6:.0f} MB"


def _remove(paths: list[str]) -> Commands:
    # Deepest first: a folder is empty by the time its turn comes; rmdir leaves one that is not.
    for path in sorted(paths, key=lambda path: -path.count("/")):
        target = QuoteString(f"{STORE}/{path}")
        yield StringCommand("if test -d", target, "; then rmdir --", target, "; else rm --", target, "; fi")


def _bring(source: Path, files: dict[str, Expected]) -> Commands:
    folders = sorted({str(PurePosixPath(STORE, path).parent) for path in files})
    yield StringCommand("rm -rf", STAGING, "&& umask 022 && mkdir -p", STAGING, *map(QuoteString, folders))
    for path, wanted in files.items():
        staged = f"{STAGING}/{wanted.entry.digest.replace(':', '-')}"
        yield FileUploadCommand(str(source / path), staged)
        yield StringCommand(*_admit(path, staged, wanted.entry.digest.removeprefix("sha256:")))
    yield StringCommand("rm -rf", STAGING)


def _admit(path: str, staged: str, sha256: str) -> Iterable[object]:
    """Judge what arrived, note that it is ours, and only then give it its name in the store."""
    yield from ("echo", QuoteString(f"{sha256}  {staged}"), "| sha256sum --check --quiet")
    yield from (
        "&& chown root:root",
        QuoteString(staged),
        "&& chmod 644",
        QuoteString(staged),
        "&& sync",
        QuoteString(staged),
    )
    yield from ("&& printf '%s\\n'", QuoteString(path), ">>", PLACED)
    yield from ("&& mv -T", QuoteString(staged), QuoteString(f"{STORE}/{path}"))


@operation()
def served(lock: ModelsLock, wanted: list[LockedModel]) -> Commands:
    """Have the host's own unit verify the store and bind it read-only for the engine, now and at every boot.

    + lock: the lock that lies on the host.
    + wanted: the models of it that this host serves.
    """
    state = host.get_fact(ModelsServed)
    names = {model.name for model in wanted}
    if state.holds and state.lock == lock.digest and set(state.models) == names and state.units_run:
        host.noop("the verified store is bound for the engine")
        return
    yield StringCommand("systemctl daemon-reload && systemctl enable --quiet", UNIT, TIMER)
    # On failure the verifier's own lines tell why; systemd's would only name the unit.
    hint = f"echo 'hint: journalctl --no-pager -u {UNIT}' >&2"
    yield StringCommand("systemctl restart", UNIT, "|| {", RUN, "status;", hint, "; false; }")
