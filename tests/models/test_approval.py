"""Which lock a deploy takes: signed by enough trusted keys, byte for byte, in its time; or excused for a while."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from citadelle.models import envelope, verify
from citadelle.models.approval import approved_lock
from citadelle.models.keyring import Keyring, private_key
from citadelle.models.lock import ModelsLock
from citadelle.models.signing import TYPE, sign_lock, signature_path
from citadelle.settings import DeployError
from tests.conftest import ROOT
from tests.lab.approval import approve as approve_lab
from tests.models.approved import keyring, pem

HOST = "@linux/paris-01"
OFFICERS = [Ed25519PrivateKey.generate() for _ in range(3)]


class Approval:
    """A lock, a keyring of three keys of which two must sign, and no waivers."""

    def __init__(self, folder: Path) -> None:
        self.lock = folder / "models.lock.json"
        self.lock.write_bytes((ROOT / "policies/models.lock.json").read_bytes())
        self.ring = keyring(folder / "keys", [key.public_key() for key in OFFICERS], threshold=2)
        self.waivers = folder / "waivers.yaml"
        self.waivers.write_text("compose: []\n")

    def sign(self, *officers: int) -> None:
        for officer in officers:
            sign_lock(self.lock, self.ring, OFFICERS[officer])

    def waive(self, **changes: str) -> None:
        waiver = {"control": "lock-signature", "host": "@linux/*", "reason": "first week, two officers on leave"}
        self.waivers.write_text(json.dumps({"models": [waiver | {"expires": "2999-12-31"} | changes]}))

    def ask(self) -> ModelsLock:
        return approved_lock(HOST, self.lock, self.ring, self.waivers)

    def refusal(self) -> str:
        with pytest.raises(DeployError) as caught:
            self.ask()
        return str(caught.value)


@pytest.fixture
def approval(tmp_path: Path) -> Approval:
    return Approval(tmp_path)


@pytest.mark.lab
def test_enough_keys_have_signed(approval: Approval) -> None:
    approval.sign(0)
    assert "1 valid signatures of trusted keys, 2 needed" in approval.refusal()
    approval.sign(0)
    assert "1 valid signatures of trusted keys, 2 needed" in approval.refusal()
    approval.sign(2)
    assert approval.ask() == ModelsLock.read(approval.lock)


def test_another_content_is_refused_and_its_signatures_are_dropped(approval: Approval) -> None:
    approval.sign(0, 1)
    approval.lock.write_bytes(approval.lock.read_bytes().replace(b'"serial": 1', b'"serial": 2'))
    assert "signed was another content" in approval.refusal()
    made = sign_lock(approval.lock, approval.ring, OFFICERS[2])
    assert (made.valid, made.threshold, made.replaced) == (1, 2, True)
    assert "1 valid signatures" in approval.refusal()


def test_the_signature_is_judged_before_the_lock_is_parsed(approval: Approval) -> None:
    approval.sign(0, 1)
    approval.lock.write_bytes(b"no lock at all")
    assert "signed was another content" in approval.refusal()


def test_what_is_signed_as_something_else_is_refused(approval: Approval) -> None:
    raw = approval.lock.read_bytes()
    other = "application/vnd.citadelle.bundle+json"
    signatures = tuple(envelope.sign(key, other, raw) for key in OFFICERS)
    signature_path(approval.lock).write_bytes(envelope.Envelope(raw, other, signatures).encode())
    assert f"signed is something else: {other}" in approval.refusal()
    signature_path(approval.lock).write_bytes(envelope.Envelope(raw, TYPE, signatures).encode())
    assert "0 valid signatures" in approval.refusal()


def test_signed_by_strangers(approval: Approval) -> None:
    raw, strangers = approval.lock.read_bytes(), [Ed25519PrivateKey.generate() for _ in range(2)]
    signatures = tuple(envelope.sign(key, TYPE, raw) for key in strangers)
    signature_path(approval.lock).write_bytes(envelope.Envelope(raw, TYPE, signatures).encode())
    assert "0 valid signatures of trusted keys, 2 needed" in approval.refusal()
    with pytest.raises(verify.Refused, match="the key is not in the keyring"):
        sign_lock(approval.lock, approval.ring, strangers[0])


def test_an_unsigned_lock_is_refused_with_the_cure(approval: Approval) -> None:
    told = approval.refusal()
    assert told.startswith(f"{HOST}: lock of the models is refused: {approval.lock}: not signed: ")
    assert "\nhint: citadelle models sign --key FILE" in told


def test_the_repositorys_own_lock_is_signed_by_nobody_and_says_so() -> None:
    policies = ROOT / "policies"
    with pytest.raises(DeployError, match=r"not signed: .*/policies/models\.lock\.json\.sig is absent"):
        approved_lock(
            HOST, policies / "models.lock.json", policies / "models.keys/keyring.yaml", policies / "waivers.yaml"
        )
    assert Keyring.read(policies / "models.keys/keyring.yaml").keys == {}


def test_a_keyring_without_keys_accepts_nothing(approval: Approval) -> None:
    approval.sign(0, 1)
    approval.ring.write_text("threshold: 1\nkeys: []\n")
    assert "0 valid signatures of trusted keys, 1 needed" in approval.refusal()


def test_an_expired_lock(approval: Approval) -> None:
    lock = ModelsLock.read(approval.lock)
    dated = lock.model_copy(update={"expires": datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)})
    approval.lock.write_bytes(dated.canonical())
    approval.sign(0, 1)
    assert approval.ask() == dated
    late = lock.model_copy(update={"expires": datetime(2026, 1, 1, tzinfo=UTC)})
    approval.lock.write_bytes(late.canonical())
    with pytest.raises(verify.Refused, match="the lock has expired"):
        approval.sign(0)
    raw = approval.lock.read_bytes()
    both = tuple(envelope.sign(key, TYPE, raw) for key in OFFICERS)
    signature_path(approval.lock).write_bytes(envelope.Envelope(raw, TYPE, both).encode())
    assert "lock of the models expired: 2026-01-01" in approval.refusal()


def test_a_waiver_excuses_no_signature_for_its_hosts_and_its_time(
    approval: Approval, caplog: pytest.LogCaptureFixture
) -> None:
    approval.waive()
    assert approval.ask() == ModelsLock.read(approval.lock)
    assert "is not signed; waived until 2999-12-31: first week, two officers on leave" in caplog.text
    approval.waive(host="@wsl/*")
    assert "not signed" in approval.refusal()
    approval.waive(expires="2026-01-01")
    assert "the waiver expired on 2026-01-01" in approval.refusal()


def test_a_waiver_never_excuses_a_wrong_signature(approval: Approval, caplog: pytest.LogCaptureFixture) -> None:
    approval.waive()
    approval.sign(0)
    assert "1 valid signatures" in approval.refusal()
    approval.sign(1)
    assert approval.ask()
    assert "a waiver excuses nothing" in caplog.text


@pytest.mark.parametrize("changes", [{"reason": "no"}, {"control": "everything"}, {"expires": "never"}, {"extra": "1"}])
def test_a_waiver_that_is_none_stops_the_run(approval: Approval, changes: dict[str, str]) -> None:
    approval.waive(**changes)
    assert "lock of the models is refused" in approval.refusal()


OTHER = generate_private_key(SECP256R1())
RINGS = {
    "unknown key": ("threshold: 1\nkeys: [key0.pem]\nalso: 1\n", "not a keyring: .*also"),
    "threshold zero": ("threshold: 0\nkeys: [key0.pem]\n", "not a keyring: .*threshold"),
    "threshold out of reach": (
        "threshold: 4\nkeys: [key0.pem, key1.pem, key2.pem]\n",
        "the keyring wants 4 signatures of 3 keys",
    ),
    "one key twice": ("threshold: 1\nkeys: [key0.pem, key0.pem]\n", "one key twice"),
    "one key under two names": ("threshold: 1\nkeys: [key0.pem, same.pem]\n", "one key twice"),
    "path out of the folder": ("threshold: 1\nkeys: [../key0.pem]\n", "not a keyring: .*keys"),
    "key of another kind": ("threshold: 1\nkeys: [other.pem]\n", "not an Ed25519 key: .*other.pem"),
    "no key": ("threshold: 1\nkeys: [keyring.yaml.pem]\n", "not a public key: .*keyring.yaml.pem"),
    "absent": ("threshold: 1\nkeys: [absent.pem]\n", "No such file or directory: .*absent.pem"),
    "no mapping": ("- 1\n", "not a keyring: .*valid dictionary"),
    "no YAML": ("{", "not a keyring: .*while parsing"),
}


@pytest.mark.parametrize("case", RINGS)
def test_a_bad_keyring_is_refused(approval: Approval, case: str) -> None:
    approval.sign(0, 1)
    assert approval.ask()
    folder = approval.ring.parent
    (folder / "same.pem").write_bytes(pem(OFFICERS[0].public_key()))
    (folder / "other.pem").write_bytes(pem(OTHER.public_key()))  # type: ignore[arg-type]
    (folder / "keyring.yaml.pem").write_text("hello")
    text, reason = RINGS[case]
    approval.ring.write_text(text)
    assert re.match(f"{HOST}: lock of the models is refused: .*{reason}", approval.refusal(), re.DOTALL)


def test_a_key_that_signs_again_takes_the_place_of_its_former_signature(approval: Approval) -> None:
    approval.sign(0, 0)
    assert len(envelope.Envelope.read(signature_path(approval.lock).read_bytes()).signatures) == 1
    assert "1 valid signatures of trusted keys, 2 needed" in approval.refusal()


def write_private(path: Path, key: object, passphrase: bytes | None = None, mode: int = 0o600) -> Path:
    how = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))  # type: ignore[attr-defined]
    path.chmod(mode)
    return path


def test_private_keys(tmp_path: Path) -> None:
    key = private_key(write_private(tmp_path / "plain", OFFICERS[0]))
    assert key.private_bytes_raw() == OFFICERS[0].private_bytes_raw()
    closed = write_private(tmp_path / "closed", OFFICERS[0], b"canary")
    assert private_key(closed, b"canary").private_bytes_raw() == OFFICERS[0].private_bytes_raw()
    with pytest.raises(TypeError):
        private_key(closed)
    with pytest.raises(verify.Refused, match="another passphrase") as caught:
        private_key(closed, b"wrong-canary")
    assert "canary" not in str(caught.value)
    with pytest.raises(verify.Refused, match="others can read the private key"):
        private_key(write_private(tmp_path / "open", OFFICERS[0], mode=0o640))
    with pytest.raises(verify.Refused, match="not an Ed25519 key"):
        private_key(write_private(tmp_path / "other", OTHER))


def test_the_lab_approves_its_own_lock_once(tmp_path: Path) -> None:
    assert approve_lab(tmp_path) == "signed"
    before = signature_path(tmp_path / "models.lock.json").read_bytes()
    assert approve_lab(tmp_path) == "as it is"
    assert signature_path(tmp_path / "models.lock.json").read_bytes() == before
    (tmp_path / "waivers.yaml").touch()
    ring = tmp_path / "models.keys/keyring.yaml"
    assert approved_lock(HOST, tmp_path / "models.lock.json", ring, tmp_path / "waivers.yaml").models
    signature_path(tmp_path / "models.lock.json").unlink()
    assert approve_lab(tmp_path) == "signed"


def test_no_private_key_is_in_the_repository() -> None:
    folders = [ROOT / "policies", ROOT / "tests", ROOT / "inventory"]
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in {".pem", ".key"}]
    assert [path for path in files if b"PRIVATE" in path.read_bytes()] == []
