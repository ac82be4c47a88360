"""When each alert fires and when it does not: series a minute apart in promtool's own notation, and the minute of the question."""

from __future__ import annotations

from typing import Any, NamedTuple


class Case(NamedTuple):
    """`fires` after `minute` minutes of its series, with `labels`; `quiet` does not at that minute."""

    fires: dict[str, str]
    quiet: dict[str, str]
    minute: int = 10
    labels: dict[str, str] = {}  # noqa: RUF012


LIMITS = {
    "refused_keys": 10, "limited_requests": 50, "engine_failures": 5, "tokens_hour": 50000, "first_byte_seconds": 60,
    "disk_free": 0.1, "audit_seconds": 900, "memory_free": 0.05, "temperature": 90, "certificate_days": 14, "restarts": 2,
    "backup_hours": 26, "accelerator_temperature": 90, "lock_days": 30,
}  # fmt: skip
FILE = '{file="/var/lib/node_exporter/textfile/citadelle_host.prom"}'
DISK = '{mountpoint="/",fstype="ext4"}'
CARD = '{device="0000:01:00.0",kind="gpu"}'
CERTIFICATE = 'citadelle_certificate_not_after_timestamp_seconds{use="siem"}'
JOURNAL = 'citadelle_retention_ok{store="journal"}'
TEMPERATURE = '{chip="coretemp",sensor="temp1"}'


def refused(code: str, values: str) -> dict[str, str]:
    return {f'gateway_refusals_total{{code="{code}"}}': values}


def kept(limit: str, ran: str = "0x70") -> dict[str, str]:
    """The trail's oldest record is of minute 0, and may be as old as `limit` says, less two days; the job has run then."""
    return {
        'citadelle_retention_oldest_timestamp_seconds{store="audit"}': "0x70",
        'citadelle_retention_limit_seconds{store="audit"}': limit,
        "citadelle_retention_ran_timestamp_seconds": ran,
    }


def slow(bucket: str) -> dict[str, str]:
    """Requests a minute of which one in five is in the last bucket, or none is."""
    return {
        'gateway_first_byte_seconds_bucket{route="chat",le="60"}': bucket,
        'gateway_first_byte_seconds_bucket{route="chat",le="300"}': "0+10x30",
        'gateway_first_byte_seconds_bucket{route="chat",le="+Inf"}': "0+10x30",
    }


def disk(free: str, size: str = "100x600") -> dict[str, str]:
    return {f"node_filesystem_avail_bytes{DISK}": free, f"node_filesystem_size_bytes{DISK}": size}


def gauge(name: str, labels: str = "") -> tuple[dict[str, str], dict[str, str]]:
    """0 is an alert, 1 is none."""
    return {f"{name}{labels}": "1 0x20"}, {f"{name}{labels}": "1x20"}


