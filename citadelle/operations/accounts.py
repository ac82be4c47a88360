"""Accounts of services on a Linux host."""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import FunctionCommand, QuoteString, StringCommand, operation
from pyinfra.api.command import PyinfraCommand

from citadelle.facts.accounts import Account, Accounts, UidOwners
from citadelle.operations.refusal import refusal

SHELL = "/usr/sbin/nologin"


@operation()
def service_users(uids: dict[str, int]) -> Generator[PyinfraCommand, None, None]:
    """Have each account with its user id, without shell, password or foreign group.

    + uids: account name -> user id. An id that another account holds is refused: taking it over would hand files to a person.
    """
    present = host.get_fact(Accounts, names=list(uids))
    wrong = {name: uid for name, uid in uids.items() if present.get(name) != _wanted(uid)}
    if not wrong:
        host.noop(f"{len(uids)} service accounts are right")
        return
    taken = host.get_fact(UidOwners, uids=list(wrong.values()))
    steps = [step for name, uid in wrong.items() for step in _make(name, uid, present.get(name), taken.get(uid))]
    # A refusal comes before any change, so that nothing is half applied.
    yield from sorted(steps, key=lambda step: not isinstance(step, FunctionCommand))


def _wanted(uid: int) -> Account:
    return Account(uid=uid, shell=SHELL, groups=(), locked=True)


def _make(name: str, uid: int, present: Account | None, holder: str | None) -> Generator[PyinfraCommand, None, None]:
    if holder not in {None, name}:
        yield refusal(f"user id {uid} is taken: {holder}", f"usermod -u <free id> {holder}, and chown its files")
    elif present is None:
        options = f"--system --user-group --no-create-home --home-dir /nonexistent --shell {SHELL} --uid {uid}"
        yield StringCommand("useradd", options, QuoteString(name))
    elif present.uid != uid:
        yield refusal(f"account {name} has another user id: {present.uid}", f"userdel {name}, then run again")
    else:
        yield StringCommand("usermod --lock --groups '' --shell", SHELL, QuoteString(name))
