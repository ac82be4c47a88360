"""`citadelle images lock` and `check`, before a stand-in for a registry."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from citadelle import images
from citadelle.image_lock import ENTRY, changed
from citadelle.registry import Image
from tests.cli.conftest import Command
from tests.conftest import ROOT
from tests.images import archive
from tests.images.registry import Double, index, serving

TWO, OTHER, ARM = index("linux/amd64", "linux/arm64"), index("linux/amd64", note="later"), index("linux/arm64")
SOURCES = "4 public sources agree; confirm with docker buildx imagetools inspect before a release."


@pytest.fixture
def double() -> Iterator[Double]:
    with serving() as found:
        yield found


@pytest.fixture
def pins(double: Double, tmp_path: Path) -> Path:
    """A lock as the real one is written, of two images of the double's."""
    file = tmp_path / "pins.env"
    one, two = double.push("a/one:1", TWO), double.push("a/two:2", OTHER)
    first = f"# Head.\n\n# Engine. {SOURCES}\nONE_IMAGE={double.host}/a/one:1@{one}\n"
    file.write_text(f"{first}\n# Base. {SOURCES}\nTWO_IMAGE={double.host}/a/two:2@{two}\n")
    return file


def test_a_lock_that_its_registries_confirm(command: Command, double: Double, pins: Path) -> None:
    before = pins.read_bytes()
    said = command("images", "lock", "--pins", str(pins))
    assert (said.code, said.out, pins.read_bytes()) == (0, f"{pins}: no change\n", before)
    said = command("images", "check", "--pins", str(pins))
    assert (said.code, re.findall(r"(?m)^\w+ +\w+", said.out)) == (0, ["ok   ONE_IMAGE", "ok   TWO_IMAGE"])


def test_a_tag_that_moved_is_shown_and_written_for_review(command: Command, double: Double, pins: Path) -> None:
    moved = double.push("a/one:1", OTHER)
    said = command("images", "lock", "--pins", str(pins))
    assert said.code == 0
    assert f"+ONE_IMAGE={double.host}/a/one:1@{moved}\n" in said.out
    assert "TWO_IMAGE=" not in "".join(line for line in said.out.splitlines(True) if line.startswith(("+", "-")))
    assert (
        f"# Engine. Asked at {double.host} on {date.today()}.\nONE_IMAGE={double.host}/a/one:1@{moved}\n"
        in pins.read_text()
    )
    assert SOURCES in pins.read_text()
    assert pins.read_text().startswith("# Head.\n\n")
    again = command("images", "lock", "--pins", str(pins))
    assert again.out == f"{pins}: no change\n"


def test_a_new_entry_and_another_tag(command: Command, double: Double, pins: Path) -> None:
    three, four = double.push("c/three:3", TWO), double.push("a/two:4", TWO)
    said = command(
        "images",
        "lock",
        f"THREE_IMAGE={double.host}/c/three:3",
        f"TWO_IMAGE={double.host}/a/two:4",
        "--pins",
        str(pins),
    )
    assert said.code == 0
    locked = dict(re.findall(r"(?m)^(\w+)=(.*)$", pins.read_text()))
    assert locked["THREE_IMAGE"] == f"{double.host}/c/three:3@{three}"
    assert locked["TWO_IMAGE"] == f"{double.host}/a/two:4@{four}"
    assert command("images", "check", "--pins", str(pins)).code == 0