CASES = {
    "RefusedKeys": Case(refused("invalid_key", "0 0 20x20"), refused("invalid_key", "0+1x20"), 4),
    "KeyCreated": Case({"gateway_keys": "2 2 3x20"}, {"gateway_keys": "3 0 0 3 2x20"}, 4),
    "LimitBurst": Case(refused("limit_reached", "0 0 90x20"), refused("limit_reached", "0+8x20"), 4),
    "AnswersCut": Case(refused("answer_cut", "0 0 1x20"), refused("answer_cut", "1x20"), 4),
    "TokenVolumeUnusual": Case(
        {'gateway_tokens_total{direction="out"}': "0+100x1600 160000+5000x60"},
        {'gateway_tokens_total{direction="out"}': "0+5000x1660"},
        1655,
    ),
    "UseOutsideHours": Case(
        {'gateway_requests_total{route="POST /v1/chat/completions",status="200",code=""}': "0 0 3x20"},
        {'gateway_requests_total{route="none",status="401",code="invalid_key"}': "0+3x20"},
        4,
    ),
    "ModelDigestMismatch": Case(*gauge("llm_model_digest_match", '{model="m"}'), labels={"model": "m"}),
    "LockExpiring": Case(
        {"llm_models_lock_expires_timestamp_seconds": "2591000x20"}, {"llm_models_lock_expires_timestamp_seconds": "2593000x20"},
    ),
    "ImageDigestDrift": Case(
        *gauge("citadelle_container_image_match", '{service="rag"}'), labels={"service": "rag"}
    ),
    "EgressAttempt": Case(
        {'citadelle_firewall_packets_total{counter="from_containers"}': "7 7 9x20"},
        {'citadelle_firewall_packets_total{counter="unasked"}': "0+9x20"},
        4, {"counter": "from_containers"},
    ),
    "FirewallAbsent": Case(*gauge("citadelle_firewall_loaded")),
    "AuditChainBroken": Case(*gauge("citadelle_audit_valid")),
    "AuditUnchecked": Case(
        {"citadelle_audit_checked_timestamp_seconds": "0x70"}, {"citadelle_audit_checked_timestamp_seconds": "0+60x70"}, 62
    ),
    "ChangesUnrecorded": Case(
        {"citadelle_trail_ok": "1 0x20", "citadelle_anchor_timestamp_seconds": "0+60x20"},
        {"citadelle_trail_ok": "1 0 1x20", "citadelle_anchor_timestamp_seconds": "0+60x20"},
    ),
    "BackupTooOld": Case(
        {"citadelle_backup_timestamp_seconds": "-93600x20"}, {"citadelle_backup_timestamp_seconds": "-93600x8 0x20"},
    ),
    "AcceleratorHot": Case(
        {f"citadelle_accelerator_temperature_celsius{CARD}": "91x20"},
        {f"citadelle_accelerator_temperature_celsius{CARD}": "90x20"},
        labels={"device": "0000:01:00.0", "kind": "gpu"},
    ),
    "AuditUnavailable": Case(refused("audit_unavailable", "0 0 1x20"), refused("audit_unavailable", "4x20"), 4),
    "TargetDown": Case({'up{job="gateway"}': "1 0x20"}, {'up{job="gateway"}': "1 0 1x20"}, labels={"job": "gateway"}),
    "ContainerDown": Case(
        *gauge("citadelle_container_running", '{service="rag"}'), labels={"service": "rag"}
    ),
    "ContainerUnhealthy": Case(
        {'citadelle_container_healthy{service="rag"}': "0x20", 'citadelle_container_running{service="rag"}': "1x20"},
        {'citadelle_container_healthy{service="rag"}': "0x20", 'citadelle_container_running{service="rag"}': "0x20"},
        labels={"service": "rag"},
    ),
    "ContainerRestarting": Case(
        {'citadelle_container_restarts{service="rag"}': "0 1 2 3 3x20"},
        {'citadelle_container_restarts{service="rag"}': "5 5 0x20"},
        labels={"service": "rag"},
    ),
    "HostMetricsStale": Case(
        {f"node_textfile_mtime_seconds{FILE}": "0x20"}, {f"node_textfile_mtime_seconds{FILE}": "0+60x20"},
        labels={"file": "/var/lib/node_exporter/textfile/citadelle_host.prom"},
    ),
    "HostMetricsWrong": Case(*gauge("citadelle_probe_ok", '{probe="audit"}'), labels={"probe": "audit"}),
    "EngineFailing": Case(refused("engine_failed", "0 0 6x20"), refused("engine_failed", "0+1x20"), 4),
    "AnswersSlow": Case(slow("0+8x30"), slow("0+10x30"), 20),
    "DiskFull": Case(disk("9x20"), disk("11x20")),
    "DiskWillFill": Case(disk("80-0.15x500"), disk("28x500"), 480),
    "MemoryLow": Case(
        {"node_memory_MemAvailable_bytes": "4x20", "node_memory_MemTotal_bytes": "100x20"},
        {"node_memory_MemAvailable_bytes": "6x20", "node_memory_MemTotal_bytes": "100x20"},
    ),
    "TemperatureHigh": Case(
        {f"node_hwmon_temp_celsius{TEMPERATURE}": "91x20"}, {f"node_hwmon_temp_celsius{TEMPERATURE}": "90x20"},
        labels={"chip": "coretemp", "sensor": "temp1"},
    ),
    "CertificateExpiring": Case(
        {CERTIFICATE: "1209000x20"},
        {CERTIFICATE: "1210500x20"}, labels={"use": "siem"},
    ),
    "RetentionExceeded": Case(kept("-172801x70"), kept("0x70"), 62, {"store": "audit"}),
    "AlertDeliveryFailing": Case(
        {'alertmanager_notifications_failed_total{integration="slack",reason="other"}': "0 0 1x20"},
        {'alertmanager_notifications_failed_total{integration="slack",reason="other"}': "1x20"},
        4, {"integration": "slack"},
    ),
    "RulesFailing": Case(
        {'prometheus_rule_evaluation_failures_total{rule_group="a"}': "0 0 1x20"},
        {'prometheus_rule_evaluation_failures_total{rule_group="a"}': "1x20"},
        4, {"rule_group": "a"},
    ),
    "LogsStopped": Case(
        {"citadelle_logs_running": "1 0x20", "citadelle_logs_seen_timestamp_seconds": "0+60x20"},
        {"citadelle_logs_running": "1x20", "citadelle_logs_seen_timestamp_seconds": "0+60x20"},
    ),
    "LogsUndelivered": Case(
        {'citadelle_logs_waiting{leg="siem"}': "0 5 6 7x20", 'citadelle_logs_delivered_total{leg="siem"}': "0 9 9x20"},
        {'citadelle_logs_waiting{leg="siem"}': "0 5 6 7x20", 'citadelle_logs_delivered_total{leg="siem"}': "0+1x20"},
        labels={"leg": "siem"},
    ),
    "LogsSpoolFilling": Case(
        {'citadelle_logs_spool_ratio{leg="loki"}': "0.81x20"}, {'citadelle_logs_spool_ratio{leg="loki"}': "0.8x20"},
        labels={"leg": "loki"},
    ),
    "LogsDiscarded": Case(
        {'citadelle_logs_discarded_total{leg="loki-audit"}': "0 0 1x20"}, {'citadelle_logs_discarded_total{leg="loki-audit"}': "1x20"},
        4, {"leg": "loki-audit"},
    ),
    "WindowsEventsStopped": Case(
        {"citadelle_windows_handover_timestamp_seconds": "0x70"}, {"citadelle_windows_handover_timestamp_seconds": "0+60x70"}, 21
    ),
    "WindowsChannelUnread": Case(
        {'citadelle_windows_channel_read{row="logons"}': "0x70"}, {'citadelle_windows_channel_read{row="logons"}': "0x10 1 0x60"}, 20,
        {"row": "logons"},
    ),
}  # fmt: skip
# What else brings an alert about, by `or` in its rule, and what does not: each way for itself.
WAYS = [
    ("AuditUnchecked", Case({"up": "1x20"}, {"citadelle_audit_checked_timestamp_seconds": "0+60x20"})),
    (
        "ChangesUnrecorded",
        Case(
            {"citadelle_trail_ok": "1x200", "citadelle_anchor_timestamp_seconds": "0x200"},
            {"citadelle_trail_ok": "1x200", "citadelle_anchor_timestamp_seconds": "0x60 3600x140"},
            127,
        ),
    ),
    ("HostMetricsStale", Case({"up": "1x20"}, {f"node_textfile_mtime_seconds{FILE}": "0+60x20"})),
    ("HostMetricsWrong", Case({"node_textfile_scrape_error": "1x20"}, {"node_textfile_scrape_error": "0x20"})),
    (
        "LogsStopped",
        Case(
            {"citadelle_logs_running": "1x20", "citadelle_logs_seen_timestamp_seconds": "0x20"},
            {"citadelle_logs_seen_timestamp_seconds": "0x20"},  # taken off the host: nobody asks for it any more
        ),
    ),
    ("RetentionExceeded", Case(kept("0x70", ran="-172801x70"), kept("0x70", ran="-100000x70"), 62)),
    ("RetentionExceeded", Case({"up": "1x70"}, kept("0x70"), 62)),
    (
        "RetentionExceeded",
        Case(kept("0x70") | {JOURNAL: "0x70"}, kept("0x70") | {JOURNAL: "1x70"}, 62, {"store": "journal"}),
    ),
]
# Of which the labels of the samples differ from the series' own.
DISKS = {"DiskFull", "DiskWillFill"}


