"""What a PC may answer that it should not: the host fails with a line of ours, nothing is kept, nothing of the answer is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pyinfra.connectors.util import CommandOutput, OutputLine

from citadelle.escrow.store import Escrow
from citadelle.escrow.work import Choice, Work
from citadelle.operations import bitlocker_steps as steps
from citadelle.operations.bitlocker_steps import Vault
from tests.escrow.conftest import Pair
from tests.escrow.keys import ID, RECOVERY

WORK = Work("C:", system=True, clear=True, seal=True, add=True, alter=True)


class Pc:
    """A host that answers one thing to whatever it is asked."""

    name = "@windows/pc1"

    def __init__(self, answer: str | Exception, code: bool = True) -> None:
        self.answer, self.code = answer, code

    def run_shell_command(self, command: Any, **_: Any) -> tuple[bool, CommandOutput]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.code, CommandOutput([OutputLine("stdout" if self.code else "stderr", self.answer)])


@pytest.fixture
def vault(operator: Pair, vault_folders: Escrow) -> Vault:
    return Vault(vault_folders, "pc1", operator[0], Choice(operator[0].fingerprint))


def said(data: Any) -> str:
    return json.dumps({"ok": True, "data": data})


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (said([{"volume": "C:", "protector": ID, "sealed": "x" * 5000}]), "what the PC answers is no recovery key: 'C:'"),
        (said([{"volume": "C:", "protector": "../../etc/passwd", "sealed": "x"}]), "what the PC answers is no recovery key"),
        (said([{"volume": "C:"}]), "answer of the PC makes no sense: KeyError"),
        (said([RECOVERY]), "answer of the PC makes no sense: TypeError"),
        ("{" + RECOVERY, "answer of the PC makes no sense: JSONDecodeError"),
        ('{"ok": false}', "answer of the PC makes no sense: KeyError"),
        ("nothing", "C: is in doubt: no answer"),
        (json.dumps({"ok": False, "code": "groups", "id": RECOVERY}), "C: has a recovery password that is none: groups"),
        (json.dumps({"ok": False, "code": "0x80310018", "id": "x"}), "C: the TPM has no owner: TPM_NOT_OWNED (0x80310018)"),
        (json.dumps({"ok": False, "code": "0x80041003", "id": "HRESULT 0x80041003,M"}), "C: Windows refuses: HRESULT 0x8"),
    ],
)  # fmt: skip
def test_an_answer_that_should_not_be(answer: str, words: str, vault: Vault, caplog: pytest.LogCaptureFixture) -> None:
    assert steps.take(None, Pc(answer), steps.seal, [WORK], vault) is False  # type: ignore[arg-type]
    assert f"@windows/pc1: {words}" in caplog.text
    assert "hint: " in caplog.text
    assert RECOVERY not in caplog.text
    assert list(vault.escrow.names()) == []


@pytest.mark.parametrize(
    ("pc", "words"),
    [
        (Pc(OSError("line is cut")), "C: is in doubt: no answer: line is cut"),
        (Pc(TimeoutError()), "C: is in doubt: no answer: 300 s"),
        (
            Pc("@windows/pc1: connection lost while sending", code=False),
            "C: is in doubt: connection lost while sending",
        ),
    ],
)
def test_a_line_that_breaks_fails_this_host_with_a_line(
    pc: Pc, words: str, vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    assert steps.take(None, pc, steps.protect, WORK, vault) is False  # type: ignore[arg-type]
    assert f"@windows/pc1: {words}\nhint: run again when the PC answers" in caplog.text
