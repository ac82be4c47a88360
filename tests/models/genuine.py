"""The genuine docker-registry (Debian's package) as a process on the loopback."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from citadelle.models import verify
from citadelle.models.manifest import canonical_name

CONFIG = """version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: %s}}
http: {addr: "127.0.0.1:%d"}
"""


def program(folder: Path) -> str:
    """docker-registry of this machine, or unpacked from Debian's package: nothing is installed. Skips where there is neither."""
    if found := shutil.which("docker-registry"):
        return found
    if not shutil.which("apt-get"):
        pytest.skip("no docker-registry here, and no apt-get to bring it")
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "docker-registry"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    packages = list(folder.glob("docker-registry_*.deb"))
    if not packages:
        pytest.skip(f"docker-registry cannot be downloaded: {done.stderr.strip()}")
    subprocess.run(["dpkg-deb", "-x", packages[0], folder / "unpacked"], check=True)
    return str(folder / "unpacked/usr/bin/docker-registry")


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of an empty one on the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "config.yml").write_text(CONFIG % (folder / "data", port))
    with subprocess.Popen([program(folder), "serve", folder / "config.yml"], stderr=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait(url)
            yield url
        finally:
            process.terminate()


def wait(url: str) -> None:
    for _ in range(200):
        try:
            requests.get(f"{url}/v2/", timeout=2).raise_for_status()
        except requests.ConnectionError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"docker-registry does not answer: {url}")


def push(url: str, store: Path, name: str, *, tag: str = "") -> None:
    """As `docker push`: every blob of a store with one model `name`, then its manifest, under another tag where one is given."""
    model, _, own = name.partition(":")
    base = f"{url}/v2/library/{model}"
    for blob in (store / "blobs").iterdir():
        upload = requests.post(f"{base}/blobs/uploads/", timeout=10).headers["Location"]
        digest = {"digest": blob.name.replace("-", ":")}
        with blob.open("rb") as body:
            requests.put(upload, params=digest, data=body, timeout=120).raise_for_status()
    kind = {"Content-Type": verify.MANIFEST_TYPE}
    raw = (store / verify.manifest_path(canonical_name(name))).read_bytes()
    requests.put(f"{base}/manifests/{tag or own}", data=raw, headers=kind, timeout=10).raise_for_status()
