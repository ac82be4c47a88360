"""Fetching from a registry that behaves, and from one that does not: the store is right or unchanged, and the error says why."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from citadelle.models import arriving, verify
from citadelle.models.fetch import STAGING, Fetched
from citadelle.models.http import Http, Passing, Patience, RegistryError, _next, checked_url
from citadelle.models.lock import ModelsLock, locked_from_manifest
from tests.conftest import ROOT
from tests.models.fetching import (
    NAME,
    QUICK,
    SIZE,
    Registry,
    Silent,
    bring,
    chunks_there,
    findings,
    kill_and_resume,
    manifest_in,
    running,
    same_files,
    wrong_blobs,
)


@pytest.fixture(scope="module")
def server(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running(source / "source", tmp_path_factory.mktemp("control")) as registry:
        yield registry


@pytest.fixture
def registry(server: Registry) -> Registry:
    server.set()
    server.requests()
    return server


@pytest.mark.parametrize("mode", ["plain", "redirect"])
def test_both_kinds_of_registry(
    tmp_path: Path, source: Path, lock: ModelsLock, registry: Registry, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login canary password canary\n")
    monkeypatch.setenv("NETRC", str(netrc))
    registry.set(mode=mode)
    watch = Silent()
    assert bring(tmp_path / "store", lock, registry.url, watch=watch) == Fetched(6, sum(watch.sizes))
    assert watch.done == sum(watch.sizes)
    assert findings(tmp_path / "store", lock) == []
    assert same_files(source / "source", tmp_path / "store")
    asked = registry.requests()
    ranges = [
        one["headers"]["Range"] for one in asked if "/blobs/" in one["path"] and not one["path"].startswith("/cdn")
    ]
    assert {f"bytes={start}-{start + 2 * verify.CHUNK - 1}" for start in (0, 2 * verify.CHUNK)} <= set(ranges)
    assert any(one["path"].startswith("/cdn") for one in asked) == (mode == "redirect")
    assert not {"Authorization", "Cookie", "Proxy-Authorization"} & {name for one in asked for name in one["headers"]}
    assert bring(tmp_path / "store", lock, registry.url) == Fetched(0, 0)
    assert registry.requests() == []


FATAL = {
    "wrong": "sends other bytes than sha256:",
    "endless": "has * bytes instead of|longer than",
    "smaller": "has 7 bytes instead of",
    "shifted": "sends another range than bytes 0-",
    "compressed": "answers compressed (gzip)",
    "page": "answers with a web page instead of the file",
    "loop": "more than 5 redirects, the last to http://127.0.0.1:",
    "to a file": "redirects to nowhere|redirects away from https: file:///etc/passwd",
    "with a password": "redirects to nowhere",
    "to nowhere": "redirects to nowhere",
    "401": "asks for a login (401)",
    "403": "refuses (403)",
    "404": "does not have it (404)",
    "416": "has another size (416)",
    "418": "answers (418)",
}
PASSING = {
    "short": "ended after * of|ended * bytes early|broke off",
    "stuck": "broke off|stuck at",
    "trickle": "stuck at",
    "drop": "does not answer",
    "500": "answers 500",
    "503": "answers 503",
    "429": "answers 429",
}


def says(text: str, told: str) -> bool:
    """Whether one of the wordings stands in the text, `*` for anything."""
    wordings = [wording.split("*") for wording in told.split("|")]
    return any(all(part in text for part in parts) for parts in wordings)


@pytest.mark.parametrize("fault", FATAL)
def test_a_wrong_answer_is_told_at_once(tmp_path: Path, lock: ModelsLock, registry: Registry, fault: str) -> None:
    registry.set(fault=fault)
    with pytest.raises(RegistryError) as caught:
        bring(tmp_path / "store", lock, registry.url)
    assert says(str(caught.value), FATAL[fault]), caught.value
    assert "canary" not in str(caught.value)
    assert len(registry.requests()) <= 6
    nothing_wrong_then_right(tmp_path / "store", lock, registry)


@pytest.mark.parametrize(
    ("fault", "mode"), [*((fault, "plain") for fault in PASSING), ("short", "redirect"), ("503", "redirect")]
)
def test_a_passing_fault_is_tried_again_and_given_up_in_the_end(
    tmp_path: Path, lock: ModelsLock, registry: Registry, fault: str, mode: str
) -> None:
    patience = replace(QUICK, read=0.3) if fault in {"stuck", "trickle"} else QUICK
    registry.set(fault=fault, mode=mode, on="blobs" if mode == "plain" else "cdn")
    with pytest.raises(RegistryError) as caught:
        bring(tmp_path / "store", lock, registry.url, patience)
    assert says(str(caught.value), PASSING[fault]), caught.value
    assert "(given up after 2 tries)" in str(caught.value)
    assert "secret" not in str(caught.value)
    registry.set(fault=fault, mode=mode, on="blobs" if mode == "plain" else "cdn", times=1)
    nothing_wrong_then_right(tmp_path / "store", lock, registry, replace(patience, tries=6))


def nothing_wrong_then_right(
    store: Path, lock: ModelsLock, registry: Registry, patience: Patience | None = None
) -> None:
    """`patience`: what lets it get over the fault that is still there; without one the fault is taken back first."""
    assert wrong_blobs(store) == []
    assert {finding.code for finding in findings(store, lock)} == {"missing", "foreign"}
    assert next(finding.path for finding in findings(store, lock) if finding.code == "foreign") == STAGING
    assert not any(path.is_file() for path in (store / "manifests").rglob("*"))
    if patience is None:
        registry.set()
    bring(store, lock, registry.url, patience or QUICK)
    assert findings(store, lock) == []


def test_a_registry_without_ranges(tmp_path: Path, lock: ModelsLock, registry: Registry) -> None:
    registry.set(fault="whole")
    watch = Silent()
    bring(tmp_path / "store", lock, registry.url, watch=watch)
    assert findings(tmp_path / "store", lock) == []
    assert watch.done == sum(watch.sizes)


@pytest.fixture
def another(tmp_path: Path, source: Path) -> Iterator[tuple[Registry, Path]]:
    """A registry of this test's own, and its store."""
    store = shutil.copytree(source / "source", tmp_path / "theirs")
    with running(store, tmp_path / "control") as registry:
        yield registry, store


