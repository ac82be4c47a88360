"""Keys are called by names that change with a secret; who has the secrets finds whose they are, and afterwards nobody does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from citadelle import pseudonyms
from citadelle.pseudonyms import NAME, Pseudonyms
from tests.audit.conftest import Line
from tests.conftest import ROOT
from tests.gateway.receiver import Receiver, receiving

EVER = ["2020-01-01T00:00:00.000Z"]
DAY = 86400


def at(held: Path, **begins: str) -> Pseudonyms:
    """Secrets that began on these days: `p1="2026-01-01"`."""
    secrets = [
        {"number": int(name[1:]), "begin": f"{day}T00:00:00Z", "secret": f"{int(name[1:]):064x}"}
        for name, day in begins.items()
    ]
    held.write_text(json.dumps({"secrets": secrets}))
    return pseudonyms.opened(held)


def moment(day: str) -> float:
    return pseudonyms._seconds(f"{day}T00:00:00Z")


def program(receiver: Receiver, keys: Path, *words: str) -> subprocess.CompletedProcess[str]:
    file = str(receiver.folder / "pseudonyms.json")
    command = [sys.executable, "-I", "-B", str(ROOT / "citadelle/pseudonyms.py"), "--file", file, "--keys", str(keys)]
    return subprocess.run([*command, *words], capture_output=True, text=True, check=False, timeout=30)


def test_a_trail_over_two_secrets_names_no_id_adds_up_and_is_resolved_by_who_may(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [{"id": "alice"}, {"id": "bob"}]}))
    with receiving(tmp_path / "audit") as receiver:
        line = Line(receiver)
        ask = {"key": "alice", "counted": 1, "prompt_tokens": 10, "completion_tokens": 1}
        line.request("a1", **ask)
        assert line.ask("note", event="key_created", record={"id": "n", "subject": "alice", "digest": ""})["seq"] == 3
        assert program(receiver, keys, "rotate").returncode == 0
        receiver.stop()  # as after a boot; a receiver that runs looks each second
        receiver.start()
        line = Line(receiver)
        line.request("a2", **ask)
        assert line.ask("totals", since=EVER, keys=["alice"])["totals"] == {"alice": [[2, 20, 2]]}
        line.ask("open", record={"id": "lost", "key": "alice"})
        line.close()
        end = time.monotonic() + 30
        while len(receiver.records()) < 3:
            assert time.monotonic() < end
    first, second, lost = (record["key"] for record in receiver.records())
    assert receiver.records("key_created")[0]["subject"] == first != second == lost
    assert (NAME.fullmatch(first)[1], NAME.fullmatch(second)[1]) == ("1", "2")  # type: ignore[index]
    assert b"alice" not in b"".join(path.read_bytes() for path in receiver.log.iterdir())
    for name in (first, second):
        [found] = json.loads(program(receiver, keys, "resolve", name).stdout)
        assert (found["name"], found["id"]) == (name, "alice")
    assert [row["name"] for row in json.loads(program(receiver, keys, "resolve", "alice").stdout)] == [first, second]
    file = receiver.folder / "pseudonyms.json"
    assert (file.stat().st_mode & 0o777, os.stat(f"{file}.lock").st_mode & 0o777) == (0o600, 0o600)
    strange = program(receiver, keys, "resolve", "p1:" + "0" * 20)
    assert (strange.returncode, strange.stdout) == (0, "[]\n")
    assert program(receiver, keys, "resolve", "alise").stdout == "[]\n"  # nobody has that id
    secrets = [one["secret"] for one in json.loads(file.read_text())["secrets"]]
    told = "".join(done.stdout + done.stderr for done in (strange, program(receiver, keys, "resolve", "alice")))
    assert not any(
        secret in told or secret.encode() in path.read_bytes() for secret in secrets for path in receiver.log.iterdir()
    )


def test_a_receiver_that_runs_takes_a_new_secret(tmp_path: Path) -> None:
    with receiving(tmp_path / "audit") as receiver:
        line = Line(receiver)
        before = receiver.name_of("alice")
        assert program(receiver, tmp_path, "rotate").returncode == 0
        number = 0
        while receiver.records()[-1:] == [] or receiver.records()[-1]["key"] == before:
            number += 1
            assert number < 5000  # it looks each second
            line.request(f"a{number}", key="alice")
        assert receiver.records()[-1]["key"] == receiver.name_of("alice")
        line.close()


def test_secrets_change_after_their_time_and_go_with_the_records_that_they_have_named(tmp_path: Path) -> None:
    held = at(tmp_path / "secrets", p1="2026-01-01", p2="2026-02-01", p3="2026-03-01")
    assert held.replaced() == moment("2026-02-01")
    assert held.rotate(moment("2026-03-01")) is False
    assert held.destroy(moment("2026-02-01")) == 0  # a record of that very day may be left
    name = next(iter(held.known(["alice"], [1])))
    assert held.destroy(moment("2026-02-02")) == 1
    assert held.destroy(moment("2036-01-01")) == 1  # the newest one stays
    assert held.rotate(moment("2026-03-02")) is True
    assert [one["number"] for one in json.loads((tmp_path / "secrets").read_text())["secrets"]] == [3, 4]
    assert pseudonyms.resolved(held, ["alice"], name) == []
