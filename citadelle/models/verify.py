"""Verify an Ollama model store against its lock, and bind the verified store where the engine reads it.

One file, standard library only, Python 3.9 or newer: the package imports it, and hosts run it with the distribution's
own interpreter. Accepted is only a store that is exactly the lock (or the selected part of it): every file named, of
the locked size and sha256, no other entry, no link, nothing that anyone but the owner can write.
Exit status: 0 the store is the lock, 1 it is not, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import fcntl
import hashlib
import json
import mmap
import os
import re
import stat
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

STORE, LOCK, SELECTION = "/var/lib/citadelle/models", "/etc/citadelle/models.lock.json", "/etc/citadelle/models.select"
TARGET = "/run/citadelle/models"
VERDICT = "/run/citadelle/verdict/models.json"  # in a folder of its own: the gateway sees that folder
METRICS = "/var/lib/node_exporter/textfile/citadelle_models.prom"
FLOOR = "/var/lib/citadelle/models.serial"  # the highest serial of a lock that this host has served
PROGRAM = "/usr/local/lib/citadelle/verify.py"
MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
LAYER_TYPES = {
    f"application/vnd.ollama.image.{kind}"
    for kind in ("model", "projector", "adapter", "template", "system", "params", "messages", "license")
}
SMALL = 1 << 20  # bytes: no manifest, config or lock is larger
CHUNK = 1 << 20
WINDOW = 16 << 20  # bytes mapped at once by each core
POPULATE_READ = 22  # MADV_POPULATE_READ of linux/mman.h
ENABLE_VERITY, MEASURE_VERITY = 0x40806685, 0xC0046686  # of linux/fsverity.h; processors with other numbers get ENOTTY
# Whose reads this kernel judges itself; any other, as FUSE, may answer what it likes.
SEALING = {"ext4", "f2fs", "btrfs"}
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
NAME = re.compile(r"(\w[\w.:-]{0,349})/(\w[\w-]{0,79})/(\w[\w.-]{0,79}):(\w[\w.-]{0,79})", re.ASCII)
OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Refused(ValueError):
    """Input that the strict rules do not take; the text says why."""


class Entry(NamedTuple):
    """One file of a model: media type, `sha256:<hex>`, bytes."""

    media_type: str
    digest: str
    size: int

    @property
    def path(self) -> str:
        """Where the store keeps it, relative to the store."""
        return "blobs/" + self.digest.replace(":", "-")


class Model(NamedTuple):
    """One locked model; `name` is canonical: host/namespace/model:tag."""

    name: str
    manifest: Entry
    config: Entry
    layers: tuple[Entry, ...]

    @property
    def path(self) -> str:
        """Where the store keeps the manifest, relative to the store."""
        return manifest_path(self.name)


def manifest_path(name: str) -> str:
    """Where a store keeps the manifest of a canonical name: the last colon parts model and tag, a host may have one of its own."""
    folders, _, tag = name.rpartition(":")
    return f"manifests/{folders}/{tag}"


def digest_of(raw: bytes) -> str:
    """`sha256:<hex>` of small content."""
    return "sha256:" + hashlib.sha256(raw).hexdigest()


class Terms(NamedTuple):
    """Which release of the lock it is (`serial` grows), and when it ends (seconds since 1970, UTC; None: never)."""

    serial: int
    expires: int | None


class Finding(NamedTuple):
    """One way in which the store is not the lock: a stable code, the path, what was seen."""

    code: str
    path: str
    seen: str

    def __str__(self) -> str:
        return f"{TEXTS.get(self.code, self.code)}: {self.path}" + (f" ({self.seen})" if self.seen else "")


TEXTS = {
    "missing": "model file is missing",
    "foreign": "foreign entry in the model store",
    "digest": "model file does not match its lock",
    "size": "model file does not match its lock",
    "type": "not a regular file",
    "links": "model file has more than one name",
    "owner": "model file has a foreign owner",
    "mode": "model file can be written by others",
    "content": "model file breaks the strict rules",
    "changed": "model file changed while it was read",
    "unreadable": "model file cannot be read",
    "lock": "the lock is refused",
    "stale": "model files, lock or mount changed since the last verification",
    "withdrawn": "no verified model files are bound for the engine",
}


# Strict JSON


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, str] = {}
    for key, _ in pairs:
        fold = key.casefold()  # Go matches keys without case, so such a pair means one thing there and another here
        if fold in seen:
            raise Refused(f"duplicate key (case folded): {seen[fold]!r}, {key!r}")
        seen[fold] = key
    return dict(pairs)


def _whole(text: str) -> int:
    if not text.isdigit() or len(text) > 18:
        raise Refused(f"not a whole number in range: {text[:40]}")
    return int(text)


def _no_number(text: str) -> Any:
    raise Refused(f"not a whole number: {text[:40]}")


def strict_json(raw: bytes) -> dict[str, Any]:
    """The one JSON object that `raw` is, first byte to last; Refused on anything two parsers could read differently."""
    if len(raw) > SMALL:
        raise Refused(f"too large: {len(raw)} bytes")
    if raw[:1] != b"{" or raw[-1:] != b"}":
        raise Refused("bytes before or after the JSON object")
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_int=_whole,
            parse_float=_no_number,
            parse_constant=_no_number,
        )
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise Refused(f"not JSON: {error}") from None
    return value  # it starts with a brace: an object


def _keys(value: Any, *names: str) -> list[Any]:
    if not isinstance(value, dict) or set(value) != set(names):
        found = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise Refused(f"keys are {found}, must be exactly {sorted(names)}")
    return [value[name] for name in names]


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise Refused("must be a list that is not empty")
    return value


def _entry(value: Any, media_types: set[str]) -> Entry:
    media_type, digest, size = _keys(value, "mediaType", "digest", "size")
    if not isinstance(media_type, str) or media_type not in media_types:
        raise Refused(f"unknown media type: {media_type!r}")
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise Refused(f"not a sha256 digest: {digest!r}")
    if type(size) is not int:
        raise Refused(f"not a size: {size!r}")
    return Entry(media_type, digest, size)


def _files(config: Any, layers: Any) -> tuple[Entry, tuple[Entry, ...]]:
    first = _entry(config, {CONFIG_TYPE})
    rest = tuple(_entry(layer, LAYER_TYPES) for layer in _list(layers))
    sizes: dict[str, int] = {}
    for entry in (first, *rest):
        if sizes.setdefault(entry.digest, entry.size) != entry.size:
            raise Refused(f"one digest with two sizes: {entry.digest}")
    if not any(entry.media_type.endswith(".model") for entry in rest):
        raise Refused("no layer with weights")
    return first, rest


def read_manifest(raw: bytes) -> tuple[Entry, tuple[Entry, ...]]:
    """Config and layers of a manifest in the registry's form; Refused on unknown keys (also `from`) and media types."""
    version, media_type, config, layers = _keys(strict_json(raw), "schemaVersion", "mediaType", "config", "layers")
    if type(version) is not int or version != 2 or media_type != MANIFEST_TYPE:
        raise Refused(f"not a manifest of version 2: {version!r}, {media_type!r}")
    return _files(config, layers)


