"""An event of Windows in the forms that a SIEM understands (forms.py), as events.py has laid it down. Pure; runs on hosts too.

ecs    its number as `event.code`; who and whence; the rest stands in the line, `event.original`
ocsf   logons as Authentication, all else as Base Event with the line                          schema.ocsf.io/1.8.0
cef    its number as the signature, its channel as the name
"""

from __future__ import annotations

import ipaddress
import sys
from pathlib import Path

if not __package__:  # run as a file, on a host as in the checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from citadelle.shipping.words import (
    ENTERPRISE,
    ERROR,
    NOTICE,
    SEVERITIES,
    WARNING,
    Record,
    dumped,
    escaped,
    milliseconds,
    printable,
    quoted,
    text,
)

PROGRAM = "/usr/local/lib/citadelle/shipping/event_forms.py"
EVENT = "windows"
AUDIT_FAILURE = 0x0010000000000000  # of `keywords`: winmeta.xml, win:AuditFailure
LEVELS = {1: ERROR, 2: ERROR, 3: WARNING}  # as Windows counts them
LEAST = {"notice": NOTICE, "warning": WARNING, "error": ERROR}
# Of ECS, by the table's rows: category and type.
KINDS = {
    "logons": (["authentication"], ["start"]), "privileges": (["authentication"], ["start"]), "accounts": (["iam"], ["change"]),
    "defender": (["malware"], ["info"]), "system": (["host"], ["info"]),
}  # fmt: skip
CHANGE = (["configuration"], ["change"])
LOGON, AUTHENTICATION = 1, 3002


def failed(record: Record) -> bool:
    """Whether Windows has it as a failure."""
    try:
        return bool(int(str(record.get("keywords") or "0"), 16) & AUDIT_FAILURE)
    except ValueError:
        return False


def severity(record: Record) -> int:
    """How bad it is, as RFC 5424 counts: by its level, by the table, and a failure at least a notice."""
    return min(LEVELS.get(record["level"], 6), LEAST.get(record["severity"], 6), NOTICE if failed(record) else 6)


def head(record: Record) -> str:
    """What stands between the host and the body of its message of RFC 5424."""
    shown = {"channel": record["channel"], "number": record["number"], "id": record["id"]}
    elements = "".join(f' {name}="{quoted(printable(str(value)))}"' for name, value in shown.items())
    return f"citadelle-windows - EVENT [event@{ENTERPRISE}{elements}]"


def user(record: Record) -> tuple[str | None, str | None, str | None]:
    """SID, name and domain of whom it is about, or else of who did it."""
    data = record["data"]
    found = [
        next((data[name] for name in names if data.get(name) not in (None, "", "-")), None)
        for names in (("TargetUserSid", "TargetSid", "SubjectUserSid"), ("TargetUserName", "SubjectUserName"),
                      ("TargetDomainName", "SubjectDomainName"))
    ]  # fmt: skip
    return found[0] or record["user"] or None, found[1], found[2]


def address(record: Record) -> str | None:
    """Whence, where that is an address."""
    try:
        return str(ipaddress.ip_address(record["data"].get("IpAddress", "")))
    except ValueError:
        return None


def ecs(record: Record, host: str, line: str) -> str:
    """Fields of ECS."""
    sid, name, domain = user(record)
    categories, types = KINDS.get(record["row"], CHANGE)
    event = {
        "kind": "alert" if record["row"] == "defender" else "event", "category": categories, "type": types,
        "outcome": "failure" if failed(record) else "success" if record["row"] == "logons" else "unknown",
        "action": f"windows-{record['number']}",
        "code": str(record["number"]), "id": record["id"], "sequence": record["record"], "provider": record["provider"],
        "dataset": f"windows.{record['row']}", "module": "windows", "original": line,
    }  # fmt: skip
    return dumped({
        "@timestamp": record["ts"], "ecs": {"version": "9.3.0"}, "event": event, "host": {"name": host},
        "user": {"id": sid, "name": name, "domain": domain}, "source": {"ip": address(record)},
        "service": {"name": "windows", "type": "windows"}, "log": {"level": SEVERITIES[severity(record)][0]},
    })  # fmt: skip


def ocsf(record: Record, host: str, line: str) -> str:
    """Authentication, or the event that all others are made of."""
    level, number, _ = SEVERITIES[severity(record)]
    found: Record = {
        "severity_id": number, "severity": level.capitalize(), "time": milliseconds(record["ts"]), "raw_data": line,
        "message": f"{record['channel']} {record['number']}",
        "metadata": {
            "version": "1.8.0", "product": {"name": "Windows", "vendor_name": "Microsoft"}, "profiles": ["host"],
            "uid": record["id"], "sequence": record["record"],
            "log_name": record["channel"], "log_provider": record["provider"], "event_code": str(record["number"]),
        },
        "device": {"hostname": host, "type_id": 0},
    }  # fmt: skip
    own = _authentication(record) if record["row"] == "logons" else _base()
    return dumped(found | own)


def _authentication(record: Record) -> Record:
    sid, name, domain = user(record)
    whence = address(record)
    return {
        "class_uid": AUTHENTICATION, "category_uid": 3, "activity_id": LOGON, "type_uid": AUTHENTICATION * 100 + LOGON,
        "status_id": 2 if failed(record) else 1, "status_code": record["data"].get("Status"),
        "user": {"uid": sid, "name": name, "domain": domain},
        "service": {"name": "Windows"}, "src_endpoint": {"ip": whence} if whence else None, "logon_type": record["data"].get("LogonType"),
    }  # fmt: skip


def _base() -> Record:
    return {"class_uid": 0, "category_uid": 0, "activity_id": 99, "activity_name": "Windows event", "type_uid": 99}


def cef(record: Record, host: str, line: str) -> str:
    """One line of CEF."""
    sid, name, _ = user(record)
    parts = ("CEF:0", "Microsoft", "Windows", "1", str(record["number"]), record["channel"])
    pairs = {
        "rt": milliseconds(record["ts"]), "dvchost": host, "duid": sid, "duser": name, "src": address(record), "externalId": record["id"],
        "outcome": "failure" if failed(record) else None, "cat": record["row"], "cs1Label": "provider", "cs1": record["provider"],
        "cn1Label": "record", "cn1": record["record"], "rawEvent": line,
    }  # fmt: skip
    shown = " ".join(
        f"{key}={escaped(printable(text(value) or ''), '=')}" for key, value in pairs.items() if value is not None
    )
    return "|".join([*(escaped(part, "|") for part in parts), str(SEVERITIES[severity(record)][2]), shown])
