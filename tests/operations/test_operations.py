"""Every operation has a case that changes, one that does nothing and, where it can refuse, one that refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from citadelle.operations import (
    accelerator,
    accounts,
    bitlocker,
    docker,
    files,
    hardening,
    line,
    restart,
    stack,
    twin,
    updates,
    windows,
    wsl,
    wsl_user,
)
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
    modules = (
        accelerator,
        accounts,
        bitlocker,
        docker,
        files,
        hardening,
        line,
        restart,
        stack,
        twin,
        updates,
        windows,
        wsl,
        wsl_user,
    )
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
