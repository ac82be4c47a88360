"""A run killed at every step, from every state: no volume is encrypted whose key is not in escrow, and the next run finishes it.

Killed are the run on the controller (before a script is sent, after its answer came) and the PC (right after each single change of it).
"""

from __future__ import annotations

import base64
from itertools import count, product
from typing import Any

import pytest

from citadelle.escrow import store
from tests.bitlocker.pc import PC, PIN, Operator, converge, killed, kinds, recovery, told
from tests.bitlocker.test_rows import DATA, LEFT, LOCKED, MENDED, REFUSED, SYSTEM

pytestmark = pytest.mark.lab

STATES: dict[str, dict[str, Any]] = {
    **{f"C: {name}": {"C": volume} for name, volume in (MENDED | LEFT).items()},
    **{f"D: {name}": {"C": SYSTEM, "D": volume} for name, volume in DATA.items()},
    "C: and D: clear": {"C": MENDED["clear"], "D": DATA["clear"]},
}
UNCHANGED = {"C: compliant, not in escrow", *(f"C: {name}" for name in LEFT)}  # on the PC: their keys are read, no more


def assert_never_worse(before: dict[str, Any], pc: PC, operator: Operator, place: object) -> None:
    """Past the product's code: what the state file has against what the escrow's files open to."""
    kept = operator.kept()
    for mount, volume in pc.double.state["bitlocker"].items():
        was, keys = before[mount], recovery(volume)
        started = was["VolumeStatus"] == "FullyDecrypted" != volume["VolumeStatus"]
        resumed = was["ProtectionStatus"] == "Off" and volume["ProtectionStatus"] == "On"
        if started or resumed:
            assert keys, f"{place}: {mount} is encrypted without a recovery password"
            assert keys.items() <= kept.items(), f"{place}: {mount} is encrypted, its key is not in escrow"
        assert recovery(was).items() <= keys.items(), f"{place}: {mount} lost a recovery password"


