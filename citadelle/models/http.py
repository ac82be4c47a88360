"""Bytes over HTTP from a registry that is not trusted: no credentials, redirects judged one by one, every wait bounded.

What comes is held against sizes here and against digests by the callers. Raises `RegistryError`; its kind `Passing` is worth another try.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from citadelle.models import verify

HOPS = 5
REDIRECTS = {301, 302, 303, 307, 308}
RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
T = TypeVar("T")


class RegistryError(verify.Refused):
    """The registry's answer is wrong; asking again would not help."""


class Passing(RegistryError):
    """The registry is not well at the moment; `after`: seconds that it asks to wait."""

    def __init__(self, what: str, after: float = 0) -> None:
        super().__init__(what)
        self.after = after


class NoRanges(RegistryError):
    """The registry sends whole files only."""


@dataclass(frozen=True)
class Patience:
    """Seconds to `connect` and to wait for a next byte (`read`); `tries` without any progress; the first `pause` between two of them
    (it doubles, up to `longest`); `slowest`: bytes a second below which a transfer counts as stuck, judged every `read` seconds."""

    connect: float = 10
    read: float = 30
    tries: int = 6
    pause: float = 1
    longest: float = 30
    slowest: int = 1024

    def seconds(self, failed: int, error: Passing) -> float:
        """How long to wait after that many failures in a row."""
        return min(self.longest, max(error.after, self.pause * 2 ** max(0, failed - 1)))

    def insist(self, action: Callable[[], T]) -> T:
        """What `action` returns, tried again while its failures are passing ones."""
        for failed in range(1, self.tries):
            try:
                return action()
            except Passing as error:
                time.sleep(self.seconds(failed, error))
        return action()


def checked_url(url: str) -> str:
    """An address without a slash at its end. Raises `RegistryError` for anything but plain http(s)://host[:port][/path]."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise RegistryError(f"not a plain http(s) address: {url}")
    if parts.username is not None or parts.password is not None:
        raise RegistryError(f"an address carries no credentials: {parts.scheme}://...@{parts.hostname}")
    return url.rstrip("/")


def _no_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """In the place of requests' own look into ~/.netrc."""
    return request


class Http:
    """GET and nothing else. One for many threads."""

    def __init__(self, patience: Patience | None = None) -> None:
        self.patience = patience or Patience()
        self._session = requests.Session()
        self._reading: set[requests.Response] = set()
        self._stopped = False
        self._session.auth = _no_credentials
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.headers.update({"Accept-Encoding": "identity", "User-Agent": "citadelle"})
        # A company's own authority often stands in the machine's bundle alone, which requests does not read by itself.
        self._session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or True

    def small(self, url: str, accept: str = "*/*") -> bytes:
        """A body of at most 1 MiB, with retries."""
        return self.patience.insist(lambda: self._small(url, accept))

    def size(self, url: str) -> int:
        """Bytes of the file at `url`, with retries."""
        return self.patience.insist(lambda: self._size(url))

    def body(self, url: str, start: int, end: int, size: int) -> Iterator[bytes]:
        """Bytes [start, end) of the file at `url` that has `size` bytes, piece by piece, without retries."""
        with self._get(url, {"Range": f"bytes={start}-{end - 1}"}) as response:
            skip = _skipped(response, start, end, size)
            for piece in self._pieces(response, skip + end - start):
                yield piece[skip:]
                skip = max(0, skip - len(piece))

    def stop(self) -> None:
        """End what other threads wait for, for good, as if the registry had broken off: whoever gives up need not be patient."""
        self._stopped = True
        for response in list(self._reading):
            with suppress(ValueError, RuntimeError, OSError):  # it has ended by itself
                response.raw.shutdown()

    def _small(self, url: str, accept: str) -> bytes:
        with self._get(url, {"Accept": accept}) as response:
            raw = b""
            while piece := _read(response):
                raw += piece
                if len(raw) > verify.SMALL:
                    raise RegistryError(f"larger than {verify.SMALL} bytes: {_shown(url)}")
        declared = response.headers.get("Content-Length", str(len(raw)))
        if declared != str(len(raw)):
            raise Passing(f"ended after {len(raw)} of {declared} bytes: {_shown(url)}")
        return raw

    def _size(self, url: str) -> int:
        with self._get(url, {"Range": "bytes=0-0"}) as response:
            found = RANGE.fullmatch(response.headers.get("Content-Range", ""))
            declared = found[3] if found else response.headers.get("Content-Length", "")
        if not declared.isdecimal():
            raise RegistryError(f"does not say how large it is: {_shown(url)}")
        return int(declared)

    @contextmanager
    def _get(self, url: str, headers: dict[str, str]) -> Iterator[requests.Response]:
        own = urlsplit(url).scheme
        for _ in range(HOPS + 1):
            with self._answer(url, headers) as response:
                if response.status_code not in REDIRECTS:
                    _judge(response)
                    self._reading.add(response)
                    try:
                        if self._stopped:  # asked after the answer is known to `stop`
                            raise Passing(f"given up: {_shown(url)}")
                        yield response
                    finally:
                        self._reading.discard(response)
                    return
            url = _next(url, response.headers.get("Location", ""), own)
        raise RegistryError(f"more than {HOPS} redirects, the last to {_shown(url)}")

    def _answer(self, url: str, headers: dict[str, str]) -> requests.Response:
        timeout = (self.patience.connect, self.patience.read)
        try:
            return self._session.get(url, headers=headers, stream=True, allow_redirects=False, timeout=timeout)
        except requests.exceptions.SSLError as error:
            raise RegistryError(f"{_shown(url)} cannot prove who it is: {error}") from None
        except (requests.ConnectionError, requests.Timeout) as error:
            raise Passing(f"{_shown(url)} does not answer: {_reason(error)}") from None
        except requests.RequestException as error:
            raise RegistryError(f"{_shown(url)}: {error}") from None

    def _pieces(self, response: requests.Response, length: int) -> Iterator[bytes]:
        got, seen, since = 0, 0, time.monotonic()
        while got < length:
            piece = _read(response)
            if not piece:
                raise Passing(f"ended after {got} of {length} bytes: {_shown(response.url)}")
            got, seen = got + len(piece), seen + len(piece)
            undeclared = "Content-Length" not in response.headers
            if got > length or (got == length and undeclared and _read(response)):
                raise RegistryError(f"longer than {length} bytes: {_shown(response.url)}")
            yield piece
            if (seconds := time.monotonic() - since) > self.patience.read:
                if seen < self.patience.slowest * seconds:
                    raise Passing(f"stuck at {seen / seconds:.0f} bytes/s: {_shown(response.url)}")
                seen, since = 0, time.monotonic()


