"""Figures as text for node_exporter's textfile collector. Standard library, Python 3.10 or newer: programs on hosts use it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

PROGRAM = "/usr/local/lib/citadelle/textfile.py"
Sample = tuple[str, dict[str, str], float]


def text(samples: list[Sample], texts: Mapping[str, str]) -> str:
    """Samples of a name together, under what `texts` says of it; a name that ends in `_total` is a counter."""
    lines = []
    for name, help_text in texts.items():
        own = [sample for sample in samples if sample[0] == name]
        kind = "counter" if name.endswith("_total") else "gauge"
        lines += [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"] if own else []
        for _, labels, value in own:
            shown = ",".join(f'{label}="{content}"' for label, content in labels.items())
            lines.append(f"{name}{{{shown}}} {float(value):.17g}" if shown else f"{name} {float(value):.17g}")
    return "\n".join(lines) + "\n"


def write(path: Path, content: str) -> None:
    """Whole or not at all; for everybody to read. Makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(content)
    fresh.chmod(0o644)
    fresh.replace(path)
