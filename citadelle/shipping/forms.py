"""What a SIEM gets: each line of the audit trail as one message of RFC 5424, in the form that it understands. Pure; runs on hosts too.

    ecs    JSON of the Elastic Common Schema 9                           elastic.co/guide/en/ecs
    ocsf   JSON of OCSF 1.8, class API Activity, profile ai_operation    schema.ocsf.io/1.8.0
    cef    Common Event Format 0                                         ArcSight, "Implementing ArcSight CEF"

Each form carries the line itself, so that what a SIEM keeps can be judged by `citadelle audit verify` like the log it came from. The
trail holds metadata alone (audit.py); nothing is added here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

if not __package__:  # run as a file, on a host as in the checkout
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from citadelle.shipping import event_forms
from citadelle.shipping.words import (
    ENTERPRISE,
    ERROR,
    NOTICE,
    SEVERITIES,
    WARNING,
    dumped,
    escaped,
    milliseconds,
    printable,
    quoted,
    text,
)

PROGRAM = "/usr/local/lib/citadelle/shipping/forms.py"
FACILITY = 13  # log audit
VERBS = {"created": 1, "read": 2, "changed": 3, "removed": 4}  # activities of OCSF's API Activity
Record = dict[str, Any]


def severity(record: Record) -> int:
    """How bad it is, as RFC 5424 counts."""
    status = record.get("status") or 0
    if record["event"] == "unreadable" or record.get("missing") or record.get("code") == "answer_cut":
        return ERROR
    if record.get("code") == "gateway_lost" or status >= 500:
        return WARNING
    return NOTICE if status >= 400 or record["event"] != "request" else 6


def ecs(record: Record, host: str, line: str) -> str:
    """Fields of ECS; what it has no field for stands in the line itself."""
    failed = severity(record) < NOTICE or (record.get("status") or 0) >= 400
    what = "api" if record["event"] == "request" else "configuration"
    kinds = {"api": ["access", "denied" if failed else "allowed"], "configuration": ["change"]}[what]
    event = {
        "kind": "event", "category": [what], "type": kinds, "outcome": "failure" if failed else "success",
        "action": record.get("route") or record["event"], "code": record.get("code"), "id": record.get("id"), "sequence": record.get("seq"),
        "hash": record.get("mac"), "provider": "citadelle", "dataset": "citadelle.audit", "module": "citadelle",
        "duration": None if record.get("ms") is None else record["ms"] * 1_000_000, "original": line,
    }  # fmt: skip
    found = {
        "@timestamp": record["ts"], "ecs": {"version": "9.3.0"}, "event": event, "host": {"name": host}, "user": {"id": record.get("key")},
        "service": {"name": "citadelle", "type": "gateway"}, "log": {"level": SEVERITIES[severity(record)][0]},
        "http": {
            "request": {"bytes": record.get("bytes_in")},
            "response": {"status_code": record.get("status"), "bytes": record.get("bytes_out")},
        },
        "gen_ai": {
            "request": {"model": record.get("model")},
            "usage": {"input_tokens": record.get("prompt_tokens"), "output_tokens": record.get("completion_tokens")},
        },
    }  # fmt: skip
    return dumped(found)


def ocsf(record: Record, host: str, line: str) -> str:
    """API Activity. Clients' addresses are not on record: the source of each call is the gateway that took it."""
    name, level, _ = SEVERITIES[severity(record)]
    verb = record["event"].rpartition("_")[2]
    activity = 1 if record["event"] == "request" else VERBS.get(verb, 99)
    failed = level > 2 or (record.get("status") or 0) >= 400
    profiles = ["ai_operation"] if record.get("model") else []
    found = {
        "activity_id": activity, "activity_name": None if activity < 99 else record["event"], "category_uid": 6, "class_uid": 6003,
        "type_uid": 600300 + activity, "severity_id": level, "severity": name.capitalize(), "time": milliseconds(record["ts"]),
        "status_id": 2 if failed else 1, "status_code": text(record.get("status")), "status_detail": record.get("code"),
        "duration": record.get("ms"), "raw_data": line,
        "metadata": {
            "version": "1.8.0", "product": {"name": "Citadelle", "vendor_name": "Citadelle"}, "profiles": profiles, "uid": record.get("id"),
            "sequence": record.get("seq"), "log_name": "audit",
        },
        "actor": {"user": {"uid": record["key"]}} if record.get("key") else {"app_name": "citadelle"},
        "api": {"operation": record.get("route") or record["event"], "service": {"name": "gateway"}},
        "src_endpoint": {"hostname": host, "svc_name": "gateway"},
        "http_response": {"code": record["status"]} if record.get("status") else None,
    }  # fmt: skip
    return dumped(found | (_model(record) if profiles else {}))


