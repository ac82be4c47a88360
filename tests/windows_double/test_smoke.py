"""The double stands: one request to cmd.exe, one to PowerShell. The rest of this folder is in the tier `lab`."""

from tests.windows_double.conftest import Double


def test_cmd_answers(double: Double) -> None:
    answer = double.ask("echo é & exit 7")
    assert (answer.code, answer.out) == (7, b"\x82 \r\n")


def test_powershell_is_windows_powershell(windows: Double) -> None:
    """Code page, a Windows cmdlet's genuine refusal as CLIXML, and one record of one start."""
    answer = windows.ps("'é'; (Get-Service sshd).Status; Get-Service -Nmae x; exit 4")
    assert (answer.code, answer.out) == (4, b"\x82\r\nRunning\r\n")
    assert answer.err.startswith(b"#< CLIXML\r\n<Objs ")
    assert b"FullyQualifiedErrorId : NamedParameterNotFound,Get-Service" in answer.err
    assert [entry["program"] for entry in windows.journal] == ["powershell.exe"]
