"""Administration by security keys alone, over a genuine sshd: it takes the key's line, and asks the token for its PIN."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.roles.line.conftest import LinePC, Run
from tests.roles.line.test_cut import cut  # noqa: F401  (a fixture)
from tests.security_key import PLAIN, SK, SecurityKey

pytestmark = pytest.mark.lab


@pytest.fixture
def token(pc: LinePC, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecurityKey]:
    """In the agent of whoever runs pyinfra, beside the key that gets in so far."""
    made = SecurityKey(pc.folder / "agent", pc.folder / "user_key")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(made.path))
    yield made
    made.close()


def test_a_token_that_asks_for_its_pin_gets_in_and_one_that_does_not_is_cut_off(
    pc: LinePC,
    roll: Callable[..., Run],
    cut: Callable[..., Run],  # noqa: F811
    token: SecurityKey,
) -> None:
    settings = {"line_tokens": True, "line_keys": [token.line], "ssh_key": ""}
    before = pc.snapshot
    token.verifies = False
    refused = cut(**settings)
    assert (refused.code, "the host has gone back by itself" in refused.output) == (1, True), refused.output
    assert pc.snapshot == before
    assert set(token.signed) == {SK, PLAIN}, "the token was asked, and the former key opened"

    token.verifies = True
    run = roll(**settings)
    assert run.code == 0, run.output
    assert pc.keys.read_bytes().decode() == f"{token.line}\r\n"
    assert b"\r\nPubkeyAuthOptions verify-required\r\n" in pc.config.read_bytes()
    token.signed.clear()
    again = roll(**settings)
    assert again.changed_nothing, again.output
    assert "WIN-MFA-02" not in again.output
    assert set(token.signed) == {SK}, "no other key opens"
