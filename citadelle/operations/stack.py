"""The stack: its operator key, its releases, and the one that runs."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator

from pyinfra import host
from pyinfra.api import FileUploadCommand, QuoteString, StringCommand, operation
from pyinfra.api.command import PyinfraCommand

from citadelle.facts.stack import STACK, GatewayKey, ReleaseThere, Stack
from citadelle.keys import PROGRAM
from citadelle.operations.refusal import attempt
from citadelle.release import Release

RELEASES = "/opt/citadelle/releases"
CURRENT = "/opt/citadelle/current"
KEY = "/etc/citadelle/operator.key"
KEYS_FOLDER = "/etc/citadelle/gateway"
INDEX_FOLDER = "/var/lib/citadelle/rag"  # of the passages' index; the stack's script makes it
PLAN = "plan.json"  # in a release: what computes, and how much memory was planned for what

# What runs depends on the host's hardware, which may be known only when its turn comes.
Content = Release | Callable[[], Release]

# The key is made on the host and stays there: no argument, no log, no controller ever holds it.
MAKE_KEY = f"python3 -I -B {PROGRAM} operator"


@operation()
def release(content: Content) -> Generator[PyinfraCommand, None, None]:
    """Have the operator's key, readable by root only, and a release's folder on the host, whole or not at all.

    + content: the release, or what makes it when the host's turn comes; one archive is sent, checked against its manifest, then
      renamed into place.
    """
    content = content() if callable(content) else content
    folder, has_key = f"{RELEASES}/{content.id}", host.get_fact(GatewayKey)
    if not has_key:
        yield StringCommand(MAKE_KEY)
    if host.get_fact(ReleaseThere, folder=folder):
        if has_key:
            host.noop(f"release {content.id} and the operator's key are there")
        return
    fresh = f"{folder}.new"
    yield StringCommand("umask 022 && rm -rf", QuoteString(fresh), "&& mkdir -p", QuoteString(fresh))
    yield FileUploadCommand(io.BytesIO(content.archive()), f"{fresh}/release.tar")
    place = StringCommand(
        *("cd", QuoteString(fresh), "&& tar --extract --no-same-owner --file release.tar && rm release.tar"),
        *("&& sha256sum --check --quiet MANIFEST.sha256 && sync -f . && rm -rf", QuoteString(folder)),
        *("&& mv -T", QuoteString(fresh), QuoteString(folder)),
    )
    yield attempt(place, f"release cannot be placed: {folder}", f"df -h {RELEASES}, the lines above")


@operation()
def running(release_id: str | Callable[[], str]) -> Generator[PyinfraCommand, None, None]:
    """Have a release current, with every service healthy and as configured; else the previous one runs and the host fails.

    + release_id: a release that `release` has placed; or what gives its id when the host's turn comes.
    """
    release_id = release_id() if callable(release_id) else release_id
    state = host.get_fact(Stack)
    problems = state.problems(release_id)
    if problems:
        yield StringCommand(STACK, "up", QuoteString(release_id))
    if not state.boots:
        yield StringCommand("systemctl enable --quiet --now citadelle-stack")
    if state.boots and not problems:
        host.noop(f"release {release_id} runs, all services healthy, and starts at boot")
