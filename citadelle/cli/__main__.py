"""`python -m citadelle.cli`."""

from citadelle.cli import run

run()
