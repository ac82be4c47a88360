"""What the doctor says about one thing."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Check:
    """`id` never changes its meaning; `next_step` is for a finding."""

    id: str
    host: str
    ok: bool
    found: str
    next_step: str = ""

    def as_dict(self) -> dict[str, object]:
        """For JSON; a check that is right has no next step."""
        return asdict(self) | ({"next_step": ""} if self.ok else {})

    def line(self) -> str:
        """For people."""
        mark = "ok  " if self.ok else "FAIL"
        return f"{mark} {self.id} {self.host}: {self.found}" + ("" if self.ok else f"\n     hint: {self.next_step}")
