"""The `citadelle` command: asks, shows and judges the hosts of an inventory from the controller."""

from citadelle.cli.main import app, run

__all__ = ["app", "run"]