def read_lock(raw: bytes) -> tuple[Model, ...]:
    """Models of a lock file (canonical JSON with one newline at its end); Refused on anything unknown in it."""
    _, listed = _read_lock(raw)
    models = tuple(_locked_model(value) for value in _list(listed))
    if len({model.name.casefold() for model in models}) != len(models):
        raise Refused("one name twice in the lock (case folded)")
    return models


def read_terms(raw: bytes) -> Terms:
    """Serial and end of a lock file; Refused as by `read_lock`."""
    return _read_lock(raw)[0]


def _read_lock(raw: bytes) -> tuple[Terms, Any]:
    format_, serial, expires, listed = _keys(
        strict_json(raw[:-1] if raw.endswith(b"\n") else b""), "format", "serial", "expires", "models"
    )
    if type(format_) is not int or format_ != 1:
        raise Refused(f"unknown format of the lock: {format_!r}")
    if type(serial) is not int or serial < 1:
        raise Refused(f"not a serial number: {serial!r}")
    return Terms(serial, None if expires is None else _time(expires)), listed


def _time(text: Any) -> int:
    if not isinstance(text, str) or not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text, re.ASCII):
        raise Refused(f"not a time as 2027-12-31T00:00:00Z: {text!r}")
    try:
        import calendar  # here, like `subprocess` below: every start of the engine waits for what is imported

        return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError as error:
        raise Refused(f"not a time: {error}") from None


def check_terms(terms: Terms, floor: int, now: float) -> None:
    """Refused for a lock older than the one served here before (`floor` is its serial, 0 for none), and after its end."""
    if terms.serial < floor:
        raise Refused(f"older than the lock served here before: serial {terms.serial} after {floor}")
    if terms.expires is not None and now >= terms.expires:
        raise Refused(f"expired at {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(terms.expires))}")


def _locked_model(value: Any) -> Model:
    name, _, _, _, manifest, config, layers = _keys(
        value, "name", "purpose", "licence", "source", "manifest", "config", "layers"
    )
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise Refused(f"not a canonical model name: {name!r}")
    return Model(name, _entry(manifest, {MANIFEST_TYPE}), *_files(config, layers))


