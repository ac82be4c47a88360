"""Judges a host's state by its table of controls. Pure: state, table, waivers and day in; one verdict for each control out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

from citadelle.hardening import expression
from citadelle.hardening.state import State
from citadelle.hardening.table import KINDS, Control, Probe, Table
from citadelle.hardening.waivers import Waiver

Status = Literal["pass", "fail", "waived", "unknown", "not applicable"]

# What an item of a list is called by.
NAMES = ("Name", "volume", "DeviceID", "SID", "DistributionName", "Id", "Listen", "LocalAddress")
AUDITED = {0: "nothing", 1: "success", 2: "failure", 3: "success and failure"}


class Unknown(Exception):
    """The state does not say; `str()` is why."""


@dataclass(frozen=True)
class Verdict:
    """`found` and `wanted` are for people; `why` says more where the status alone does not."""

    control: Control
    status: Status
    found: str
    wanted: str
    why: str = ""

    @property
    def deviates(self) -> bool:
        """Whether somebody has to do something: what is unknown is not right."""
        return self.status in ("fail", "unknown")

    def line(self, host: str, language: Literal["en", "fr"] = "en") -> str:
        """One line for people."""
        return f"{host}: {self.status}: {self.control.id} {self.told(language)}"

    def told(self, language: Literal["en", "fr"] = "en") -> str:
        """Title, what was found and what is wanted."""
        facts = f": found {self.found}, wanted {self.wanted}" if self.status in ("fail", "waived", "pass") else ""
        return getattr(self.control.title, language) + facts + (f" ({self.why})" if self.why else "")

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        row = {name: value for name, value in asdict(self).items() if name != "control"}
        control = self.control
        return {"id": control.id, "title": control.title.model_dump(), "severity": control.severity,
                "source": list(control.source), "reboot": control.reboot, **row}  # fmt: skip


def judge(
    state: State, table: Table, waivers: list[Waiver], *, host: str, groups: Iterable[str], today: date
) -> list[Verdict]:
    """The verdict on every control, in the table's order."""
    mine = [waiver for waiver in waivers if waiver.covers(host, groups)]
    return [
        _judge(control, state, [waiver for waiver in mine if waiver.control == control.id], today)
        for control in table.controls
    ]


def _judge(control: Control, state: State, waivers: list[Waiver], today: date) -> Verdict:
    wanted = wanted_text(control)
    try:
        if reason := _not_applicable(control, state):
            return Verdict(control, "not applicable", "", wanted, reason)
        value = read(control.judge, state)
    except Unknown as error:
        return _waived(Verdict(control, "unknown", "", wanted, str(error)), waivers, today)
    found = _found(value, control)
    if control.judge.default is not None and _stored(control.judge, state).get(control.judge.target, value) is None:
        found = f"absent, which means {found}"
    if expression.holds(value, control.wanted):
        return Verdict(control, "pass", found, wanted)
    return _waived(Verdict(control, "fail", found, wanted, _cure(value, control)), waivers, today)


def _not_applicable(control: Control, state: State) -> str:
    """Why the control makes no sense on this PC; empty where it does. Raises `Unknown`."""
    if control.editions:
        if not state.edition:
            raise Unknown(state.errors.get("version", "the edition is not in this state"))
        if state.edition not in control.editions:
            return f"needs edition {' or '.join(control.editions)}: {state.edition}"
    unmet = (one.because for one in control.when if not expression.holds(read(one.judge, state), one.wanted))
    return next(unmet, "")


def _waived(verdict: Verdict, waivers: list[Waiver], today: date) -> Verdict:
    """The verdict where somebody has accepted the deviation, or had until some day."""
    control, found, wanted = verdict.control, verdict.found or "unknown", verdict.wanted
    valid = [waiver for waiver in waivers if waiver.expires >= today]
    if valid:
        last = max(valid, key=lambda waiver: waiver.expires)
        why = f"{last.reason}; accepted by {last.accepted_by} until {last.expires}"
        return Verdict(control, "waived", found, wanted, why)
    if waivers:
        last = max(waivers, key=lambda waiver: waiver.expires)
        return Verdict(control, "fail", found, wanted, f"waiver expired on {last.expires}")
    if control.waived and verdict.status == "fail":
        return Verdict(control, "waived", found, wanted, control.waived)
    return verdict


def wanted_text(control: Control) -> str:
    """What a control wants, for people."""
    if control.says:
        return control.says
    if control.judge.kind == "audit":
        return AUDITED[control.wanted["bits"]]
    return expression.describe(control.wanted)


def wrong(value: list[Any], control: Control) -> list[Any]:
    """The items of a list that are not as the control wants each of them."""
    return [item for item in value if not expression.matches(item, control.wanted["every"])]


