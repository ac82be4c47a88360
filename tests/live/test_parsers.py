"""Messages for a SIEM, read by parsers that others have written. `--live` only: they are no packages of this project's environment.

    pip install pycef==1.11 syslog-rfc5424-parser==0.3.2 ocsf-json-schema==1.2.0 jsonschema

and rsyslogd, as the receiver that many a SIEM has before it. What is absent is skipped and says so (docs/observability.md: what was seen).
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from citadelle.shipping import forms
from tests.compose.running import free_port
from tests.shipping.test_events import ALL, RIGHT, line
from tests.shipping.test_forms import HOST, LINES, STRANGE

pytestmark = pytest.mark.live

WINDOWS = {f"windows {name}": line(given) for name, given in (ALL | {"right": RIGHT}).items()}
ODD = {f"strange {number}": text for number, text in enumerate(STRANGE)}
CLASSES = {6003: "api_activity", 3002: "authentication", 0: "base_event"}
RECEIVER = """global(workDirectory="{folder}" maxMessageSize="64k")
module(load="imtcp")
module(load="mmpstrucdata")
template(name="j" type="list") {{ constant(value="{{") property(name="pri" outname="pri" format="jsonf")
  constant(value=",") property(name="app-name" outname="app" format="jsonf")
  constant(value=",") property(name="msgid" outname="msgid" format="jsonf")
  constant(value=",\\"sd\\":") property(name="$!rfc5424-sd") constant(value=",")
  property(name="msg" outname="msg" format="jsonf") constant(value="}}\\n") }}
ruleset(name="r") {{ action(type="mmpstrucdata") action(type="omfile" file="{folder}/received" template="j") }}
input(type="imtcp" port="{port}" address="127.0.0.1" ruleset="r" SupportOctetCountedFraming="on")
"""


class Sent(NamedTuple):
    """A message, and what it was made of."""

    name: str
    line: str
    text: str

    @property
    def body(self) -> str:
        return self.text.partition("] ")[2]


def messages(form: str) -> list[Sent]:
    """One of each kind of record, of event, and of what is neither."""
    return [Sent(name, text, forms.message(form, HOST, text)) for name, text in (LINES | WINDOWS | ODD).items()]


def head(sent: Sent) -> tuple[str, str, dict[str, dict[str, str]]]:
    """Program, kind and structured data that a message should say."""
    if sent.name in WINDOWS:
        event = json.loads(sent.line)
        shown = {name: str(event[name]) for name in ("channel", "number", "id")}
        return "citadelle-windows", "EVENT", {"event@32473": shown}
    record = json.loads(sent.line) if sent.name in LINES else {"event": "unreadable"}
    shown = {name: str(record[name]) for name in ("seq", "event", "id") if record.get(name) is not None}
    return "citadelle-gateway", "AUDIT", {"audit@32473": shown}


@pytest.mark.parametrize("form", ["ecs", "ocsf", "cef"])
def test_syslog_by_its_grammar(form: str) -> None:
    parser = pytest.importorskip("syslog_rfc5424_parser")
    for sent in messages(form):
        found = parser.SyslogMessage.parse(sent.text)
        assert (found.appname, found.msgid, found.sd) == head(sent), sent.name
        assert (found.hostname, found.msg) == (HOST, sent.body)


def test_ocsf_by_the_schema_of_each_class() -> None:
    ocsf, judge = pytest.importorskip("ocsf_json_schema"), pytest.importorskip("jsonschema")
    schema = ocsf.OcsfJsonSchemaEmbedded(ocsf.get_ocsf_schema("1.8.0"))
    seen = set()
    for sent in messages("ocsf"):
        event = json.loads(sent.body)
        wanted = schema.get_class_schema(CLASSES[event["class_uid"]], event["metadata"]["profiles"])
        assert [problem.message for problem in judge.Draft202012Validator(wanted).iter_errors(event)] == [], sent.name
        assert list(judge.Draft202012Validator(wanted).iter_errors(event | {"time": "now"}))
        assert event["raw_data"] == sent.line
        seen.add(event["class_uid"])
    assert seen == set(CLASSES)


def test_cef() -> None:
    parser = pytest.importorskip("pycef")
    for sent in messages("cef"):
        found = parser.parse(sent.body)
        raw = re.sub(r"\\(.)", r"\1", found.get("rawEvent", ""))
        assert sent.name in ODD or raw == sent.line, sent.name
        assert 0 <= int(found["Severity"]) <= 10
    assert parser.parse(messages("cef")[0].body)["promptTokens"] == "203"
    [logon] = [parser.parse(sent.body) for sent in messages("cef") if sent.name == "windows logons"]
    assert (logon["DeviceEventClassID"], logon["duser"], logon["src"]) == ("4625", "Auditor", "127.0.0.1")


@contextmanager
def receiver(folder: Path) -> Iterator[tuple[int, Path]]:
    """A genuine rsyslog: its port, and what it writes."""
    if not (program := shutil.which("rsyslogd")):
        pytest.skip("no rsyslogd here")
    port = free_port()
    (folder / "conf").write_text(RECEIVER.format(folder=folder, port=port))
    with subprocess.Popen([program, "-n", "-i", "NONE", "-f", str(folder / "conf")]) as process:
        try:
            yield port, folder / "received"
        finally:
            process.terminate()


def connected(port: int) -> socket.socket:
    end = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except ConnectionRefusedError:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_rsyslog_as_receiver(tmp_path: Path) -> None:
    sent = [one for form in forms.FORMS for one in messages(form)]
    with receiver(tmp_path) as (port, file), connected(port) as link:
        for one in sent:
            link.sendall(b"%d %s" % (len(one.text.encode()), one.text.encode()))
        end = time.monotonic() + 20
        while not file.exists() or file.read_bytes().count(b"\n") < len(sent):
            assert time.monotonic() < end
            time.sleep(0.05)
        found: list[dict[str, Any]] = [json.loads(text) for text in file.read_text().splitlines()]
    for one, got in zip(sent, found, strict=True):
        assert (got["app"], got["msgid"], got["sd"], got["msg"]) == (*head(one), one.body), one.name
        assert one.text.startswith(f"<{got['pri']}>1 ")