def select(models: tuple[Model, ...], names: list[str] | None) -> tuple[Model, ...]:
    """The models of the lock that are wanted here, all where `names` is None; Refused for a name that is not locked."""
    if names is None:
        return models
    strange = sorted(set(names) - {model.name for model in models})
    if strange or not names:
        raise Refused(f"not in the lock: {', '.join(strange) or 'no model is selected'}")
    return tuple(model for model in models if model.name in names)


# The store on disk


class Expected(NamedTuple):
    """A file the store must hold, and the model of which it is the manifest (None for a blob)."""

    entry: Entry
    manifest_of: Model | None


def expected_files(models: tuple[Model, ...]) -> dict[str, Expected]:
    """Path in the store -> what must lie there, blobs before manifests."""
    blobs = {entry.path: Expected(entry, None) for model in models for entry in model.layers}
    # After the layers: what is also a configuration is judged as one.
    blobs.update({model.config.path: Expected(model.config, None) for model in models})
    return {**blobs, **{model.path: Expected(model.manifest, model) for model in models}}


def _walk(folder: int, prefix: str = "") -> Iterator[tuple[str, os.stat_result]]:
    for name in sorted(os.listdir(folder)):
        info = os.stat(name, dir_fd=folder, follow_symlinks=False)
        yield prefix + name, info
        if stat.S_ISDIR(info.st_mode) and prefix.count("/") < 4:  # manifests/host/namespace/model/tag is the deepest
            child = os.open(name, OPEN | os.O_DIRECTORY, dir_fd=folder)
            try:
                yield from _walk(child, f"{prefix}{name}/")
            finally:
                os.close(child)


def _guarded(path: str, info: os.stat_result, owners: set[int]) -> Iterator[Finding]:
    if info.st_uid not in owners:
        yield Finding("owner", path, f"uid {info.st_uid}")
    if info.st_mode & 0o022:
        yield Finding("mode", path, f"{stat.S_IMODE(info.st_mode):04o}")


def check_tree(root: int, wanted: dict[str, Expected], owners: set[int], exact: bool = True) -> list[Finding]:
    """Findings on the names in the store open at `root`: missing, foreign, and folders that others can write."""
    parents = {path[:end] for path in wanted for end in range(len(path)) if path[end] == "/"}
    findings = list(_guarded(".", os.fstat(root), owners))
    seen = set()
    for path, info in _walk(root):
        seen.add(path)
        if path in parents and stat.S_ISDIR(info.st_mode):
            findings += _guarded(path, info, owners)
        elif path in parents or (path not in wanted and exact):
            findings.append(Finding("foreign", path, _kind(path, info, wanted)))
    return findings + [Finding("missing", path, "") for path in wanted if path not in seen]


def _kind(path: str, info: os.stat_result, wanted: dict[str, Expected]) -> str:
    if path.casefold() in {name.casefold() for name in wanted}:
        return "differs only in case"
    kinds = {stat.S_IFDIR: "folder", stat.S_IFREG: "file", stat.S_IFLNK: "symbolic link"}
    return kinds.get(stat.S_IFMT(info.st_mode), "special file")


def _open_below(root: int, path: str) -> int:
    """Open `path` one name at a time, no link followed: a folder swapped for a link is an error, not a way out."""
    *folders, name = path.split("/")
    here = os.dup(root)
    try:
        for part in folders:
            below = os.open(part, OPEN | os.O_DIRECTORY, dir_fd=here)
            os.close(here)
            here = below
        return os.open(name, OPEN, dir_fd=here)
    finally:
        os.close(here)


def _hash(file: int, told: Callable[[int], object]) -> tuple[str, int]:
    """Digest and size. Large parts are hashed where the kernel has them: a copy would cost a sixth of the time."""
    digest, size, position = hashlib.sha256(), os.fstat(file).st_size, 0
    while position < size and _hash_mapped(digest, file, position, min(WINDOW, size - position)):
        told(min(WINDOW, size - position))
        position += min(WINDOW, size - position)
    os.lseek(file, position, os.SEEK_SET)
    buffer = memoryview(bytearray(CHUNK))
    while count := os.readv(file, [buffer]):
        digest.update(buffer[:count])
        position += count
        told(count)
    return f"sha256:{digest.hexdigest()}", position


def add_part(digest: Any, file: int, start: int, end: int) -> None:
    """Add bytes [start, end) of the open file to a digest of hashlib's; `start` is a multiple of CHUNK. OSError for what cannot be read."""
    if _hash_mapped(digest, file, start, end - start):
        return
    while start < end and (piece := os.pread(file, min(CHUNK, end - start), start)):
        digest.update(piece)
        start += len(piece)


