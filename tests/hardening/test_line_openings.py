"""Rules of other names than SSH's own that let somebody in to its port: judged, turned off, or told."""

from __future__ import annotations

import pytest

from citadelle.hardening.judge import judge
from citadelle.hardening.state import State
from citadelle.operations.line import Admins, Change
from tests.hardening.states import TABLE, TODAY
from tests.hardening.test_line import OTHER, plan, sections


@pytest.mark.parametrize(
    ("addresses", "status", "is_set"),
    [
        (["10.1.2.0/255.255.255.0", "10.1.0.1-10.1.0.9"], "pass", False),
        (["10.1.0.0/255.255.0.0", "10.2.0.9"], "pass", True),
        (["10.1.255.9-10.2.0.9"], "pass", True),
        (["fe80::1"], "pass", True),
        *((["10.1.2.3", keyword], "fail", True) for keyword in ("Any", "0.0.0.0/0", "LocalSubnet", "Internet")),
    ],
)
def test_a_rule_of_another_name_opens_ssh_to_no_more_than_the_networks_of_administration(
    addresses: list[str], status: str, is_set: bool
) -> None:
    wide = OTHER | {"Name": "wide", "RemoteAddress": addresses}
    found = plan(ssh_openings=[OTHER, wide])
    assert found.values == ({"ssh_openings": "WIN-FWL-12", "openings": ["wide"]} if is_set else {})
    assert plan(Admins("operator"), ssh_openings=[wide]) == Change(), "no networks are set"
    managed = wide | {"managed": "Company: servers"}
    assert plan(ssh_openings=[managed]) == Change(), "somebody else's to change"
    state = State.parse({"format": 1, "sections": sections(ssh_openings=managed)})  # one item, as 5.1 writes it
    verdicts = {one.control.id: one for one in judge(state, TABLE, [], host="pc1", groups=[], today=TODAY)}
    assert verdicts["WIN-FWL-12"].status == status
    assert verdicts["WIN-FWL-12"].why == ("wide is set by a group policy: Company: servers" if status == "fail" else "")
