"""The lock of third-party images (`NAME=image:tag@digest` under comments): written anew for review, and judged."""

from __future__ import annotations

import difflib
import hashlib
import re
import tarfile
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import cast

from citadelle.images import PLATFORM, manifest_digests, tagged
from citadelle.registry import Found, Image, Registry, RegistryError
from citadelle.release import read_env

ENTRY = re.compile(r"(?m)(?P<comment>(?:^#.*\n)*)^(?P<name>[A-Z][A-Z0-9_]*)=(?P<reference>\S+)$")
# An entry without a digest is a comment: nothing takes it for a pin, and `lock` makes one of it.
OPEN = re.compile(r"(?m)(?P<comment>(?:^# .*\n)*)^#(?P<name>[A-Z][A-Z0-9_]*)=(?P<reference>\S+)$")
# The sentence that says where a digest came from, at the end of an entry's comment.
ORIGIN = re.compile(
    r" (\d+ public sources? agrees?; confirm with docker buildx imagetools inspect before a release|Asked at \S+ on [\d-]+"
    r"|Not locked: no digest of it was found in public places)\.$"
)
CHUNK = 1 << 20


def resolved(registry: Registry, reference: str) -> Image:
    """The image of a tag with the digest of what it leads to today. Raises ValueError, `RegistryError`."""
    image = Image.parse(reference)
    found = registry.find(image, image.tag)
    if found is None:
        raise RegistryError(f"has no such tag: {image.host}/{image.path}:{image.tag}")
    if problem := _unfit(found):
        raise RegistryError(f"{problem}: {image.host}/{image.path}:{image.tag}")
    return Image(image.host, image.path, image.tag, found.digest)


def _unfit(found: Found) -> str:
    if not found.is_index:
        return "leads to an image of one platform instead of an index"
    return "" if PLATFORM in found.platforms else f"has nothing for {PLATFORM}"


def changed(text: str, images: Mapping[str, Image], today: date) -> str:
    """The lock's text with these entries; a new one stands where it was left open, or at the end. One that stays keeps its comment too."""

    def entry(match: re.Match[str]) -> str:
        image = images.get(match["name"])
        same = image is None or Image.parse(match["reference"]) == image
        return match[0] if same else _entry(match["comment"], match["name"], cast("Image", image), today)

    def opened(match: re.Match[str]) -> str:
        image = images.get(match["name"])
        return _entry(match["comment"], match["name"], image, today) if image else match[0]

    text = OPEN.sub(opened, text)
    there = {match["name"] for match in ENTRY.finditer(text)}
    added = [_entry("#", name, image, today) for name, image in images.items() if name not in there]
    return "\n\n".join([ENTRY.sub(entry, text).rstrip(), *added]) + "\n"


def _entry(comment: str, name: str, image: Image, today: date) -> str:
    said = ORIGIN.sub("", comment.rstrip()) or "#"
    return f"{said} Asked at {image.host} on {today}.\n{name}={image}"


def left_open(text: str) -> dict[str, str]:
    """Name -> `image:tag` of what is wanted and not locked yet."""
    return {match["name"]: match["reference"] for match in OPEN.finditer(text)}


def diff(old: str, new: str, path: Path) -> str:
    """For people who review it."""
    before, after = (text.splitlines(keepends=True) for text in (old, new))
    return "".join(difflib.unified_diff(before, after, str(path), f"{path} (new)"))


def judged(registry: Registry, pins: Mapping[str, str]) -> Iterator[tuple[str, bool, str]]:
    """Name, whether it is right, what was found: has its registry the very bytes, for our platform? Where a tag leads is told only."""
    for name, reference in pins.items():
        try:
            yield name, *_judged(registry, Image.parse(reference))
        except (ValueError, RegistryError) as error:
            yield name, False, str(error)


def _judged(registry: Registry, image: Image) -> tuple[bool, str]:
    if not image.digest:
        return False, f"has no digest: {image}"
    found = registry.find(image, image.digest)
    if found is None:
        return False, f"its registry does not have it any more: {image}"
    if problem := _unfit(found):
        return False, f"{problem}: {image}"
    moved = registry.find(image, image.tag)
    if moved and moved.digest != image.digest:
        return True, f"{image}; the tag leads to {moved.digest} by now"
    return True, str(image) + ("" if moved else "; the tag is gone")


def archive_problems(archive: Path, lock: Path) -> Iterator[str]:
    """What is wrong with an archive of images, by the lock beside it: every blob is hashed. Raises OSError, ValueError."""
    yield from _wrong_blobs(archive)
    digests = manifest_digests(archive)
    locked = read_env(lock.read_text())
    for name, reference in locked.items():
        tag, _, digest = tagged(reference), *reference.partition("@")[1:]
        if not digest:
            yield f"has no digest: {name}={reference}"
        elif tag not in digests:
            yield f"is not in the archive: {name}={reference}"
        elif digests[tag] != digest:
            yield f"is in the archive as {digests[tag]}: {name}={reference}"
    if not locked:
        yield f"names no image: {lock}"


def _wrong_blobs(archive: Path) -> Iterator[str]:
    with tarfile.open(archive) as tar:
        for member in tar:
            found = re.fullmatch(r"blobs/sha256/([0-9a-f]{64})", member.name)
            file = tar.extractfile(member) if found else None
            if found and file:
                digest = hashlib.sha256()
                while piece := file.read(CHUNK):
                    digest.update(piece)
                if digest.hexdigest() != found[1]:
                    yield f"has other bytes than its name says: {member.name}"
