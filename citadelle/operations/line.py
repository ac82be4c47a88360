"""What the line to a Windows PC hangs on, firewall and SSH server: what would change it, told, and made behind a timed rollback."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from ipaddress import ip_address, ip_network
from typing import Any

from pyinfra import host
from pyinfra.api import operation
from pyinfra.api.command import PyinfraCommand

from citadelle import powershell
from citadelle.hardening import judge, networks, ssh
from citadelle.hardening.judge import Verdict
from citadelle.hardening.state import State, listed
from citadelle.hardening.table import Control
from citadelle.operations import rollback
from citadelle.operations.refusal import refusal

_SOURCES = files("citadelle.operations")
ENGINE = "11434"
TOKENS = {
    "PubkeyAcceptedAlgorithms": "sk-ssh-ed25519@openssh.com,sk-ecdsa-sha2-nistp256@openssh.com",
    "PubkeyAuthOptions": "verify-required",
}
WHAT = "the change of firewall and SSH server"
HINT = "compare the line_* settings with the PC, then run again; docs/line.md says what went back"


@dataclass(frozen=True)
class Admins:
    """Who may come, from where, and how. Empty: as the PC has it. `user` is the one that this controller comes as.

    `networks`: addresses with prefix; `users`: names; `keys`: lines of public keys, and no others; `tokens`: only keys on FIDO tokens.
    `owner`: the account that owns WSL, which this controller comes as too; empty where there is none.
    """

    user: str
    networks: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    tokens: bool = False
    owner: str = ""

    @property
    def allowed(self) -> list[str]:
        """Values of AllowUsers; Windows knows names in lower case."""
        if not (self.users or self.networks):
            return []
        users = [name.lower() for name in (*(self.users or (self.user,)), self.owner) if name]
        return [f"{name}@{net}" for name in users for net in self.networks] if self.networks else users


@dataclass(frozen=True)
class Change:
    """What differs: `values` for the scripts, and the ids of the controls that are set; empty where everything is right."""

    values: dict[str, Any] = field(default_factory=dict)
    controls: tuple[str, ...] = ()
    refused: tuple[str, str] | None = None


Part = tuple[list[str], dict[str, Any]]  # ids of controls, and the values that set them


def change(found: Sequence[Verdict], state: State, admins: Admins) -> Change:
    """What this run would set. What is waived or unknown, or set by a group policy, is left alone."""
    mine = [
        one
        for one in found
        if one.control.is_line and (one.status in ("fail", "pass") or one.why == one.control.waived)
    ]
    wrong = [one.control for one in mine if one.status == "fail"]
    parts = [_properties("profile", wrong, state), _properties("hyperv", wrong, state), _server(mine, state, admins)]
    for control in (one.control for one in mine if one.control.recipe in RECIPES):
        values = RECIPES[str(control.recipe)](control in wrong, state, admins)
        parts.append(([control.id], values | {str(control.recipe): control.id}) if values else ([], {}))
    ids = sorted({name for names, _ in parts for name in names})
    values = {name: value for _, given in parts for name, value in given.items()}
    if waits := _pending(state):  # also where everything is right: it would not stay so
        return Change(values, tuple(ids), waits)
    return Change(values, tuple(ids), _refused(state, admins)) if ids else Change()


def _pending(state: State) -> tuple[str, str] | None:
    """Why nothing is begun while another change waits for its confirmation."""
    marks = state.sections.get("rollback") or {}
    why = rollback.pending(marks.get("Armed", False), marks.get("Begun", False), marks.get("Seconds", 0))
    return (why, "run again after that; docs/line.md says what to do when it does not happen") if why else None


def _refused(state: State, admins: Admins) -> tuple[str, str] | None:
    """Why nothing is begun: what and hint."""
    client = (state.sections.get("session") or {}).get("client", "")
    if client and admins.networks and not any(ip_address(client) in ip_network(net) for net in admins.networks):
        return f"this controller comes from outside of line_networks: {client}", "add its network to line_networks"
    if admins.users and admins.user.lower() not in [name.lower() for name in admins.users]:
        return f"this controller comes as a user who is not in line_users: {admins.user}", "add the user to line_users"
    return None


def _properties(kind: str, wrong: Sequence[Control], state: State) -> Part:
    """Properties of the firewall's profiles, each where it is wrong, or of WSL's firewall. A value of a group policy stays."""
    rows = [
        (one.id, str(item["Name"]), one.judge.target, one.apply)
        for one in wrong
        if one.judge.kind == kind and one.apply is not None
        for item in judge.wrong(judge.read(one.judge, state), one)
        if "managed" not in item
    ]
    if not rows:
        return [], {}
    columns = [f"{kind}_{name}" for name in ("ids", "names", "properties", "values")]
    return sorted({row[0] for row in rows}), {
        name: list(column) for name, column in zip(columns, zip(*rows, strict=True), strict=True)
    }


def _server(mine: Sequence[Verdict], state: State, admins: Admins) -> Part:
    """The configuration of the SSH server: what is wrong in it set, and what the settings ask for; all else stays."""
    if "sshd" not in state.sections:
        return [], {}
    server = state.sections["sshd"]
    wrong = [one.control for one in mine
             if one.status == "fail" and one.control.judge.kind == "directive" and one.control.apply is not None]  # fmt: skip
    block = ssh.block(server["text"]) | {one.judge.target: str(one.apply) for one in wrong}
    ids = [one.id for one in wrong]
    asked = {
        "ssh_users": ({"AllowUsers": " ".join(admins.allowed)}, bool(admins.allowed)),
        "ssh_tokens": (TOKENS, admins.tokens),
    }
    for control in (one.control for one in mine if one.control.recipe in asked):
        values, is_wanted = asked[str(control.recipe)]
        if is_wanted and any(
            _told(server["effective"], name) != sorted(value.split()) for name, value in values.items()
        ):
            block |= values
            ids.append(control.id)
        elif not is_wanted and block.keys() & values.keys():
            block = {name: value for name, value in block.items() if name not in values}
            ids.append(control.id)
    after = ssh.edit(server["text"], block.items())
    return (ids, {"sshd": after, "sshd_before": server["text"]}) if ids and after != server["text"] else ([], {})


def _told(effective: dict[str, Any], name: str) -> list[str]:
    value = effective.get(name.lower(), [])
    return sorted(value if isinstance(value, list) else [str(value)])


def _local_rules_count(state: State) -> bool:
    """Whether a group policy leaves the PC rules of its own."""
    return all(one.get("AllowLocalFirewallRules") != 0 for one in state.sections.get("firewall_profiles", []))


def _ssh_rule(_is_wrong: bool, state: State, admins: Admins) -> dict[str, Any]:
    if not admins.networks or not _local_rules_count(state):
        return {}
    wanted = sorted(networks.plain(net) for net in admins.networks)
    names = [(one, str(one.get("Name"))) for one in state.sections.get("firewall_rules", [])]
    rules = [one for one, name in names if name.startswith("OpenSSH-Server-In-TCP")]
    right = [one for one in rules if (one.get("Enabled"), one.get("Action"), one.get("Profile")) == (1, 2, 0)
             and sorted(networks.plain(str(net)) for net in listed(one.get("RemoteAddress"))) == wanted]  # fmt: skip
    if rules and rules == right:
        return {}
    ports = (state.sections.get("sshd") or {}).get("effective", {}).get("port", ["22"])
    return {"networks": list(admins.networks), "ports": ports}


def _openings(_is_wrong: bool, state: State, admins: Admins) -> dict[str, Any]:
    """Rules beside the one of SSH that let in more than the networks of administration, and are the PC's own."""
    if not admins.networks or not _local_rules_count(state):
        return {}
    names = [
        str(one["Name"])
        for one in state.sections.get("ssh_openings", [])
        if "managed" not in one and not all(networks.within(str(net), admins.networks) for net in one["RemoteAddress"])
    ]
    return {"openings": names} if names else {}