def test_one_that_was_left_open_is_told_and_locked_where_it_stands(
    command: Command, double: Double, pins: Path
) -> None:
    three, text = double.push("c/three:3", TWO), pins.read_text()
    left = f"# Three. Not locked: no digest of it was found in public places.\n#THREE_IMAGE={double.host}/c/three:3\n\n"
    pins.write_text(text.replace("# Head.\n\n", f"# Head.\n\n{left}"))
    assert command("images", "lock", "--pins", str(pins)).out == f"{pins}: no change\n"
    said = command("images", "check", "--pins", str(pins))
    word = f"THREE_IMAGE={double.host}/c/three:3"
    assert (said.code, said.out.splitlines()[-1]) == (
        0,
        f"open THREE_IMAGE: refused until citadelle images lock {word}",
    )
    assert command("images", "lock", word, "--pins", str(pins)).code == 0
    locked = f"# Three. Asked at {double.host} on {date.today()}.\n{word}@{three}\n\n"
    assert pins.read_text() == text.replace("# Head.\n\n", f"# Head.\n\n{locked}")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "has no such tag"),
        (ARM, "has nothing for linux/amd64"),
        (
            b'{"mediaType": "application/vnd.oci.image.manifest.v1+json"}',
            "leads to an image of one platform instead of an index",
        ),
        (b"<html>", "sends no manifest"),
    ],
)
def test_what_will_not_do_leaves_the_lock_as_it_is(
    command: Command, double: Double, pins: Path, content: bytes | None, said: str
) -> None:
    double.push("a/one:1", OTHER)  # a change that would otherwise be written
    if content is not None:
        double.push("a/two:9", content)
    before = pins.read_bytes()
    done = command(
        "images", "lock", f"ONE_IMAGE={double.host}/a/one:1", f"TWO_IMAGE={double.host}/a/two:9", "--pins", str(pins)
    )
    assert (done.code, done.out, pins.read_bytes()) == (1, "", before)
    assert re.match(f"citadelle: TWO_IMAGE: {said}: .*\nhint: ", done.err)


@pytest.mark.parametrize("word", ["ONE_IMAGE", "one=a:1", f"ONE_IMAGE=a:1@sha256:{'a' * 64}", "=a:1"])
def test_a_word_that_is_no_entry_is_wrong_use(command: Command, pins: Path, word: str) -> None:
    said = command("images", "lock", word, "--pins", str(pins))
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"not NAME=image:tag: {word}\nhint: ")


def test_absent_pins(command: Command, tmp_path: Path) -> None:
    for words in (("lock",), ("check",)):
        said = command("images", *words, "--pins", str(tmp_path / "none"))
        assert (said.code, said.err.partition("\n")[0]) == (2, f"pins of images are absent: {tmp_path}/none")


def test_check_tells_what_is_gone_what_is_wrong_and_where_a_tag_went(
    command: Command, double: Double, pins: Path
) -> None:
    moved = double.push("a/one:1", OTHER)  # the double keeps no content without a tag: that digest is gone now
    double.push("a/one:old", TWO)
    pins.write_text(
        pins.read_text()
        + f"\nGONE_IMAGE={double.host}/a/two:2@sha256:{'0' * 64}\nTAG_IMAGE={double.host}/a/two:2\nBAD_IMAGE=???\n"
    )
    said = command("images", "check", "--pins", str(pins))
    assert said.code == 1
    assert said.err.startswith(
        "hint: https_proxy, SSL_CERT_FILE where a registry does not answer; else citadelle images lock"
    )
    lines = dict(re.findall(r"(?m)^(?:ok|FAIL) +(\w+): (.*)$", said.out))
    assert lines["ONE_IMAGE"].endswith(f"; the tag leads to {moved} by now")
    assert lines["GONE_IMAGE"].startswith("its registry does not have it any more: ")
    assert lines["TAG_IMAGE"].startswith("has no digest: ")
    assert lines["BAD_IMAGE"] == "not an image with a tag: ???"
    assert re.findall(r"(?m)^ok +(\w+)", said.out) == ["ONE_IMAGE", "TWO_IMAGE"]


def test_an_empty_lock_is_not_right(command: Command, tmp_path: Path) -> None:
    (tmp_path / "pins.env").write_text("# nothing\n")
    assert command("images", "check", "--pins", str(tmp_path / "pins.env")).code == 1


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """An archive with its lock, as `images build` leaves them."""
    files: dict[str, bytes] = {}
    named = {name: archive.manifest(files, name) for name in ("citadelle/gateway:1", "citadelle/rag:1")}
    archive.write(tmp_path / "images.tar", files, named)
    digests = images.manifest_digests(tmp_path / "images.tar")
    (tmp_path / "images.lock.env").write_text(
        "".join(f"X{number}={name}@{digest}\n" for number, (name, digest) in enumerate(digests.items()))
    )
    return tmp_path / "images.tar"