def test_a_tag_that_moved_on_does_not_matter(tmp_path: Path, lock: ModelsLock, another: tuple[Registry, Path]) -> None:
    registry, theirs = another
    manifest_in(theirs).write_bytes(b'{"another":"model"}')
    bring(tmp_path / "store", lock, registry.url)
    assert findings(tmp_path / "store", lock) == []
    assert not any("manifests" in one["path"] for one in registry.requests())


def test_a_manifest_in_another_layout_is_asked_for_and_judged(
    tmp_path: Path, lock: ModelsLock, another: tuple[Registry, Path]
) -> None:
    registry, theirs = another
    raw = json.dumps(json.loads(manifest_in(theirs).read_bytes()), indent=1).encode()
    model = locked_from_manifest(raw, name=NAME, purpose="chat", licence="MIT", source="https://example.org/")
    pretty = ModelsLock(serial=1, models=[model])
    with pytest.raises(
        RegistryError, match=f"{NAME} is another model there by now: {lock.models[0].manifest.digest} instead"
    ):
        bring(tmp_path / "store", pretty, registry.url)
    assert not manifest_in(tmp_path / "store").exists()
    manifest_in(theirs).with_name("old").write_bytes(raw)
    registry.requests()
    bring(tmp_path / "store", pretty, registry.url)  # by digest
    assert findings(tmp_path / "store", pretty) == []
    asked = [one["path"].rpartition("/")[2] for one in registry.requests()]
    assert asked == ["chat", model.manifest.digest]
    manifest_in(theirs).write_bytes(raw)
    shutil.rmtree(tmp_path / "store/manifests")
    registry.set(fault="large", on="manifests")
    with pytest.raises(RegistryError, match="larger than"):
        bring(tmp_path / "store", pretty, registry.url)
    registry.set(fault="wrong", on="manifests")
    with pytest.raises(RegistryError, match=f"the manifest of {NAME} is another: "):
        bring(tmp_path / "store", pretty, registry.url)
    assert findings(tmp_path / "store", pretty) != []
    registry.set(fault="503", on="manifests", times=1)
    bring(tmp_path / "store", pretty, registry.url)
    assert findings(tmp_path / "store", pretty) == []


@pytest.mark.lab
def test_killed_and_resumed_what_is_there_is_not_asked_for_again(
    tmp_path: Path, source: Path, lock: ModelsLock, registry: Registry
) -> None:
    kill_and_resume(tmp_path / "store", source, lock, registry, 2 * verify.CHUNK + 1)


def test_what_was_noted_but_lost_is_noticed_and_forgotten(tmp_path: Path, lock: ModelsLock, registry: Registry) -> None:
    """As after a power cut: the note of a chunk reached the disk, its bytes did not."""
    store, weights = tmp_path / "store", lock.models[0].weights
    registry.set(fault="503", least=SIZE)
    with pytest.raises(RegistryError, match="answers 503"):
        bring(store, lock, registry.url)
    assert chunks_there(store) == 0
    (store / STAGING / f"{weights.blob}.chunks").write_bytes(b"\x00\x01" + bytes(5))
    registry.set()
    with pytest.raises(RegistryError, match="what had come before is forgotten: run again"):
        bring(store, lock, registry.url)
    assert wrong_blobs(store) == []
    bring(store, lock, registry.url)
    assert findings(store, lock) == []


