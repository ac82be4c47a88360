"""The way to a SIEM, against a double with real TLS: nothing lost or twice while it comes and goes, and nothing to anybody else."""

from __future__ import annotations

import shutil
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from citadelle import certificates
from citadelle.shipping import siem as way
from tests.shipping.siem import CLIENT, NAME, Siem, siem
from tests.shipping.test_forms import HOST, line_of


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Siem]:
    with siem(tmp_path / "double") as found:
        yield found


@pytest.fixture
def sender(double: Siem, monkeypatch: pytest.MonkeyPatch) -> way.Siem:
    """As a host has it: certificates under the names that it knows, tries after tenths of a second."""
    monkeypatch.setattr(way, "AGAIN_SECONDS", 0.02)
    monkeypatch.setattr(way.handover, "report", lambda _: None)
    for name, source in (("certificate.pem", f"{CLIENT}.pem"), ("key.pem", f"{CLIENT}.key")):
        shutil.copy(double.folder / source, double.folder / name)
    return way.Siem(double.address, double.port, NAME, double.folder)


def frames(first: int, last: int) -> list[bytes]:
    lines = (line_of({"event": "request", "id": f"r{number}"}) for number in range(first, last))
    return [way.frame(way.forms.message("ecs", HOST, line)) for line in lines]


def ids(double: Siem) -> list[str]:
    return [message.split(b'id="')[1].split(b'"')[0].decode() for message in double.messages]


def wait(double: Siem, count: int) -> None:
    end = time.monotonic() + 20
    while len(double.messages) < count:
        assert time.monotonic() < end, (len(double.messages), double.refused[-3:])
        time.sleep(0.005)


def test_all_arrives_once_while_it_goes_and_comes_back(double: Siem, sender: way.Siem) -> None:
    sender.deliver(frames(0, 50))
    wait(double, 50)
    for turn in range(1, 4):
        double.stop()
        first = 50 * turn
        going = threading.Thread(target=sender.deliver, args=(frames(first, first + 50),))
        going.start()
        double.start()
        going.join(20)
        assert not going.is_alive()
        wait(double, first + 50)
    assert ids(double) == [f"r{number}" for number in range(200)]
    assert double.versions == {"TLSv1.3"}


def test_what_was_not_acknowledged_is_counted_from_the_end() -> None:
    sent = [b"x" * size for size in (100, 16384, 20000, 5)]
    sizes = [100 + 22, 16384 + 22, 20000 + 44, 5 + 22]
    assert [way.undelivered(sent, count) for count in (0, 1, 27, 28, sum(sizes[2:]), sum(sizes[1:]) + 1, 1 << 30)] == [
        0,
        1,
        1,
        2,
        2,
        4,
        4,
    ]


def refusal(sender: way.Siem) -> str:
    with pytest.raises(ssl.SSLError) as found:
        sender._connected()
    return str(found.value)


def test_only_the_named_siem_of_the_named_authority_gets_anything(
    double: Siem, sender: way.Siem, tmp_path: Path
) -> None:
    other = way.Siem(double.address, double.port, "other.example", double.folder)
    assert "Hostname mismatch" in refusal(other)
    # A certificate of a client does not make a SIEM.
    certificates.make(double.folder, NAME, [NAME], client=True)
    double.stop()
    double.start()
    assert "purpose" in refusal(sender)
    certificates.make(tmp_path / "strange", "ca", ["ca"])
    shutil.copy(tmp_path / "strange/ca.pem", double.folder / "ca.pem")
    assert "self-signed certificate" in refusal(sender)
    assert double.messages == []


def test_no_older_tls(double: Siem, sender: way.Siem, monkeypatch: pytest.MonkeyPatch) -> None:
    double.newest = ssl.TLSVersion.TLSv1_2
    double.stop()
    double.start()
    assert "protocol version" in refusal(sender).lower().replace("_", " ")


def test_the_double_takes_nobody_without_a_certificate(double: Siem) -> None:
    context = ssl.create_default_context(cafile=str(double.folder / "ca.pem"))
    plain = way.socket.create_connection((double.address, double.port))
    with (
        context.wrap_socket(plain, server_hostname=NAME) as secure,
        pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"),
    ):
        secure.recv(1)
    assert double.messages == []
    assert "PEER_DID_NOT_RETURN_A_CERTIFICATE" in double.refused[0]
