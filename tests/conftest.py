"""What all tests share: where the genuine captures lie, and which tiers run."""

# First: pyinfra's command patches sockets and threads as its own first step, so tests see them as a run does.
import pyinfra_cli  # noqa: F401, I001

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def shared_path(*parts: str) -> Path:
    """Path inside the folder of genuine captures beside the checkout; skips the test with the reason when it is absent."""
    shared = Path(os.environ.get("CITADELLE_SHARED", ROOT.parent / "shared"))
    path = shared.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no genuine captures here: {path} is absent (set CITADELLE_SHARED to their folder)")
    return path


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder `data/` of genuine captures."""
    return shared_path("data")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--live", action="store_true", help="also run the tests that need a real host or a reachable registry"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--live"):
        return
    skip = pytest.mark.skip(reason="needs --live: a real host or a reachable registry")
    for item in items:
        if "live" in item.keywords:
            item.add_marker(skip)
