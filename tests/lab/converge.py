"""After the PCs are up: what a user would type, the rollout and one question to each PC."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from citadelle.inventory import DEFAULT, inventory_files
from tests.lab import state
from tests.lab.commands import LabError, Log, run
from tests.lab.state import Pc

QUESTION = "What is the capital of France?"


def rollout(log: Log) -> str:
    """`pyinfra -y inventory deploy.py`, all PCs side by side."""
    if not (state.ROOT / "deploy.py").is_file():
        return "left out: deploy.py does not exist"
    run(
        [Path(sys.executable).with_name("pyinfra"), "-y", inventory(), "deploy.py"],
        log,
        cwd=state.ROOT,
        env=_environment(),
    )
    return _summary(log)


def inventory() -> str:
    """The folder, as a user types it. Where it holds PCs of the user, the lab's own file: those PCs are not for the lab to touch."""
    own = [file for file in inventory_files(state.ROOT / "inventory") if file.name != DEFAULT]
    return f"inventory/{DEFAULT}" if own else "inventory"


def _environment() -> dict[str, str]:
    return {"NO_COLOR": "1", "CITADELLE_LAB": str(state.STATE), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}


def _summary(log: Log) -> str:
    """pyinfra's own closing line about all hosts."""
    lines = [line.strip() for line in log.path.read_text(errors="replace").splitlines()]
    found = [line for line in lines if line.startswith("Grand total")]
    return " ".join(found[-1].replace("|", " ").split()) if found else "done"


def ask(pcs: list[Pc], log: Log) -> dict[str, str]:
    """One answer of each PC's gateway by its name, all asked at once. Raises `LabError` naming the PCs that gave none."""
    answers: dict[str, str] = {}
    problems: dict[str, str] = {}

    def one(pc: Pc) -> None:
        command = [sys.executable, "-m", "citadelle.cli", "ask", "--json", "--inventory", inventory()]
        command += ["--host", pc.name, QUESTION]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=state.ROOT,
            env={**os.environ, **_environment()},
            check=False,
        )
        log.write(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}")
        said = json.loads(done.stdout)[0] if done.stdout.startswith("[") else {}
        if said.get("answer"):
            answers[pc.name] = f"{said['answer']} ({said['seconds']:.1f} s)"
        else:
            problems[pc.name] = said.get("error") or done.stderr.strip() or f"exit code {done.returncode}, empty answer"

    threads = [threading.Thread(target=one, args=(pc,)) for pc in pcs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        told = ", ".join(f"{name}: {text}" for name, text in sorted(problems.items()))
        raise LabError(f"no answer: {told}", f"less {log.path}")
    return answers
