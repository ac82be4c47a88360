"""A PC with one PowerShell open, and a run over it that can end anywhere."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from pyinfra.connectors.util import CommandOutput, OutputLine
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.util import FakeHost, FakeState

from citadelle import powershell
from citadelle.escrow import seal
from citadelle.escrow.plan import plan
from citadelle.escrow.preflight import VALUES
from citadelle.escrow.store import Entry, Escrow
from citadelle.escrow.work import Choice, Plan
from citadelle.hardening.state import State
from citadelle.operations.bitlocker import volumes
from citadelle.operations.bitlocker_steps import Vault
from tests.windows_double.conftest import Double
from tests.windows_double.looks import only

# The genuine look, of the sections that the plan reads: the others take most of its time.
SECTIONS = ("version", "disks", "tpm", "secure_boot", "bitlocker")
LOOK = only(SECTIONS, VALUES)
PIN = "4711081547110815"


class Killed(BaseException):
    """The run is killed: nothing of it goes on."""


@dataclass
class PC:
    """`double`: the Windows; `said`, `sent`: its answers and the scripts, `calls` how many of a run.

    A run dies before the call `dies_before`, or after `dies_after`."""

    double: Double
    said: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    calls: int = 0
    dies_before: int = 0
    dies_after: int = 0
    name: str = "@windows/pc1"
    _process: subprocess.Popen[bytes] | None = None

    @property
    def dead(self) -> Path:
        """Is there from the moment on when the PC lost its power."""
        return self.double.home / "dead"

    def ask(self, script: str) -> dict[str, Any]:
        """The loop's answer, as the connector gets it; {} where the PowerShell died."""
        if self._process is None or self._process.poll() is not None:
            self._process = self.double.start(powershell.START)
            self._answer()
        assert self._process.stdin is not None
        self.sent.append(script)
        self._process.stdin.write(powershell.request(script))
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        data = b""
        while not (found := powershell.ANSWER.search(data)):
            line = self._process.stdout.readline()
            if not line:
                self._process.wait()
                return {}
            data += line
        self.said.append(base64.b64decode(found[1]).decode())
        answer: dict[str, Any] = json.loads(self.said[-1])
        return answer

    def run_shell_command(self, command: Any, **_: Any) -> tuple[bool, CommandOutput]:
        """As pyinfra's host does it for a step."""
        self.calls += 1
        if self.calls == self.dies_before:
            raise Killed
        answer = self.ask(command.get_raw_value())
        if self.calls == self.dies_after:
            raise Killed
        if not answer or self.dead.exists():  # a PC without power says nothing more
            return False, CommandOutput([OutputLine("stderr", f"{self.name}: connection cut during a command")])
        return answer["code"] == 0, CommandOutput([OutputLine("stdout", line) for line in answer["out"]])

    def look(self) -> State:
        """The state as the fact reads it."""
        answer = self.ask(LOOK)
        assert answer["error"] is None, answer
        found = json.loads(answer["out"][0])
        found["sections"]["session"] = {
            "Groups": "S-1-5-32-544 S-1-16-12288"
        }  # asked of a program: costs more than all the others
        return State.parse(found)

    def close(self) -> None:
        """End the PowerShell."""
        if self._process is not None:
            self._process.communicate(timeout=20)
            self._process = None

    def write(self, **volumes: dict[str, Any]) -> None:
        """Volumes as a test wants them, past the double's own code; what is not given is as on an unencrypted one."""
        file = self.double.home / "state.json"
        content = json.loads(file.read_text("utf-8-sig"))
        first = content["bitlocker"]["C:"] | {"EncryptionStep": 0}
        content["bitlocker"] = {
            f"{letter}:": {**first, "VolumeType": "OperatingSystem" if letter == "C" else "Data", **given}
            for letter, given in volumes.items()
        }
        file.write_text(json.dumps(content))

    def change(self, **sections: dict[str, Any]) -> None:
        """Other values in a section of the double's state."""
        file = self.double.home / "state.json"
        content = json.loads(file.read_text("utf-8-sig"))
        for name, values in sections.items():
            content[name].update(values)
        file.write_text(json.dumps(content))

    def volume(self, letter: str = "C") -> dict[str, Any]:
        """A volume as the state file has it."""
        found: dict[str, Any] = self.double.state["bitlocker"][f"{letter}:"]
        return found


