"""What is to be done in each state of a volume: the verdict table's actions, planned without a PC."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citadelle.escrow.store import Escrow
from citadelle.escrow.work import Plan, Work
from citadelle.hardening.bitlocker import Status
from tests.escrow.keys import ID, OTHER, entry
from tests.escrow.states import CHOICE, EXTERNAL, KEY, PASSWORD, PIN, RECOVERY, TPM, made, only, pc, volume

FIRST = Work("C:", system=True, seal=True, add=True, alter=True)
ROWS = [
    (volume(1, 1, TPM, RECOVERY), Work("C:", system=True, seal=True)),
    (volume(1, 1, TPM, RECOVERY, method=6), Work("C:", system=True, seal=True)),
    (volume(1, 0, TPM, RECOVERY), Work("C:", system=True, seal=True, alter=True)),
    (volume(1, 0), FIRST),
    (volume(1, 1, PASSWORD), FIRST),
    (volume(1, 1, TPM), FIRST),
    (volume(1, 1, RECOVERY), Work("C:", system=True, seal=True, alter=True)),
    (volume(2, 0, TPM, RECOVERY), Work("C:", system=True, seal=True)),
    (volume(2, 0, TPM), FIRST),
    (volume(4, 0, TPM, RECOVERY), Work("C:", system=True, seal=True, alter=True)),
    (volume(0, 0, TPM), FIRST),
    (volume(0, 0), replace(FIRST, clear=True)),
    (volume(0, 0, RECOVERY), Work("C:", system=True, clear=True, seal=True, alter=True)),
]


@pytest.mark.parametrize(("given_volume", "expected"), ROWS)
def test_each_row_before_its_key_is_kept(given_volume: dict[str, Any], expected: Work, vault_folders: Escrow) -> None:
    assert only(made(pc(given_volume), vault_folders)) == expected


@pytest.mark.parametrize(("given_volume", "expected"), ROWS)
def test_each_row_once_its_key_is_kept(given_volume: dict[str, Any], expected: Work, vault_folders: Escrow) -> None:
    """Nothing is sealed twice, and what is right is left alone."""
    vault_folders.keep(entry(ID, key=KEY))
    has_key = any(one["KeyProtectorType"] == RECOVERY for one in given_volume["KeyProtector"])
    found = made(pc(given_volume), vault_folders)
    if not has_key:
        assert only(found) == replace(expected, gone=(ID,)), "what is kept is of no volume any more"
    elif expected.alter:
        assert only(found) == replace(expected, seal=False, kept=(ID,))
    else:
        assert (found.work, found.problems) == ((), ())


@pytest.mark.parametrize(
    ("given_volume", "what", "hint"),
    [
        (volume(None, 2, RECOVERY, mount="D:"), "D: is locked: locked", "citadelle escrow show pc1 --volume D: --key FILE --reveal; on"),
        (volume(3, 0, TPM, RECOVERY), "C: somebody decrypts it: decrypting", "stop: find out who"),
        (volume(5, 0, TPM, RECOVERY), "C: somebody decrypts it: decrypting", "stop: find out who"),
        (volume(None, 0), "C: is in a state that Windows does not describe: unexpected", "manage-bde -status"),
    ],
)  # fmt: skip
def test_what_no_run_may_touch_is_refused_with_its_own_cure(
    given_volume: dict[str, Any], what: str, hint: str, vault_folders: Escrow
) -> None:
    found = made(pc(given_volume), vault_folders)
    assert [(problem[0], problem[1][: len(hint)]) for problem in found.problems] == [(what, hint)]
    assert not any(work.add or work.alter or work.old for work in found.work)


def test_the_key_of_a_volume_that_somebody_decrypts_is_kept_all_the_same(vault_folders: Escrow) -> None:
    (work,) = made(pc(volume(3, 0, TPM, RECOVERY)), vault_folders).work
    assert (work.seal, work.add, work.clear) == (True, False, False)


@pytest.mark.parametrize(
    ("given_volume", "line"),
    [
        (
            volume(1, 1, TPM, RECOVERY, method=6),
            "C: encrypted with another method than XTS-AES-256: decide: decrypt, then encrypt anew",
        ),
        (volume(2, 0, TPM, RECOVERY), "C: is being encrypted (34 %): wait until it is done, then look again"),
    ],
)
def test_what_is_no_failure_and_not_right_is_told(
    given_volume: dict[str, Any], line: str, vault_folders: Escrow
) -> None:
    vault_folders.keep(entry(ID, key=KEY))
    found = made(pc(given_volume), vault_folders)
    assert (found.work, found.problems, found.told) == ((), (), (line,))


DATA = {"mount": "D:"}


def test_data_volumes_come_after_the_system_volume(vault_folders: Escrow) -> None:
    found = made(pc(volume(0, 0, **DATA), volume(0, 0)), vault_folders)  # type: ignore[arg-type]
    assert [(work.mount, work.alter) for work in found.work] == [("C:", True), ("D:", True)]


def test_a_data_volume_waits_while_the_system_volume_is_being_encrypted(vault_folders: Escrow) -> None:
    vault_folders.keep(entry(ID, key=KEY))
    found = made(pc(volume(2, 0, TPM, RECOVERY), volume(0, 0, **DATA)), vault_folders)  # type: ignore[arg-type]
    assert found.work == ()
    assert found.told[-1] == "D: waits until the system volume is protected: run again then"


def test_a_stick_is_nobodys_to_encrypt(vault_folders: Escrow) -> None:
    stick = volume(0, 0, mount="F:")
    assert made(pc(stick), vault_folders) == Plan()
    assert made(pc(volume(0, 0, **DATA)), vault_folders, replace(CHOICE, data=False)) == Plan()  # type: ignore[arg-type]


def test_another_way_to_start_is_a_change(vault_folders: Escrow) -> None:
    vault_folders.keep(entry(ID, key=KEY))
    assert only(made(pc(volume(1, 1, TPM, RECOVERY)), vault_folders, replace(CHOICE, unlock="tpm_pin"))).alter
    assert made(pc(volume(1, 1, PIN, RECOVERY)), vault_folders, replace(CHOICE, unlock="tpm_pin")) == Plan()


def test_another_key_of_the_operator_seals_anew(vault_folders: Escrow) -> None:
    vault_folders.keep(entry(ID, key="o" * 64))
    assert only(made(pc(volume(1, 1, TPM, RECOVERY)), vault_folders)) == Work("C:", system=True, seal=True)


def test_a_copy_that_is_gone_is_mended_without_the_pc(vault_folders: Escrow) -> None:
    vault_folders.keep(entry(ID, key=KEY))
    next(vault_folders.copy.glob("*/*.json")).unlink()
    assert only(made(pc(volume(1, 1, TPM, RECOVERY)), vault_folders)) == Work("C:", system=True, kept=(ID,), mend=(ID,))


def test_a_rotation_makes_one_new_key_and_then_none(vault_folders: Escrow) -> None:
    vault_folders.keep(entry(ID, key=KEY, created="2026-01-01T00:00:00Z"))
    rotate = replace(CHOICE, rotate_before="2026-06-01")
    before = volume(1, 1, TPM, RECOVERY)
    assert only(made(pc(before), vault_folders, rotate)) == Work(
        "C:", system=True, kept=(ID,), old=(ID,), seal=True, add=True
    )
    between = {
        **before,
        "KeyProtector": [*before["KeyProtector"], {"KeyProtectorType": RECOVERY, "KeyProtectorId": OTHER}],
    }
    assert only(made(pc(between), vault_folders, rotate)) == Work("C:", system=True, kept=(ID,), old=(ID,), seal=True)
    vault_folders.keep(entry(OTHER, key=KEY, created="2026-06-01T00:00:00Z"))
    after = {
        **before,
        "KeyProtector": [before["KeyProtector"][0], {"KeyProtectorType": RECOVERY, "KeyProtectorId": OTHER}],
    }
    assert only(made(pc(after), vault_folders, rotate)) == Work("C:", system=True, kept=(OTHER,), gone=(ID,))
    vault_folders.change("pc1", ID, replaced="2026-06-01T00:00:01Z")
    assert made(pc(after), vault_folders, rotate) == Plan()


def test_a_key_that_opens_the_volume_no_more_is_marked_once(vault_folders: Escrow) -> None:
    vault_folders.keep(entry(ID, key=KEY))
    vault_folders.keep(entry(OTHER, key=KEY))
    vault_folders.keep(entry("{00000000-0000-4000-8000-000000000000}", key=KEY, volume="D:"))
    assert only(made(pc(volume(1, 1, TPM, RECOVERY)), vault_folders)) == Work(
        "C:", system=True, kept=(ID,), gone=(OTHER,)
    )
    vault_folders.change("pc1", OTHER, replaced="2026-11-27T11:00:00Z")
    assert made(pc(volume(1, 1, TPM, RECOVERY)), vault_folders) == Plan()


@pytest.mark.parametrize("identity", ["", "{../../x}", "{11111111-2222-3333-4444-55555555555}"])
def test_an_id_that_is_none_refuses_that_pc_alone(identity: str, vault_folders: Escrow) -> None:
    """Whatever a PC says, the other PCs of the run go on."""
    given_volume = volume(1, 1, TPM)
    given_volume["KeyProtector"].append({"KeyProtectorType": RECOVERY, "KeyProtectorId": identity})
    found = made(pc(given_volume), vault_folders)
    assert (found.work, [what for what, _ in found.problems]) == (
        (), [f"C: has a protector without a right id: {identity.upper()!r}"],
    )  # fmt: skip


def test_windows_keeps_a_key_elsewhere_once(vault_folders: Escrow) -> None:
    wanted = replace(CHOICE, backups=("entra",))
    vault_folders.keep(entry(ID, key=KEY))
    assert only(made(pc(volume(1, 1, TPM, RECOVERY)), vault_folders, wanted)).backup
    vault_folders.change("pc1", ID, backups=("entra",))
    assert made(pc(volume(1, 1, TPM, RECOVERY)), vault_folders, wanted) == Plan()


KINDS = st.lists(st.sampled_from([TPM, EXTERNAL, RECOVERY, PIN, PASSWORD]), unique=True)
VOLUMES = st.builds(volume, st.sampled_from([None, *Status]), st.sampled_from([0, 1, 2]), st.just(TPM)) | st.builds(
    lambda status, protection, kinds, mount, auto: volume(status, protection, *kinds, mount=mount, auto=auto),
    st.sampled_from([None, *map(int, Status)]), st.sampled_from([0, 1, 2]), KINDS, st.sampled_from(["C:", "D:", "F:"]), st.booleans(),
)  # fmt: skip


@given(st.lists(VOLUMES, max_size=3), st.sampled_from(["tpm", "tpm_pin"]))
@settings(max_examples=300, deadline=None)
def test_no_state_plans_an_encryption_whose_key_would_not_be_kept_first(
    volumes: list[dict[str, Any]], unlock: Any
) -> None:
    """Over generated states: whoever alters has its keys kept or seals them, and what is stuck is never altered."""
    nowhere = Escrow(Path("/nonexistent/a"), Path("/nonexistent/b"))
    found = made(pc(*volumes), nowhere, replace(CHOICE, unlock=unlock))
    for work in found.work:
        assert work.seal or not (work.alter or work.old)
        assert work.is_needed


def test_every_combination_of_numbers_has_an_answer(vault_folders: Escrow) -> None:
    for status, protection, mount in product([None, *map(int, Status)], (0, 1, 2), ("C:", "D:")):
        for kinds in ((), (TPM,), (RECOVERY,), (TPM, RECOVERY), (PASSWORD,)):
            found = made(pc(volume(status, protection, *kinds, mount=mount)), vault_folders)
            assert found.work or found.problems or found.told or mount == "D:"
