"""What rsyslog is told on a host, from settings: which logs, in which form, to whom. Pure; `rsyslogd -N1` judges it on the host.

An instance of its own with a configuration of its own: a host's `/etc/rsyslog.conf` and what else it logs are left alone. Written for
rsyslog 8.2302 (Debian 12) and newer; parameters: rsyslog.com/doc/configuration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from citadelle import audit
from citadelle.shipping import events, loki, siem, stats

Form = Literal["ecs", "ocsf", "cef"]
FOLDER = "/etc/citadelle/logs"
CONFIG = f"{FOLDER}/rsyslog.conf"
STATE = "/var/lib/citadelle/logs"
LOKI = "http://127.0.0.1:3100/loki/api/v1/push"
PYTHON = "/usr/bin/python3 -I -B"
FOREVER = 2**31 - 1
Value = str | int


@dataclass(frozen=True)
class Siem:
    """Who gets the audit trail: its address, the name in its certificate, and the form it understands."""

    host: str
    port: int
    peer: str
    form: Form


@dataclass(frozen=True)
class Shipping:
    """What leaves a host's logs. `units`: of systemd, whose messages go to Loki besides the stack's; `spool`: bytes for each leg.

    `figures`: every so many seconds rsyslog says how it does, for node_exporter; 0: it does not.
    """

    host: str
    siem: Siem | None = None
    loki: bool = False
    units: Sequence[str] = ()
    spool: int = 1 << 30
    figures: int = 0


def configuration(wanted: Shipping) -> bytes:
    """The whole configuration."""
    parts = [
        _object(
            "global", workDirectory=STATE, maxMessageSize="64k", abortOnUncleanConfig="on", localHostname=wanted.host
        ),
        *(_object("module", load=name) for name in ("imfile", "omprog")),
        *TEMPLATES,
        # Each action has its own queue, on the disk; one before them would lose what it holds when it is killed.
        _object("main_queue", **DIRECT),
        *_figures(wanted),
        *_trail(wanted),
        *_journal(wanted),
    ]
    return "\n".join(["# Made by the role `logs`; changes are overwritten.", *parts]).encode() + b"\n"


def _figures(wanted: Shipping) -> list[str]:
    if not wanted.figures:
        return []
    say = _object(
        "module", load="impstats", interval=wanted.figures, format="json", resetCounters="off", ruleset="figures"
    )
    program = f"{PYTHON} {stats.PROGRAM} {STATE} {wanted.spool}"
    return [_ruleset("figures", _action("figures", "omprog", binary=program, template="message"), **DIRECT), say]


def _trail(wanted: Shipping) -> list[str]:
    """The audit trail, and events of the Windows PC around a distribution.

    No limit of rates and no queue that throws away: when a spool is full, its file is read later.
    """
    legs = []
    if wanted.loki:
        # Beside a SIEM, Loki must not keep it waiting: what finds no room is thrown away there, and counted.
        legs.append(_to_loki(wanted, "loki-audit", 0 if wanted.siem else FOREVER))
    if wanted.siem:
        legs.append(_to_siem(wanted, wanted.siem))
    read: dict[str, Value] = {"persistStateInterval": 1000, "readTimeout": 0, "addMetadata": "off"}
    sources = [
        _object("input", type="imfile", file=file, tag=tag, ruleset="audit", **read) for file, tag in FILES.items()
    ]
    return [_ruleset("audit", *legs, **DIRECT), *sources] if legs else []


def _to_siem(wanted: Shipping, to: Siem) -> str:
    """The program does not answer before a batch is delivered, however long the SIEM is away."""
    program = f"{PYTHON} {siem.PROGRAM} {to.form} {wanted.host} {to.host} {to.port} {to.peer} {FOLDER}"
    return _program("siem", program, "message", FOREVER, _spool("siem", wanted.spool, FOREVER))


def _to_loki(wanted: Shipping, name: str, wait: int) -> str:
    return _program(
        name, f"{PYTHON} {loki.PROGRAM} {LOKI} {wanted.host}", "entry", 120_000, _spool(name, wanted.spool, wait)
    )


def _program(name: str, program: str, template: str, timeout: int, spool: dict[str, Value]) -> str:
    talk: dict[str, Value] = {"confirmMessages": "on", "useTransactions": "on", "confirmTimeout": timeout}
    return _action(name, "omprog", binary=program, template=template, **talk, **spool)


def _journal(wanted: Shipping) -> list[str]:
    """The journal: containers of the stack, its units, and those that the settings name. What else is there stays there."""
    if not wanted.loki:
        return []
    source = _object(
        "module",
        load="imjournal",
        StateFile="journal",
        **{"Ratelimit.Interval": 0},
        IgnorePreviousMessages="on",
        PersistStateInterval=100,
    )
    ours = [
        '($!_SYSTEMD_UNIT == "docker.service" and $!CONTAINER_TAG startswith "citadelle/")',
        '$!_SYSTEMD_UNIT startswith "citadelle-"',
        *(f"$!_SYSTEMD_UNIT == {_quoted(unit)}" for unit in wanted.units),
    ]
    body = f"if {' or '.join(ours)} then {{\n{_to_loki(wanted, 'loki', FOREVER)}\n}}"
    # The module gives its messages to the default ruleset, and that is this one.
    return [source, body]


def _spool(name: str, limit: int, wait: int) -> dict[str, Value]:
    """On the disk from the first message on, and of the audit trail each at once: a kill loses none. Tried again without end."""
    queue: dict[str, Value] = {
        "type": "Disk", "filename": name, "size": 100_000_000, "maxDiskSpace": limit, "maxFileSize": "16m", "dequeueBatchSize": 512,
        # A few lines wait for more of them, but not long: each delivery of one costs as much as that of a hundred.
        "minDequeueBatchSize": 64, "minDequeueBatchSize.timeout": 200 if name == "siem" else 1000,
        "saveOnShutdown": "on", "timeoutEnqueue": wait, "timeoutShutdown": 10000, "checkpointInterval": 100 if name == "loki" else 1,
    }  # fmt: skip
    retry: dict[str, Value] = {
        "action.resumeRetryCount": -1,
        "action.resumeInterval": 2,
        "action.resumeIntervalMax": 10,
    }
    return {f"queue.{key}": value for key, value in queue.items()} | retry


def _ruleset(ruleset: str, *body: str, **parameters: Value) -> str:
    return _object("ruleset", name=ruleset, **parameters) + " {\n" + "\n".join(body) + "\n}"


def _action(action: str, kind: str, **parameters: Value) -> str:
    return _object("action", name=action, type=kind, **parameters)


def _object(word: str, **parameters: Value) -> str:
    shown = " ".join(f"{name}={_quoted(str(value))}" for name, value in parameters.items())
    return f"{word}({shown})"


def _quoted(value: str) -> str:
    r"""As RainerScript reads it: `\n` in a template is its own; nothing that comes from settings has one."""
    if '"' in value or "\n" in value:
        raise ValueError(f"cannot stand in a configuration of rsyslog: {value!r}")
    return f'"{value}"'


FILES = {f"{audit.LOG}/audit-*.jsonl": "audit", audit.ANCHORS: "audit", f"{events.FOLDER}/events-*.jsonl": "windows"}
DIRECT: dict[str, Value] = {"queue.type": "Direct"}
# What an action gets of a message. `jsonf`: a field of JSON, escaped by rsyslog.
_ENTRY = {
    "t": 'name="timereported" dateFormat="rfc3339"', "tag": 'name="syslogtag"', "container": 'name="$!CONTAINER_TAG"',
    "unit": 'name="$!_SYSTEMD_UNIT"', "level": 'name="syslogseverity-text"', "line": 'name="msg"',
}  # fmt: skip
TEMPLATES = (
    'template(name="message" type="string" string="%msg%\\n")',
    'template(name="entry" type="list") { constant(value="{")'
    + ' constant(value=",")'.join(f' property({what} outname="{name}" format="jsonf")' for name, what in _ENTRY.items())
    + ' constant(value="}\\n") }',
)