def _hash_mapped(digest: Any, file: int, start: int, length: int) -> bool:
    """Add a part of the file, mapped; False where that cannot be: small ones are read, as is all on kernels before 5.14.

    All of it is asked for first: a disk that fails is an OSError then, and no signal that would end this program.
    """
    os.posix_fadvise(file, start, 2 * WINDOW, os.POSIX_FADV_WILLNEED)
    if length < SMALL or not _readable(file, start, length):
        return False
    with mmap.mmap(file, length, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ, offset=start) as window:
        try:
            window.madvise(POPULATE_READ)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return False
            raise
        digest.update(window)
    return True


def _readable(file: int, start: int, length: int) -> bool:
    """Have the kernel read a part without giving a copy; False where the file ends before. OSError for what cannot be read.

    MADV_POPULATE_READ asks for such a page again and again, without an end, on kernels before its commit 631426ba1d45 (6.9); seen on 6.1.
    """
    with open("/dev/null", "wb") as nowhere:
        end = start + length
        while start < end and (count := os.sendfile(nowhere.fileno(), file, start, end - start)):
            start += count
    return start == end


# Sealed: the kernel judges each read of a file (fs-verity)


class Seals:
    """Files that the kernel guards: digest of the content -> digest of the hash tree that was in force while all of it was read.

    No read of such a file returns other bytes than its tree says, also none of a mapping, and nothing can write it
    (Documentation/filesystems/fsverity.rst of the kernel). So a file with that tree has those bytes, whatever was done to the disk.
    `known`: what this boot has read so far, {} to have all of it read. `make`: have the kernel seal what it can.
    """

    def __init__(self, known: dict[str, str], make: bool = False) -> None:
        self.known, self.make = known, make
        self.found: dict[str, str] = {}
        self.held: dict[str, int] = {}  # bytes that needed no reading
        self.why = ""  # one of the reasons why not all is sealed

    def holds(self, file: int, entry: Entry) -> bool:
        """Whether these bytes need no reading."""
        tree = self.known.get(entry.digest)
        if not tree or self._tree(file, entry) != tree:
            return False
        self.note(entry, tree)
        self.held[entry.digest] = entry.size
        return True

    def begin(self, file: int, entry: Entry) -> str:
        """The tree in force while the file is read from now on; "" where there is none, and for what is small."""
        if entry.size < SMALL:
            return ""
        try:
            if self.make:
                seal(file)
        except OSError as error:
            self.why = f"{_why_not(error)}: {entry.path}"
            return ""
        return self._tree(file, entry)

    def note(self, entry: Entry, tree: str) -> None:
        """The file was read, and is `entry`."""
        self.found[entry.digest] = tree

    def _tree(self, file: int, entry: Entry) -> str:
        try:
            return measured(file)
        except OSError as error:
            self.why = f"{_why_not(error)}: {entry.path}"
            return ""

    def __str__(self) -> str:
        if self.found and not self.why:
            return "sealed: read once in this boot; the kernel judges each later read of the large files"
        return f"read at every start: {self.why or 'no large file'}"


def seal(file: int) -> None:
    """Have the kernel build the file's hash tree and hold every later read against it; OSError where it cannot."""
    if file_system(file) not in SEALING:
        raise OSError(errno.EOPNOTSUPP, "")
    # Version 1, SHA-256, blocks of 4096 bytes, no salt, no signature: struct fsverity_enable_arg.
    request = struct.pack("=IIIIQIIQ11Q", 1, 1, 4096, 0, 0, 0, 0, 0, *[0] * 11)
    try:
        fcntl.ioctl(file, ENABLE_VERITY, request)
    except FileExistsError:
        return
    # What was in memory before came unjudged; it is read again.
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)


def measured(file: int) -> str:
    """Digest (hex) of the hash tree that the kernel holds reads of the open file against; OSError where there is none."""
    if file_system(file) not in SEALING:
        raise OSError(errno.EOPNOTSUPP, "")
    answer = bytearray(struct.pack("=HH32x", 0, 32))
    fcntl.ioctl(file, MEASURE_VERITY, answer)
    algorithm, size = struct.unpack_from("=HH", answer)
    if (algorithm, size) != (1, 32):
        raise OSError(errno.EOPNOTSUPP, "")
    return answer[4:].hex()


def file_system(file: int) -> str:
    """Type of the mount through which the file was opened, "" where it is not seen from here."""
    with open(f"/proc/self/fdinfo/{file}", encoding="ascii") as table:
        mount = next((line.split()[1] for line in table if line.startswith("mnt_id:")), "")
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        found = [line.partition(" - ")[2].split(" ")[0] for line in table if line.split(" ")[0] == mount]
    return found[0] if found else ""


def _why_not(error: OSError) -> str:
    unable = "the kernel or the file system has no fs-verity"
    known = {
        errno.EOPNOTSUPP: unable,
        errno.ENOTTY: unable,
        errno.ENODATA: "not sealed",
        errno.ETXTBSY: "open for writing",
    }
    return known.get(error.errno or 0, str(error.strerror))