def _model(record: Record) -> Record:
    asked, said = record.get("prompt_tokens"), record.get("completion_tokens")
    total = None if asked is None or said is None else asked + said
    used = {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": total}
    context = {"ai_role_id": 2, "service": {"name": "gateway"}, "uid": record.get("id"), **used}
    return {"ai_model": {"ai_provider": "Internal", "name": record["model"]}, "message_context": context}


def cef(record: Record, host: str, line: str) -> str:
    """One line of CEF: a header, and pairs of names that its dictionary knows."""
    head = ("CEF:0", "Citadelle", "gateway", "1", record.get("code") or record["event"], record["event"])
    pairs = {
        "rt": milliseconds(record["ts"]), "dvchost": host, "suid": record.get("key"), "act": record.get("route") or record["event"],
        "outcome": "failure" if severity(record) < 6 and record["event"] == "request" else "success", "reason": record.get("code"),
        "externalId": record.get("id"), "in": record.get("bytes_in"), "out": record.get("bytes_out"),
        "cn1Label": "promptTokens", "cn1": record.get("prompt_tokens"), "cn2Label": "completionTokens",
        "cn2": record.get("completion_tokens"), "cn3Label": "sequence", "cn3": record.get("seq"), "cs1Label": "model",
        "cs1": record.get("model"), "cs2Label": "status", "cs2": record.get("status"), "cs3Label": "hash", "cs3": record.get("mac"),
        "rawEvent": printable(line),
    }  # fmt: skip
    shown = " ".join(
        f"{name}={escaped(text(value) or '', '=')}"
        for name, value in pairs.items()
        if value is not None and pairs.get(name.removesuffix("Label")) is not None
    )
    return "|".join([*(escaped(part, "|") for part in head), str(SEVERITIES[severity(record)][2]), shown])


FORMS: dict[str, Callable[[Record, str, str], str]] = {"ecs": ecs, "ocsf": ocsf, "cef": cef}
EVENTS = {"ecs": event_forms.ecs, "ocsf": event_forms.ocsf, "cef": event_forms.cef}


def record_of(line: str) -> Record:
    """The record of a line; what is none is shipped all the same, as `unreadable`: somebody has been in the log."""
    try:
        record = json.loads(line)
        milliseconds(record["ts"])
        if isinstance(record["event"], str):
            return record
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    return {"event": "unreadable", "ts": "1970-01-01T00:00:00.000Z"}


def message(form: str, host: str, line: str) -> str:
    """One message of RFC 5424. Its body is ASCII."""
    try:
        record = record_of(line)
        if record["event"] == event_forms.EVENT:
            head, body = event_forms.head(record), EVENTS[form](record, host, line)
            return f"<{FACILITY * 8 + event_forms.severity(record)}>1 {record['ts']} {host} {head} {body}"
        body = FORMS[form](record, host, line)
    except (ValueError, TypeError, KeyError, AttributeError):  # fields of other kinds than the trail has
        record = {"event": "unreadable", "ts": "1970-01-01T00:00:00.000Z"}
        body = FORMS[form](record, host, line)
    shown = {"seq": record.get("seq"), "event": record["event"], "id": record.get("id")}
    elements = "".join(f' {name}="{quoted(str(value))}"' for name, value in shown.items() if value is not None)
    priority = FACILITY * 8 + severity(record)
    return f"<{priority}>1 {record['ts']} {host} citadelle-gateway - AUDIT [audit@{ENTERPRISE}{elements}] {body}"
