"""`citadelle models lock, fetch, gguf, remove` before a registry: what they write, print, and with which exit code they end."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from rich.progress import Progress, TimeRemainingColumn, TransferSpeedColumn

from citadelle.cli.progress import LARGE, Bar, Lines, watcher
from citadelle.models.lock import ModelsLock
from tests.cli.conftest import Command
from tests.models.conftest import lay
from tests.models.fetching import Registry, running
from tests.models.test_fetch import same_files


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """The double serving `tmp_path/theirs`: the models tiny:chat and tiny-embed:latest."""
    lay(tmp_path / "theirs")
    with running(tmp_path / "theirs", tmp_path / "control") as found:
        yield found


def unsigned(folder: Path) -> str:
    """What is told of a lock without signatures."""
    return f"lock is not signed: {folder}/lock.json.sig is absent\n"


def test_from_a_registry_to_a_store_and_back(command: Command, registry: Registry, tmp_path: Path) -> None:
    lock, store = tmp_path / "lock.json", tmp_path / "store"
    where = ["--lock", str(lock), "--registry", registry.url]
    said = command("models", "lock", "tiny:chat", *where, "--purpose", "chat", "--licence", "MIT")
    assert said.code == 0
    assert said.out.startswith(f"--- {lock}\n+++ {lock} (new)\n@@ ")
    assert '+      "licence": "MIT",\n' in said.out
    assert said.err.startswith(f"{lock}: serial 1; nobody has signed it; review it, then: citadelle models sign")
    assert [model.short_name for model in ModelsLock.read(lock).models] == ["tiny:chat"]
    assert command("models", "lock", "tiny:chat", *where).out == f"{lock}: no change, serial 1\n"
    added = command("models", "lock", "tiny-embed", *where, "--purpose", "embeddings", "--licence", "MIT")
    assert (added.code, ModelsLock.read(lock).serial) == (0, 2)

    fetched = command("models", "fetch", "--store", str(store), *where)
    assert fetched.code == 0
    assert fetched.out.startswith(f"{store}: holds tiny-embed:latest, tiny:chat: ")
    assert "fetching tiny:chat model: 0.1 MB\n" in fetched.err
    assert same_files(store, tmp_path / "theirs")
    verifying = ["models", "verify", "--store", str(store), "--lock", str(lock)]
    assert command(*verifying).code == 0

    removed = command("models", "remove", "tiny-embed", "--store", str(store))
    assert removed.out.startswith(f"{store}: removed tiny-embed: ")
    assert command(*verifying).code == 1
    assert command("models", "lock", "--remove", "tiny-embed", "--expires", "2999-12-31T00:00:00Z", *where).code == 0
    assert command(*verifying).code == 0
    assert (ModelsLock.read(lock).serial, str(ModelsLock.read(lock).expires)) == (3, "2999-12-31 00:00:00+00:00")
    assert command("models", "lock", "--expires", "never", *where).code == 0
    assert ModelsLock.read(lock).expires is None


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks the network fails."""

    def refuse(*_: object) -> None:
        raise AssertionError("it asks the network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("kind", ["folder", "archive", "compressed archive"])
def test_without_a_network(command: Command, tmp_path: Path, kind: str) -> None:
    store, theirs = tmp_path / "store", tmp_path / "theirs"
    (tmp_path / "lock.json").write_bytes(ModelsLock.model_validate(lay(theirs)).canonical())
    source = theirs
    if kind != "folder":
        source = tmp_path / "models.tar"
        with tarfile.open(source, "w:gz" if kind.startswith("compressed") else "w") as tar:
            tar.add(theirs, "home/.ollama/models")
    arguments = ["models", "fetch", "--store", str(store), "--lock", str(tmp_path / "lock.json"), "--from", str(source)]
    only = command(*arguments, "--model", "tiny:chat")
    assert (only.code, only.out.split(": ")[1]) == (0, "holds tiny:chat")
    assert command(*arguments).code == 0
    assert same_files(store, theirs)
    assert command(*arguments).out.endswith(": 0 files brought, 0 bytes\n")
    blob = max((store / "blobs").iterdir(), key=lambda path: path.stat().st_size)
    blob.write_bytes(b"evil")
    wrong = command(*arguments)
    assert (wrong.code, wrong.out) == (1, "")
    assert wrong.err.startswith(
        f"{unsigned(tmp_path)}citadelle: wrong files in the store: {store}: model file does not match its lock: blobs/{blob.name}"
    )
    assert wrong.err.endswith("\nhint: find out why, remove them, then the same command again\n")


def test_no_such_place_to_fetch_from(command: Command, tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_bytes(ModelsLock.model_validate(lay(tmp_path / "theirs")).canonical())
    arguments = ["models", "fetch", "--store", str(tmp_path / "store"), "--lock", str(tmp_path / "lock.json")]
    none = command(*arguments, "--from", str(tmp_path / "none"))
    hint = "hint: --from takes a folder with manifests/ and blobs/, or a tar archive of one"
    assert (none.code, none.out, none.err) == (
        1,
        "",
        f"{unsigned(tmp_path)}citadelle: {tmp_path}/none: No such file or directory\n{hint}\n",
    )
    both = command(*arguments, "--from", "/", "--registry", "http://127.0.0.1:9")
    assert (both.code, both.err) == (
        2,
        "--registry and --from: only one place to fetch from\nhint: citadelle models fetch --help\n",
    )


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ([], 2, "nothing to lock: no model is named\nhint: "),
        (["evil:1"], 2, "new in the lock: registry.ollama.ai/library/evil:1\nhint: say --purpose and --licence"),
        (
            ["evil:1", "--purpose", "chat", "--licence", "MIT"],
            1,
            "citadelle: does not have it (404): http://127.0.0.1:",
        ),
        (["../evil", "--purpose", "chat", "--licence", "MIT"], 1, "citadelle: not a model name: '../evil'\nhint: "),
        (["--remove", "evil:1"], 1, "citadelle: model is not in the lock: registry.ollama.ai/library/evil:1\nhint: "),
        (["--remove", "tiny:chat", "--remove", "tiny-embed"], 1, "citadelle: no model would be left in the lock"),
        (["--expires", "tomorrow"], 2, "not a time: tomorrow\nhint: --expires 2027-12-31T00:00:00Z, or never"),
        (["--expires", "2026-01-01T00:00:00Z"], 2, "a time that is over: 2026-01-01T00:00:00Z\nhint: --expires 2027"),
        (["tiny:chat", "--purpose", "fun"], 2, ""),
    ],
)
def test_what_is_not_locked(
    command: Command, registry: Registry, tmp_path: Path, words: list[str], code: int, told: str
) -> None:
    lock = tmp_path / "lock.json"
    content = ModelsLock.model_validate(lay(tmp_path / "again")).canonical()
    lock.write_bytes(content)
    said = command("models", "lock", *words, "--lock", str(lock), "--registry", registry.url)
    assert (said.code, said.out) == (code, "")
    assert said.err.startswith(told)
    assert lock.read_bytes() == content