def read_seals(path: str, owners: set[int]) -> dict[str, str]:
    """What verifications of this boot have noted; {} for a note that others could write, or of another boot: nobody knew this one's id."""
    try:
        file = os.open(path, OPEN)
    except OSError:
        return {}
    try:
        info = os.fstat(file)
        if not stat.S_ISREG(info.st_mode) or any(_guarded(path, info, owners)):
            return {}
        boot, seals = _keys(strict_json(os.read(file, SMALL + 1)), "boot", "seals")
    except Refused:
        return {}
    finally:
        os.close(file)
    return seals if boot == _boot() and isinstance(seals, dict) else {}


class Look(NamedTuple):
    """How files are judged: the store's descriptor, the uids that may own them, what needs no reading, and who is told of bytes read."""

    root: int
    owners: set[int]
    seals: Seals
    told: Callable[[int], object]


def check_file(look: Look, path: str, wanted: Expected) -> list[Finding]:
    """Findings on one file: what is judged is the descriptor that was opened, never the name again."""
    try:
        file = _open_below(look.root, path)
    except FileNotFoundError:
        return []  # check_tree says so
    except OSError as error:
        kind = "type" if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.ENXIO} else "unreadable"
        return [Finding(kind, path, str(error.strerror))]
    try:
        return list(_check_open_file(look, file, path, wanted))
    except OSError as error:
        return [Finding("unreadable", path, str(error.strerror))]
    finally:
        os.close(file)


def _check_open_file(look: Look, file: int, path: str, wanted: Expected) -> Iterator[Finding]:
    before, entry, seals = os.fstat(file), wanted.entry, look.seals
    if not stat.S_ISREG(before.st_mode):
        yield Finding("type", path, stat.filemode(before.st_mode))
        return
    if before.st_nlink != 1:
        yield Finding("links", path, f"{before.st_nlink} names")
    yield from _guarded(path, before, look.owners)
    if before.st_size != entry.size:
        yield Finding("size", path, f"{before.st_size} bytes instead of {entry.size}")
        return
    parsed = wanted.manifest_of or entry.media_type == CONFIG_TYPE
    if not parsed and seals.holds(file, entry):
        return
    tree = "" if parsed else seals.begin(file, entry)
    before = os.fstat(file)
    digest, size = _hash(file, look.told)
    if digest != entry.digest:
        yield Finding("digest", path, f"content is {digest}")
    elif parsed:
        yield from _check_content(file, path, wanted)
    elif tree:
        seals.note(entry, tree)
    after = os.fstat(file)
    if (size, after.st_mtime_ns, after.st_ctime_ns) != (before.st_size, before.st_mtime_ns, before.st_ctime_ns):
        yield Finding("changed", path, "")


def _check_content(file: int, path: str, wanted: Expected) -> Iterator[Finding]:
    raw, model = os.pread(file, SMALL + 1, 0), wanted.manifest_of
    try:
        if model is None:
            check_config(raw)
        elif read_manifest(raw) != (model.config, model.layers):
            yield Finding("content", path, "names other files than the lock")
    except Refused as refused:
        yield Finding("content", path, str(refused))


def check_config(raw: bytes) -> None:
    """Refused for a config blob that sends prompts to another host, or that two parsers could read differently."""
    body = raw[:-1] if raw.endswith(b"\n") else raw  # some genuine configs end with a newline
    remote = sorted(key for key in strict_json(body) if key.casefold() in {"remote_host", "remote_model"})
    if remote:
        raise Refused(f"a remote model: {', '.join(remote)}")


