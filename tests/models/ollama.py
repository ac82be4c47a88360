"""The genuine Ollama: the image that bin/lab builds, and the model that it lays."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest
import requests

from tests.lab import state


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def image() -> str:
    """Skips where there is none."""
    images = docker(
        "image", "ls", "--filter", "reference=*/ollama", "--filter", "reference=ollama/ollama", "--quiet"
    ).split()
    if not images:
        pytest.skip("no image of Ollama on this machine: run bin/lab first")
    return images[0]


def lab_store() -> Path:
    """The store with the lab's model; nobody changes it. Skips where there is none."""
    source = state.STATE / "models"
    if not source.is_dir():
        pytest.skip(f"the lab's model is not laid: {source}: run bin/lab first")
    return source


def wait(url: str) -> None:
    """Until it answers."""
    for _ in range(60):
        try:
            requests.get(url, timeout=2)
        except requests.ConnectionError:
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"Ollama does not answer at {url}")