@pytest.mark.parametrize(
    ("name", "kind"), [*product(STATES, ["dies_before", "dies_after", "dead"]), ("C: and D: clear", "fuse")]
)
def test_a_run_killed_anywhere_leaves_no_volume_without_its_key(
    name: str, kind: str, pc: PC, operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    number = killed_everywhere(STATES[name], kind, pc, operator, caplog)
    assert number > 1 or (kind == "dead" and name in UNCHANGED), "it died somewhere"


@pytest.mark.parametrize(
    ("volume", "kind"),
    [*product([MENDED["clear"]], ["dies_before", "dies_after", "dead"]), (SYSTEM, "dead")],
    ids=lambda value: value if isinstance(value, str) else value["VolumeStatus"],
)
def test_so_does_one_that_sets_a_pin(
    volume: dict[str, Any], kind: str, pc: PC, pinned: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    """From a clear volume, and from one that its TPM opened alone so far; and the PIN is in nothing that is told."""
    assert killed_everywhere({"C": volume}, kind, pc, pinned, caplog) > 1
    assert kinds(pc.volume()) == ["RecoveryPassword", "TpmPin"]


def killed_everywhere(
    volumes: dict[str, Any], kind: str, pc: PC, operator: Operator, caplog: pytest.LogCaptureFixture
) -> int:
    """The run killed at its first place of that kind, its second, and so on, each time from the same state; how many it has."""
    for number in count(1):
        start_anew(volumes, pc, operator)
        caplog.clear()
        before = pc.double.state["bitlocker"]
        died = killed(pc, operator, **{kind: number})
        assert_never_worse(before, pc, operator, (kind, number))
        assert converge(pc, operator).ok, (kind, number)
        for mount, volume in pc.double.state["bitlocker"].items():
            assert recovery(volume).items() <= operator.kept().items(), (kind, number, mount)
            assert len(recovery(volume)) == 1, f"{(kind, number)}: no second key, wherever the first run died"
        assert_nothing_told(pc, operator, caplog)
        if not died:  # the run has no such place: it came to its end
            break
    assert converge(pc, operator).steps == 0
    return number


def assert_nothing_told(pc: PC, operator: Operator, caplog: pytest.LogCaptureFixture) -> None:
    """No recovery password in any answer of the PC, any script that it was sent, any line for people, in whatever form."""
    passwords = {
        **operator.kept(),
        **{name: word for one in pc.double.state["bitlocker"].values() for name, word in recovery(one).items()},
    }
    assert told("\n".join([*pc.said, *pc.sent, caplog.text]), passwords.values()) == []
    assert PIN not in "\n".join([*pc.said, caplog.text])
    pc.said.clear()
    pc.sent.clear()


def test_the_search_finds_a_password_in_each_form() -> None:
    password = "133672-652476-285593-313203-580195-268906-569327-554653"
    wide = password.encode("utf-16-le")
    for text in (
        f"a {password} b",
        "652476-285593",
        password.replace("-", ""),
        wide.decode("latin-1"),
        *(
            base64.b64encode(b"z" * shift + data + b"tail").decode()
            for data in (password.encode(), wide)
            for shift in range(3)
        ),
    ):
        assert told(text, [password]) == [password], text
    assert told("133672 652476 and 554653", [password]) == []


@pytest.mark.parametrize("name", [*REFUSED, "locked"])
def test_a_run_that_is_refused_may_be_killed_too(
    name: str, pc: PC, operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing but the escrow has changed, wherever it ends."""
    volumes = {"C": SYSTEM, "D": LOCKED} if name == "locked" else {"C": REFUSED[name][0]}
    for kind in ("dies_before", "dies_after"):
        for number in count(1):
            operator.forget()
            pc.write(**volumes)
            before = pc.double.state["bitlocker"]
            killed(pc, operator, **{kind: number})
            assert pc.double.state["bitlocker"] == before, (kind, number)
            if pc.calls < number:
                break
            assert not converge(pc, operator).ok
            assert pc.double.state["bitlocker"] == before, (kind, number)
            assert_nothing_told(pc, operator, caplog)
        assert number > 1, "it died somewhere"


def start_anew(volumes: dict[str, Any], pc: PC, operator: Operator) -> None:
    """The PC with these volumes and as on its first day else, the escrow empty."""
    operator.forget()
    (pc.double.home / "registry.json").write_bytes(pc.first["registry.json"])  # type: ignore[attr-defined]
    pc.write(**volumes)


@pytest.mark.parametrize("death", range(1, 9))
def test_a_controller_that_dies_while_it_writes_has_acknowledged_nothing(
    death: int, pc: PC, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each sync and each rename of the two copies."""
    calls = 0
    genuine = store.os.fsync

    def dying(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == death:
            raise KeyboardInterrupt
        genuine(handle)

    monkeypatch.setattr(store.os, "fsync", dying)
    pc.write(C=MENDED["clear"])
    with pytest.raises(KeyboardInterrupt):
        converge(pc, operator)
    monkeypatch.setattr(store.os, "fsync", genuine)
    assert pc.volume()["VolumeStatus"] == "FullyDecrypted"
    assert converge(pc, operator).ok
    assert (recovery(pc.volume()), len(recovery(pc.volume()))) == (operator.kept(), 1)


def test_a_disk_that_is_full_stops_before_anything_is_encrypted(
    pc: PC, operator: Operator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: object, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_write", full)
    pc.write(C=MENDED["clear"])
    assert not converge(pc, operator).ok
    assert "escrow cannot be written: " in caplog.text
    assert "No space left on device" in caplog.text
    assert pc.volume()["VolumeStatus"] == "FullyDecrypted"


def test_a_copy_that_is_lost_between_keeping_and_encrypting_stops_the_encryption(
    pc: PC, operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    """The acknowledgement is what lies on the controller's disks at that moment, and the PC compares it with what it has."""
    pc.write(C=MENDED["clear"])

    def lose(step: int) -> None:
        if step == 2:
            next(operator.escrow.copy.rglob("*.json")).unlink()

    assert not converge(pc, operator, before=lose).ok
    assert "C: has a recovery key that is not in escrow" in caplog.text
    assert pc.volume()["VolumeStatus"] == "FullyDecrypted"
    assert converge(pc, operator).ok
    assert pc.volume()["ProtectionStatus"] == "On"


def test_a_key_that_somebody_adds_in_between_stops_the_encryption(pc: PC, operator: Operator) -> None:
    pc.write(C=MENDED["clear"])

    def add(step: int) -> None:
        if step == 2:
            volume = pc.volume()
            stranger = {
                "KeyProtectorId": "{0DDDDDDD-0000-4000-8000-00000000000D}",
                "KeyProtectorType": "RecoveryPassword",
                "RecoveryPassword": "x",
            }
            pc.write(C=volume | {"KeyProtector": [*volume["KeyProtector"], stranger]})

    assert not converge(pc, operator, before=add).ok
    assert pc.volume()["VolumeStatus"] == "FullyDecrypted"