def test_a_disk_that_loses_a_write_on_the_way_is_told(
    tmp_path: Path, lock: ModelsLock, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel tells of it once, to the sync in between: the last one would succeed."""

    def lost(_file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(arriving, "SYNCED", 2)
    monkeypatch.setattr(os, "fdatasync", lost)
    with pytest.raises(OSError, match="Input/output error"):
        bring(tmp_path / "store", lock, registry.url)
    assert wrong_blobs(tmp_path / "store") == []
    assert lock.models[0].weights.blob not in {path.name for path in (tmp_path / "store/blobs").iterdir()}
    monkeypatch.undo()
    bring(tmp_path / "store", lock, registry.url)
    assert findings(tmp_path / "store", lock) == []


def test_leftovers_of_another_lock_or_size_go_away(tmp_path: Path, lock: ModelsLock, registry: Registry) -> None:
    staging = tmp_path / "store" / STAGING
    staging.mkdir(parents=True)
    blob = lock.models[0].weights.blob
    for name in ("sha256-" + "0" * 64, "manifest", blob, f"{blob}.chunks"):
        (staging / name).write_bytes(b"\x01" * 8)
    registry.set(fault="503")
    with pytest.raises(RegistryError, match="answers 503"):
        bring(tmp_path / "store", lock, registry.url)
    assert not {"sha256-" + "0" * 64, "manifest"} & {path.name for path in staging.iterdir()}
    registry.set()
    bring(tmp_path / "store", lock, registry.url)
    assert findings(tmp_path / "store", lock) == []


def test_a_file_that_is_there_and_wrong_is_left_to_a_human(
    tmp_path: Path, lock: ModelsLock, registry: Registry
) -> None:
    store = tmp_path / "store"
    bring(store, lock, registry.url)
    registry.requests()
    blob = store / "blobs" / lock.models[0].weights.blob
    evil = bytearray(blob.read_bytes())
    evil[0] ^= 1
    blob.write_bytes(evil)
    with pytest.raises(
        verify.Refused, match=f"wrong files in the store: .*: model file does not match its lock: blobs/{blob.name}"
    ):
        bring(store, lock, registry.url)
    assert (blob.read_bytes(), registry.requests()) == (bytes(evil), [])
    blob.unlink()
    blob.symlink_to("/etc/passwd")
    with pytest.raises(verify.Refused, match="not a regular file"):
        bring(store, lock, registry.url)
    blob.unlink()
    assert bring(store, lock, registry.url) == Fetched(1, SIZE)


def test_a_link_in_the_place_of_what_arrives_is_not_followed(
    tmp_path: Path, lock: ModelsLock, registry: Registry
) -> None:
    staging, victim = tmp_path / "store" / STAGING, tmp_path / "victim"
    staging.mkdir(parents=True)
    victim.write_text("precious")
    (staging / lock.models[0].weights.blob).symlink_to(victim)
    with pytest.raises(OSError, match="symbolic link"):
        bring(tmp_path / "store", lock, registry.url)
    assert victim.read_text() == "precious"


def test_one_fetch_at_a_time(tmp_path: Path, lock: ModelsLock, registry: Registry) -> None:
    staging = tmp_path / "store" / STAGING
    staging.mkdir(parents=True)
    holder = os.open(staging, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_SH)
    with pytest.raises(verify.Refused, match="another fetch is at work in this store"):
        bring(tmp_path / "store", lock, registry.url)
    fcntl.flock(holder, fcntl.LOCK_UN)
    os.close(holder)
    assert registry.requests() == []
    bring(tmp_path / "store", lock, registry.url)


class Interrupting(Silent):
    """Somebody presses ^C once the first bytes are there."""

    def advance(self, count: int) -> None:
        if self.sizes[-1] == SIZE:
            raise KeyboardInterrupt


@pytest.mark.timeout(60)  # it would wait for a next byte instead
def test_who_gives_up_need_not_be_as_patient_as_the_command(
    tmp_path: Path, lock: ModelsLock, registry: Registry
) -> None:
    registry.set(fault="stuck", after=verify.CHUNK, least=SIZE)
    patience = Patience(read=1000, tries=2)
    with pytest.raises(KeyboardInterrupt):
        bring(tmp_path / "store", lock, registry.url, patience, Interrupting())
    registry.set()
    bring(tmp_path / "store", lock, registry.url)
    assert findings(tmp_path / "store", lock) == []


@pytest.mark.lab  # as the other long ones here
def test_the_disk_is_asked_first(tmp_path: Path, source: Path, registry: Registry, as_root: None) -> None:
    (tmp_path / "small").mkdir()
    script = 'mount -t tmpfs -o size=32M tmpfs "$1" && shift && exec "$@"'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", str(tmp_path / "small")]
    command += [sys.executable, "-m", "citadelle.cli", "models", "fetch", "--store", str(tmp_path / "small/store")]
    command += ["--lock", str(source / "lock.json"), "--registry", registry.url]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.partition("\n")[2].startswith("citadelle: not enough disk space: 73 MB needed, 3")
    assert done.stderr.endswith(
        f"\nhint: df -h {tmp_path}/small/store; free the difference, then the same command again\n"
    )
    assert registry.requests() == []


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("registry.example", "not a plain http(s) address"),
        ("ftp://registry.example", "not a plain http(s) address"),
        ("https://", "not a plain http(s) address"),
        ("https://registry.example/?a=1", "not a plain http(s) address"),
        ("https://user:canary@registry.example", "an address carries no credentials: https://...@registry.example"),
    ],
)
def test_addresses_that_are_refused(url: str, told: str) -> None:
    with pytest.raises(RegistryError) as caught:
        checked_url(url)
    assert told in str(caught.value)
    assert "canary" not in str(caught.value)
    assert checked_url("http://registry.example:5000/mirror/") == "http://registry.example:5000/mirror"


def test_a_redirect_never_leaves_https_but_inside_a_plain_registry() -> None:
    here = "https://registry.example/v2/x/blobs/y"
    assert _next(here, "https://cdn.example/y?sig=1", "https") == "https://cdn.example/y?sig=1"
    assert _next(here, "/elsewhere", "https") == "https://registry.example/elsewhere"
    assert _next("http://registry.example/v2", "http://cdn.example/y", "http") == "http://cdn.example/y"
    assert _next("http://registry.example/v2", "https://cdn.example/y", "http") == "https://cdn.example/y"
    for place in (
        "http://cdn.example/y",
        "ftp://cdn.example/y",
        "//user@cdn.example/y",
        "file:///etc/passwd",
        "data:,x",
        "",
    ):
        with pytest.raises(RegistryError, match="redirects"):
            _next(here, place, "https")
    with pytest.raises(RegistryError, match="redirects away from https"):
        _next("https://cdn.example/hop", "http://cdn.example/y", "https")


def test_pauses_grow_and_a_registry_may_ask_for_longer_ones_up_to_a_bound() -> None:
    patience = Patience(pause=1, longest=30)
    assert [patience.seconds(failed, Passing("x")) for failed in (1, 2, 3, 9)] == [1, 2, 4, 30]
    assert [patience.seconds(1, Passing("x", after)) for after in (0, 7, 3600)] == [1, 7, 30]


@pytest.mark.parametrize("pieces", [(b"file", b"more"), (b"filemore",), (b"fi", b"lemore")])
def test_more_than_the_file_is_refused_wherever_it_begins(pieces: tuple[bytes, ...]) -> None:
    """Without a declared length: a stand-in for the answer, whose pieces are these and no others."""
    left = [*pieces, b""]
    raw = SimpleNamespace(read1=lambda *_, **__: left.pop(0))
    answer: Any = SimpleNamespace(raw=raw, headers={}, url="http://registry.example/x")
    with pytest.raises(RegistryError, match="longer than 4 bytes"):
        list(Http()._pieces(answer, 4))


def certify(folder: Path) -> Path:
    """`tls.pem` in the folder: a key and a certificate of its own for 127.0.0.1; returns its path."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "registry double")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
    address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    certificate = builder.add_extension(address, critical=False).sign(key, SHA256())
    folder.mkdir()
    secret = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    (folder / "tls.pem").write_bytes(secret + certificate.public_bytes(form.Encoding.PEM))
    return folder / "tls.pem"


def test_https_by_a_companys_own_authority_and_never_away_from_it(
    tmp_path: Path, source: Path, lock: ModelsLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    bundle = certify(tmp_path / "control")
    with running(source / "source", tmp_path / "control") as registry:
        with pytest.raises(RegistryError, match="cannot prove who it is"):
            bring(tmp_path / "store", lock, registry.url)
        assert registry.requests() == []
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        registry.set(mode="redirect")
        with pytest.raises(RegistryError, match="redirects away from https: http://localhost:"):
            bring(tmp_path / "store", lock, registry.url)
        assert not any(one["path"].startswith("/cdn") for one in registry.requests())
        registry.set()
        bring(tmp_path / "store", lock, registry.url)
    assert findings(tmp_path / "store", lock) == []


def test_nobody_listens(tmp_path: Path, lock: ModelsLock) -> None:
    with pytest.raises(
        RegistryError, match=r"http://127.0.0.1:9/v2/.* does not answer: .*refused.*given up after 2 tries"
    ):
        bring(tmp_path / "store", lock, "http://127.0.0.1:9")
