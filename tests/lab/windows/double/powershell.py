"""powershell.exe: the genuine engine, started with drive C:, the machine's variables and the simulated cmdlets around it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from . import home, job, options, paths, streams

STARTS_WITH_BLOCK = re.compile(
    r"\A(?:\s|#[^\n]*\n|<#.*?#>)*(?:param\b|using\b|begin\b|process\b|end\b|\[CmdletBinding)", re.IGNORECASE | re.DOTALL
)
COPIES = {"SYSTEMROOT": "SystemRoot", "WINDIR": "windir", "PROGRAMDATA": "ProgramData", "SYSTEMDRIVE": "SystemDrive"}


@dataclass(frozen=True)
class Engine:
    """The program to start; `is_plain` when it is PowerShell 7 and the double must give 5.1's streams."""

    path: str
    is_plain: bool


def engine() -> Engine | None:
    """The PowerShell to run, from the knobs, the environment or /opt/powershell; None when there is none."""
    knobs = home.knobs()
    place = Path(knobs["powershell"] or os.environ.get("WINDOWS_DOUBLE_POWERSHELL") or "/opt/powershell")
    wants_plain = (knobs["personality"] or os.environ.get("WINDOWS_DOUBLE_PWSH")) == "plain"
    if place.is_file():
        return Engine(str(place), wants_plain or not place.name.lower().startswith("powershell"))
    for name in ("pwsh",) if wants_plain else ("powershell.exe", "pwsh"):
        if (place / name).exists():
            return Engine(str(place / name), name == "pwsh")
    return None


# Drive C: and the user's folder. Engine calls instead of cmdlets: a cmdlet here would use up the "Preparing modules"
# record that the caller's script must cause. One line, not a file to dot-source: that alone costs 50 ms.
DRIVE = (
    "$null=$ExecutionContext.SessionState.Drive.New([Management.Automation.PSDriveInfo]::new('C',"
    "$ExecutionContext.SessionState.Provider.GetOne('FileSystem'),$env:WINDOWS_DOUBLE_DRIVE,'Windows',$null),'global');"
    "$null=$ExecutionContext.SessionState.Path.SetLocation($env:WINDOWS_DOUBLE_FOLDER)"
)
PLAIN = (
    ";[Console]::OutputEncoding=[Text.Encoding]::GetEncoding(850);$global:ErrorView='NormalView'"
    ";if($PSStyle){$PSStyle.OutputRendering='PlainText'}"
    ";if(-not $ExecutionContext.SessionState.Provider.GetAll().Where({$_.Name -eq 'Registry'}))"
    "{. $env:WINDOWS_DOUBLE_CODE/registry-store.ps1;. $env:WINDOWS_DOUBLE_CODE/registry.ps1}"
)


def preamble(is_plain: bool) -> str:
    """What runs before every script of the double, on one line."""
    return DRIVE + (PLAIN if is_plain else "")


def _script(text: str, first: str) -> str:
    """The caller's script behind the preamble; one that must begin with its own block is called instead."""
    if not STARTS_WITH_BLOCK.match(text):
        return f"{first}\n{text}"
    encoded = options.encode(text)
    given = "$input | " if re.search(r"\$input\b", text, re.IGNORECASE) else ""
    decode = f"[Text.Encoding]::Unicode.GetString([Convert]::FromBase64String('{encoded}'))"
    return f"{first}\n{given}. ([scriptblock]::Create({decode}))"


def _quote(word: str) -> str:
    return "'" + re.sub("(['‘’‚‛])", r"\1\1", word) + "'"


def _argument(word: str) -> str:
    """One word behind -File: a parameter's name as it is, any other text quoted."""
    name, sign, value = word.partition(":")
    if re.fullmatch(r"-[A-Za-z_]\w*", name):
        return name if not sign else f"{name}:{value if value.lower() in ('$true', '$false') else _quote(value)}"
    return _quote(word)


def _says_exit(file: str) -> bool:
    """Whether the exit code of a -File run is the script's own word, not that of the last program it started."""
    try:
        return re.search(rb"(?im)(^|[;{}\s])exit\b", Path(file).read_bytes()) is not None
    except OSError:
        return False


def _asks_for_com(file: str) -> bool:
    try:
        return b"-ComObject" in Path(file).read_bytes()
    except OSError:
        return False