class Report(NamedTuple):
    """What a verification saw; `bytes` is what was hashed, `cpu_seconds` counts all threads, `seal` says what needed no hashing and why."""

    findings: list[Finding]
    models: list[str]
    bytes: int
    seconds: float
    cpu_seconds: float
    lock: str
    seal: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON, with the rate in bytes per second."""
        findings = [finding._asdict() for finding in self.findings]
        return {**self._asdict(), "findings": findings, "ok": not self.findings, "rate": int(self.bytes / self.seconds)}


def verify(
    root: int,
    models: tuple[Model, ...],
    owners: set[int],
    exact: bool = True,
    *,
    lock: str = "",
    seals: Seals | None = None,
    told: Callable[[int], object] = lambda count: None,
) -> Report:
    """Verify the store open at descriptor `root` against `models`, hashing on all cores; `exact` refuses other entries.

    `owners`: the uids that may own the files. `lock`: the digest of the lock file, kept in the report. `seals`: what needs no hashing.
    `told` hears of every part that was hashed, from many threads.
    """
    look = Look(root, owners, seals or Seals({}), told)
    started, cpu = time.monotonic(), time.process_time()
    wanted = expected_files(models)
    largest_first = sorted(wanted, key=lambda path: -wanted[path].entry.size)
    try:
        findings = check_tree(root, wanted, owners, exact)
    except OSError as error:
        findings = [Finding("unreadable", str(error.filename or "."), str(error.strerror))]
    findings += on_all_cores(lambda path: check_file(look, path, wanted[path]), largest_first)
    size = sum(item.entry.size for item in wanted.values()) - sum(look.seals.held.values())
    seconds = max(time.monotonic() - started, 1e-6)
    names = [model.name for model in models]
    return Report(sorted(findings), names, size, seconds, time.process_time() - cpu, lock, str(seals or ""))


def on_all_cores(judge: Callable[[str], list[Finding]], paths: list[str]) -> list[Finding]:
    """All findings on the paths; raises what one of them raised."""
    findings: list[Finding] = []
    errors: list[BaseException] = []
    left = iter(paths)

    def work() -> None:
        try:
            for path in left:
                findings.extend(judge(path))
        except BaseException as error:  # a thread's only way to speak
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(os.cpu_count() or 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return findings


def fingerprint(root: int) -> str:
    """Digest over names, inodes, sizes and change times below `root`: differs after any write, rename, link or chmod."""
    lines = (f"{path} {info.st_ino} {info.st_size} {info.st_ctime_ns}" for path, info in _walk(root))
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


# Serving: the verified store, and nothing else, where the engine reads


def mounted(target: str) -> list[set[str]]:
    """Mount options of every mount that lies exactly on `target`, the uppermost last; empty where there is none."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
        rows = [line.split(" ") for line in table]
    return [set(row[5].split(",")) for row in rows if row[4] == target.replace(" ", "\\040")]


def _run(*command: str, keep: list[int] | None = None) -> None:
    """Run to its end, with the descriptors `keep`; OSError where it fails."""
    import subprocess

    try:
        subprocess.run(command, check=True, pass_fds=keep or [])
    except subprocess.CalledProcessError as error:
        raise OSError(errno.EIO, str(error), command[-1]) from None


def release(target: str) -> None:
    """Unmount whatever lies on `target`; lazily, since a container that still reads it must not keep it served."""
    for _ in mounted(target):
        _run("umount", "--lazy", target)


def bound(root: int, target: str) -> bool:
    """Whether `target` shows exactly the folder open at `root`, once, read-only and without suid, devices, programs."""
    mounts = mounted(target)
    if len(mounts) != 1 or not {"ro", "nosuid", "nodev", "noexec"} <= mounts[0]:
        return False
    here, there = os.fstat(root), os.stat(target)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def bind(root: int, target: str) -> None:
    """Bind the folder open at `root` read-only on `target`, replacing what is there; OSError where that did not work."""
    if bound(root, target):
        return
    release(target)
    # By descriptor: the folder that was verified, whatever its name leads to by now.
    source = f"/proc/self/fd/{root}"
    _run("mount", "--no-canonicalize", "--bind", source, target, keep=[root])
    _run("mount", "--no-canonicalize", "-o", "remount,bind,ro,nosuid,nodev,noexec", "none", target)
    if not bound(root, target):
        release(target)
        raise OSError(f"{target} does not show the verified store")


# Command line


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(SMALL + 1)


def _selected(path: str) -> list[str] | None:
    """Names wanted on this host, one a line; without the file, the whole lock."""
    try:
        return _read(path).decode("utf-8").split()
    except FileNotFoundError:
        return None


def read_floor(path: str) -> int:
    """The serial in the file `path`, 0 without it; Refused for anything else, so that damage never lets an old lock in."""
    try:
        text = _read(path).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return 0
    if not text.isdigit() or len(text) > 18:
        raise Refused(f"not a serial number: {path}: {text[:40]!r}")
    return int(text)


def _raise_floor(options: argparse.Namespace) -> None:
    """Note the serial of the lock that is served now; OSError, Refused."""
    serial = read_terms(_read(options.lock)).serial
    if serial > read_floor(options.floor):
        _replace(options.floor, f"{serial}\n")


def _verify_paths(options: argparse.Namespace, seals: Seals | None = None) -> tuple[int, Report]:
    """Verify by paths; returns the open store (-1 where there is none to open) and the report."""
    root, digest = -1, ""
    try:
        raw = _read(options.lock)
        digest = digest_of(raw)
        models = select(read_lock(raw), _selected(options.select))
        check_terms(read_terms(raw), read_floor(options.floor), time.time())
        root = os.open(options.store, OPEN | os.O_DIRECTORY)
        return root, verify(root, models, options.owners, lock=digest, seals=seals)
    except (Refused, UnicodeDecodeError) as error:
        finding = Finding("lock", options.lock, str(error))
    except OSError as error:
        absent = isinstance(error, FileNotFoundError) and error.filename == options.store
        finding = (
            Finding("missing", ".", "") if absent else Finding("unreadable", str(error.filename), str(error.strerror))
        )
    return root, Report([finding], [], 0, 1e-6, 0.0, digest)


