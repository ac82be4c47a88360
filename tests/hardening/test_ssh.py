"""sshd_config edited and read: bytes of others stay, ours count, and the genuine sshd agrees."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citadelle.hardening import ssh
from tests.sshd import make_key, sshd_binary

WINDOWS = (
    "#PasswordAuthentication yes\r\nAuthorizedKeysFile\t.ssh/authorized_keys\r\nPasswordAuthentication yes\r\n\r\n"
    "Match Group administrators\r\n       AuthorizedKeysFile __PROGRAMDATA__/ssh/administrators_authorized_keys\r\n"
)
NO_PASSWORD = [("PasswordAuthentication", "no")]


def test_ours_stand_before_every_match_with_the_line_ends_of_the_file() -> None:
    after = ssh.edit(WINDOWS, NO_PASSWORD)
    assert after == (
        f"{ssh.BEGIN}\r\nPasswordAuthentication no\r\n{ssh.END}\r\n"
        + WINDOWS.replace("\nPasswordAuthentication yes", "\n# replaced by citadelle: PasswordAuthentication yes")
    )
    assert "\n" not in after.replace("\r\n", "")
    assert "\r" not in ssh.edit(WINDOWS.replace("\r\n", "\n"), NO_PASSWORD)


def test_a_match_that_says_something_else_is_seen_and_silenced() -> None:
    text = WINDOWS + "Match User guest\r\n  passwordauthentication=yes\r\n"
    assert ssh.overrides(text)["passwordauthentication"].endswith("in Match User guest")
    assert "passwordauthentication" not in ssh.overrides(ssh.edit(text, NO_PASSWORD))
    assert ssh.overrides(ssh.edit(text, NO_PASSWORD))["authorizedkeysfile"]


def test_the_block_is_read_again_and_goes_when_nothing_is_wanted() -> None:
    after = ssh.edit("Port 22\n", [("AllowUsers", "a@10.0.0.0/8 b@10.0.0.0/8"), ("MaxAuthTries", "4")])
    assert ssh.block(after) == {"AllowUsers": "a@10.0.0.0/8 b@10.0.0.0/8", "MaxAuthTries": "4"}
    assert ssh.block("Port 22\n") == {}
    assert ssh.edit(after, []) == "Port 22\n"


LINES = st.lists(
    st.sampled_from(["Port 22", "# é \x85 \x0b", "", "PasswordAuthentication yes", "\tMaxAuthTries 9", "Match all", "x=y", ssh.END]),
    max_size=8,
)  # fmt: skip


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_twice_is_once_and_the_lines_of_others_stay(lines: list[str], end: str, is_whole: bool) -> None:
    text = end.join(lines) + (end if is_whole else "")
    once = ssh.edit(text, NO_PASSWORD)
    assert ssh.edit(once, NO_PASSWORD) == once
    kept = [line for line in once.split("\n") if "asswordAuthentication" not in line and "citadelle" not in line]
    assert [line.rstrip("\r") for line in kept if line.strip()] == [
        line for line in lines if line.strip() and "asswordAuthentication" not in line and line != ssh.END
    ]
    assert ssh.block(once) == {"PasswordAuthentication": "no"}


def test_the_genuine_sshd_takes_ours(tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    config = tmp_path / "sshd_config"
    wanted = [("PasswordAuthentication", "no"), ("MaxAuthTries", "4"), ("AllowUsers", "a@10.1.0.0/16 b")]
    before = (
        f"HostKey {tmp_path}/key\r\nMaxAuthTries 6\r\nPasswordAuthentication yes\r\nMatch User x\r\nMaxAuthTries 9\r\n"
    )
    config.write_bytes(ssh.edit(before, wanted).encode("latin-1"))
    Path("/run/sshd").mkdir(exist_ok=True)
    told = subprocess.run([sshd_binary(), "-T", "-f", config], capture_output=True, text=True, check=True).stdout
    found = ssh.server({"Effective": told.splitlines(), "Text": config.read_text("latin-1")})
    assert [found["effective"][name] for name in ("passwordauthentication", "maxauthtries", "allowusers")] == [
        "no", 4, ["a@10.1.0.0/16", "b"],
    ]  # fmt: skip
    assert "maxauthtries" not in found["overrides"]


@pytest.mark.parametrize(
    ("sddl", "is_safe"),
    [
        ("O:BAG:SYD:PAI(A;;FA;;;BA)(A;;FA;;;SY)", True),
        ("O:S-1-5-18D:PAI(A;;FA;;;S-1-5-32-544)(A;;FA;;;S-1-5-18)", True),
        ("O:BAG:SYD:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;AU)", False),
        ("O:S-1-5-21-1-2-3-1001G:SYD:PAI(A;;FA;;;BA)(A;;FA;;;SY)", False),
        ("O:BAG:SYD:PAI(A;;FA;;;BA)(A;;FA;;;S-1-5-32-545)", False),
        ("O:BAG:SYD:NO_ACCESS_CONTROL", False),
        ("", False),
    ],
)
def test_who_can_change_the_keys(sddl: str, is_safe: bool) -> None:
    assert ssh.is_safe(sddl) is is_safe


def test_kinds_of_keys() -> None:
    line = "AAAAC3NzaC1lZDI1NTE5AAAAIPaddingPaddingPaddingPaddingPaddingPadd"
    text = f'# mine\r\nssh-ed25519 {line} a\r\n\r\nfrom="10.*" sk-ssh-ed25519@openssh.com {line}\r\nrubbish\r\n'
    found = ssh.keys({"Sddl": "O:BAD:P(A;;FA;;;BA)", "Text": text})
    assert found["kinds"] == ["ssh-ed25519", "sk-ssh-ed25519@openssh.com", "unknown"]
    assert found["present"]
    assert not ssh.keys({"Sddl": "", "Text": ""})["present"]
