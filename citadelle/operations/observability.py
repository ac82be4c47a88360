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
def host_side(packages: dict[str, str], files: list[File], after: str) -> Generator[PyinfraCommand, None, None]:
    """Have Debian packages, and files as `files.present` has them, their units in force.

    + packages: with the unit that each would start by itself, or none: masked, unless it is there already. They come before the files,
      which may be judged by them.
    + files: as for `files.present`.
    + after: as for `files.present`; it also runs when a package was absent.
    """
    found = host.get_fact(PackagesInstalled, packages=list(packages))
    absent = {package: unit for package, unit in packages.items() if package not in found}
    if absent:
        yield _install(absent)
    yield from present._inner(files=files, after=after, due=bool(absent))


def _install(packages: dict[str, str]) -> PyinfraCommand:
    """Masked while it is installed: a package's own unit would listen on every address, or write logs twice."""
    names = " ".join(packages)
    masks = [
        part
        for unit in packages.values()
        if unit
        for part in (
            "test -e",
            QuoteString(f"/etc/systemd/system/{unit}"),
            "|| ln -s /dev/null",
            QuoteString(f"/etc/systemd/system/{unit}"),
            ";",
        )
    ]
    steps = StringCommand(
        QUIET, *masks, "get() {", APT, "install --yes --no-install-recommends", *map(QuoteString, packages), "; };",
        "get || {", APT, "update && get; }",
    )  # fmt: skip
    return attempt(steps, f"packages cannot be installed: {names}", f"apt-get install {names}")