def _proxies(is_wrong: bool, state: State, _admins: Admins) -> dict[str, Any]:
    rows = [
        [str(one.get(name)) for name in ("Kind", "Listen", "Connect")] for one in state.sections.get("port_proxies", [])
    ]
    found = [" ".join(row) for row in rows if ENGINE in (row[1].rpartition("/")[2], row[2].rpartition("/")[2])]
    return {"proxies": found} if is_wrong else {}


def _keys(_is_wrong: bool, state: State, admins: Admins) -> dict[str, Any]:
    found = (state.sections.get("ssh_keys") or {}).get("lines")
    if not admins.keys or found is None or found == list(admins.keys):
        return {}
    return {"keys": "".join(f"{line}\r\n" for line in admins.keys), "access": True}


RECIPES: dict[str, Callable[[bool, State, Admins], dict[str, Any]]] = {
    "block_engine": lambda is_wrong, state, _: {"engine": ENGINE} if is_wrong and _local_rules_count(state) else {},
    "block_engine_wsl": lambda is_wrong, _state, _admins: {"engine": ENGINE} if is_wrong else {},
    "port_proxies": _proxies,
    "ssh_rule": _ssh_rule,
    "ssh_openings": _openings,
    "ssh_keys": _keys,
    "ssh_access": lambda is_wrong, _state, _admins: {"access": True} if is_wrong else {},
}
LISTS = (
    "networks",
    "ports",
    "proxies",
    "openings",
    *(f"{kind}_{name}" for kind in ("profile", "hyperv") for name in ("ids", "names", "properties", "values")),
)
NOTHING: dict[str, Any] = {
    **dict.fromkeys(LISTS, ()),
    **dict.fromkeys(RECIPES, ""),  # where one is made, the control that asks for it
    **dict.fromkeys(("sshd", "sshd_before", "keys", "engine")),
    "access": False,
}


@operation()
def settings(change: Change, seconds: int) -> Generator[PyinfraCommand, None, None]:
    """Make firewall and SSH server right behind a timed rollback, or leave both alone where they are.

    + change: from `change()`; + seconds: after which the PC goes back when nobody has got in anew.
    """
    if change.refused:
        yield refusal(*change.refused)
    elif not change.controls:
        host.noop("firewall and SSH server are right")
    else:
        yield from rollback.guarded(parts(change), seconds, WHAT, HINT)


def parts(change: Change) -> rollback.Guarded:
    """The scripts that make the change, and that take it back."""
    values = powershell.assign(**(NOTHING | change.values))
    check, save, make, undo = (
        values + _SOURCES.joinpath(f"line_{name}.ps1").read_text("utf-8")
        for name in ("check", "save", "change", "undo")
    )
    return rollback.Guarded(make, undo, save, check)
