"""The CA and what it signs, judged by the genuine openssl; what a deploy refuses."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from pyinfra.context import ctx_host

from citadelle import certificates
from citadelle.settings import DeployError
from roles.stack.deploy import tls_files
from roles.stack.settings import StackSettings

NOW = datetime.now(UTC)


def openssl(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)


def test_openssl_trusts_it_for_its_names_alone(tmp_path: Path) -> None:
    made = certificates.make(tmp_path / "own", "srv1", ["srv1.example", "10.0.0.7"])
    trusted = ("verify", "-purpose", "sslserver", "-x509_strict", "-CAfile", tmp_path / "own/ca.pem")
    for name in (["-verify_hostname", "srv1.example"], ["-verify_ip", "10.0.0.7"]):
        done = openssl(*trusted, *name, made)
        assert done.returncode == 0, done.stderr
    assert openssl(*trusted, "-verify_hostname", "other.example", made).returncode != 0
    assert openssl("verify", made).returncode != 0


def test_one_ca_for_all_and_keys_for_their_owner_alone(tmp_path: Path) -> None:
    for host in ("a", "b"):
        certificates.make(tmp_path / "own", host, [f"{host}.example"])
    ca = (tmp_path / "own/ca.pem").read_bytes()
    assert all((tmp_path / f"own/{host}.pem").read_bytes().endswith(ca) for host in ("a", "b"))
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "own").iterdir()}
    assert modes == {"ca.pem": 0o644, "ca.key": 0o600, "a.pem": 0o644, "a.key": 0o600, "b.pem": 0o644, "b.key": 0o600}


def test_what_does_not_hold_is_refused_before_any_change(tmp_path: Path) -> None:
    settings = StackSettings(stack_tls_port=8443, stack_tls_folder=tmp_path)
    with ctx_host.use(SimpleNamespace(name="@linux/srv1")):
        assert tls_files(StackSettings(), "g", NOW) == []
        with pytest.raises(
            DeployError, match=r"srv1: certificate for TLS does not hold: .*\nhint: citadelle certificates make"
        ):
            tls_files(settings, "g", NOW)
        for host in ("srv1", "other"):
            certificates.make(tmp_path, host, ["x"])
        certificate, key = tls_files(settings, "citadelle-tls", NOW)
        assert (certificate.mode, key.mode, key.owner) == ("644", "400", "citadelle-tls:root")
        for moment in (NOW - timedelta(days=2), NOW + timedelta(days=certificates.HOST_DAYS + 1)):
            with pytest.raises(DeployError, match="valid from"):
                tls_files(settings, "g", moment)
        shutil.copy(tmp_path / "other.key", tmp_path / "srv1.key")
        with pytest.raises(DeployError, match="the key is of another certificate"):
            tls_files(settings, "g", NOW)


def test_a_certificate_needs_a_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a name"):
        certificates.make(tmp_path, "srv1", [])
