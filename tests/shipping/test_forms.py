"""What a SIEM gets: each form held against its schema, for every kind of record, and the record whole inside it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from citadelle import audit
from citadelle.shipping import forms
from tests.shipping import schema
from tests.shipping.siem import MESSAGE

KEY, HOST = b"k" * 32, "srv1"
WHOLE = {
    "event": "request", "id": "0192f0c1-1", "key": "alice", "groups": ["hr", "it"], "route": "POST /v1/chat/completions",
    "model": "smollm2:135m",
    "stream": True, "status": 200, "code": None, "cancelled": False, "counted": 1, "unrecorded": 0, "bytes_in": 812, "bytes_out": 90,
    "prompt_tokens": 203, "completion_tokens": 7, "ttft_ms": 12, "ms": 41, "policy": "p1", "prompt": "s1", "passages": 3,
}  # fmt: skip
RECORDS: dict[str, dict[str, Any]] = {
    "answered": WHOLE,
    "refused": {"event": "request", "id": "r2", "route": "none", "status": 401, "code": "invalid_key"},
    "over its limit": {"event": "request", "id": "r3", "key": "bob", "status": 429, "code": "limit_reached"},
    "cut": WHOLE | {"status": 502, "code": "answer_cut"},
    "failed": WHOLE | {"status": 502, "code": "engine_failed", "completion_tokens": None},
    "lost": {"event": "request", "id": "r4", "key": "alice", "code": "gateway_lost"},
    "start": {"event": "start", "missing": 0},
    "start after a loss": {"event": "start", "missing": 3},
    "a key": {"event": "key_created", "id": "n1", "subject": "k_7f3a"},
}


def line_of(fields: dict[str, Any]) -> str:
    body = {"seq": 7, "ts": "2026-11-22T18:00:00.123Z", **fields, "prev": "0" * 64}
    return audit.seal(KEY, body)[0].decode().rstrip("\n")


LINES = {name: line_of(fields) for name, fields in RECORDS.items()}
STRANGE = (
    "",
    "{",
    "[]",
    "null",
    '{"event":5,"ts":"x"}',
    '{"ts":"2026-11-22T18:00:00Z","event":"request","status":"no","ms":"x"}',
    '=|\\]" \x7fé' * 9,
)


def body(form: str, line: str) -> tuple[re.Match[bytes], str]:
    found = MESSAGE.fullmatch(forms.message(form, HOST, line).encode())
    assert found, line
    return found, found["body"].decode()


@pytest.mark.parametrize("form", ["ecs", "ocsf"])
def test_each_record_fits_the_schema_and_carries_the_line(form: str) -> None:
    original = {"ecs": lambda found: found["event"]["original"], "ocsf": lambda found: found["raw_data"]}[form]
    for name, line in [*LINES.items(), *((text, text) for text in STRANGE)]:
        found = json.loads(body(form, line)[1])
        assert getattr(schema, form)(found) == [], name
        assert original(found) == line
        if name in LINES:
            assert audit.unseal(KEY, original(found).encode() + b"\n")["seq"] == 7


def test_the_schemas_refuse() -> None:
    whole = json.loads(body("ocsf", LINES["answered"])[1])
    assert schema.ocsf({name: part for name, part in whole.items() if name != "actor"}) == ["actor: required"]
    assert schema.ocsf(whole | {"prompt": "x"}) == ["prompt: unknown"]
    assert schema.ocsf(whole | {"severity_id": 7})
    assert schema.ocsf(whole | {"metadata": whole["metadata"] | {"profiles": []}})
    assert schema.ocsf(whole | {"message_context": {"ai_role_id": 2}})
    known = json.loads(body("ecs", LINES["answered"])[1])
    assert schema.ecs(known | {"gen_ai": {"prompt": "x"}}) == ["gen_ai.prompt: unknown"]
    assert schema.ecs(known | {"event": known["event"] | {"type": ["connection"]}}) == ["event.type: connection"]
    assert schema.ecs(known | {"event": known["event"] | {"kind": "x"}})


def test_what_it_says_of_a_request() -> None:
    header, text = body("ocsf", LINES["answered"])
    found = json.loads(text)
    assert (header["pri"], header["ts"], header["host"], header["msgid"]) == (
        b"110",
        b"2026-11-22T18:00:00.123Z",
        b"srv1",
        b"AUDIT",
    )
    assert header["sd"] == b'audit@32473 seq="7" event="request" id="0192f0c1-1"'
    assert (found["class_uid"], found["type_uid"], found["metadata"]["profiles"]) == (6003, 600301, ["ai_operation"])
    assert found["message_context"]["total_tokens"] == 210
    assert found["time"] == 1795370400123
    levels = {name: body("cef", line)[0]["pri"].decode() for name, line in LINES.items()}
    assert levels == {
        "answered": "110", "refused": "109", "over its limit": "109", "cut": "107", "failed": "108", "lost": "108", "start": "109",
        "start after a loss": "107", "a key": "109",
    }  # fmt: skip


def read_cef(text: str) -> tuple[list[str], dict[str, str]]:
    """As the format's own description has it: seven parts with `|` and `\\` escaped, then names and values with `=` and `\\` escaped."""
    *head, rest = re.split(r"(?<!\\)(?:\\\\)*\|", text, maxsplit=7)
    places = [
        (found.start(), found.end(), found[1])
        for found in re.finditer(r"(?:^| )([A-Za-z0-9]+)=", re.sub(r"\\.", "__", rest))
    ]
    values = {
        name: rest[end:following]
        for (_, end, name), following in zip(places, [*(one[0] for one in places[1:]), None], strict=True)
    }
    return head, {name: re.sub(r"\\(.)", r"\1", value) for name, value in values.items()}


def test_cef_is_read_back() -> None:
    for name, line in LINES.items():
        head, values = read_cef(body("cef", line)[1])
        assert head[:4] == ["CEF:0", "Citadelle", "gateway", "1"]
        assert 0 <= int(head[6]) <= 10
        assert values["rawEvent"] == line, name
        labels = {key.removesuffix("Label") for key in values if key.endswith("Label")}
        assert labels == {key for key in values if re.fullmatch(r"c[ns]\d", key)}
    assert values["externalId"] == "n1"
    assert forms.escaped("a|b\\c\nd", "|") == "a\\|b\\\\c d"
    assert forms.escaped("a=b\\c\nd", "=") == "a\\=b\\\\c\\nd"


@pytest.mark.parametrize("form", sorted(forms.FORMS))
def test_what_is_no_record_is_shipped_as_that(form: str) -> None:
    for text in STRANGE:
        header, _ = body(form, text)
        assert header["pri"] == b"107"
        assert b'event="unreadable"' in header["sd"]
