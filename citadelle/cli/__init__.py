"""The `citadelle` command: asks, shows and judges the hosts of an inventory from the controller."""

import sys

# Before all else: it replaces parts of the ssl module, which whoever imported them earlier would go on without. It replaces threads too,
# by others that share one core: so not where files are fetched and hashed, and no host is asked.
if sys.argv[1:2] != ["models"]:
    import pyinfra_cli  # noqa: F401

from citadelle.cli.main import app, run

__all__ = ["app", "run"]
