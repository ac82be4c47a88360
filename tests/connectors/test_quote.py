"""`powershell.quote`: whatever a value holds, PowerShell reads exactly that, and nothing of it as code."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from citadelle import powershell as ps
from citadelle.connectors.windows import PowerShell

# Whatever Unicode calls a quotation mark, an apostrophe or a dash, and what the language itself uses.
SPECIAL = "'\"`$(){}[]@#;|&<>,%*?!~^=+\\/\r\n\t\a\x1b \u2028\u2029\x85\ufeff" + "".join(
    chr(code)
    for block in ((0x2010, 0x2060), (0x300C, 0x3020), (0xFF00, 0xFF65), (0x2BA, 0x2C0), (0x275B, 0x2761))
    for code in range(*block)
)
TEXT = st.text(st.one_of(st.sampled_from(SPECIAL), st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
# Each value as base64 of UTF-16: neither the way back nor JSON could cure a wrong one.
BACK = "| ForEach-Object { [Convert]::ToBase64String([Text.Encoding]::Unicode.GetBytes([string]$_)) }"


def read_back(powershell: PowerShell, values: list[str]) -> list[str]:
    result = powershell.run(f"{ps.quote(values)} {BACK}", 60)
    assert (result.code, result.stderr) == (0, b"")
    return [base64.b64decode(line).decode("utf-16-le") for line in result.stdout.decode().split("\n")]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXT, min_size=2, max_size=60))
@example(list(SPECIAL))
@example([f"{mark}{code}" for mark in SPECIAL for code in ("; throw 'read as code' #", "$(throw 'read as code')")])
@example(["", " ", "''", "\u2018\u2019", "@'\nx\n'@", "it's $env:PATH `n $(Get-Date)", "😀"])
def test_any_text_arrives_as_it_is(powershell: PowerShell, values: list[str]) -> None:
    assert read_back(powershell, values) == values


def test_the_property_would_see_a_wrong_quote(powershell: PowerShell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Doubling the plain apostrophe alone, as most programs do, is not enough."""
    monkeypatch.setattr(ps, "QUOTES", ps.re.compile("'"))
    result = powershell.run(f"@('x', {ps.quote('’; throw ‘read as code’ #')})", 60)
    assert result.code == 1
    assert "read as code" in result.stderr.decode()


@pytest.mark.parametrize(
    "value", [True, False, 0, -7, 2**31, 2**40, "x", "", "12", "$true", [1, "a", None], [], ["one"], [["nested"], 2]]
)
def test_other_values_keep_their_type(powershell: PowerShell, value: Any) -> None:
    result = powershell.run(f"{ps.assign(value=value)}ConvertTo-Json -InputObject $value -Compress", 60)
    assert json.loads(result.stdout) == value


@pytest.mark.parametrize("value", ["nul\0here", "\ud800", "ok\udcff", ["fine", "\0"]])
def test_text_that_cannot_arrive_whole_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^not possible in a PowerShell text: '\\(x00|ud800|udcff)' in "):
        ps.quote(value)


def test_a_query_gives_its_one_value_as_json(powershell: PowerShell) -> None:
    query = ps.query("[ordered]@{ text = 'é'; list = @(1); deep = @{ a = @{ b = @{ c = 'end' } } } }")
    assert json.loads(powershell.run(query, 60).stdout) == {
        "text": "é",
        "list": [1],
        "deep": {"a": {"b": {"c": "end"}}},
    }