def _boot() -> str:
    return _read("/proc/sys/kernel/random/boot_id").decode().strip()


def _replace(path: str, text: str) -> None:
    fresh = f"{path}.{os.getpid()}"
    with open(fresh, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


def doubt(verdict: str) -> None:
    """Take the verdict back: until there is another one, the gateway answers nobody."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(verdict)


@contextlib.contextmanager
def _alone(options: argparse.Namespace) -> Iterator[None]:
    """One at a time: a boot, a timer and a start of the engine may come together, and one of them may empty the path."""
    os.makedirs(os.path.dirname(options.verdict), mode=0o755, exist_ok=True)
    file = os.open(f"{options.target}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _bind(options: argparse.Namespace) -> dict[str, Any]:
    """Read all, have the kernel seal what it can, then bind; whatever goes wrong, the engine's path is empty."""
    return _judged(options, _try_bind, Seals({}, make=True))


def _recheck(options: argparse.Namespace) -> dict[str, Any]:
    """Verify again what is bound, and withdraw it when it is wrong. What is not bound by now stays so: only `bind` binds."""
    known = {} if options.read else read_seals(_seals(options), options.owners)
    return _judged(options, _still_bound, Seals(known))


Serve = Callable[[int, argparse.Namespace, "Report"], bool]


def _judged(options: argparse.Namespace, serve: Serve, seals: Seals) -> dict[str, Any]:
    with _alone(options):
        served = False
        os.makedirs(options.target, mode=0o755, exist_ok=True)
        try:
            root, report = _verify_paths(options, seals)
            _keep(options, seals)
            matching = _matching(options, report)
            if not report.findings:
                served = serve(root, options, report)
        finally:
            if not served:  # also after an error in this very program
                doubt(options.verdict)
                release(options.target)
        return _record(options, root, report, matching)


def _seals(options: argparse.Namespace) -> str:
    return f"{options.target}.seals"


def _keep(options: argparse.Namespace, seals: Seals) -> None:
    """Note what the kernel guards, for the rest of this boot."""
    if seals.found != seals.known:
        _replace(_seals(options), json.dumps({"boot": _boot(), "seals": seals.found}, sort_keys=True))


def _record(options: argparse.Namespace, root: int, report: Report, matching: dict[str, bool]) -> dict[str, Any]:
    """Leave the verdict of this boot, and the same for node_exporter; returns the verdict."""
    verdict = {**report.as_dict(), "boot": _boot(), "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    verdict_there = {**verdict, "fingerprint": fingerprint(root) if root >= 0 else ""}
    _replace(options.verdict, json.dumps(verdict_there, sort_keys=True) + "\n")
    try:
        os.makedirs(os.path.dirname(options.metrics), mode=0o755, exist_ok=True)
        _replace(options.metrics, metrics(report, matching, _terms(options)))
    except OSError as error:  # what is served does not depend on who measures it
        print(f"{os.uname().nodename}: metrics cannot be written: {error}", file=sys.stderr)
    return verdict


def _try_bind(root: int, options: argparse.Namespace, report: Report) -> bool:
    try:
        _raise_floor(options)  # first: what was served once is never forgotten
        bind(root, options.target)
    except (OSError, Refused) as error:
        report.findings.append(Finding("unreadable", options.target, str(error)))
    return not report.findings


def _still_bound(root: int, options: argparse.Namespace, report: Report) -> bool:
    if not bound(root, options.target):
        report.findings.append(Finding("withdrawn", options.target, "systemctl restart citadelle-models"))
    return not report.findings


def _release(options: argparse.Namespace) -> dict[str, Any]:
    with _alone(options):
        doubt(options.verdict)
        release(options.target)
    return {"ok": True, "findings": []}


# Metrics


def _terms(options: argparse.Namespace) -> Terms | None:
    try:
        return read_terms(_read(options.lock))
    except (OSError, Refused):
        return None


def _matching(options: argparse.Namespace, report: Report) -> dict[str, bool]:
    """Model -> whether its own files are the locked ones. A finding that is no model's own (a foreign file, the lock) is everybody's."""
    try:
        models = select(read_lock(_read(options.lock)), _selected(options.select))
    except (OSError, ValueError):
        return dict.fromkeys(_names(options), False)
    files = {model.name: set(expected_files((model,))) for model in models}
    shared = [finding for finding in report.findings if not any(finding.path in paths for paths in files.values())]
    wrong = {finding.path for finding in report.findings}
    return {name: not shared and not wrong & paths for name, paths in files.items()}


def _names(options: argparse.Namespace) -> list[str]:
    try:
        return _selected(options.select) or ["unknown"]
    except (OSError, ValueError):
        return ["unknown"]


def metrics(report: Report, matching: dict[str, bool], terms: Terms | None) -> str:
    """The verdict in Prometheus' text format; times in seconds since 1970."""
    rows: list[tuple[str, str, dict[str, float]]] = [
        ("llm_model_digest_match", "1 where every file of the model was the locked one at the last verification",
         {'{model="' + name + '"}': int(right) for name, right in matching.items()}),
        ("llm_models_served", "1 where the last verification left the models bound for the engine", {"": int(not report.findings)}),
        ("llm_models_verified_timestamp_seconds", "When the last verification ended", {"": int(time.time())}),
        ("llm_models_verification_seconds", "How long it took", {"": round(report.seconds, 3)}),
        ("llm_models_verification_bytes", "How much was hashed", {"": report.bytes}),
        ("llm_models_sealed", "1 where the kernel judges each read of the large files", {"": int(report.seal.startswith("sealed"))}),
    ]  # fmt: skip
    if terms:
        rows.append(("llm_models_lock_serial", "Serial of the lock", {"": terms.serial}))
    if terms and terms.expires is not None:
        rows.append(("llm_models_lock_expires_timestamp_seconds", "When the lock ends", {"": terms.expires}))
    return "".join(
        f"# HELP {name} {text}.\n# TYPE {name} gauge\n"
        + "".join(f"{name}{label} {value}\n" for label, value in values.items())
        for name, text, values in rows
    )


def status(options: argparse.Namespace) -> dict[str, Any]:
    """The last verdict, `ok` only while it still holds: this boot, this lock, the same untouched store, still bound."""
    try:
        verdict: dict[str, Any] = json.loads(_read(options.verdict))
        digest = digest_of(_read(options.lock))
        models = [model.name for model in select(read_lock(_read(options.lock)), _selected(options.select))]
        root = os.open(options.store, OPEN | os.O_DIRECTORY)
    except (OSError, ValueError) as error:
        return {"ok": False, "findings": [Finding("stale", options.store, str(error))._asdict()]}
    same = (verdict.get("boot"), verdict["lock"], verdict["models"]) == (_boot(), digest, models)
    if verdict["ok"] and not (same and verdict["fingerprint"] == fingerprint(root) and bound(root, options.target)):
        return {**verdict, "ok": False, "findings": [Finding("stale", options.store, "")._asdict()]}
    return verdict


def _in_force(options: argparse.Namespace) -> dict[str, Any]:
    """Serial and end of the lock, and the newest serial served here before; `ok` while the lock may be served."""
    told: dict[str, Any] = {}
    try:
        terms, floor = read_terms(_read(options.lock)), read_floor(options.floor)
        told = {**terms._asdict(), "floor": floor}
        check_terms(terms, floor, time.time())
    except (OSError, Refused) as error:
        return {**told, "ok": False, "findings": [Finding("lock", options.lock, str(error))._asdict()]}
    return {**told, "ok": True, "findings": []}


def _check(options: argparse.Namespace) -> dict[str, Any]:
    return _verify_paths(options)[1].as_dict()


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """The paths to work on, and what to do (`run`)."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    actions: dict[str, Callable[[argparse.Namespace], dict[str, Any]]]
    actions = {"check": _check, "bind": _bind, "recheck": _recheck, "release": _release, "status": status}
    actions["terms"] = _in_force
    parser.add_argument("action", choices=actions)
    parser.add_argument("--json", action="store_true", help="print the report as one line of JSON")
    parser.add_argument("--read", action="store_true", help="recheck: read all, also what the kernel guards")
    defaults = {"store": STORE, "lock": LOCK, "select": SELECTION, "target": TARGET, "verdict": VERDICT}
    defaults |= {"floor": FLOOR, "metrics": METRICS}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", default=default, metavar="PATH", help="default: %(default)s")
    parser.add_argument("--owner", type=int, action="append", dest="owners", metavar="UID", help="default: 0")
    options = parser.parse_args(arguments)
    options.owners, options.run = set(options.owners or [0]), actions[options.action]
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run one action; returns the exit status."""
    options = options_of(arguments)
    report = options.run(options)
    if options.json:
        print(json.dumps(report, sort_keys=True))
    for finding in [] if options.json else report["findings"]:
        print(
            f"{os.uname().nodename}: {Finding(**finding)}".encode(errors="backslashreplace").decode(), file=sys.stderr
        )
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
