"""The genuine look at a PC, of some sections alone: the others take most of its time."""

from __future__ import annotations

from collections.abc import Sequence

from citadelle import powershell
from citadelle.facts.hardening import SCRIPT
from citadelle.hardening.accelerators import NEURAL

_GUARD = "$errors = [ordered]@{}\n"


def only(sections: Sequence[str], values: Sequence[str] = ()) -> str:
    """The script. `values`: of the registry, as the fact takes them."""
    names = f"$only = @({', '.join(map(repr, sections))})\n"
    script = SCRIPT.replace(_GUARD, _GUARD + names)
    script = script.replace("    try { $sections[$name] =", "    if ($only -contains $name) { try { $sections[$name] =")
    script = script.replace("catch { Add-Failure $name $_ }\n}", "catch { Add-Failure $name $_ } }\n}")
    assert script.count("$only") == 3
    return powershell.query(powershell.assign(values=list(values), neural=NEURAL) + script)
