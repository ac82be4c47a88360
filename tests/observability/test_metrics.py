"""What the looks at a host say: of containers as Docker describes them, of a genuine audit trail, and of what cannot be looked at."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from citadelle import audit, certificates, textfile
from citadelle.observability import accelerators, metrics

PIN = "r.example/rag:1@sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64


def container(service: str, image: str = PIN, digest: str = "sha256:" + "1" * 64, status: str = "running") -> dict:
    """As `docker container inspect` gives it, as far as it is read."""
    return {
        "Config": {"Labels": {"com.docker.compose.service": service}, "Image": image},
        "Image": digest,
        "RestartCount": 2,
        "State": {"Status": status, "Health": {"Status": "healthy"}},
    }


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What programs answer, by their first two words; a release that names rag and gateway."""
    (tmp_path / "hashes").write_text("gateway 1\nrag 2\n")
    (tmp_path / "images.lock.env").write_text(f"RAG_IMAGE={PIN}\n")
    monkeypatch.setattr(metrics, "RELEASE", tmp_path)
    answers: dict[str, str] = {}

    def answer(*command: str) -> str:
        if " ".join(command[:2]) not in answers:
            raise OSError("it does not answer")
        return answers[" ".join(command[:2])]

    monkeypatch.setattr(metrics, "answer", answer)
    metrics.inspected.cache_clear()
    return answers


def lines(*found: dict, said: dict[str, str]) -> set[str]:
    said |= {"docker ps": "id running citadelle\nid2 paused \n", "docker container": json.dumps(found)}
    metrics.inspected.cache_clear()
    return texts(metrics.containers()) - {
        'citadelle_docker_containers{state="running"} 1',
        'citadelle_docker_containers{state="paused"} 1',
        'citadelle_docker_containers{state="exited"} 0',
    }


def texts(found: Iterator[textfile.Sample]) -> set[str]:
    return {line for line in textfile.text(list(found), metrics.TEXTS).splitlines() if not line.startswith("#")}


def test_a_container_is_what_the_release_says(said: dict[str, str]) -> None:
    assert lines(container("rag"), said=said) == {
        'citadelle_container_running{service="gateway"} 0',
        'citadelle_container_running{service="rag"} 1',
        'citadelle_container_healthy{service="rag"} 1',
        'citadelle_container_restarts{service="rag"} 2',
        'citadelle_container_image_match{service="rag"} 1',
    }


@pytest.mark.parametrize(
    "wrong",
    [
        container("rag", image="r.example/rag:1"),
        container("rag", digest=OTHER),
        container("rag", image=PIN.replace("rag", "x")),
    ],
)
def test_another_image_is_seen_also_beside_the_right_one(said: dict[str, str], wrong: dict) -> None:
    assert 'citadelle_container_image_match{service="rag"} 0' in lines(wrong, said=said)
    assert 'citadelle_container_image_match{service="rag"} 0' in lines(wrong, container("rag"), said=said)
    assert 'citadelle_container_image_match{service="rag"} 0' in lines(container("rag"), wrong, said=said)


def test_a_look_that_fails_takes_no_other_along_and_leaves_nothing_half_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken() -> Iterator[metrics.Sample]:
        yield "citadelle_audit_valid", {}, 1
        raise OSError("no")

    def whole() -> Iterator[metrics.Sample]:
        yield "citadelle_firewall_loaded", {}, True

    found = textfile.text(list(metrics.looked({"audit": broken, "firewall": whole})), metrics.TEXTS)
    assert [line for line in found.splitlines() if not line.startswith("#")] == [
        'citadelle_probe_ok{probe="audit"} 0', 'citadelle_probe_ok{probe="firewall"} 1', "citadelle_firewall_loaded 1",
    ]  # fmt: skip
    assert capsys.readouterr().err == "audit cannot be measured: no\n"


def unit(state: str, result: str = "success") -> str:
    return f"Result={result}\nActiveState={state}\n"


