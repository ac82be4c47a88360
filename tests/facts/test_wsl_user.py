"""Access lists as Windows writes them: only administrators and the system write, one account reads."""

from __future__ import annotations

import pytest

from citadelle.facts.wsl_user import only_read_by

SID = "S-1-5-21-1-2-3-1002"
RIGHT = f"O:BAG:BAD:PAI(A;;FA;;;BA)(A;;FA;;;SY)(A;;FR;;;{SID})"


@pytest.mark.parametrize(
    ("sddl", "right"),
    [
        (RIGHT, True),
        (RIGHT.replace("FR", "0x1200a9"), True),
        (RIGHT.replace("O:BA", "O:SY"), True),
        (RIGHT.replace("BA)", "S-1-5-32-544)"), True),
        ("", False),
        (RIGHT.replace("O:BA", f"O:{SID}"), False),  # an owner may give itself any right
        (RIGHT.replace("D:PAI", "D:AI"), False),  # what the folder above gives counts too
        (RIGHT.replace("FR", "FA"), False),
        (RIGHT.replace("FR", "0x1301bf"), False),
        (RIGHT + "(A;;FR;;;BU)", False),
        (RIGHT + f"(A;;0x100116;;;{SID})", False),
        (RIGHT.replace("(A;;FR", "(D;;FR"), False),
        (RIGHT.replace(SID, "S-1-5-21-1-2-3-1003"), False),
    ],
)
def test_who_may_do_what(sddl: str, right: bool) -> None:
    assert only_read_by(sddl, SID) is right