def promtool(limits: str, severities: dict[str, str], files: list[str]) -> dict[str, Any]:
    """promtool's own test file with all cases. `limits`: the file of thresholds, as the release has it."""
    tests = [
        _test(name, series, minute, severities[name], case.labels if fires else None)
        for name, case in (*CASES.items(), *WAYS)
        for fires, series, minute in ((True, case.fires, case.minute), (False, case.quiet, case.minute))
    ]
    return {"rule_files": [limits, *files], "evaluation_interval": "1m", "tests": tests}


def _test(
    name: str, series: dict[str, str], minute: int, severity: str, labels: dict[str, str] | None
) -> dict[str, Any]:
    wanted = {"alertname": name, "alertstate": "firing", "severity": severity} | (labels or {})
    wanted |= {"mountpoint": "/", "fstype": "ext4"} if name in DISKS else {}
    shown = ", ".join(f'{label}="{value}"' for label, value in wanted.items())
    expected = [{"labels": f"ALERTS{{{shown}}}", "value": 1}] if labels is not None else []
    ask = {
        "expr": f'ALERTS{{alertname="{name}",alertstate="firing"}}',
        "eval_time": f"{minute}m",
        "exp_samples": expected,
    }
    rows = [{"series": key, "values": values} for key, values in series.items()]
    return {
        "name": f"{name} {'fires' if labels is not None else 'is quiet'}",
        "interval": "1m",
        "input_series": rows,
        "promql_expr_test": [ask],
    }