@pytest.mark.parametrize(
    ("shipping", "timer", "run", "wanted"),
    [
        (unit("active"), unit("active"), unit("inactive"), (1, 1)),
        (unit("failed", "exit-code"), unit("active"), unit("activating"), (0, 1)),
        (unit("active"), unit("inactive"), unit("inactive"), (1, 0)),
        (unit("active"), unit("active"), unit("failed", "timeout"), (1, 0)),
    ],
)
def test_who_ships_and_who_records_changes_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: dict[str, str], shipping: str, timer: str, run: str, wanted: tuple[int, int]
) -> None:  # fmt: skip
    monkeypatch.setattr(metrics, "LOGS", tmp_path / "rsyslog.conf")
    monkeypatch.setattr(audit, "ANCHORS", str(tmp_path / "anchors.jsonl"))
    said["systemctl show"] = "\n".join([shipping, timer, run])
    assert list(metrics.logs()) == [("citadelle_trail_ok", {}, wanted[1])]  # of every stack
    with monkeypatch.context() as patch:
        patch.setattr(metrics, "RELEASE", tmp_path / "none")
        assert list(metrics.logs()) == []
    metrics.LOGS.touch()
    found = {name: value for name, _, value in metrics.logs()}
    assert (found["citadelle_logs_running"], found["citadelle_trail_ok"]) == wanted
    assert found["citadelle_anchor_timestamp_seconds"] == 0
    (tmp_path / "anchors.jsonl").touch()
    assert {name: value for name, _, value in metrics.logs()}["citadelle_anchor_timestamp_seconds"] > 0


