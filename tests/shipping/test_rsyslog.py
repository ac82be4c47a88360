"""What rsyslog is told; that rsyslog takes it is shown in the lab, where it is."""

from __future__ import annotations

import pytest

from citadelle.shipping import rsyslog
from citadelle.shipping.rsyslog import Shipping, Siem
from roles.logs.settings import LogsSettings

SIEM = Siem("siem.example", 6514, "siem.example", "ocsf")


def action(text: str, name: str) -> str:
    [line] = [line for line in text.splitlines() if line.startswith(f'action(name="{name}"')]
    return line


def test_the_audit_trail_waits_on_the_disk_and_is_never_thrown_away() -> None:
    text = rsyslog.configuration(Shipping("srv1", SIEM, True, ("ssh.service",), 1000, 30)).decode()
    for leg in ("siem", "loki"):
        assert 'queue.type="Disk"' in action(text, leg)
        assert 'queue.timeoutEnqueue="2147483647"' in action(text, leg)
        assert 'action.resumeRetryCount="-1"' in action(text, leg)
    assert 'queue.timeoutEnqueue="0"' in action(text, "loki-audit")  # it must not keep the SIEM waiting
    assert "siem.py ocsf srv1 siem.example 6514 siem.example /etc/citadelle/logs" in action(text, "siem")
    assert '$!_SYSTEMD_UNIT == "ssh.service"' in text
    assert 'Ratelimit.Interval="0"' in text
    assert text.count('interval="30"') == 1


def test_only_what_is_wanted() -> None:
    text = rsyslog.configuration(Shipping("srv1", loki=True)).decode()
    assert "impstats" not in text and "siem" not in text  # noqa: PT018
    assert 'queue.timeoutEnqueue="2147483647"' in action(text, "loki-audit")
    text = rsyslog.configuration(Shipping("srv1", SIEM)).decode()
    assert "imjournal" not in text and "3100" not in text  # noqa: PT018


def test_nothing_breaks_out_of_a_value() -> None:
    for host in ('a"b', "a\nb"):
        with pytest.raises(ValueError, match="cannot stand"):
            rsyslog.configuration(Shipping(host, SIEM))


def test_settings_say_where_to() -> None:
    wanted = LogsSettings(logs=True, logs_siem="siem.example:6514", logs_spool="20MB", logs_siem_format="cef")
    assert wanted.shipping("srv1", 5) == Shipping(
        "srv1", Siem("siem.example", 6514, "siem.example", "cef"), spool=20 << 20, figures=5
    )
    assert LogsSettings(logs_siem="10.0.0.1:6514", logs_siem_peer="siem").shipping("a", 0).siem == Siem(
        "10.0.0.1", 6514, "siem", "ecs"
    )
    wrong = (
        {"logs": True},
        {"logs_siem": "no port"},
        {"logs_siem": "a b:6514"},
        {"logs_units": ["a b.service"]},
        {"logs_units": ['x".service']},
    )
    for given in (*wrong, {"logs_spool": "0MB"}, {"logs_siem_peer": "a b"}, {"logs_siem_format": "leef"}):
        with pytest.raises(ValueError, match="logs"):
            LogsSettings(**given)
