"""The `citadelle` command: asks, shows and judges the hosts of an inventory from the controller."""

from __future__ import annotations

import sys

# Before all else: it replaces parts of the ssl module, which whoever imported them earlier would go on without. It replaces threads too,
# by others that share one core: so not where files are fetched and hashed, and no host is asked.
if sys.argv[1:2] != ["models"]:
    import pyinfra_cli  # noqa: F401


def run() -> None:
    """Entry point; refusals of the inventory are usage errors."""
    words, name = sys.argv[1:], "citadelle"
    if words[:1] == ["models"]:  # by itself: what the other commands import takes a second
        from citadelle.cli.lock import app

        words, name = words[1:], "citadelle models"
    else:
        from citadelle.cli.main import app
    try:
        app(args=words, prog_name=name)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
            sys.exit(2)
        raise
