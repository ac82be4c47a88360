"""CLIXML read back: captures of Windows PowerShell, and what the genuine engine writes now."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from citadelle import powershell
from citadelle.connectors import clixml


def document(text: str) -> str:
    """A document with one error record."""
    space = "http://schemas.microsoft.com/powershell/2004/04"
    return f'<Objs Version="1.1.0.1" xmlns="{space}"><S S="Error">{text}</S></Objs>'


NOT_FOUND = """fake : The term 'fake' is not recognized as the name of a cmdlet, function, script file, or operable program. Check \r
the spelling of the name, or if a path was included, verify that the path is correct and try again.\r
At line:1 char:1\r
+ fake cmdlet\r
+ ~~~~\r
    + CategoryInfo          : ObjectNotFound: (fake:String) [], CommandNotFoundException\r
    + FullyQualifiedErrorId : CommandNotFoundException\r
 """


@pytest.mark.parametrize("name", ["empty", "multiple_elements", "with_progress"])
def test_ansibles_own_captures(shared_data: Path, name: str) -> None:
    folder = shared_data / "windows/clixml"
    expected = (folder / f"ansible.{name}.expected.txt").read_bytes().decode()
    assert clixml.errors((folder / f"ansible.{name}.stderr").read_bytes().decode()) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pypsrp.error.xml", NOT_FOUND),
        ("pywinrm.decode_clixml_error.stderr", NOT_FOUND),
        ("pypsrp.progress-only.xml", ""),
    ],
)
def test_captures_of_other_clients(shared_data: Path, name: str, expected: str) -> None:
    assert clixml.errors((shared_data / "windows/clixml" / name).read_bytes().decode()) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain\r\ntext_x000D_\n", "plain\r\ntext_x000D_\n"),
        ("#< CLIXML\r\n", ""),
        (f"<# CLIXML\n{document('a')}", "a"),
        (f"#< CLIXML\r\nbefore\r\n{document('a_x000A_')}after", "before\r\na\r\nafter"),
        (document("_xD834__xDD1E_ _x005F_x000D_ _xE9_ _x00e9_ &lt;"), "𝄞 _x000D_ _xE9_ é <"),
        (document("_xD834_"), "\ufffd"),
        (document("e").replace("<S S", '<S S="warning">w</S><S S'), "e"),
        (document("cut")[:-20], document("cut")[:-20]),
    ],
    ids=["nothing", "plain", "header", "wrong header", "text around", "escapes", "half a pair", "warning", "cut"],
)
def test_forms_that_occur(text: str, expected: str) -> None:
    assert clixml.errors(text) == expected


SCRIPT = """
[Console]::Error.WriteLine('dit par un programme: déjà')
Write-Progress -Activity 'avancement' -Status 'en cours'
Write-Warning 'mise en garde'
function Say($text) { Write-Error -Message $text -ErrorAction Continue }
Say "élève: çà et là, œuvre à 5 €, 𝄞"
Say 'markup <b> & "x" _x000D_ _x005F_'
Say "two`nlines and a bell $([char]7)"
Get-Item /absent
"""


def test_errors_of_the_genuine_engine(engine: str) -> None:
    command = [
        f"{engine}/powershell.exe",
        "-NoProfile",
        "-NonInteractive",
        "-EncodedCommand",
        powershell.encoded(SCRIPT),
    ]
    environment = os.environ | {"CITADELLE_CULTURE": "fr-FR", "CITADELLE_OEMCP": "850"}
    raw = subprocess.run(command, env=environment, capture_output=True, check=False).stderr
    assert b"\n#< CLIXML\r\n<Objs" in raw
    text = clixml.errors(raw.decode("cp850"))
    # Code page 850 has neither oe nor the euro sign: the engine writes what it can.
    for said in (
        "dit par un programme: déjà",
        "élève: çà et là, ",
        " à 5 ",
        ", 𝄞\r\n",
        'markup <b> & "x" _x000D_ _x005F_\r\n',
        "two\r\nlines and a bell \x07\r\n",
        "FullyQualifiedErrorId : PathNotFound,Microsoft.PowerShell.Commands.GetItemCommand",
    ):
        assert said in text
    for noise in ("CLIXML", "<Objs", "_x000A_", "avancement", "mise en garde", "Preparing modules"):
        assert noise not in text
