"""Scheduled tasks that really run: the action of a task, as its user."""

import os
import subprocess
import time
from typing import Any

from . import home


def _now() -> int:
    return int(time.time() * 1000)


def start(path: str) -> bool:
    """Starts the task of that path and name (`\\folder\\name`); False when there is none."""
    with home.change() as content:
        task = content.get("tasks", {}).get(path)
        if task is None:
            return False
        task["LastRunTime"], task["LastTaskResult"] = _now(), 0x41301
    _detach(path, task)
    return True


def _detach(path: str, task: dict[str, Any]) -> None:
    environment = dict(os.environ) | {"WINDOWS_DOUBLE_USER": str(task["Principal"]["UserId"]).rpartition("\\")[2]}
    subprocess.Popen(
        [str(home.CODE / "control"), "run-task", path],
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def run(path: str) -> int:
    """The task's actions, one after the other, in this process; keeps the last result."""
    from . import environment, session

    code, variables = 0, environment.session()
    for action in home.load(home.STATE).get("tasks", {}).get(path, {}).get("Actions", []):
        line = f'"{action["Execute"]}" {action.get("Arguments") or ""}'
        pid = os.fork()
        if pid == 0:
            os._exit(session.run_line(line, variables) & 0xFF)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with home.change() as content:
        if path in content.get("tasks", {}):
            content["tasks"][path]["LastTaskResult"] = 0xFFFFFFFF if code == 255 else code
    return code


def at_startup() -> None:
    """Starts what a trigger at start-up asks for."""
    for path, task in home.load(home.STATE).get("tasks", {}).items():
        triggers = task.get("Triggers", [])
        if task.get("Enabled", True) and any(trigger.get("Kind") == "AtStartup" for trigger in triggers):
            start(path)
