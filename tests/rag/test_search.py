"""The passages' service over its real Unix socket, as the process that the container runs."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rag.figures import OUTCOMES
from rag.health import ask as ask_health

from citadelle.observability import documents

PACKAGE = Path(__file__).resolve().parents[2] / "compose" / "rag"
CANARY = "canary5c1e9a"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the socket of the shared service is to be."""
    return tmp_path_factory.mktemp("rag") / "rag.sock"


@pytest.fixture(scope="module")
def service(place: Path) -> Iterator[subprocess.Popen[str]]:
    """`python -m rag` on that socket, one for all tests that leave it as it was."""
    with running(place) as started:
        yield started


@contextmanager
def running(place: Path, until: int = 200) -> Iterator[subprocess.Popen[str]]:
    """The service, answering; ended at the end."""
    started = start(place)
    try:
        wait_for(place, until)
        yield started
    finally:
        started.kill()
        started.wait()


def environment(place: Path) -> dict[str, str]:
    index = place.with_name("index.sqlite")
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PACKAGE),
        "RAG_SOCKET": str(place),
        "RAG_INDEX": str(index),
    } | {"RAG_HEALTH": str(place.parent)}


def start(place: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rag"]
    return subprocess.Popen(
        command, env=environment(place), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for(place: Path, until: int) -> None:
    """Until the service answers so, at most 20 seconds."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if ask(place, "GET", "/healthz")[0] == until:
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the service does not answer")


def ask(place: Path, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, object]]:
    """One request over the socket; status and decoded answer."""
    head = f"{method} {path} HTTP/1.1\r\nHost: rag\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(10)
        client.connect(str(place))
        client.sendall(head.encode() + body)
        answer = b""
        while chunk := client.recv(65536):
            answer += chunk
    top, _, content = answer.partition(b"\r\n\r\n")
    return int(top.split(b" ")[1]), json.loads(content) if content else {}


def search(place: Path, **query: object) -> tuple[int, dict[str, object]]:
    return ask(place, "POST", "/search", json.dumps(query).encode())


@pytest.mark.usefixtures("service")
def test_without_an_index_a_question_has_no_passages(place: Path) -> None:
    assert search(place, query="How many days?", limit=5) == (200, {"passages": [], "by": "words"})
    assert search(place, query="x") == (200, {"passages": [], "by": "words"})


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    "query",
    [
        {}, {"query": ""}, {"query": 1}, {"query": None}, {"query": ["x"]}, {"query": "x" * 2001}, {"query": "x", "limit": 0},
        {"query": "x", "limit": 21}, {"query": "x", "limit": "5"}, {"query": "x", "limit": True}, {"query": "x", "groups": "all"},
        {"query": "x", "groups": ["a b"]}, {"query": "x", "groups": ["all"] * 257}, {"query": "x", "vector": ["1"]},
        {"query": "x", "embedder": "e" * 257}, {"query": "x", "vector": [0.0] * 4097}, {"query": "x", "user": "me"},
    ],
)  # fmt: skip
def test_wrong_questions_are_refused(place: Path, query: dict[str, object]) -> None:
    assert search(place, **query) == (400, {"error": "invalid_query"})


@pytest.mark.usefixtures("service")
def test_bodies_that_are_no_question(place: Path) -> None:
    for body in (b"", b"{", b"[]", b"null", b"\xff", b"[" * 5000):
        assert ask(place, "POST", "/search", body) == (400, {"error": "invalid_query"}), body
    assert ask(place, "POST", "/search", b" " * (64 * 1024 + 1)) == (413, {"error": "body_too_large"})


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/search"), ("PUT", "/search"), ("POST", "/search/"), ("POST", "//search"), ("POST", "/%73earch"), ("POST", "/healthz"),
        ("GET", "/"), ("GET", "/docs"), ("DELETE", "/search"), ("POST", "/SEARCH"),
    ],
)  # fmt: skip
def test_nothing_else_is_there(place: Path, method: str, path: str) -> None:
    assert ask(place, method, path, b"{}" if method == "POST" else b"") == (404, {"error": "unknown_route"})


@pytest.mark.usefixtures("service")
def test_the_socket_is_for_owner_and_group_only(place: Path) -> None:
    status = place.stat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o660


def test_it_listens_nowhere_else(service: subprocess.Popen[str]) -> None:
    inodes = {os.readlink(path) for path in Path(f"/proc/{service.pid}/fd").iterdir()}
    tables = [Path(f"/proc/{service.pid}/net/{name}").read_text() for name in ("tcp", "tcp6", "udp", "udp6", "raw")]
    listed = {f"socket:[{line.split()[9]}]" for table in tables for line in table.splitlines()[1:]}
    assert inodes & listed == set()


@pytest.mark.lab
def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    place = tmp_path / "rag.sock"
    with running(place):
        pass
    assert place.exists()
    with running(place):  # answers again
        pass


def test_nothing_of_a_question_is_logged(tmp_path: Path) -> None:
    place = tmp_path / "rag.sock"
    with running(place) as service:
        search(place, query=CANARY)
        search(place, wrong=CANARY)
        ask(place, "POST", "/search", CANARY.encode())
        ask(place, "GET", f"/{CANARY}")
        service.send_signal(signal.SIGTERM)
        output, _ = service.communicate(timeout=15)
    assert output == ""


@pytest.mark.lab
def test_users_that_are_not_named_are_refused(tmp_path: Path) -> None:
    """The file's mode lets root in whoever the service is; the kernel's word on the peer does not."""
    place, me = tmp_path / "rag.sock", os.getuid()
    code = "import os, sys, rag.__main__ as m; os.getuid = lambda: 1; sys.exit(m.main())"  # as if it were another's service
    for users, is_known in (("10002", False), (f"10002,{me}", True)):
        started = subprocess.Popen(
            [sys.executable, "-c", code], env=environment(place) | {"RAG_USERS": users}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            wait_until_healthy(place)
            if is_known:
                assert ask(place, "GET", "/healthz")[0] == 200
            else:
                with pytest.raises((ConnectionError, IndexError)):
                    ask(place, "GET", "/healthz")
        finally:
            started.kill()
            output, _ = started.communicate()
        assert output == ("" if is_known else f"rag: connection refused: of user {me}\n")


def wait_until_healthy(place: Path) -> None:
    deadline = time.monotonic() + 20
    while health(place).returncode:
        assert time.monotonic() < deadline, "the service does not answer"


def health(place: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rag.health"]
    return subprocess.run(command, env=environment(place), capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.usefixtures("service")
def test_the_health_check_asks_for_real(place: Path) -> None:
    for _ in range(2):
        assert health(place).stdout.startswith("ready {")
        assert health(place).returncode == 0


@pytest.mark.usefixtures("service")
def test_the_health_check_tells_figures_and_nothing_of_a_question(place: Path) -> None:
    before = json.loads(health(place).stdout.removeprefix("ready "))
    assert ask(place, "POST", "/search", b'{"query":"canary-word","groups":["canary-group"]}')[0] == 200
    assert ask(place, "POST", "/search", b'{"query":""}')[0] == 400
    assert ask(place, "GET", "/status")[0] == 200
    said = health(place).stdout
    after = json.loads(said.removeprefix("ready "))
    assert "canary" not in said
    assert {name: after["questions"][name] - before["questions"][name] for name in after["questions"]} == {
        "vectors": 0, "words": 1, "refused": 1, "failed": 0,
    }  # fmt: skip
    assert after["seconds"] > before["seconds"]
    assert after.keys() == {"ready", "documents", "passages", "index", "questions", "seconds"}
    assert after["documents"] == ask(place, "GET", "/status")[1]["documents"]
    assert tuple(after["questions"]) == OUTCOMES
    assert sum(1 for _ in documents.samples({"Log": [{"ExitCode": 0, "Output": said}]})) == 8


@pytest.mark.lab
def test_the_health_check_fails_without_the_service(tmp_path: Path) -> None:
    place = tmp_path / "rag.sock"
    assert health(place).stdout == "FileNotFoundError\n"
    place.with_name("index.sqlite").write_bytes(os.urandom(9000))
    with running(place, until=503) as service:
        assert (health(place).stdout, health(place).returncode) == ("index_broken\n", 1)
        service.send_signal(signal.SIGSTOP)  # there, and mute
        assert ask_health(tmp_path, 0.2) == b""
    assert health(place).stdout == "OSError\n"  # pipes alone prove nothing
