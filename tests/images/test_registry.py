"""What is asked of a registry, and what of its answers is believed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from citadelle.registry import HUB, LARGEST, Found, Image, Registry, RegistryError
from tests.images.registry import INDEX, Double, digest, index, serving

TWO = index("linux/amd64", "linux/arm64")


@pytest.fixture
def double() -> Iterator[Double]:
    with serving() as found:
        yield found


def find(double: Double, reference: str = "1", path: str = "a/b") -> Found | None:
    return Registry().find(Image(double.host, path, "1"), reference)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("python:3.14", "docker.io/library/python:3.14"),
        ("ollama/ollama:0.35.1-rocm", "docker.io/ollama/ollama:0.35.1-rocm"),
        (f"docker.io/ollama/ollama:1@sha256:{'a' * 64}", f"docker.io/ollama/ollama:1@sha256:{'a' * 64}"),
        ("ghcr.io/ggml-org/llama.cpp:server-openvino", "ghcr.io/ggml-org/llama.cpp:server-openvino"),
        ("127.0.0.1:5000/two/engine:1", "127.0.0.1:5000/two/engine:1"),
        ("localhost/x:1", "localhost/x:1"),
    ],
)
def test_names(text: str, wanted: str) -> None:
    assert str(Image.parse(text)) == wanted


@pytest.mark.parametrize(
    "text", ["", "python", "python@sha256:" + "a" * 64, "python:3.14@sha256:abc", "Python:1", "a:1 b", "https://a/b:1"]
)
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not an image with a tag: "):
        Image.parse(text)


def test_a_tag_and_its_digest_with_a_token_for_everybody(double: Double) -> None:
    pushed = double.push("a/b:1", TWO)
    assert find(double) == find(double, pushed) == Found(pushed, True, frozenset({"linux/amd64", "linux/arm64"}))
    assert [path.partition("?")[0] for path, _ in double.asked[:3]] == [
        "/v2/a/b/manifests/1",
        "/token",
        "/v2/a/b/manifests/1",
    ]
    assert double.asked[1][1] == ""


def test_what_it_does_not_have(double: Double) -> None:
    double.push("a/b:1", TWO)
    assert find(double, "2") is None
    assert find(double, f"sha256:{'0' * 64}") is None


def test_no_password_of_the_operator_is_sent(double: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password canary-7f3a\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    double.push("a/b:1", TWO)
    assert find(double)
    assert not [said for _, said in double.asked if said and not said.startswith("Bearer for ")]


WRONG = {
    "other bytes": ((200, {"Content-Type": INDEX}, TWO), "sends other bytes than sha256:"),
    "no JSON": ((200, {"Content-Type": INDEX}, b"<html>"), "sends no manifest: "),
    "a list": ((200, {"Content-Type": INDEX}, b"[]"), "sends no manifest: "),
    "a page": ((200, {"Content-Type": "text/html"}, b"{}"), "sends no manifest: "),
    "too much": ((200, {"Content-Type": INDEX}, bytes(LARGEST + 1)), f"sends more than {LARGEST} bytes"),
    "broken off": ((200, {"Content-Length": "99999"}, TWO), "broke off: "),
    "elsewhere": ((307, {"Location": "http://example.org/"}, b""), "leads elsewhere: "),
    "unwell": ((503, {}, b""), "answers 503: "),
    "a login": ((401, {"WWW-Authenticate": 'Basic realm="x"'}, b""), "asks for a login: "),
    "a token over http": (
        (401, {"WWW-Authenticate": 'Bearer realm="http://example.org/token"'}, b""),
        "asks for a login: ",
    ),
    "no challenge": ((401, {}, b""), "answers 401: "),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_answer(double: Double, case: str) -> None:
    answer, said = WRONG[case]
    wanted = digest(TWO + b" ") if case == "other bytes" else "1"
    double.told[f"a/b:{wanted}"] = answer
    with pytest.raises(RegistryError, match=f"^{said}"):
        find(double, wanted)


def test_nobody_there() -> None:
    with pytest.raises(RegistryError, match=r"^does not answer: http://127\.0\.0\.1:1/v2/a/b/manifests/1: "):
        Registry().find(Image("127.0.0.1:1", "a/b", "1"), "1")


@pytest.mark.parametrize(
    ("host", "url"),
    [("docker.io", f"https://{HUB}/v2/"), ("ghcr.io", "https://ghcr.io/v2/"), ("10.0.0.1:5000", "https://10.0.0.1")],
)
def test_anywhere_else_it_is_https(host: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    registry = Registry()
    monkeypatch.setattr(
        registry, "_get", lambda address, key: asked.append(address) or (_ for _ in ()).throw(RegistryError("x"))
    )
    with pytest.raises(RegistryError):
        registry.find(Image(host, "a/b", "1"), "1")
    assert asked[0].startswith(url)
