"""A release is named by its content, checked by the host's own tools, and holds no secret."""

from __future__ import annotations

import io
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadelle.release import Release, read_env, release, write_env
from tests.conftest import ROOT


def lay(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


FILES = {
    "compose.yaml": b"name: citadelle\n",
    "gateway/app.py": b"x = 1\n",
    "name with spaces": b"\0\xff",
    "empty": b"",
}


def test_same_content_same_id_and_same_bytes(tmp_path: Path) -> None:
    one, two = lay(tmp_path / "one", FILES), lay(tmp_path / "two", dict(reversed(FILES.items())))
    os.utime(two / "compose.yaml", (0, 0))
    (two / "compose.yaml").chmod(0o700)
    first, second = (release({"compose": folder}, {"stack.env": b"A=1\n"}) for folder in (one, two))
    assert first.id == second.id
    assert first.archive() == second.archive()


@pytest.mark.parametrize(
    ("name", "content"),
    [("compose.yaml", b"name: other\n"), ("gateway/new.py", b""), ("empty", b"x")],
    ids=["changed", "added", "filled"],
)
def test_any_difference_is_another_release(tmp_path: Path, name: str, content: bytes) -> None:
    folder = lay(tmp_path, FILES)
    before = release({"compose": folder}, {}).id
    lay(folder, {name: content})
    assert release({"compose": folder}, {}).id != before


def test_a_renamed_file_and_another_value_are_another_release(tmp_path: Path) -> None:
    folder = lay(tmp_path, FILES)
    before = release({"compose": folder}, {"stack.env": b"A=1\n"}).id
    assert release({"compose": folder}, {"stack.env": b"A=2\n"}).id != before
    (folder / "empty").rename(folder / "void")
    assert release({"compose": folder}, {"stack.env": b"A=1\n"}).id != before


def test_what_tools_leave_behind_stays_out(tmp_path: Path) -> None:
    folder = lay(tmp_path, FILES)
    before = release({"compose": folder}, {})
    lay(folder, {"gateway/__pycache__/app.pyc": b"x", ".mypy_cache/x": b"x", "gateway/tests/test_app.py": b"x"})
    assert release({"compose": folder}, {}) == before


def test_the_hosts_own_tar_and_sha256sum_accept_it(tmp_path: Path) -> None:
    content = release({"compose": lay(tmp_path / "source", FILES)}, {"stack.env": b"A=1\n"})
    host = tmp_path / "host"
    host.mkdir()
    unpack = ["tar", "--extract", "--no-same-owner", "--file", "-"]
    subprocess.run(unpack, cwd=host, input=content.archive(), check=True)
    check = ["sha256sum", "--check", "--quiet", "--strict", "MANIFEST.sha256"]
    assert subprocess.run(check, cwd=host, check=False).returncode == 0
    found = {path.relative_to(host).as_posix(): path.read_bytes() for path in host.rglob("*") if path.is_file()}
    assert found.pop("MANIFEST.sha256")
    assert found == content.files
    (host / "compose/empty").write_bytes(b"x")
    assert subprocess.run(check, cwd=host, check=False, capture_output=True).returncode == 1


def test_files_in_the_archive_are_plain_and_nobody_can_write_them() -> None:
    archive = Release("x", {"a/b": b"x"}).archive()
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        entries = tar.getmembers()
    assert [(entry.name, entry.isreg(), oct(entry.mode), entry.uid) for entry in entries] == [
        ("MANIFEST.sha256", True, "0o644", 0),
        ("a/b", True, "0o644", 0),
    ]


PLAIN = st.text(st.characters(codec="ascii", exclude_characters="\n\r\"'`$\\#", min_codepoint=33), max_size=30)


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z_]{0,9}", fullmatch=True), PLAIN, max_size=5))
def test_values_come_back_as_they_were_written(values: dict[str, str]) -> None:
    assert read_env(write_env(values).decode()) == values


@pytest.mark.parametrize("value", ["a\nB=1", "$HOME", "`id`", "a'b", 'a"b', "a\\b", "a #b"])
def test_a_value_that_could_be_taken_for_more_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="not a plain value: A="):
        write_env({"A": value})


def test_comments_and_empty_lines_are_skipped() -> None:
    assert read_env("# A=1\n\n B = 2 \nC=a=b\n") == {"B": "2", "C": "a=b"}


@pytest.fixture
def canary() -> str:
    return "canary-5b2e91"


def test_no_secret_of_the_controller_gets_into_the_stacks_release(
    canary: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is packed is the two folders and three files of plain values: nothing of the environment, .env or the lab's keys."""
    from citadelle.accelerator.decision import Choice
    from citadelle.accelerator.hardware import Hardware
    from roles.model_files.settings import ModelFilesSettings
    from roles.observability.settings import ObservabilitySettings
    from roles.stack.deploy import stack_release
    from roles.stack.models import Offered, chat_model
    from roles.stack.settings import StackSettings
    from tests.accelerator.gguf import sizing

    monkeypatch.setenv("GATEWAY_KEY", canary)
    monkeypatch.setenv("STACK_PASSWORD", canary)
    lock = tmp_path / "images.lock.env"
    lock.write_text(
        "".join(f"{name}=x:1@sha256:{'0' * 64}\n" for name in ("ENGINE_IMAGE", "GATEWAY_IMAGE", "RAG_IMAGE"))
    )
    lock.write_text(lock.read_text() + f"REGISTRY_PASSWORD={canary}\n")
    settings = StackSettings(stack_images_lock=lock)
    model = chat_model(settings, ModelFilesSettings(models_lock=ROOT / "policies/models.lock.json"))
    content = stack_release(
        settings,
        Offered(model),
        sizing(Choice("auto", "ollama", frozenset(settings.locked_images()))),
        Hardware(),
        ObservabilitySettings(),
    )
    assert canary.encode() not in content.archive()
    assert {path.split("/")[0] for path in content.files} == {
        "compose",
        "policies",
        "images.lock.env",
        "stack.env",
        "plan.json",
    }
    assert not [path for path in content.files if path.endswith((".key", ".pem", ".env.local")) or "/.env" in path]
    assert b"PRIVATE KEY" not in content.archive()
    assert not [path for path, text in content.files.items() if re.search(rb"ck_[\w-]{40}", text)]
