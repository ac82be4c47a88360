"""Archives as `docker save` of Docker 28.5 writes them; tests/lab/test_images.py has the genuine ones."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def blob(files: dict[str, bytes], content: bytes) -> dict[str, object]:
    """Lay content by its digest; gives its descriptor."""
    digest = hashlib.sha256(content).hexdigest()
    files[f"blobs/sha256/{digest}"] = content
    return {"digest": f"sha256:{digest}", "size": len(content), "mediaType": "x"}


def manifest(files: dict[str, bytes], name: str) -> dict[str, object]:
    """The manifest of an image with one layer."""
    parts = {"config": blob(files, f"config of {name}".encode()), "layers": [blob(files, f"layer of {name}".encode())]}
    return blob(files, json.dumps(parts).encode()) | {"mediaType": MANIFEST}


def index(files: dict[str, bytes], name: str, *platforms: str) -> dict[str, object]:
    """An index whose first platform is there; of the others there is the digest alone, as after a pull of one platform."""
    rows = []
    for number, platform in enumerate(platforms):
        os, _, architecture = platform.partition("/")
        laid = manifest(files if number == 0 else {}, f"{name} for {platform}")
        rows.append(laid | {"platform": {"os": os, "architecture": architecture}})
    return blob(files, json.dumps({"manifests": rows}).encode()) | {"mediaType": INDEX}


def write(path: Path, files: dict[str, bytes], images: dict[str, dict[str, object]]) -> None:
    """The archive with these images by name."""
    entries = [
        descriptor | {"annotations": {"io.containerd.image.name": name}} if name else descriptor
        for name, descriptor in images.items()
    ]
    with tarfile.open(path, "w") as tar:
        for name, content in {**files, "index.json": json.dumps({"manifests": entries}).encode()}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
