"""Settings of the role `accelerator`."""

from typing import Literal

from pydantic import Field

from citadelle.accelerator.decision import Choice
from citadelle.settings import RoleSettings
from roles.stack.settings import StackSettings


class AcceleratorSettings(RoleSettings):
    """What computes the answers: the processor, or what a host has beside it (docs/accelerators.md)."""

    accelerator: Literal["auto", "cpu", "nvidia", "amd", "intel", "npu"] = Field(
        "auto",
        description="`auto` takes what is there and needs no experiment, else the processor; one that is named and not usable is refused.",
    )

    def choice(self, stack: StackSettings) -> Choice:
        """What is asked for, with the engine, and what the images lock can give it."""
        return Choice(self.accelerator, stack.stack_engine, frozenset(stack.locked_images()))