def _cure(value: Any, control: Control) -> str:
    """What to do about items that bring their cure along, as volumes do."""
    if not isinstance(value, list) or "every" not in control.wanted:
        return ""
    return "; ".join(
        f"{item['volume']} {item['meaning']}: {item['cure']}"
        if "cure" in item
        else f"{item.get('Name')} is set by a group policy: {item['managed']}"
        for item in wrong(value, control)
        if "cure" in item or "managed" in item
    )


def _found(value: Any, control: Control) -> str:
    """For a list, the items that are wrong: their name, and the fields that are asked for."""
    if control.judge.kind == "audit":
        return AUDITED.get(value, str(value))
    if not isinstance(value, list) or "every" not in control.wanted:
        return expression.show(value)
    names = dict.fromkeys([*NAMES, *control.wanted["every"]])
    shown = [{name: item[name] for name in names if name in item} for item in wrong(value, control) or value]
    return expression.show(shown)


def read(probe: Probe, state: State) -> Any:
    """The value that a probe points at. Raises `Unknown`."""
    value = _READERS[probe.kind](probe, state)
    if probe.where and isinstance(value, list):
        return [item for item in value if expression.matches(item, probe.where)]
    return value


def _section(name: str, state: State) -> Any:
    if name in state.errors:
        raise Unknown(f"{name}: {state.errors[name]}")
    if name not in state.sections:
        raise Unknown(f"not in this state: {name}")
    return state.sections[name]


def _stored(probe: Probe, state: State) -> dict[str, Any]:
    """Where values lie under a name of their own."""
    if probe.kind == "registry":
        return state.registry
    section = state.sections.get(probe.kind)
    return section if isinstance(section, dict) else {}


def _named(probe: Probe, state: State) -> Any:
    if error := state.errors.get(f"{probe.kind}.{probe.target}"):
        raise Unknown(f"{probe.target}: {error}")
    if probe.kind != "registry":
        _section(probe.kind, state)
    values = _stored(probe, state)
    if probe.target not in values:
        raise Unknown(f"not in this state: {probe.target}")
    value = values[probe.target]
    return probe.default if value is None else value


def _service(probe: Probe, state: State) -> str:
    """How it starts. One that is disabled and still runs is not off: it was not stopped, or something else started it before."""
    service = _section("services", state).get(probe.target.lower(), {})
    mode = str(service.get("StartMode", "absent"))
    return f"{mode}, but it runs" if mode == "Disabled" and service.get("State") == "Running" else mode


def _audit(probe: Probe, state: State) -> int:
    policy = _section("audit_policy", state)
    if probe.target not in policy:
        raise Unknown(f"not in the audit policy: {probe.target}")
    return int(policy[probe.target])


def _account(probe: Probe, state: State) -> Any:
    return _section("security_policy", state)["account"].get(probe.target, probe.default)


def _right(probe: Probe, state: State) -> Any:
    return _section("security_policy", state)["rights"].get(probe.target, [])


def _profile(probe: Probe, state: State) -> Any:
    """Each profile with the policy that sets its property for this PC, if there is one."""
    section = "firewall_profiles" if probe.kind == "profile" else "hyperv_firewall"
    policies = [] if probe.kind == "hyperv" else state.sections.get("firewall_policy", [])
    managed = {str(one.get("Profile")): one.get("Key") for one in policies if one.get("Property") == probe.target}
    return [
        item | ({"managed": managed[name]} if (name := str(item.get("Name"))) in managed else {})
        for item in _section(section, state)
    ]


def _directive(probe: Probe, state: State) -> Any:
    """Of a Windows PC: what sshd itself tells; a `Match` block that says something else counts more."""
    section, name = _section("sshd", state), probe.target.lower()
    if name in section["overrides"]:
        return section["overrides"][name]
    if (value := section["effective"].get(name, probe.default)) is None:
        raise Unknown(f"sshd does not say: {probe.target}")
    return value


def _path(probe: Probe, state: State) -> Any:
    name, *rest = probe.target.split(".")
    value, why = _section(name, state), ""
    for part in rest:
        why = value.get(f"{part}Why", "") if isinstance(value, dict) else ""
        value = value.get(part) if isinstance(value, dict) else None
    if value is None:
        raise Unknown(why or f"the host does not say: {probe.target}")
    return value


_READERS = {
    **dict.fromkeys((*KINDS["LIN"], "registry"), _named),
    "service": _service,
    "audit": _audit,
    "account": _account,
    "right": _right,
    "profile": _profile,
    "hyperv": _profile,
    "directive": _directive,
    "state": _path,
}
