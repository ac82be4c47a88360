"""Scheduled tasks that really run: the action of a task, as its user."""

import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from . import home

RUNNING, TERMINATED = 0x41301, 0x41306
SECONDS = {"PT1M": 60}  # the one interval that is asked for


def _now() -> int:
    return int(time.time() * 1000)


def start(path: str) -> bool:
    """Starts the task of that path and name (`\\folder\\name`); False when there is none."""
    with home.change() as content:
        task = content.get("tasks", {}).get(path)
        if task is None:
            return False
        task["LastRunTime"], task["LastTaskResult"] = _now(), RUNNING
    process = _detach(path, task)
    with home.change() as content:
        if path in content.get("tasks", {}):
            content["tasks"][path]["Process"] = process
    return True


def end(path: str) -> None:
    """Ends the task's program where it runs, and what would start it again after a failure; what runs in a distribution goes on."""
    with home.change() as content:
        task = content["tasks"][path]
        process = task.pop("Process", None)
        if task["LastTaskResult"] == RUNNING:
            task["LastTaskResult"] = TERMINATED
    with suppress(OSError):
        if process and b"run-task" in Path(f"/proc/{process}/cmdline").read_bytes():
            os.killpg(process, signal.SIGKILL)


def _detach(path: str, task: dict[str, Any]) -> int:
    user = str(task["Principal"]["UserId"]).rpartition("\\")[2]
    environment = dict(os.environ) | {"WINDOWS_DOUBLE_USER": "SYSTEM" if user == "S-1-5-18" else user}
    return subprocess.Popen(
        [str(home.CODE / "control"), "run-task", path],
        env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    ).pid  # fmt: skip


def run(path: str) -> int:
    """The task in this process, again after a failure as often as its settings say; keeps the last result."""
    task = home.load(home.STATE).get("tasks", {}).get(path, {})
    settings = task.get("Settings") or {}
    code = _once(path, task)
    for _ in range(settings.get("RestartCount") or 0):
        if not code or not _is_there(path):
            break
        time.sleep(SECONDS[settings["RestartInterval"]])
        code = _once(path, task)
    return code


def _is_there(path: str) -> bool:
    return path in home.load(home.STATE).get("tasks", {})


def _once(path: str, task: dict[str, Any]) -> int:
    """All actions, one after the other, as its user: programs are started directly, no cmd.exe reads their lines."""
    from . import logon

    code = logon.batch_refusal(home.windows_user())
    if not code:
        logon.have_profile(home.windows_user())
        _keep(path, RUNNING)
        for action in task.get("Actions", []):
            code = _program(f'"{action["Execute"]}" {action.get("Arguments") or ""}')
    _keep(path, 0xFFFFFFFF if code == 255 else code)
    return code


def _program(line: str) -> int:
    from . import cmd, environment, launch

    pid = os.fork()
    if pid == 0:
        os._exit(launch.run([cmd.Command(line)], environment.session()) & 0xFF)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _keep(path: str, result: int) -> None:
    with home.change() as content:
        if path in content.get("tasks", {}):
            content["tasks"][path]["LastTaskResult"] = result


def at_startup() -> None:
    """Starts what a trigger at start-up asks for."""
    for path, task in home.load(home.STATE).get("tasks", {}).items():
        triggers = task.get("Triggers", [])
        if task.get("Enabled", True) and any(trigger.get("Kind") == "AtStartup" for trigger in triggers):
            start(path)


def _period(text: str | None) -> float:
    """Seconds of `PT1M30S`; 0 for none."""
    found = re.fullmatch(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?", text or "PT0S")
    return (
        sum(int(part or 0) * unit for part, unit in zip(found.groups(), (3600, 60, 1), strict=True)) if found else 0.0
    )


def schedule(path: str) -> None:
    """Starts the task at the times of its triggers of one time, and at their repetitions, as long as it is registered as it is now."""
    task = home.load(home.STATE).get("tasks", {}).get(path, {})
    once = next((trigger for trigger in task.get("Triggers", []) if trigger.get("Kind") == "Once"), None)
    if once is None or os.fork():
        return
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for handle in (0, 1, 2):
        os.dup2(null, handle)
    due, period = datetime.fromisoformat(once["StartBoundary"]).timestamp(), _period(once.get("RepetitionInterval"))
    while due:
        time.sleep(max(due - time.time(), 0))
        now = home.load(home.STATE).get("tasks", {}).get(path, {})
        if now.get("Registered") != task.get("Registered"):
            break
        if now.get("Enabled"):
            start(path)
        due = due + period if period else 0
    os._exit(0)
