"""schtasks.exe: the same tasks as the ScheduledTasks cmdlets."""

from typing import Any

from . import argv, home, streams, tasks

SCHEDULES = {"onstart": "AtStartup", "onlogon": "AtLogOn", "once": "Once", "daily": "Daily", "weekly": "Weekly"}
MISSING = "ERROR: The system cannot find the file specified."
FLAGS = {"/f", "/nh", "/v", "/it", "/np", "/z"}


def _options(words: list[str]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    at = 0
    while at < len(words):
        name = words[at].lower()
        if not name.startswith("/"):
            return None
        takes = name not in FLAGS and at + 1 < len(words)
        found[name] = words[at + 1] if takes else ""
        at += 2 if takes else 1
    return found


def _path(name: str) -> str:
    return name if name.startswith("\\") else "\\" + name


def _find(name: str) -> str | None:
    known = home.load(home.STATE).get("tasks", {})
    return next((path for path in known if path.lower() == _path(name).lower()), None)


def _missing() -> int:
    streams.err(MISSING)
    return 1


def _create(options: dict[str, str]) -> int:
    if not {"/tn", "/tr", "/sc"} <= set(options) or options["/sc"].lower() not in SCHEDULES:
        streams.err('ERROR: Invalid syntax. Mandatory option missing.\nType "SCHTASKS /CREATE /?" for usage.')
        return 1
    path = _path(options["/tn"])
    if _find(path) and "/f" not in options:
        streams.err(f'ERROR: The task name "{options["/tn"]}" already exists. Windows double: add /F.')
        return 1
    program, rest = argv.split_program(options["/tr"])
    user = options.get("/ru", home.windows_user())
    principal = {
        "UserId": user,
        "LogonType": "ServiceAccount" if user.upper() in ("SYSTEM", "NT AUTHORITY\\SYSTEM") else "S4U",
        "RunLevel": "Highest" if options.get("/rl", "").lower() == "highest" else "Limited",
    }
    task: dict[str, Any] = {
        "Enabled": True, "Description": None, "Principal": principal,
        "Actions": [{"Id": None, "Execute": program, "Arguments": rest.strip(), "WorkingDirectory": None}],
        "Triggers": [{"Enabled": True, "Kind": SCHEDULES[options["/sc"].lower()], "StartBoundary": options.get("/st")}],
        "Settings": None, "LastRunTime": None, "LastTaskResult": 0x41303,
    }  # fmt: skip
    with home.change() as state:
        state.setdefault("tasks", {})[path] = task
    streams.out(f'SUCCESS: The scheduled task "{options["/tn"]}" has successfully been created.')
    return 0


def _run(options: dict[str, str]) -> int:
    path = _find(options.get("/tn", ""))
    if path is None:
        return _missing()
    tasks.start(path)
    streams.out(f'SUCCESS: Attempted to run the scheduled task "{options["/tn"]}".')
    return 0


def _end(options: dict[str, str]) -> int:
    path = _find(options.get("/tn", ""))
    if path is None:
        return _missing()
    tasks.end(path)
    streams.out(f'SUCCESS: The scheduled task "{options["/tn"]}" has been terminated successfully.')
    return 0


def _delete(options: dict[str, str]) -> int:
    path = _find(options.get("/tn", ""))
    if path is None:
        return _missing()
    with home.change() as state:
        del state["tasks"][path]
    streams.out(f'SUCCESS: The scheduled task "{options["/tn"]}" was successfully deleted.')
    return 0


def _status(task: dict[str, Any]) -> str:
    return "Running" if task["LastTaskResult"] == 0x41301 else "Ready" if task["Enabled"] else "Disabled"


def _query(options: dict[str, str]) -> int:
    known = home.load(home.STATE).get("tasks", {})
    wanted = _find(options["/tn"]) if "/tn" in options else None
    if "/tn" in options and wanted is None:
        return _missing()
    rows = [(path, "N/A", _status(task)) for path, task in known.items() if wanted in (None, path)]
    heads = ("TaskName", "Next Run Time", "Status")
    form = options.get("/fo", "table").lower()
    if form == "csv":
        lines = ([] if "/nh" in options else [heads]) + rows
        streams.out("\n".join(",".join(f'"{cell}"' for cell in line) for line in lines))
    elif form == "list":
        streams.out(
            "\n\n".join(
                "\n".join(f"{head + ':':<20}{cell}" for head, cell in zip(heads, row, strict=True)) for row in rows
            )
        )
    else:
        streams.out("\n".join(f"{row[0]:<40} {row[1]:<22} {row[2]:<15}" for row in [heads, *rows]))
    return 0


VERBS = {"/create": _create, "/run": _run, "/end": _end, "/delete": _delete, "/query": _query}


def main(_bare: str, arguments: list[str], _variables: dict[str, str], _raw: str | None) -> int:
    """`schtasks /create|/run|/end|/delete|/query ...`."""
    verb = VERBS.get(arguments[0].lower()) if arguments else _query
    options = _options(arguments[1:])
    if verb is None or options is None:
        streams.err(f"ERROR: Invalid argument/option - '{(arguments or [''])[0]}'.\nType \"SCHTASKS /?\" for usage.")
        return 1
    return verb(options)
