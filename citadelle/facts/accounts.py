"""Accounts of a Linux host."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import QuoteString, StringCommand

from citadelle.facts.base import Fact


@dataclass(frozen=True)
class Account:
    """One account; `groups` are names without the account's own, `locked` says that no password can log in."""

    uid: int
    shell: str
    groups: tuple[str, ...]
    locked: bool


class Accounts(Fact[dict[str, Account]]):
    """The given accounts that exist, by name."""

    default = dict

    def command(self, names: list[str]) -> StringCommand:
        quoted = [QuoteString(name) for name in names]
        show = 'do e=$(getent passwd "$u") && echo "$e|$(id -nG "$u")|$(passwd -S "$u")"; done; true'
        return StringCommand("for u in", *quoted, ";", show)

    def parse(self, output: list[str]) -> dict[str, Account]:
        return dict(self._account(line) for line in output)

    @staticmethod
    def _account(line: str) -> tuple[str, Account]:
        entry, groups, status = line.split("|")
        name, _, uid, *_, shell = entry.split(":")
        others = tuple(sorted(set(groups.split()) - {name}))
        return name, Account(int(uid), shell, others, status.split()[1] in {"L", "LK"})


class UidOwners(Fact[dict[int, str]]):
    """Names of the accounts that hold the given user ids."""

    default = dict

    def command(self, uids: list[int]) -> str:
        return f"getent passwd {' '.join(str(int(uid)) for uid in uids)} || test $? -eq 2"

    def parse(self, output: list[str]) -> dict[int, str]:
        return {int(entry.split(":")[2]): entry.split(":")[0] for entry in output}
