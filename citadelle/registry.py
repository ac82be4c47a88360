"""What a registry of images says of a name, by its HTTP interface: github.com/opencontainers/distribution-spec/blob/main/spec.md.

Anonymous, over https; over http only where the registry is this very machine, as Docker itself does. Nothing that comes is believed
beyond its own digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import requests
import urllib3

INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
HUB = "registry-1.docker.io"
LARGEST = 4 << 20  # bytes of a manifest: the limit that registries themselves have
SECONDS = (10, 30)  # to connect, and for each next byte
LOCAL = re.compile(r"(localhost|127(\.\d+){3})(:\d+)?")
NAME = re.compile(
    r"(?:(?P<host>[\w.-]+\.[\w.-]+(?::\d+)?|[\w.-]+:\d+|localhost)/)?(?P<path>[a-z0-9][a-z0-9._/-]*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


class RegistryError(Exception):
    """The registry's answer is wrong, or there is none."""


@dataclass(frozen=True)
class Image:
    """An image's name in its parts: `docker.io`, `library/python`, `3.14`, `sha256:...` or ""."""

    host: str
    path: str
    tag: str
    digest: str = ""

    @classmethod
    def parse(cls, reference: str) -> Self:
        """From `python:3.14` or `ghcr.io/a/b:1@sha256:...`. Raises ValueError where it is none, or has no tag."""
        found = NAME.fullmatch(reference)
        if not found or not found["tag"]:
            raise ValueError(f"not an image with a tag: {reference}")
        host, path = found["host"] or "docker.io", found["path"]
        return cls(
            host, path if "/" in path or host != "docker.io" else f"library/{path}", found["tag"], found["digest"] or ""
        )

    def __str__(self) -> str:
        return f"{self.host}/{self.path}:{self.tag}" + (f"@{self.digest}" if self.digest else "")


@dataclass(frozen=True)
class Found:
    """What a name leads to: the digest of the very bytes, whether that is an index, and the platforms in it."""

    digest: str
    is_index: bool
    platforms: frozenset[str]


class Registry:
    """The registry of one image after the other; tokens are kept as long as this object is."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.auth = lambda request: request  # in the place of requests' own look into ~/.netrc
        self._session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or True
        self._tokens: dict[tuple[str, str], str] = {}

    def find(self, image: Image, reference: str) -> Found | None:
        """What `reference`, a tag or a digest, leads to; None where the registry does not have it. Raises `RegistryError`."""
        host = HUB if image.host == "docker.io" else image.host
        scheme = "http" if LOCAL.fullmatch(host) else "https"
        answer = self._get(f"{scheme}://{host}/v2/{image.path}/manifests/{reference}", (host, image.path))
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise RegistryError(f"answers {answer.status_code}: {host}/{image.path}")
        return _found(_body(answer), answer.headers.get("Content-Type", ""), reference, f"{host}/{image.path}")

    def _get(self, url: str, key: tuple[str, str]) -> requests.Response:
        answer = self._ask(url, self._tokens.get(key))
        if answer.status_code == 401 and (challenge := answer.headers.get("WWW-Authenticate", "")):
            self._tokens[key] = self._token(challenge, key)
            answer = self._ask(url, self._tokens[key])
        return answer

    def _ask(self, url: str, token: str | None) -> requests.Response:
        headers = {
            "Accept": ", ".join((*INDEXES, *MANIFESTS)),
            "Accept-Encoding": "identity",
            "User-Agent": "citadelle",
        }
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        where = urlsplit(url)._replace(query="").geturl()
        try:
            answer = self._session.get(url, headers=headers, stream=True, allow_redirects=False, timeout=SECONDS)
        except requests.RequestException as error:
            raise RegistryError(f"does not answer: {where}: {type(error).__name__}") from None
        if answer.is_redirect:
            raise RegistryError(f"leads elsewhere: {where}")
        return answer

    def _token(self, challenge: str, key: tuple[str, str]) -> str:
        """What the registry gives to anybody who asks, for reading this one name."""
        said = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = urlsplit(said.get("realm", ""))
        is_safe = realm.scheme == "https" or LOCAL.fullmatch(realm.netloc)
        if not is_safe or not challenge.lower().startswith("bearer "):
            raise RegistryError(f"asks for a login: {key[0]}/{key[1]}")
        query = {"service": said.get("service", ""), "scope": f"repository:{key[1]}:pull"}
        prepared = requests.Request("GET", said["realm"], params=query).prepare()
        answer = self._ask(str(prepared.url), None)
        try:
            given = json.loads(_body(answer))
            return str(given.get("token") or given["access_token"])
        except (ValueError, LookupError, AttributeError):
            raise RegistryError(f"asks for a login: {key[0]}/{key[1]}") from None


def _body(answer: requests.Response) -> bytes:
    body = b""
    try:
        while piece := answer.raw.read(1 << 16, decode_content=False):
            body += piece
            if len(body) > LARGEST:
                raise RegistryError(f"sends more than {LARGEST} bytes")
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise RegistryError(f"broke off: {type(error).__name__}") from None
    return body


def _found(body: bytes, kind: str, reference: str, where: str) -> Found:
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    if reference.startswith("sha256:") and reference != digest:
        raise RegistryError(f"sends other bytes than {reference}: {where}")
    try:
        content: dict[str, Any] = json.loads(body)
        kind = content.get("mediaType") or kind.partition(";")[0].strip()
        parts = [part.get("platform") or {} for part in content.get("manifests", [])]
    except (ValueError, AttributeError):
        raise RegistryError(f"sends no manifest: {where}") from None
    if kind not in {*INDEXES, *MANIFESTS}:
        raise RegistryError(f"sends no manifest: {where}: {kind}")
    platforms = frozenset(f"{part.get('os')}/{part.get('architecture')}" for part in parts)
    return Found(digest, kind in INDEXES, platforms)
