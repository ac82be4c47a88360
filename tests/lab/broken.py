"""What tests of alerts break on srv1, for real, and how it is mended; all past SSH and code of ours."""

from __future__ import annotations

from tests.lab.pcs import exec_in_pc
from tests.lab.state import SRV1
from tests.lab.test_model_gate import BACK

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
# A disk of its own, full. In a container no mount reaches a service's own view of the files after its start.
FILL = (
    "mkdir -p /mnt/small && truncate -s 16M /root/small.img && mkfs.ext4 -q /root/small.img && mount -o loop /root/small.img /mnt/small"
    " && { dd if=/dev/zero of=/mnt/small/full bs=1M status=none 2>/dev/null || test -s /mnt/small/full; }"
    " && systemctl restart prometheus-node-exporter"
)
# The engine's process that computes, with what was asked in its memory, ends as by a fault of its own.
SEGV = "kill -SEGV $(docker top citadelle-engine-1 -eo pid | tail -n 1)"
WAITING = "sed -n 's/^citadelle_logs_waiting{leg=\"siem\"} //p' /var/lib/node_exporter/textfile/citadelle_logs.prom"


def do(line: str, stdin: bytes = b"") -> str:
    """On srv1; it must succeed."""
    done = exec_in_pc(SRV1.name, ["sh", "-c", line], stdin=stdin)
    assert done.returncode == 0, f"{line}: {done.stderr.decode(errors='replace')}"
    return done.stdout.decode()


def heal() -> None:
    """What an interrupted test may have left."""
    do("docker rm --force stranger >/dev/null 2>&1 || true")
    do(f"test ! -e /root/poked || {{ {POKE.format(byte='$(cat /root/poked)')} && rm /root/poked; }}")
    do(f"test ! -e /root/flipped || {{ {BACK}; systemctl restart citadelle-models; }}")
    do(
        "umount /mnt/small 2>/dev/null; rm -f /root/small.img; systemctl start citadelle-trail.timer 2>/dev/null || true"
    )
    do("docker start citadelle-prometheus-1 >/dev/null")