def test_a_gguf_and_its_lock(command: Command, tmp_path: Path) -> None:
    weights = b"GGUF" + bytes(1000)
    (tmp_path / "w.gguf").write_bytes(weights)
    (tmp_path / "LICENSE").write_text("MIT")
    recipe = {
        **{
            "name": "me/tiny:q4",
            "source": "https://publisher.example/w.gguf",
            "sha256": hashlib.sha256(weights).hexdigest(),
        },
        **{"purpose": "chat", "licence": "MIT", "licence_file": "LICENSE", "template": "{{ .Prompt }}"},
        **{"family": "llama", "parameters": "1K", "quantization": "F16"},
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(recipe))
    lock, store = tmp_path / "lock.json", tmp_path / "store"
    arguments = ["models", "gguf", str(tmp_path / "tiny.yaml"), "--store", str(store), "--lock", str(lock)]
    said = command(*arguments, "--file", str(tmp_path / "w.gguf"))
    assert said.code == 0
    assert '+      "source": "https://publisher.example/w.gguf"\n' in said.out
    assert command("models", "verify", "--store", str(store), "--lock", str(lock)).code == 0
    (tmp_path / "w.gguf").write_bytes(weights + b"X")
    lock.unlink()
    wrong = command(*arguments, "--file", str(tmp_path / "w.gguf"))
    assert (wrong.code, wrong.out) == (1, "")
    assert "sha256 is" in wrong.err
    assert not lock.exists()


def test_removing_what_is_not_there(command: Command, tmp_path: Path) -> None:
    lay(tmp_path / "store")
    said = command("models", "remove", "evil", "--store", str(tmp_path / "store"))
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("citadelle: not in the store: evil: ")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_lines_in_logs_a_bar_on_a_terminal() -> None:
    plain, terminal = io.StringIO(), Terminal()
    with watcher(plain) as lines:
        assert isinstance(lines, Lines)
        lines.begin("fetching mistral:latest model", 2 * LARGE)
        for _ in range(8):
            lines.advance(LARGE // 4)
        lines.begin("fetching mistral:latest params", 30)
        lines.advance(30)
    percents = [12, 25, 37, 50, 62, 75, 87, 100]
    assert plain.getvalue().splitlines() == [
        "fetching mistral:latest model: 134.2 MB",
        *(f"fetching mistral:latest model: {percent} %" for percent in percents),
        "fetching mistral:latest params: 30 bytes",
    ]
    with watcher(terminal) as bar:
        assert isinstance(bar, Bar)
        bar.begin("mistral:latest model", 100)
        bar.advance(100)
        bar.begin("mistral:latest params", 0)
    assert isinstance(bar._progress, Progress)
    assert {TransferSpeedColumn, TimeRemainingColumn} <= {type(column) for column in bar._progress.columns}
    assert next((task.description, task.completed, task.finished) for task in bar._progress.tasks) == (
        "mistral:latest model",
        100,
        True,
    )
    shown = terminal.getvalue()
    assert "mistral:latest model" in shown
    assert "100/100 bytes" in shown
    assert "0:00:00" in shown


def test_the_report_of_a_list_is_json(command: Command, tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_bytes(ModelsLock.model_validate(lay(tmp_path / "store")).canonical())
    listed = json.loads(command("models", "list", "--json", "--lock", str(tmp_path / "lock.json")).out)
    assert listed["models"][1]["bytes"] > 65536