def recovery(volume: dict[str, Any]) -> dict[str, str]:
    """Recovery passwords of a volume by their ids, as the state file has them."""
    return {
        key["KeyProtectorId"]: key["RecoveryPassword"]
        for key in volume["KeyProtector"]
        if key["KeyProtectorType"] == "RecoveryPassword"
    }


def forms(password: str) -> list[bytes]:
    """A recovery password as it could be told: whole, two groups of it, without dashes, for Windows, in base64 wherever it begins."""
    groups = password.split("-")
    texts = [password, password.replace("-", ""), *("-".join(two) for two in pairwise(groups))]
    wide = [text.encode("utf-16-le") for text in (password, "-".join(groups[:2]))]
    plain = [text.encode() for text in texts]
    coded = [
        base64.b64encode(b"x" * shift + one)[4 if shift else 0 : -4]
        for one in (plain[0], wide[0])
        for shift in range(3)
    ]
    return [*plain, *wide, *coded]


def told(content: str, passwords: Iterable[str]) -> list[str]:
    """Recovery passwords that a text holds in any form."""
    data = content.encode()
    return [password for password in passwords if any(form in data for form in forms(password))]


def kinds(volume: dict[str, Any]) -> list[str]:
    """Kinds of a volume's protectors, in order."""
    return sorted(key["KeyProtectorType"] for key in volume["KeyProtector"])


# OpenSSL proves the primes of a key whenever it reads one: half a second, and these tests open thousands of sealed keys.
read_private = cache(seal.read_private)


@dataclass
class Operator:
    """The controller: an escrow, a key pair, a choice."""

    escrow: Escrow
    pair: Path
    choice: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)

    @property
    def vault(self) -> Vault:
        """As the role makes it."""
        certificate = seal.read_certificate(self.pair / "escrow.crt")
        choice = Choice(certificate.fingerprint, **self.choice)
        return Vault(
            self.escrow, "pc1", certificate, choice, **({"private": self.pair / "escrow.key", "watch": 60} | self.given)
        )

    def forget(self) -> None:
        """An empty escrow, in both folders."""
        for folder in self.escrow.folders:
            for file in folder.rglob("*.json"):
                file.unlink()

    def opened(self, entry: Entry) -> str:
        """The recovery key of an entry, past the product's own reading of the groups."""
        return seal.open_sealed(read_private(self.pair / "escrow.key"), entry.identity, entry.sealed)

    def kept(self) -> dict[str, str]:
        """Recovery keys that lie in escrow, right and twice, by their ids."""
        found = {name: self.escrow.find(host, name) for host, name in self.escrow.names()}
        return {name: self.opened(kept.entry) for name, kept in found.items() if kept.is_whole and kept.entry}


@dataclass
class Outcome:
    """What a run came to: the plan; `noop`: its words where it had nothing to do; whether all its steps went well; how far it came."""

    plan: Plan
    noop: str | None
    ok: bool = True
    steps: int = 0


def converge(pc: PC, operator: Operator, before: Callable[[int], None] = lambda step: None) -> Outcome:
    """A whole run over a PC; `before(n)` is called before its nth command."""
    found = plan("pc1", pc.look(), operator.vault.choice, operator.escrow)
    state = FakeState()
    host = FakeHost(state, pc.name, {}, {})
    with ctx_state.use(state), ctx_host.use(host):
        outcome = Outcome(found, None)
        for command in volumes._inner(found, operator.vault):  # type: ignore[attr-defined]
            outcome.steps += 1
            before(outcome.steps)
            if command.function(state, pc, *command.args) is False:
                outcome.ok = False
                break
        outcome.noop = host.noop_description
    return outcome


def killed(pc: PC, operator: Operator, **at: int) -> bool:
    """A run that dies on the way; `dies_before`, `dies_after`: at which call; `dead`: the PC loses its power after which change of it;
    `fuse`: its PowerShell ends with it, which costs seconds. Says whether it died."""
    pc.calls, pc.dies_before, pc.dies_after = 0, at.get("dies_before", 0), at.get("dies_after", 0)
    fuse = pc.double.home / "fuse"
    if "fuse" in at:
        fuse.write_text(str(at["fuse"]))
    if "dead" in at:
        fuse.write_text(f"{at['dead']} dead")
    died = False
    try:
        with suppress(AssertionError):
            died = not converge(pc, operator).ok
    except Killed:
        died = True
    pc.dies_before = pc.dies_after = 0
    fuse.unlink(missing_ok=True)
    pc.dead.unlink(missing_ok=True)
    return died
