"""The Windows account that owns the WSL distribution, and the task that starts it: SIDs, enum numbers and registry values only."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from importlib.resources import files
from typing import Any

from citadelle import powershell
from citadelle.facts.base import WindowsFact

SCRIPTS = files("citadelle.facts")
SCRIPT = "".join(SCRIPTS.joinpath(name).read_text("utf-8") for name in ("members.ps1", "wsl_user.ps1"))
TASK = files("citadelle.facts").joinpath("wsl_task.ps1").read_text("utf-8")
USERS = "S-1-5-32-545"
# Groups that would make it more than a user: administrators, power users, backup, remote desktop, network configuration,
# distributed COM, Hyper-V administrators, remote management.
POWERFUL = tuple(f"S-1-5-32-{number}" for number in (544, 547, 551, 555, 556, 562, 578, 580))
# Batch: tasks without a password log on so. Not the network: the SSH server logs everybody on over it.
RIGHTS = ("SeBatchLogonRight", "SeDenyInteractiveLogonRight", "SeDenyRemoteInteractiveLogonRight")
ENTRY = re.compile(r"\(([AD]);[^;]*;([^;]*);[^;]*;[^;]*;([^;)]*)\)")
OWNERS = {"BA": "S-1-5-32-544", "SY": "S-1-5-18"}
READING = {"FR", "0x120089", "0x1200a9", "GR"}


@dataclass(frozen=True)
class WslUserState:
    """`sid` is empty where there is no such account. `lasting`: neither account nor password expires, and it cannot change it.

    `groups` and `rights`: those it has of `USERS`, `POWERFUL` and `RIGHTS`. `keys` and `access`: text and access list (SDDL) of its
    authorized keys; `wanted_keys`: those of the administrators, or of the SSH user where there are none. `profile` is empty before
    its first logon.
    """

    sid: str = ""
    description: str = ""
    enabled: bool = False
    lasting: bool = False
    groups: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()
    profile: str = ""
    keys: str = ""
    access: str = ""
    wanted_keys: str = ""

    @property
    def is_right(self) -> bool:
        """Whether the account itself is as it shall be."""
        able = self.enabled and self.lasting and bool(self.profile)
        return able and self.groups == (USERS,) and set(self.rights) == set(RIGHTS)

    def lets_in(self, keys: str) -> bool:
        """Whether those who have these keys, and they alone, may log in as it."""
        return bool(self.keys) and self.keys == keys and only_read_by(self.access, self.sid)


def only_read_by(sddl: str, sid: str) -> bool:
    """Whether administrators and the system own and write a file, `sid` may read it, and nobody else anything."""
    owner = re.match(r"O:(S-[0-9-]+|[A-Z]{2})", sddl)
    control = re.search(r"D:([A-Z]*)", sddl)
    if not owner or not control or "P" not in control[1].replace("AI", "").replace("AR", ""):
        return False
    entries = [(kind, rights, OWNERS.get(who, who)) for kind, rights, who in ENTRY.findall(sddl)]
    others = [rights for kind, rights, who in entries if who not in OWNERS.values()]
    own = [rights for kind, rights, who in entries if kind == "A" and who == sid]
    return OWNERS.get(owner[1], owner[1]) in OWNERS.values() and len(others) == len(own) == 1 and own[0] in READING


class WslUser(WindowsFact[WslUserState]):
    """The account called `user`; one script in the PowerShell that is open."""

    default = WslUserState

    def command(self, user: str = "") -> str:
        given = powershell.assign(user=user, groups=[USERS, *POWERFUL], rights=list(RIGHTS))
        return powershell.query(given + SCRIPT)

    def judge(self, answer: dict[str, Any]) -> WslUserState:
        return WslUserState(**answer | {name: tuple(answer[name]) for name in ("groups", "rights")})


@dataclass(frozen=True)
class WslTaskState:
    """The task that starts the distribution. `logon`: 2 is S4U, a logon without a password; `level`: 0 is without powers."""

    present: bool = False
    enabled: bool = False
    running: bool = False
    at_startup: bool = False
    user: str = ""
    logon: int = 0
    level: int = 0
    execute: str = ""
    arguments: str = ""
    limit: str = ""
    restarts: int = 0

    def differs(self, wanted: WslTaskState) -> list[str]:
        """Names of what is not as wanted."""
        return [field.name for field in fields(self) if getattr(self, field.name) != getattr(wanted, field.name)]


class WslTask(WindowsFact[WslTaskState]):
    """The task `\\citadelle\\wsl`; one script in the PowerShell that is open."""

    default = WslTaskState

    def command(self) -> str:
        return powershell.query(TASK)

    def judge(self, answer: dict[str, Any]) -> WslTaskState:
        return WslTaskState(**answer)
