"""`python -m citadelle.cli`."""

from citadelle.cli.main import run

run()
