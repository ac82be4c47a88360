"""Each directive of a Linux host's SSH server, one by one, with the genuine sshd: wrong, found, put right, then left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from citadelle.facts.hardening import LOOK
from citadelle.hardening import linux
from citadelle.hardening.state import State
from citadelle.operations.hardening import LINUX_APPLY, Change, changes
from tests.facts.test_hardening_script import PATH, sh, stub
from tests.hardening.linux_states import TABLE, verdicts
from tests.sshd import make_key, sshd_binary

pytestmark = pytest.mark.lab

SET = {control.id: control for control in TABLE.controls if control.judge.kind == "sshd" and control.apply is not None}
# A value that sshd takes and that is wrong, by hand.
WRONG = {
    "permitrootlogin": "yes", "passwordauthentication": "yes", "kbdinteractiveauthentication": "yes", "pubkeyauthentication": "no",
    "permitemptypasswords": "yes", "permituserenvironment": "yes", "hostbasedauthentication": "yes", "ignorerhosts": "no",
    "gssapiauthentication": "yes", "usepam": "no", "maxauthtries": "6", "maxsessions": "11", "maxstartups": "10:30:100",
    "logingracetime": "120", "clientaliveinterval": "0", "clientalivecountmax": "9", "loglevel": "ERROR", "x11forwarding": "yes",
    "allowagentforwarding": "yes", "permittunnel": "yes", "allowstreamlocalforwarding": "yes", "gatewayports": "yes",
    "allowtcpforwarding": "yes", "ciphers": "aes256-ctr,aes128-cbc", "macs": "hmac-sha2-256,hmac-sha1",
    "kexalgorithms": "curve25519-sha256,diffie-hellman-group14-sha1",
}  # fmt: skip


@pytest.fixture
def program(tmp_path: Path) -> str:
    """The functions of look and change, over an sshd whose whole configuration is a file of the test."""
    key = make_key(tmp_path / "host_key")
    main = tmp_path / "sshd_config"
    main.write_text(f"Include {tmp_path}/own.conf\n")
    stub(tmp_path, "sshd", f'exec {sshd_binary()} "$@" -f {main} -h {key}')
    stub(tmp_path, "systemctl", "exit 3")
    others = "".join(
        f"look_{name}() {{ :; }}\n" for name in ("accounts", "sudo", "updates", "clock", "listeners", "docker")
    )
    text = f"{LOOK}\n{LINUX_APPLY}\n{others}SSHD={tmp_path}/own.conf\nSUDO_USER=operator\n"
    assert PATH in text
    return text.replace(PATH, f"PATH={tmp_path}:/usr/local/sbin:")


def walk(program: str, steps: dict[str, str]) -> dict[str, State]:
    """The state after each step, by its name."""
    look = "look " + " ".join(f"sshd={control.judge.target}" for control in SET.values())
    done = sh(program + "\n".join(f"echo '@@{name}'\n({step})\n{look}" for name, step in steps.items()))
    assert (done.returncode, done.stderr) == (0, "")
    parts = [part.split("\n") for part in done.stdout.split("@@")[1:]]
    assert [part[0] for part in parts] == list(steps)
    return {name: linux.parse(linux.raw(line for line in lines if line)) for name, *lines in parts}


def decided(state: State) -> tuple[set[str], list[Change]]:
    """Controls of the SSH server that fail, and what would be set."""
    found = verdicts(state, *SET)
    return {name for name, verdict in found.items() if verdict.status != "pass"}, changes(list(found.values()), state)


def test_each_directive_that_deviates_is_found_put_right_and_then_left_alone(program: str, tmp_path: Path) -> None:
    assert WRONG.keys() == {control.judge.target for control in SET.values()}
    right = "".join(f"{control.judge.target} {control.apply}\n" for control in SET.values())
    put = {"right": f"cat >{tmp_path}/own.conf <<'END'\n{right}END\n"}
    for name, control in SET.items():
        target = control.judge.target
        wrong = right.replace(f"{target} {control.apply}\n", f"{target} {WRONG[target]}\n")
        put[name] = f"cat >{tmp_path}/own.conf <<'END'\n{wrong}END\n"
    before = walk(program, put)
    assert decided(before.pop("right")) == (set(), []), "a right server is left alone"
    mending = {}
    for name, state in before.items():
        control = SET[name]
        found, planned = decided(state)
        assert (found, planned) == ({name}, [Change(name, "sshd", control.judge.target, control.apply or 0)])
        assert verdicts(state, name)[name].found == WRONG[control.judge.target]
        words = " ".join(f"'{word}'" for word in (name, "sshd", control.judge.target, control.apply))
        mending[name] = f"{put[name]}apply srv1 {words}"
    after = walk(program, mending)
    assert {name: decided(state) for name, state in after.items()} == dict.fromkeys(SET, (set(), []))
    lines = sorted((tmp_path / "own.conf").read_text().splitlines())
    assert lines == sorted(right.splitlines()), "what was right stays as it stood"