def test_each_certificate_ends_when_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read by metrics.py without a package, and here by the one that has made them."""
    made = certificates.make(tmp_path, "srv1", ["srv1"])
    monkeypatch.setattr(metrics, "CERTIFICATES", {"tls": made, "siem": tmp_path / "absent.pem"})
    ends = x509.load_pem_x509_certificate(made.read_bytes()).not_valid_after_utc.timestamp()
    assert list(metrics.certificate()) == [("citadelle_certificate_not_after_timestamp_seconds", {"use": "tls"}, ends)]
    (tmp_path / "absent.pem").write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        list(metrics.certificate())


def test_a_packet_filter_that_is_gone_is_told_and_one_that_was_never_placed_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {
        "tables": {
            "nftables": [
                {"table": {"family": "ip", "name": "citadelle"}},
                {"table": {"family": "inet", "name": "docker"}},
            ]
        },
        "counters table inet citadelle": {
            "nftables": [{"metainfo": {}}, {"counter": {"name": "to_host", "packets": 3}}]
        },
    }
    monkeypatch.setattr(metrics, "answer", lambda *words: json.dumps(answers[" ".join(words[3:])]))
    monkeypatch.setattr(metrics, "FIREWALL", tmp_path / "firewall.nft")
    assert list(metrics.firewall()) == []
    metrics.FIREWALL.touch()
    assert texts(metrics.firewall()) == {"citadelle_firewall_loaded 0"}
    answers["tables"]["nftables"].append({"table": {"family": "inet", "name": "citadelle"}})
    assert texts(metrics.firewall()) == {
        "citadelle_firewall_loaded 1",
        'citadelle_firewall_packets_total{counter="to_host"} 3',
    }


def test_what_docker_takes_is_said_where_systemd_counts_it(said: dict[str, str]) -> None:
    for answered, wanted in (("42000384\n", {"citadelle_docker_memory_bytes 42000384"}), ("[not set]\n", {""})):
        said["systemctl show"] = answered
        assert texts(metrics.docker()) == wanted


def test_a_backup_is_as_old_as_its_file_and_one_without_a_file_never_was(tmp_path: Path) -> None:
    file = tmp_path / "done"
    assert texts(metrics.backup(None)) == {"citadelle_backup_watched 0"}
    assert texts(metrics.backup(file)) == {"citadelle_backup_watched 1", "citadelle_backup_timestamp_seconds 0"}
    file.touch()
    os.utime(file, (1795867200, 1795867200))
    assert "citadelle_backup_timestamp_seconds 1795867200" in texts(metrics.backup(file))


CARDS = Path(__file__).parent / "data/accelerators"


def test_accelerators_say_what_their_drivers_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerators, "NVIDIA", (str(tmp_path / "none"), str(tmp_path / "nvidia-smi")))
    monkeypatch.setattr(accelerators, "SYS", tmp_path)
    assert list(accelerators.samples()) == []
    monkeypatch.setattr(accelerators, "SYS", CARDS / "sys")
    amd, npu = '{device="0000:09:00.0",kind="gpu"}', '{device="0000:00:0b.0",kind="npu"}'
    known = {
        f"citadelle_accelerator_busy_ratio{amd} 0.040000000000000001",
        f"citadelle_accelerator_memory_used_bytes{amd} 1490378752",
        f"citadelle_accelerator_memory_bytes{amd} 8573157376",
        f"citadelle_accelerator_busy_seconds_total{npu} 1.234567",
        f"citadelle_accelerator_memory_used_bytes{npu} 4096",
    }
    assert texts(accelerators.samples()) == known
    answer = (CARDS / "nvidia-smi.csv").read_text()
    script = f"#!/bin/sh\n[ $# = 2 ] || exit 6\ncat <<'EOF'\n{answer}EOF\n"
    (tmp_path / "nvidia-smi").write_text(script)
    (tmp_path / "nvidia-smi").chmod(0o755)
    nvidia, other = '{device="0000:01:00.0",kind="gpu"}', '{device="0000:02:00.0",kind="gpu"}'
    assert texts(accelerators.samples()) - known == {
        f"citadelle_accelerator_busy_ratio{nvidia} 0",
        f"citadelle_accelerator_memory_used_bytes{nvidia} {596 << 20}",
        f"citadelle_accelerator_memory_bytes{nvidia} {16376 << 20}",
        f"citadelle_accelerator_temperature_celsius{nvidia} 43",
        f"citadelle_accelerator_memory_used_bytes{other} {1234 << 20}",
    }
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'; exit 9\n")
    with pytest.raises(OSError, match="NVIDIA-SMI has failed"):
        list(accelerators.samples())


@pytest.fixture
def trail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of two files with two records each, as the receiver writes one."""
    key, last = b"k" * 32, audit.NOTHING
    (tmp_path / "key").write_text(key.hex())
    for start in (1, 3):
        with (tmp_path / f"audit-{start:012}.jsonl").open("wb") as file:
            for seq in (start, start + 1):
                line, last = audit.seal(key, {"seq": seq, "ts": "2026-01-01T00:00:00Z", "event": "start", "prev": last})
                file.write(line)
    (tmp_path / audit.HEAD).write_bytes(audit.seal(key, {"seq": 4, "last": last})[0])
    for name, value in {"LOG": str(tmp_path), "KEY": str(tmp_path / "key")}.items():
        monkeypatch.setattr(audit, name, value)
    monkeypatch.setattr(metrics, "STATE", tmp_path / "state/audit.json")
    return tmp_path


def valid(now: float, seconds: float = 10) -> tuple[float, float]:
    found = {name: value for name, _, value in metrics.trail(seconds, now)}
    return found["citadelle_audit_valid"], found["citadelle_audit_checked_timestamp_seconds"]


def poke(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"start"', b'"stort"', 1))


@pytest.mark.parametrize("name", ["audit-000000000001.jsonl", "audit-000000000003.jsonl"])
def test_the_trail_is_judged_when_its_time_has_come_closed_files_too(trail: Path, name: str) -> None:
    assert valid(100) == (True, 100)
    poke(trail / name)
    assert valid(105) == (True, 100)
    assert valid(111) == (False, 111)
    assert valid(112, seconds=1) == (False, 112)


def test_a_trail_whose_end_is_cut_off_or_whose_clock_went_back_is_judged(trail: Path) -> None:
    assert valid(100) == (True, 100)
    newest = trail / "audit-000000000003.jsonl"
    newest.write_bytes(newest.read_bytes().splitlines(keepends=True)[0])
    assert valid(50) == (False, 50)
