"""The `citadelle` command: asks, shows and judges the hosts of an inventory from the controller."""

# Before all else: it replaces parts of the ssl module, which whoever imported them earlier would go on without.
import pyinfra_cli  # noqa: F401

from citadelle.cli.main import app, run

__all__ = ["app", "run"]