def _read(response: requests.Response) -> bytes:
    """What has come by now, at least a byte unless it is the end."""
    try:
        return response.raw.read1(verify.CHUNK, decode_content=False) or b""
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Passing(f"broke off: {_shown(response.url)}: {_reason(error)}") from None


def _judge(response: requests.Response) -> None:
    """Raise for everything that is not the file that was asked for."""
    code, where = response.status_code, _shown(response.url)
    if code in {408, 429} or code >= 500:
        wait = response.headers.get("Retry-After", "")
        raise Passing(f"answers {code}: {where}", float(wait) if wait.isdecimal() else 0)
    if code not in {200, 206}:
        words = {401: "asks for a login", 403: "refuses", 404: "does not have it", 416: "has another size"}
        raise RegistryError(f"{words.get(code, 'answers')} ({code}): {where}")
    if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() == "text/html":
        raise RegistryError(f"answers with a web page instead of the file (a sign-in page between?): {where}")
    coding = response.headers.get("Content-Encoding", "identity")
    if coding != "identity":
        raise RegistryError(f"answers compressed ({coding}), which was not asked for: {where}")


def _skipped(response: requests.Response, start: int, end: int, size: int) -> int:
    """How many bytes of the body lie before `start`; raises where the answer is about another range or another size."""
    where = _shown(response.url)
    if response.status_code == 206:
        text = response.headers.get("Content-Range", "")
        found = RANGE.fullmatch(text)
        if not found or (int(found[1]), int(found[2])) != (start, end - 1):
            raise RegistryError(f"sends another range than bytes {start}-{end - 1}: {text!r}: {where}")
        total = found[3]
    elif end != size:
        raise NoRanges(f"sends whole files only: {where}")
    else:
        total = response.headers.get("Content-Length", "*")
    if total not in {"*", str(size)}:
        raise RegistryError(f"has {total} bytes instead of {size}: {where}")
    return 0 if response.status_code == 206 else start


def _next(url: str, location: str, own: str) -> str:
    """Where a redirect leads; `own`: the registry's own scheme, the only place where plain http may be met again."""
    target = urljoin(url, location)
    parts = urlsplit(target)
    if not location or parts.username is not None or not parts.hostname:
        raise RegistryError(f"redirects to nowhere: {_shown(url)}")
    if parts.scheme != "https" and (parts.scheme, own) != ("http", "http"):
        raise RegistryError(f"redirects away from https: {_shown(target)}")
    return target


def _shown(url: str | None) -> str:
    """Without the query: a CDN's address carries a signature there."""
    return urlsplit(url or "")._replace(query="", fragment="").geturl()


def _reason(error: Exception) -> str:
    cause = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    reason = getattr(cause, "reason", cause)
    return re.sub(r"<[^>]*> ?|\?[^ ]*", "", str(reason)).removeprefix(": ") or type(cause).__name__