def test_an_archive_that_is_its_lock(command: Command, saved: Path) -> None:
    said = command("images", "check", "--archive", str(saved))
    assert (said.code, said.out) == (0, f"ok   {saved}: every byte is what its lock names\n")


def spoil(saved: Path) -> str:
    """One byte of one layer differs, the names all stay."""
    with tarfile.open(saved) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    wrong = next(name for name, content in members.items() if content.startswith(b"layer of"))
    members[wrong] = members[wrong][:-1] + b"?"
    with tarfile.open(saved, "w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return wrong


def test_a_byte_that_differs_in_an_archive_is_found(command: Command, saved: Path) -> None:
    wrong = spoil(saved)
    said = command("images", "check", "--archive", str(saved))
    assert (said.code, said.out) == (1, f"FAIL has other bytes than its name says: {wrong}\n")
    assert said.err == "hint: citadelle images build DIR makes both anew\n"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda text: text.replace("sha256:", "sha256:0").replace("sha256:0", "sha256:", 1),
            "is in the archive as sha256:",
        ),
        (lambda text: text + f"Y=citadelle/other:1@sha256:{'0' * 64}\n", "is not in the archive: Y="),
        (lambda text: text + "Y=citadelle/rag:1\n", "has no digest: Y="),
        (lambda text: "", "names no image: "),
    ],
)
def test_an_archive_that_is_not_its_lock(command: Command, saved: Path, change, said: str) -> None:
    lock = saved.with_name("images.lock.env")
    lock.write_text(change(lock.read_text()))
    done = command("images", "check", "--archive", str(saved))
    assert done.code == 1
    assert re.search(f"(?m)^FAIL {said}", done.out)


def test_the_real_lock_is_in_the_form_that_is_written() -> None:
    text = (ROOT / "compose/images.lock.env").read_text()
    entries = {match["name"]: Image.parse(match["reference"]) for match in ENTRY.finditer(text)}
    assert len(entries) >= 4
    assert all(image.digest for image in entries.values())
    assert changed(text, entries, date(2026, 1, 1)) == text


FROM = re.compile(r"(?m)^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE)
IMAGE = re.compile(r"(?m)^\s*(?:- )?image:\s*(\S+)")


# Made here, of Debian's packages: tests/lab/debian.py.
OWN = re.compile(r"citadelle-lab/\S+")


def loose(path: str, text: str) -> list[str]:
    """References of a Compose file or a Dockerfile that a registry could answer in more than one way."""
    stages = {found[1] for found in FROM.findall(text)} if "Dockerfile" in path else set()
    named = [found[0] for found in FROM.findall(text)] if "Dockerfile" in path else IMAGE.findall(text)
    copied = re.findall(r"--from=(\S+)", text) if "Dockerfile" in path else []
    free = [name for name in (*named, *copied) if name not in stages and name != "scratch" and not OWN.fullmatch(name)]
    return [name for name in free if not re.fullmatch(r"\$\{\w+(:\?)?\}|.+@sha256:[0-9a-f]{64}", name)]


def product_files() -> list[Path]:
    """Of the project alone: an environment of Python beside it has Dockerfiles too."""
    listed = subprocess.run(
        ["git", "ls-files", "compose/*.yaml", "*Dockerfile*"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return sorted(ROOT / name for name in listed.stdout.splitlines())


@pytest.mark.parametrize("path", product_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_image_is_named_by_a_tag_alone(path: Path) -> None:
    assert loose(path.name, path.read_text()) == []


def test_a_tag_alone_is_noticed() -> None:
    assert len(product_files()) > 8
    assert loose(
        "Dockerfile",
        "FROM python:3.14 AS build\nFROM ${DEBIAN_IMAGE}\nCOPY --from=build /a /a\nCOPY --from=alpine:3 /b /b\n",
    ) == ["python:3.14", "alpine:3"]
    assert loose("compose.yaml", "services:\n  a:\n    image: redis:7\n  b:\n    image: ${RAG_IMAGE:?}\n") == [
        "redis:7"
    ]
