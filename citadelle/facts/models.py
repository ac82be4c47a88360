"""The model files of a host as its own verifier sees them; see `citadelle/models/verify.py` for the reports."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from citadelle.facts.base import Fact
from citadelle.models.verify import FLOOR, PROGRAM, Finding

STATE = "/var/lib/citadelle"
PLACED = f"{STATE}/models.placed"
UNIT = "citadelle-models.service"
WATCH = "citadelle-models-watch.service"
TIMER = "citadelle-models-check.timer"
RUN = f"python3 -I -B {PROGRAM}"
# What systemd says of the three; the watch is started by the first, and not enabled by itself.
RIGHT = {"ActiveState=active": 3, "NeedDaemonReload=no": 3, "UnitFileState=enabled": 2}


@dataclass(frozen=True)
class StoreState:
    """A host's store: `lock` is the digest of the lock it was judged by ("" where no verifier answered), `models` the
    canonical names judged, `free` the bytes free beside it, `placed` the paths that earlier runs laid there."""

    lock: str = ""
    models: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    free: int | None = None
    placed: frozenset[str] = frozenset()


class ModelStore(Fact[StoreState]):
    """Every file of the store hashed and judged: one round trip, about 0.6 s of processor time per GB."""

    default = StoreState

    def command(self) -> str:
        # The verifier's exit status is in its report; a host without it is a host without models.
        return (
            f"{{ {RUN} check --json 2>/dev/null || true; }};"
            f" d={STATE}; test -d $d || d=/var/lib; stat --file-system --format='free %a %S' $d;"
            f" if test -f {PLACED}; then cat {PLACED}; fi"
        )

    def parse(self, output: list[str]) -> StoreState:
        lines = [line for line in output if line]
        report: dict[str, Any] = json.loads(lines.pop(0)) if lines and lines[0].startswith("{") else {}
        free = [int(blocks) * int(size) for word, blocks, size in map(str.split, lines[:1]) if word == "free"]
        return StoreState(
            lock=report.get("lock", ""),
            models=report.get("models", []),
            findings=[Finding(**finding) for finding in report.get("findings", [])],
            free=free[0] if free else None,
            placed=frozenset(lines[1:]),
        )


class LockFloor(Fact[int]):
    """Serial of the newest lock that the host has served, 0 before the first; -1 where the note of it makes no sense."""

    default = int

    def command(self) -> str:
        return f"if test -e {FLOOR}; then cat {FLOOR} && echo .; fi"  # the dot: an empty note is no absent one

    def parse(self, output: list[str]) -> int:
        lines = [line.strip() for line in output if line.strip()]
        if not lines:
            return 0
        return int(lines[0]) if len(lines) == 2 and lines[0].isdecimal() else -1


@dataclass(frozen=True)
class ServedState:
    """`holds`: a verification of this boot still holds and its store is bound; `lock` and `models` are what it judged.
    `units_run`: its unit, the watch and the timer are active, start at boot, and are the files on disk."""

    holds: bool = False
    lock: str = ""
    models: list[str] = field(default_factory=list)
    units_run: bool = False


class ModelsServed(Fact[ServedState]):
    """Whether the verified store is bound at the engine's path: no file is hashed for this answer."""

    default = ServedState

    def command(self) -> str:
        return (
            f"{{ {RUN} status --json 2>/dev/null || true; }};"
            f" systemctl show -p ActiveState -p UnitFileState -p NeedDaemonReload {UNIT} {TIMER} {WATCH} 2>/dev/null || true"
        )

    def parse(self, output: list[str]) -> ServedState:
        lines = [line for line in output if line]
        report: dict[str, Any] = json.loads(lines.pop(0)) if lines and lines[0].startswith("{") else {}
        return ServedState(
            holds=report.get("ok", False),
            lock=report.get("lock", ""),
            models=report.get("models", []),
            units_run=Counter(lines) >= Counter(RIGHT),
        )
