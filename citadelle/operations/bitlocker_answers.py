"""How a step is asked of a PC, and what its refusals mean."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from pyinfra.api import StringCommand
from pyinfra.api.host import Host

from citadelle import powershell
from citadelle.hardening.bitlocker import PROBLEMS, explain

SCRIPT = files("citadelle.hardening").joinpath("bitlocker.ps1").read_text("utf-8")
ALREADY = [f"0x{code:08X}" for code, problem in PROBLEMS.items() if problem.done]
LONGEST = 300  # seconds for one step
PAGE = "docs/bitlocker.md"
# Where a step stops by its own judgement.
STOPS = {
    "escrow": ("has a recovery key that is not in escrow: it was made in this moment", "run again"),
    "groups": ("has a recovery password that is none", "manage-bde -protectors -get in a console of the PC"),
    "decrypting": ("somebody decrypts it", "stop: find out who turned BitLocker off"),
    "test": ("waits for the hardware test of the next start", "restart the PC, then run again"),
    "counted": (
        "is suspended for a number of restarts",
        "finish what it was suspended for: restart the PC, then run again",
    ),
    "waits": ("waits until the system volume is protected", "run again then"),
    "absent": ("is gone", "find out why"),
    "0x00000001": ("is not kept in Active Directory: group policy turns that off", "gpresult /h report.html"),
    "0x80070057": (
        "is refused: policy wants another encryption method",
        "set EncryptionMethodWithXts... of the policy to 7",
    ),
}


@dataclass(frozen=True)
class Stopped(Exception):
    """A step that Windows, the line or the escrow has stopped. `code`: an HRESULT, or a word of `STOPS`."""

    what: str
    hint: str
    code: str = ""


def ask(host: Host, mount: str, step: str, **values: Any) -> list[Any]:
    """What a step of the script answers. Its text is never shown, whatever the verbosity. Raises `Stopped`."""
    script = powershell.guarded(powershell.assign(step=step, already=ALREADY, **values) + SCRIPT)
    try:
        done, said = host.run_shell_command(StringCommand(script), _timeout=LONGEST)
    except (OSError, TimeoutError) as error:
        raise Stopped(
            f"{mount} is in doubt: no answer: {str(error) or f'{LONGEST} s'}", "run again when the PC answers"
        ) from None
    lines = [line for line in said.stdout_lines if line.startswith("{")]
    if not done or not lines:
        why = next(iter(said.stderr_lines), "no answer").removeprefix(f"{host.name}: ")
        raise Stopped(f"{mount} is in doubt: {why}", "run again when the PC answers")
    answer = json.loads(lines[-1])
    if not answer["ok"]:
        raise _stop(mount, str(answer["code"]), str(answer["id"]))
    data = answer["data"]
    return data if isinstance(data, list) else [data]


def _stop(mount: str, code: str, identity: str) -> Stopped:
    if code in STOPS:
        what, hint = STOPS[code]
        return Stopped(f"{mount} {what}: {code}", hint, code)
    if problem := explain(code):
        return Stopped(f"{mount} {problem.meaning}: {problem.name} ({code})", problem.cure)
    return Stopped(f"{mount} Windows refuses: {identity} ({code})", PAGE)
