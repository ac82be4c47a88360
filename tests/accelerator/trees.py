"""Recorded hosts: what detection reads of /proc, /sys, /dev and /usr/lib/wsl, laid out in a folder, read by the genuine script."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from citadelle.accelerator.hardware import Hardware, Node
from citadelle.facts.accelerator import AcceleratorHardware

DATA = Path(__file__).with_name("data")
KINDS = sorted(path.stem for path in DATA.glob("*.yaml") if path.stem != "pnp")
# A stand-in that answers as the genuine one does to that one query, and fails at any other.
SMI = """#!/bin/sh
[ "$*" = "--query-gpu=memory.total,name --format=csv,noheader,nounits" ] && echo '%s'
"""


def recorded(kind: str) -> dict[str, Any]:
    """The record of a kind of host, with what is expected of it."""
    return yaml.safe_load((DATA / f"{kind}.yaml").read_text())


def lay(record: dict[str, Any], root: Path) -> None:
    """The record as files; a device file is a plain one with its mode, and with its group where this process may give it."""
    for path, content in record["files"].items():
        _parent(root / path).write_text(content)
    for path, target in record.get("links", {}).items():
        _parent(root / path).symlink_to(target)
    for path, (group, mode) in record.get("nodes", {}).items():
        _parent(root / path).touch()
        (root / path).chmod(int(mode, 8))
        if os.geteuid() == 0:
            os.chown(root / path, -1, group)
    for path, answer in record.get("programs", {}).items():
        _parent(root / path).write_text(SMI % answer)
        (root / path).chmod(0o755)


def _parent(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def output(root: Path) -> list[str]:
    """What the script says of the host whose root this is."""
    command = AcceleratorHardware().command(root=str(root)).get_raw_value()
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return done.stdout.splitlines()


def read(record: dict[str, Any], root: Path) -> Hardware:
    """The fact. Groups are those of the record, also where this process could not give them."""
    lay(record, root)
    hardware = AcceleratorHardware().process(output(root))
    groups = {f"/{path}": group for path, (group, _) in record.get("nodes", {}).items()}
    nodes = tuple(Node(node.path, groups[node.path], node.mode) for node in hardware.nodes)
    if os.geteuid() == 0:
        assert nodes == hardware.nodes
    return replace(hardware, nodes=nodes)
