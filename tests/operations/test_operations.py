"""Every operation has a case that changes, one that does nothing and, where it can refuse, one that refuses."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
import yaml

import citadelle.operations
from tests.operations.cases import cases, run, without_sources

CAN_REFUSE = {
    "accelerator.usable",
    "accelerator.fits",
    "accounts.service_users",
    "bitlocker.volumes",
    "docker.images",
    "line.settings",
    "restart.controlled",
    "twin.windows_side",
    "updates.installed",
    "windows.supported",
    "wsl.distribution",
    "wsl_user.account",
    "wsl_user.keys",
}
# Run whole, on files of a real store: tests/roles/model_files.
WHOLE = {"models"}
# A judge changes nothing: it lets a host pass, or refuses it.
JUDGES = {"accelerator.usable", "accelerator.fits", "twin.windows_side", "windows.supported"}


@pytest.mark.parametrize("file", cases(), ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_case(file: Path, tmp_path: Path) -> None:
    wanted = yaml.safe_load(file.read_text())
    commands, noop = run(file, tmp_path)
    assert [without_sources(command) for command in commands] == wanted.get("commands", [])
    assert noop == wanted.get("noop")
    assert bool(commands) != bool(noop), "an operation changes something or says why it does not"


def operations() -> list[str]:
    names = {module.name for module in iter_modules(citadelle.operations.__path__)} - WHOLE
    modules = [import_module(f"citadelle.operations.{name}") for name in sorted(names)]
    return [
        f"{module.__name__.rsplit('.', 1)[1]}.{name}"
        for module in modules
        for name, value in vars(module).items()
        if hasattr(value, "_inner") and value._inner.__module__ == module.__name__
    ]


@pytest.mark.parametrize("name", operations())
def test_every_operation_has_its_cases(name: str, tmp_path: Path) -> None:
    outcomes = set()
    for file in cases():
        if file.parent.name == name:
            commands, noop = run(file, tmp_path)
            refused = any(isinstance(command, dict) and "refuse" in command for command in commands)
            outcomes.add("noop" if noop else "refused" if refused else "changed")
    wanted = {"noop"} | ({"refused"} if name in CAN_REFUSE else set()) | (set() if name in JUDGES else {"changed"})
    assert outcomes == wanted
