"""What an archive must hold before its lock is written."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from citadelle import images
from tests.images import archive


def test_digests_are_those_of_what_the_name_points_to(tmp_path: Path) -> None:
    files: dict[str, bytes] = {}
    one = archive.manifest(files, "one")
    two = archive.index(files, "two", "linux/amd64", "linux/arm64", "unknown/unknown")
    official, unnamed = archive.index(files, "official", "linux/amd64"), archive.manifest(files, "unnamed")
    named = {"docker.io/citadelle/one:1": one, "registry.example:5000/two:1": two}
    archive.write(tmp_path / "x.tar", files, named | {"docker.io/library/debian:13": official, "": unnamed})
    assert images.manifest_digests(tmp_path / "x.tar") == {
        "citadelle/one:1": one["digest"],
        "registry.example:5000/two:1": two["digest"],
        "debian:13": official["digest"],
    }


def test_an_image_that_no_host_could_start_is_refused(tmp_path: Path) -> None:
    files: dict[str, bytes] = {}
    foreign = archive.index(files, "foreign", "linux/arm64", "linux/s390x")
    archive.write(tmp_path / "x.tar", files, {"x/foreign:1": foreign})
    with pytest.raises(ValueError, match=r"^image is not for linux/amd64: x/foreign:1$"):
        images.manifest_digests(tmp_path / "x.tar")


@pytest.mark.parametrize("gone", ["config of", "layer of", '{"config"', '{"manifests"'])
def test_an_archive_without_a_part_is_refused(tmp_path: Path, gone: str) -> None:
    files: dict[str, bytes] = {}
    image = archive.index(files, "x", "linux/amd64")
    left = {name: content for name, content in files.items() if not content.startswith(gone.encode())}
    (lost,) = files.keys() - left.keys()
    archive.write(tmp_path / "x.tar", left, {"x/x:1": image})
    with pytest.raises(ValueError, match=r"^archive lacks (a file|parts of x/x:1): ") as caught:
        images.manifest_digests(tmp_path / "x.tar")
    assert lost.removeprefix("blobs/sha256/") in str(caught.value)


def test_an_archive_of_an_old_docker_is_refused(tmp_path: Path) -> None:
    archive.write(tmp_path / "x.tar", {}, {})
    with tarfile.open(tmp_path / "old.tar", "w") as tar:
        tar.add(tmp_path / "x.tar", "manifest.json")
    with pytest.raises(ValueError, match=r"^archive has no index\.json, Docker 25 or newer writes one"):
        images.manifest_digests(tmp_path / "old.tar")


PIN = f"docker.io/library/x:1@sha256:{'a' * 64}"


def test_a_pin_that_the_archive_does_not_have_is_refused() -> None:
    right = images.lock_text(
        {"ENGINE_IMAGE": PIN, "RAG_IMAGE": "y:2"}, {"x:1": f"sha256:{'a' * 64}", "y:2": "sha256:b"}
    )
    assert right == f"ENGINE_IMAGE=x:1@sha256:{'a' * 64}\nRAG_IMAGE=y:2@sha256:b\n"
    with pytest.raises(ValueError, match=r"^image has another digest than its pin: x:1@sha256:c, pinned: sha256:aaaa"):
        images.lock_text({"ENGINE_IMAGE": PIN}, {"x:1": "sha256:c"})
    with pytest.raises(ValueError, match=r"^archive lacks images: x:1, z:1$"):
        images.lock_text({"ENGINE_IMAGE": PIN, "A": "z:1", "B": "y:2"}, {"y:2": "sha256:b"})
