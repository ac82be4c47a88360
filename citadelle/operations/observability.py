"""The host's own part of seeing and alerting, in one operation."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation
from pyinfra.api.command import PyinfraCommand

from citadelle.facts.docker import PackagesInstalled
from citadelle.operations.docker import APT, QUIET
from citadelle.operations.files import File, present
from citadelle.operations.refusal import attempt


@operation()
def host_side(package: str, files: list[File], after: str) -> Generator[PyinfraCommand, None, None]:
    """Have a Debian package, and files as `files.present` has them, its units in force.

    + package: comes before the files' `after`; but behind its own unit's file, so that it never runs as it would by itself.
    + files: as for `files.present`.
    + after: as for `files.present`; it also runs when the package was absent.
    """
    absent = package not in host.get_fact(PackagesInstalled, packages=[package])
    if absent:
        yield _install(package)
    yield from present._inner(files=files, after=after, due=absent)


def _install(package: str) -> PyinfraCommand:
    """Masked while it is installed: the package's own unit would listen on every address, without a password."""
    unit, name = f"/etc/systemd/system/{package}.service", QuoteString(package)
    steps = StringCommand(
        QUIET, "test -e", unit, "|| ln -s /dev/null", unit, "; get() {", APT, "install --yes --no-install-recommends", name, "; };",
        "get || {", APT, "update && get; }",
    )  # fmt: skip
    return attempt(steps, f"package cannot be installed: {package}", f"apt-get install {package}")
