"""From what happens on a host to what a person reads: each thing is done for real, and its alert arrives at a receiver, in French.

One rollout with receivers that are doubles (`receivers.py`), short times by settings, and all that does not get in another's way at once.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab import state
from tests.lab.broken import ASK, AUDIT, CRASH, FILL, FORGET, POKE, SEGV, STRANGER, TRAIL, WAITING, do, heal
from tests.lab.commands import address
from tests.lab.pcs import exec_in_pc
from tests.lab.receivers import Received, receivers
from tests.lab.rollout import citadelle, rollout
from tests.lab.state import SRV1
from tests.lab.stores import FOLDERS, asked, holds, plant, silence, uproot
from tests.lab.test_egress import CONNECT
from tests.lab.test_faults_run import LOOK
from tests.lab.test_model_gate import ALL_HEALTHY, BACK, FLIP, until
from tests.observability.test_dashboards import questions, without_texts
from tests.observability.test_rules import ALERTS
from tests.shipping.loki import START, STOP
from tests.shipping.siem import NAME, Siem, siem

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]

SHORT = {
    "observability_receivers": ["slack", "teams", "email", "webhook"],
    "observability_deadman": True,
    "observability_deadman_seconds": 5,
    "observability_mail_from": "srv1@example.org",
    "observability_mail_to": "ops@example.org",
    "observability_language": "fr",
    "observability_seconds": 5,
    "observability_audit_seconds": 5,
    "observability_group_seconds": 1,
    "observability_refused_keys": 5,
    "observability_limited_requests": 5,
    "observability_backup": "/var/lib/backup-done",
    "logs": True,
    "logs_siem_peer": NAME,
    "logs_loki": True,
    "logs_anchor_seconds": 5,
}


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siem]:
    """A double of a SIEM on this machine."""
    with siem(tmp_path_factory.mktemp("siem"), address(1)) as found:
        yield found


@pytest.fixture(scope="module")
def received(lab: dict, converged: None, keeper: Siem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Received]:
    """srv1 alerts to the doubles, quickly; afterwards it is as it was."""
    folder = tmp_path_factory.mktemp("alerting")
    with receivers(address(1), folder, secrets.token_hex(16)) as found:
        for name in ("slack", "teams", "webhook", "deadman"):
            (folder / f"{name}_url").write_text(found.url(name))
        given = SHORT | {
            "observability_secrets": str(folder),
            "observability_ca": str(folder / "ca.pem"),
            "observability_mail_server": f"{found.address}:{found.mail}",
            "logs_siem": f"{keeper.address}:{keeper.port}",
            "logs_siem_folder": str(keeper.folder),
        }
        inventory = folder / "inventory.py"
        text = (state.ROOT / "inventory/lab.py").read_text()
        inventory.write_text(f"{text}\nfor _, _data_of in linux:\n    _data_of |= {given!r}\n")
        heal()
        do(FORGET)
        exec_in_pc(
            SRV1.name, ["sh", "-c", "cat > /root/loki.py"], stdin=(state.ROOT / "tests/shipping/loki.py").read_bytes()
        )
        do(f"systemctl stop loki-double 2>/dev/null; {START}")
        run = rollout("--limit", "linux", inventory=str(inventory))
        assert run.code == 0, run.text
        assert found.secret not in run.text
        again = rollout("--limit", "linux", inventory=str(inventory))
        assert again.changed_nothing, again.text
        yield found
    heal()
    exec_in_pc(SRV1.name, ["sh", "-c", STOP])
    run = rollout()
    assert run.code == 0, run.text


def test_a_test_alert_reaches_everybody_and_no_secret_anything_else(received: Received) -> None:
    done = citadelle("alerts", "test", "--host", "srv1", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    [row] = json.loads(done.stdout)
    assert {name for name, one in row["receivers"].items() if one["delivered"]} == {
        "slack",
        "teams",
        "email",
        "webhook",
    }
    for name in ("slack", "teams", "email"):
        said = received.wait(name, lambda text: "Essai des alertes" in text, 5)
        assert said.startswith("[INFORMATION] srv1"), said
        assert "Quelqu'un a tapé" in said
    assert "AlertTest" in received.wait("webhook", lambda text: "AlertTest" in text, 5)
    assert "refused" not in received.messages
    received.wait("deadman", lambda found: found.startswith("firing Watchdog"), 30)
    elsewhere = LOOK.replace("! -name operator.key", "! -name operator.key ! -path '/run/citadelle/observability/*'")
    looked = exec_in_pc(SRV1.name, ["sh", "-c", elsewhere], stdin=received.secret.encode())
    assert int(looked.stdout) == 0
    assert (
        exec_in_pc(SRV1.name, ["sh", "-c", LOOK], stdin=received.secret.encode()).stdout != b"0\n"
    )  # the search finds


def test_what_happens_arrives_within_two_minutes(received: Received, keeper: Siem) -> None:
    key = citadelle(
        "keys", "create", f"burst-{secrets.token_hex(4)}", "--limit", "requests_minute=1", "--host", "srv1"
    ).stdout.split()[-1]
    byte = do(f"dd if={AUDIT} bs=1 skip=7 count=1 status=none | od -An -to1").strip()
    other = "061" if byte != "061" else "062"  # a digit for a digit
    began = time.monotonic()
    do(f"{FILL} && systemctl stop citadelle-trail.timer")
    keeper.stop()
    do(STRANGER)
    do(ASK.format(count=9, key="ck_" + "x" * 43))
    do(ASK.format(count=12, key=key))
    do(
        f'docker exec citadelle-gateway-1 python3 -c "{CONNECT.format(address=address(11), port=22)}" 2>/dev/null || true'
    )
    do(CRASH)
    do(f"echo 0{byte} > /root/poked")
    do(POKE.format(byte=f"0{other}"))
    for text in (
        "[ATTENTION] srv1 : Beaucoup de requêtes avec de mauvaises clés",
        "[ATTENTION] srv1 : Beaucoup de requêtes au-delà de leur limite",
        "[CRITIQUE] srv1 : Un conteneur a tenté de sortir",
        "[ATTENTION] srv1 : Un conteneur de la pile tombe sans cesse",
        "[CRITIQUE] srv1 : Un conteneur exécute une autre image que celle de la version",
        "[CRITIQUE] srv1 : La piste d'audit a été modifiée",
        "[CRITIQUE] srv1 : Les journaux n'atteignent pas leur destinataire",
        "[ATTENTION] srv1 : Pas de sauvegarde récente",
        "[CRITIQUE] srv1 : Les changements ne sont plus consignés, ni la piste d'audit ancrée",
        "[CRITIQUE] srv1 : Un disque est presque plein",
        "[INFORMATION] srv1 : Une clé a été créée",
    ):
        said = received.wait("slack", lambda found, text=text: found.startswith(text), 120)
        assert "Que faire : docs/runbooks/" in said
    assert time.monotonic() - began < 120
    heal()
    keeper.start()
    received.wait("slack", lambda found: found.startswith("[RÉSOLU] srv1 : La piste d'audit a été modifiée"), 120)


def test_nothing_of_a_request_is_kept_and_logs_leave_whole(received: Received, keeper: Siem) -> None:
    """A SIEM is away, and what was asked stands nowhere, not in its spool either; then the trail is there once, in order, and in Loki."""
    heal()
    keeper.stop()
    canary, planted = f"canary-{secrets.token_hex(8)}", f"canary-{secrets.token_hex(8)}"
    key = citadelle("keys", "create", f"logs-{secrets.token_hex(4)}", "--host", "srv1").stdout.split()[-1]
    for line in (ASK.format(count=2, key=key), ASK.format(count=1, key=f"ck_{canary}")):
        do(line.replace('"hello"', f'"{canary}"').replace("--silent", f"--silent --user-agent {canary}"))
    strange = ASK.format(count=1, key=key).replace("/v1/chat", f"/{canary}")
    do(strange.replace('"max_tokens"', f'"model":"{canary}","max_tokens"'))
    do(SEGV)
    do(until(f"test $({WAITING}) -gt 3 && {ALL_HEALTHY}", 90))
    assert holds(canary) == set()
    plant(planted)  # and the search finds what is there
    made = silence(planted)
    places = FOLDERS.keys() | {"journal", "series of Prometheus", "alerts and silences"}
    end = time.monotonic() + 30
    while not (found := holds(planted)) >= places:
        assert time.monotonic() < end, places - found
    uproot()
    keeper.start()
    end = time.monotonic() + 30
    while True:
        lines, found = do(f"cat {TRAIL}").splitlines(), json.loads(do("curl --silent http://127.0.0.1:3100/"))
        written = [json.loads(line)["seq"] for line in lines]
        trail = [json.loads(line) for labels, kept in found["streams"] if labels["job"] == "audit" for line in kept]
        there = [record["seq"] for record in trail if record["event"] != "anchor"][: len(written)]
        if keeper.records() == written == there and any(made in line for line in lines):
            break
        assert time.monotonic() < end, (len(keeper.records()), len(written), len(there), keeper.refused[-3:])
    assert found["refused"] == []
    assert {"gateway", "engine"} <= {labels["service"] for labels, _ in found["streams"] if labels["job"] == "stack"}
    told = {(record["event"], record.get("subject")) for record in trail}
    assert ("silence_created", made) in told
    assert {f"{one}_created" for one in ("key", "policy", "model", "release", "pseudonym")} <= {
        event for event, _ in told
    }
    assert citadelle("audit", "verify", "--host", "srv1").returncode == 0
    assert canary not in json.dumps(found) + repr(received.messages) + b"".join(keeper.messages).decode()
    do("systemctl stop citadelle-logs")
    received.wait("slack", lambda text: text.startswith("[CRITIQUE] srv1 : Les journaux ne sont plus expédiés"), 120)
    do("systemctl start citadelle-logs")


def test_a_flipped_byte_of_a_model_arrives(received: Received) -> None:
    do(FLIP)
    said = received.wait("teams", lambda found: "Un fichier de modèle n'est plus celui de son verrou" in found, 120)
    assert "smollm2:135m-instruct : ses fichiers diffèrent du verrou signé" in said
    do(f"{BACK} && systemctl restart citadelle-models")
    do(until(ALL_HEALTHY, 120))


# Panels that a lab PC has nothing for, and why.
NOTHING = {
    "host: Temperature": "a container's kernel has no sensor",
    "host: Accelerators at work": "no accelerator",
    "host: Memory of accelerators": "no accelerator",
    "fleet: Nearest end of a lock": "the lab's lock has no end",
}
NAMES = re.compile(r"\b(?:llm|citadelle|gateway|node|alertmanager|prometheus)_\w+")


def test_every_rule_and_panel_finds_its_figures(received: Received) -> None:
    """In the real Prometheus of a real host; save where the lab's PC has no such thing."""
    panels = questions("prometheus")
    plain = [text.replace("$__rate_interval", "1m").replace("$__range", "30m") for _, text in panels]
    end = time.monotonic() + 40  # figures come every five seconds, and a rate needs two
    while True:
        answers: list[Any] = asked([{"path": "query", "query": text} for text in plain])
        with_data = {panel for (panel, _), one in zip(panels, answers, strict=True) if one.get("result")}
        empty = {panel for panel, _ in panels} - with_data
        if empty == NOTHING.keys() or time.monotonic() > end:
            break
    assert [one for one in answers if "wrong" in one] == []
    assert empty == NOTHING.keys()
    names: list[Any] = asked([{"path": "label/__name__/values"}, {"path": "label/use/values"}])
    assert names[1] == ["siem", "tls"]  # certificates
    used = {name for rule in ALERTS.values() for name in NAMES.findall(without_texts(rule["expr"]))}
    used |= {name for text in plain for name in NAMES.findall(without_texts(text))}
    assert len(used) > 40
    assert {name for name in used - set(names[0]) if not name.startswith(("citadelle_accelerator_", "citadelle_windows_"))} <= {
        "node_hwmon_temp_celsius", "node_thermal_zone_temp", "llm_models_lock_expires_timestamp_seconds",
    }  # fmt: skip


def test_the_dead_man_is_called_and_calls_out_when_prometheus_stops(received: Received) -> None:
    received.more("deadman", 3, within=90)
    do("docker stop citadelle-prometheus-1")
    assert received.silence("deadman", 15, within=120)
    do("docker start citadelle-prometheus-1")
