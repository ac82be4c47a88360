"""What the operator sees: the real command, its message, and that nothing has run before it."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT
from tests.inventory.conftest import Checkout, checkout

__all__ = ["checkout"]


@pytest.mark.lab
def test_a_typo_stops_the_run_before_any_change(checkout: Checkout) -> None:
    checkout.write("inventory/mine.py", 'here = [("@local", {"stack_prot": 9000})]\n')
    checkout.write("deploy.py", (ROOT / "deploy.py").read_text())
    done = checkout.pyinfra("-y", "inventory", "deploy.py")
    assert done.returncode == 1
    assert "@local: unknown inventory key: stack_prot\nhint: did you mean stack_port?" in done.stdout
    assert "Traceback" not in done.stdout


@pytest.mark.lab
def test_a_bad_value_stops_the_run_before_any_change(checkout: Checkout) -> None:
    checkout.write(
        "inventory/mine.py",
        'linux = [("@fake/srv1", {"docker_source": "snap", "fake_delay": 0, "fake_delay_jitter": 0})]\n',
    )
    checkout.write("deploy.py", (ROOT / "deploy.py").read_text())
    done = checkout.pyinfra("-y", "inventory", "deploy.py")
    assert done.returncode == 1
    assert "@fake/srv1: setting docker_source: Input should be 'docker' or 'distribution': 'snap'" in done.stdout
    assert "hint: default is 'docker'; " in done.stdout
    assert "Traceback" not in done.stdout
    assert "Beginning operation run" not in done.stdout
