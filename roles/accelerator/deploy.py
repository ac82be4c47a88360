"""The accelerator of a host: judged before anything is changed; NVIDIA's own tool where that is what it is."""

from pathlib import Path

import yaml
from pyinfra import host
from pyinfra.api.deploy import deploy

from citadelle.accelerator.decision import Choice
from citadelle.operations import accelerator as operations
from roles.accelerator.settings import AcceleratorSettings
from roles.stack.settings import StackSettings

TOOLKIT = Path(__file__).resolve().parents[2] / "policies/nvidia-container-toolkit.yaml"


def choice() -> Choice:
    """Of this host."""
    return AcceleratorSettings.from_host(host).choice(StackSettings.from_host(host))


@deploy("Accelerator")
def accelerator() -> None:
    """First of all: a host that lacks what is asked for is left as it is."""
    operations.usable(name="Go on only with the accelerator that is asked for", choice=choice())


@deploy("Container toolkit of the accelerator")
def container_toolkit() -> None:
    """After Docker, before the stack; nothing to do on a host that is known to have no such card."""
    here = operations.hardware()
    if here.seen and choice().on(here).accelerator != "nvidia":
        return
    pin = operations.Toolkit(**yaml.safe_load(TOOLKIT.read_text()))
    operations.container_toolkit(name="Describe NVIDIA's cards to Docker, where they compute", choice=choice(), pin=pin)
