"""Requests that are none: seeded, so that a failure can be made again. `wrong(number)` gives the bytes of one."""

import gzip
import json
import random
from collections.abc import Callable

from .conftest import KEY, MODEL

Make = Callable[[random.Random], bytes]
PATHS = ["/v1/chat/completions", "/api/chat", "/v1/embeddings", "/api/embed", "/v1/models", "/api/tags", "/healthz"]
TRICKS = ["//", "/%2f", "/./", "/../", ";", "%00", "\\", "?", "#", "\u00e9", "%", "%zz", "/" * 50, "*"]
NUMBERS = [
    "1e999",
    "-1e999",
    "9" * 400,
    "1" + "0" * 5000,
    "NaN",
    "Infinity",
    "0x10",
    "1.",
    "-",
    "00",
    "1e-999",
    "18446744073709551616",
]
TEXTS = [
    '"\\ud800"',
    '"\\u0000"',
    '"\x01"',
    '"' + "x" * 20000 + '"',
    '"\\x"',
    '"',
    '"\xff"',
    "null",
    "true",
    "{}",
    "[]",
    '[{"role":"system"}]',
]
GOOD = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": False, "max_tokens": 3}


def request(
    body: bytes, path: str = PATHS[0], *headers: str, method: str = "POST", length: int | str | None = None
) -> bytes:
    """A request with a key; `length` is what it claims to be long."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {KEY}",
        "Content-Type: application/json",
        *headers,
    ]
    lines += [f"Content-Length: {len(body) if length is None else length}", "Connection: close"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape") + body


def flipped(chance: random.Random) -> bytes:
    """A good request with some bytes changed."""
    raw = bytearray(request(json.dumps(GOOD).encode(), chance.choice(PATHS)))
    for _ in range(chance.randint(1, 6)):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    return bytes(raw)


def cut(chance: random.Random) -> bytes:
    """One that ends too early, or has a piece twice."""
    raw = request(json.dumps(GOOD).encode(), chance.choice(PATHS))
    place, other = sorted(chance.randrange(len(raw)) for _ in range(2))
    return raw[:place] if chance.random() < 0.5 else raw[:other] + raw[place:]


def noise(chance: random.Random) -> bytes:
    """Bytes."""
    return chance.randbytes(chance.randint(1, 300)) + b"\r\n\r\n"


def lied(chance: random.Random) -> bytes:
    """A body of another length than it says, or two lengths, or pieces of wrong sizes."""
    body = json.dumps(GOOD).encode()
    match chance.randrange(4):
        case 0:
            return request(body, length=chance.choice([0, 1, "-1", "x", "1,1", 10**30, " 5", "+5", "5 5", "0x5"]))
        case 1:
            return request(body, PATHS[0], f"Content-Length: {chance.randint(0, 99)}")
        case 2:
            size = chance.choice(["zz", "-1", "ffffffffffffffffff", "5;x=y", "0", "%x" % (len(body) + 1), ""])
            piece = f"{size}\r\n".encode() + body + b"\r\n0\r\n\r\n"
            return request(b"", PATHS[0], "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"") + piece
        case _:
            return request(
                body,
                PATHS[0],
                f"Transfer-Encoding: {chance.choice(['chunked', 'gzip', 'identity', 'chunked, chunked', 'x'])}",
            )


def strange_path(chance: random.Random) -> bytes:
    """Another spelling of a path or method."""
    path = chance.choice(PATHS)
    place = chance.randrange(len(path) + 1)
    form = path[:place] + chance.choice(TRICKS) + path[place:]
    form = chance.choice([form, path.upper(), f"http://x{form}", form.swapcase(), form[1:]])
    return request(
        json.dumps(GOOD).encode(),
        form,
        method=chance.choice(["POST", "GET", "PUT", "post", "HEAD", "OPTIONS", "CONNECT", "P\x00ST"]),
    )


def strange_json(chance: random.Random) -> bytes:
    """JSON, or nearly, that means nothing here."""
    value = chance.choice(
        [*NUMBERS, *TEXTS, "[" * 2000, "[" * 40 + "]" * 40, '{"a":' * 40 + "1" + "}" * 40, '{"a":1,"a":2}']
    )
    field = chance.choice(
        [*GOOD, "tools", "stop", "options", "stream_options", "input", "temperature", "seed", "prompt"]
    )
    pairs = [f'"{name}":{json.dumps(given)}' for name, given in GOOD.items() if chance.random() < 0.9]
    body = "{" + ",".join([*pairs, f'"{field}":{value}']) + chance.choice(["}", "}}", "", ",}"])
    return request(body.encode("utf-8", "surrogateescape"), chance.choice(PATHS))


def strange_head(chance: random.Random) -> bytes:
    """Headers that say one thing and another."""
    one = chance.choice([
        f"Authorization: Bearer {KEY}", "Content-Type: text/plain", "Host: y", "Content-Encoding: gzip", "X: " + "y" * 9000, ": x",
        "X y: z", "X:\x00",
        "Expect: 100-continue", "Upgrade: h2c", "Connection: upgrade", "Authorization: Basic !!!", "X\xe9: y", " folded: x",
        "Cookie: " + "a=b;" * 2000,
    ])  # fmt: skip
    body = json.dumps(GOOD).encode()
    return request(gzip.compress(b"0" * 100000) if "gzip" in one else body, chance.choice(PATHS), one)


KINDS: list[Make] = [flipped, cut, noise, lied, strange_path, strange_json, strange_json, strange_head]


def wrong(number: int) -> bytes:
    """The malformed request of this number."""
    return KINDS[number % len(KINDS)](random.Random(number))
