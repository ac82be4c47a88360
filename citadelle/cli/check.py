"""What the doctor says about one thing."""

from __future__ import annotations

from dataclasses import asdict, dataclass

DEPLOY = "pyinfra inventory deploy.py"


@dataclass(frozen=True)
class Check:
    """`id` never changes its meaning; `next_step` is for a finding."""

    id: str
    host: str
    ok: bool
    found: str
    next_step: str = ""

    @property
    def is_control(self) -> bool:
        """One of hundreds of rows of a table: told to people only where it is a finding."""
        return self.id.startswith(("WIN-", "LIN-"))

    def as_dict(self) -> dict[str, object]:
        """For JSON; a check that is right has no next step."""
        return asdict(self) | ({"next_step": ""} if self.ok else {})

    def line(self) -> str:
        """For people."""
        mark = "ok  " if self.ok else "FAIL"
        return f"{mark} {self.id} {self.host}: {self.found}" + ("" if self.ok else f"\n     hint: {self.next_step}")