def command_line(wanted: options.Options, is_plain: bool) -> list[str]:
    """The engine's arguments for what powershell.exe was asked."""
    first = preamble(is_plain)
    if wanted.kind == "encoded":
        return [*wanted.passed, "-EncodedCommand", options.encode(_script(wanted.text, first))]
    if wanted.kind == "command":
        return [*wanted.passed, "-Command", _script(wanted.text, first)]
    if wanted.kind == "file":
        file = str(paths.local(wanted.text))
        if _asks_for_com(file):  # read only then: it costs as much as the start of many a script
            first += ";. $env:WINDOWS_DOUBLE_CODE/com.ps1"
        call = " ".join(["&", _quote(file), *map(_argument, wanted.arguments)])
        leave = "exit $LASTEXITCODE" if _says_exit(file) else ""
        return [*wanted.passed, "-Command", f"{first};$global:LASTEXITCODE=0\n{call}\n{leave}"]
    return wanted.passed


def _settings() -> dict[str, str]:
    knobs = home.knobs()
    modules = str(home.CODE / "modules")
    extra = {
        "CITADELLE_REGISTRY": str(home.REGISTRY),
        "CITADELLE_CULTURE": str(knobs["culture"]),
        "CITADELLE_OEMCP": "850",
        "PSModulePath": modules,
        "WINDOWS_DOUBLE_CODE": str(home.CODE),
        "WINDOWS_DOUBLE_STATE": str(home.STATE_DIR),
        "WINDOWS_DOUBLE_DRIVE": str(home.LINK),
        "WINDOWS_DOUBLE_FOLDER": paths.windows(os.getcwd()),
        "POWERSHELL_TELEMETRY_OPTOUT": "1",
        "POWERSHELL_UPDATECHECK": "Off",
        "NO_COLOR": "1",
        "TMPDIR": "/tmp",
        "HOME": os.environ.get("HOME", "/tmp"),
    }
    kept = (
        "WINDOWS_DOUBLE_HOME",
        "WINDOWS_DOUBLE_POWERSHELL",
        "WINDOWS_DOUBLE_PWSH",
        "WINDOWS_DOUBLE_COMPUTER",
        "WINDOWS_DOUBLE_USER",
        "CITADELLE_WIDTH",
    )
    return extra | {name: os.environ[name] for name in kept if name in os.environ}


def _without_colon(folder: str) -> str:
    """A folder of drive C: as PATH can name it."""
    return str(home.LINK) + str(paths.local(folder)).removeprefix(str(home.DRIVE))


def surroundings(variables: dict[str, str], plain: bool) -> dict[str, str]:
    """The engine's environment: Windows' variables, and PATH as this machine needs it to find the double's programs."""
    found = dict(variables) | _settings()
    for copy, name in COPIES.items():
        if name in found:
            found[copy] = found[name]
    folders = (variables.get("Path") or variables.get("PATH") or "").split(";")
    found["PATH"] = ":".join(_without_colon(folder) for folder in folders if folder)
    if plain:  # as any PowerShell 7 on Linux: no registry of its own
        found.pop("CITADELLE_REGISTRY")
        found["DOTNET_SYSTEM_GLOBALIZATION_INVARIANT"] = os.environ.get("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1")
    return found


def main(_bare: str, arguments: list[str], variables: dict[str, str], _raw: str | None) -> int:
    """Runs PowerShell inside a job; gives its exit code."""
    found = engine()
    if found is None:
        streams.err(
            "the Windows double has no PowerShell engine: put one at /opt/powershell or set WINDOWS_DOUBLE_POWERSHELL"
        )
        return 1
    wanted = options.parse(arguments)
    line = arguments if wanted.kind == "raw" else command_line(wanted, found.is_plain)
    environment = surroundings(variables, found.is_plain)
    needs_relay = found.is_plain or wanted.kind == "stdin"
    if needs_relay:
        from . import relay

        return relay.run(found, line, environment, wanted)
    parent = os.getppid()
    pid = job.start(lambda: os.execve(found.path, [found.path, *line], environment))
    _let_go()
    return job.wait(pid, parent)


def _let_go() -> None:
    """The streams belong to the engine alone: its end is their end."""
    null = os.open("/dev/null", os.O_RDWR)
    for handle in (0, 1, 2):
        os.dup2(null, handle)
    os.close(null)
