"""From what happens on a host to what a person reads: each thing is done for real, and its alert arrives at a receiver, in French.

One rollout with receivers that are doubles (`receivers.py`), short times by settings, and all that does not get in another's way at once.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterator

import pytest

from tests.lab import state
from tests.lab.commands import address
from tests.lab.conftest import Read
from tests.lab.pcs import exec_in_pc
from tests.lab.receivers import Received, receivers
from tests.lab.rollout import citadelle, rollout
from tests.lab.state import SRV1
from tests.lab.test_egress import CONNECT
from tests.lab.test_faults_run import LOOK
from tests.lab.test_model_gate import ALL_HEALTHY, BACK, FLIP, until
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
    "logs": True,
    "logs_siem_peer": NAME,
    "logs_loki": True,
    "logs_anchor_seconds": 5,
}
ASK = """for i in $(seq {count}); do curl --silent --output /dev/null --header @- --header 'Content-Type: application/json' \
  --data '{{"max_tokens":1,"messages":[{{"role":"user","content":"hello"}}]}}' http://127.0.0.1:8080/v1/chat/completions <<EOF
Authorization: Bearer {key}
EOF
done"""
# An alert that an earlier run has brought about, and that goes on, would not be sent anew; and Docker counts a container's restarts, five
# at most, over its whole life.
FORGET = (
    "docker stop citadelle-prometheus-1 citadelle-alertmanager-1 >/dev/null && docker rm --force citadelle-rag-1 >/dev/null"
    " && find /var/lib/citadelle/prometheus /var/lib/citadelle/alertmanager -mindepth 1 -delete"
)
TRAIL = "/var/log/citadelle/audit/audit-*.jsonl"
AUDIT = f"$(ls {TRAIL} | tail -n 1)"
POKE = f'printf %b "\\\\{{byte}}" | dd of={AUDIT} bs=1 seek=7 conv=notrunc status=none'
OF_RAG = "docker inspect --format '{{{{{field}}}}}' citadelle-rag-1"
COUNT, PID = (OF_RAG.format(field=name) for name in (".RestartCount", ".State.Pid"))
# Docker calls a container running that is yet to be started again: it has no process then.
CRASH = f"""for i in 1 2 3; do
  n=$({COUNT}); kill -9 $({PID}); until [ $({COUNT}) -gt $n ] && [ $({PID}) -gt 0 ]; do sleep 0.1; done
done"""
STRANGER = (
    "docker run --detach --name stranger --pull never --network none --ulimit nofile=1024 --entrypoint sleep"
    " --label com.docker.compose.project=citadelle --label com.docker.compose.service=rag"
    " $(docker inspect --format '{{.Image}}' citadelle-gateway-1) 600"
)


def do(line: str) -> str:
    """On srv1, past SSH; it must succeed."""
    done = exec_in_pc(SRV1.name, ["sh", "-c", line])
    assert done.returncode == 0, f"{line}: {done.stderr.decode(errors='replace')}"
    return done.stdout.decode()


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
        do(START)
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


def heal() -> None:
    """What an interrupted test may have left."""
    do("docker rm --force stranger >/dev/null 2>&1 || true")
    do(f"test ! -e /root/poked || {{ {POKE.format(byte='$(cat /root/poked)')} && rm /root/poked; }}")
    do(f"test ! -e /root/flipped || {{ {BACK}; systemctl restart citadelle-models; }}")
    do("docker start citadelle-prometheus-1 >/dev/null")


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
    ):
        said = received.wait("slack", lambda found, text=text: found.startswith(text), 120)
        assert "Que faire : docs/runbooks/" in said
    assert time.monotonic() - began < 120
    heal()
    received.wait("slack", lambda found: found.startswith("[RÉSOLU] srv1 : La piste d'audit a été modifiée"), 120)


def test_logs_leave_whole_without_content_and_their_end_arrives(received: Received, keeper: Siem) -> None:
    """What waited for the SIEM is there once, in order, with all that came before and after; Loki has the trail too, and the containers."""
    keeper.start()
    canary = f"canary-{secrets.token_hex(8)}"
    key = citadelle("keys", "create", f"logs-{secrets.token_hex(4)}", "--host", "srv1").stdout.split()[-1]
    do(ASK.format(count=2, key=key).replace('"hello"', f'"{canary}"'))
    end = time.monotonic() + 30
    while keeper.records() != (written := [json.loads(line)["seq"] for line in do(f"cat {TRAIL}").splitlines()]):
        assert time.monotonic() < end, (len(keeper.records()), len(written), keeper.refused[-3:])
        time.sleep(0.2)
    found = json.loads(do("curl --silent http://127.0.0.1:3100/"))
    assert found["refused"] == []
    trail = [json.loads(line) for labels, lines in found["streams"] if labels["job"] == "audit" for line in lines]
    assert [record["seq"] for record in trail if record["event"] != "anchor"][: len(written)] == written
    assert {"gateway", "engine"} <= {labels["service"] for labels, _ in found["streams"] if labels["job"] == "stack"}
    assert {"key_created", "policy_created", "model_created", "release_created", "anchor"} <= {
        record["event"] for record in trail
    }
    assert canary not in json.dumps(found) and canary.encode() not in b"".join(keeper.messages)  # noqa: PT018
    do("systemctl stop citadelle-logs")
    received.wait("slack", lambda text: text.startswith("[CRITIQUE] srv1 : Les journaux ne sont plus expédiés"), 120)
    do("systemctl start citadelle-logs")


def test_a_flipped_byte_of_a_model_arrives(received: Received) -> None:
    do(FLIP)
    said = received.wait("teams", lambda found: "Un fichier de modèle n'est plus celui de son verrou" in found, 120)
    assert "smollm2:135m-instruct : ses fichiers diffèrent du verrou signé" in said
    do(BACK)
    do("systemctl restart citadelle-models")
    do(until(ALL_HEALTHY, 120))


def test_every_figure_of_a_rule_is_there(received: Received, read: Read) -> None:
    """In the real Prometheus of a real host; save where the lab's PC has no such thing."""
    address_of = (
        "docker inspect --format '{{.NetworkSettings.Networks.citadelle_watch.IPAddress}}' citadelle-prometheus-1"
    )
    login = "curl --silent --user citadelle:$(cat /run/citadelle/observability/prometheus/password)"
    found = set(json.loads(read(SRV1, f"{login} http://$({address_of}):9090/api/v1/label/__name__/values"))["data"])
    used = {
        name
        for rule in ALERTS.values()
        for name in re.findall(
            r"\b(?:llm|citadelle|gateway|node|alertmanager|prometheus)_\w+", re.sub(r'"[^"]*"', "", rule["expr"])
        )
    }
    assert len(used) > 20
    assert used - found <= {"node_hwmon_temp_celsius", "citadelle_certificate_not_after_timestamp_seconds"}


def test_the_dead_man_is_called_and_calls_out_when_prometheus_stops(received: Received) -> None:
    received.more("deadman", 3, within=90)
    do("docker stop citadelle-prometheus-1")
    assert received.silence("deadman", 15, within=120)
    do("docker start citadelle-prometheus-1")
