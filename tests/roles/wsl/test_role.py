"""The Windows side of WSL over a genuine sshd against the double: its owner, what starts it, and that nothing is left to do.

The distribution is registered beforehand: what is imported is carried out by this very machine, so that belongs into a lab PC.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from citadelle.facts.wsl_user import RIGHTS
from tests.connectors.conftest import WindowsPC, engine, until  # noqa: F401  (a fixture)
from tests.inventory.conftest import Checkout, checkout  # noqa: F401  (a fixture)

pytestmark = pytest.mark.lab

DEPLOY = """
from roles.wsl.deploy import wsl

wsl()
"""
USER = "citadelle-wsl"
ADMINISTRATORS, USERS = "S-1-5-32-544", "S-1-5-32-545"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv administrator"
TASK = "\\citadelle\\wsl"


class Pc(WindowsPC):
    """Its state, read and written past the product's code."""

    def load(self, name: str = "state.json") -> Any:
        return json.loads((self.home / name).read_text("utf-8-sig"))

    def edit(self, change: Callable[[Any], None], name: str = "state.json") -> None:
        content = self.load(name)
        change(content)
        (self.home / name).write_text(json.dumps(content))

    def user(self) -> dict[str, Any]:
        found: dict[str, Any] = next(user for user in self.load()["users"] if user["Name"] == USER)
        return found

    def members(self, sid: str) -> list[str]:
        return next(group["Members"] for group in self.load()["groups"] if group["SID"] == sid)

    def register(self) -> None:
        """A distribution of the owner, as an import leaves it."""
        key = f"HKEY_USERS\\{self.user()['SID']}\\Software\\Microsoft\\Windows\\CurrentVersion\\Lxss\\{{1}}"
        self.edit(
            lambda registry: registry.update({key: {"DistributionName": "citadelle", "Flags": 15}}), "registry.json"
        )


@pytest.fixture
def pc(request: pytest.FixtureRequest, tmp_path: Path, engine: str) -> Iterator[Pc]:  # noqa: F811
    """A fresh PC whose administrator has a key; English unless the test is given another language."""
    server = Pc(tmp_path / "pc", engine=engine)
    server.start()
    server.control("setup")
    server.control("language", getattr(request, "param", "en"))
    (server.path("C:\\ProgramData\\ssh\\administrators_authorized_keys")).write_text(KEY + "\r\n", newline="")
    yield server
    server.control("reset")
    server.control("reboot")  # ends what tasks hold
    server.stop()


@pytest.fixture
def run(checkout: Checkout, pc: Pc) -> Callable[..., tuple[int, str]]:  # noqa: F811
    """One run of pyinfra; exit code and output."""

    def go(*words: str, **data: Any) -> tuple[int, str]:
        given = {**pc.data, "wsl_user": USER, **data}
        checkout.write("inventory/mine.py", f"windows = [('@windows/pc1', {given!r})]\n")
        checkout.write("deploy.py", DEPLOY)
        done = checkout.pyinfra(*(words or ("-y",)), "inventory", "deploy.py", NO_COLOR="1")
        return done.returncode, done.stdout

    return go


def changed(output: str) -> list[str]:
    """Names of the operations that changed something."""
    return re.findall(r"^ *(.+?) +1 +1 +- +- *$", output.rsplit("--> Results", maxsplit=1)[-1], re.M)


def converge(pc: Pc, run: Callable[..., tuple[int, str]]) -> None:
    """As after a first run that has imported the distribution."""
    run()  # it stops at the distribution, which it has no file for
    pc.register()
    code, output = run()
    assert code == 0, output
    until(lambda: pc.load()["tasks"][TASK]["LastTaskResult"] == 0x41301)


DRIFTS: dict[str, tuple[str, Callable[[Pc], None], Callable[[Pc], bool]]] = {
    "an administrator": (
        "WSL | Have the account that owns WSL",
        lambda pc: pc.edit(lambda s: next(g for g in s["groups"] if g["SID"] == ADMINISTRATORS)["Members"].append(pc.user()["SID"])),
        lambda pc: pc.user()["SID"] not in pc.members(ADMINISTRATORS),
    ),
    "no right to log on as a batch job (CIS 2.2.28)": (
        "WSL | Have the account that owns WSL",
        lambda pc: pc.edit(lambda s: s["security"]["Privilege Rights"].update(SeBatchLogonRight="*S-1-5-32-544")),
        lambda pc: pc.load()["security"]["Privilege Rights"]["SeBatchLogonRight"] == f"*S-1-5-32-544,*{pc.user()['SID']}",
    ),
    "disabled": (
        "WSL | Have the account that owns WSL",
        lambda pc: pc.edit(lambda s: next(u for u in s["users"] if u["Name"] == USER).update(Enabled=False)),
        lambda pc: bool(pc.user()["Enabled"]),
    ),
    "settings in UTF-16": (
        "WSL | Write WSL's settings",
        lambda pc: _rewrite(pc.path(f"C:\\Users\\{USER}\\.wslconfig"), "utf-16"),
        lambda pc: pc.path(f"C:\\Users\\{USER}\\.wslconfig").read_bytes().startswith(b"[wsl2]\r\n"),
    ),
    "a task with a stored password": (
        "WSL | Start WSL at boot",
        lambda pc: pc.edit(lambda s: s["tasks"][TASK]["Principal"].update(LogonType="Password")),
        lambda pc: pc.load()["tasks"][TASK]["Principal"]["LogonType"] == "S4U",
    ),
    "a key of somebody else": (
        "WSL | Let the administrators' keys into WSL",
        lambda pc: _append(pc.path(f"C:\\Users\\{USER}\\.ssh\\authorized_keys"), "ssh-ed25519 AAAA stranger\r\n"),
        lambda pc: pc.path(f"C:\\Users\\{USER}\\.ssh\\authorized_keys").read_text().strip() == KEY,
    ),
}  # fmt: skip


def _rewrite(file: Path, encoding: str) -> None:
    file.write_bytes(file.read_bytes().decode().encode(encoding))


def _append(file: Path, text: str) -> None:
    with file.open("a", newline="") as handle:
        handle.write(text)


@pytest.mark.parametrize("pc", ["fr"], indirect=True)
def test_the_owner_of_wsl_and_each_deviation_from_it(pc: Pc, run: Callable[..., tuple[int, str]]) -> None:
    code, output = run()
    assert code == 1
    assert "@windows/pc1: WSL distribution is missing: citadelle; no file to import it from is set" in output
    converge(pc, run)
    user = pc.user()
    assert (user["Enabled"], user["PasswordNeverExpires"], user["UserMayChangePassword"]) == (True, True, False)
    assert user["SID"] in pc.members(USERS)
    assert [group["SID"] for group in pc.load()["groups"] if user["SID"] in group["Members"]] == [USERS]
    rights = pc.load()["security"]["Privilege Rights"]
    assert [right for right, who in rights.items() if user["SID"] in who] == list(RIGHTS)
    # What others had stays: secedit replaces whole rights.
    assert rights["SeBatchLogonRight"].startswith("*S-1-5-32-544,*S-1-5-32-551,*S-1-5-32-559,")
    assert rights["SeServiceLogonRight"] == "*S-1-5-80-0,*S-1-5-83-0"
    task = pc.load()["tasks"][TASK]
    assert (task["Principal"]["LogonType"], task["Principal"]["RunLevel"]) == ("S4U", "Limited")
    assert task["Triggers"][0]["Kind"] == "AtStartup"
    config = pc.path(f"C:\\Users\\{USER}\\.wslconfig").read_bytes()
    assert config.startswith(b"[wsl2]\r\nmemory=12GB\r\nnetworkingMode=nat\r\n")
    assert pc.path(f"C:\\Users\\{USER}\\.ssh\\authorized_keys").read_text().strip() == KEY

    for name, (_, spoil, is_right) in DRIFTS.items():
        spoil(pc)
        assert not is_right(pc), name
    code, output = run()
    assert (code, changed(output)) == (0, list(dict.fromkeys(operation for operation, _, _ in DRIFTS.values()))), output
    assert [name for name, (_, _, is_right) in DRIFTS.items() if not is_right(pc)] == []
    code, output = run()
    assert code == 0
    assert changed(output) == []
    assert re.search(r"Grand total +5 +- +- +5", output), output


def test_its_password_is_nowhere(pc: Pc, run: Callable[..., tuple[int, str]]) -> None:
    """Under the loudest output there is; looked for in all of it and in every file of the PC."""
    (pc.home / "secrets").mkdir()
    _, output = run("-y", "-vvv", "--debug", "--diff")
    pc.register()
    output += run("-y", "-vvv", "--debug", "--diff")[1]
    secret = (pc.home / "secrets" / USER).read_text()
    assert len(secret) == 52
    assert len(set(secret)) > 15
    assert "New-LocalUser" in output, "the script is shown, and it makes the password on the PC"
    assert secret not in output
    places = [file for file in pc.folder.rglob("*") if file.is_file() and secret in file.read_text(errors="replace")]
    assert places == [pc.home / "secrets" / USER], "it is found where it is"


def test_what_is_refused(pc: Pc, run: Callable[..., tuple[int, str]]) -> None:
    """An account of a person is left alone; a right that the PC does not keep, as where a group policy writes them again, is said."""
    pc.edit(lambda state: state["users"].append({**state["users"][-1], "Name": USER, "SID": "S-1-5-21-1-2-3-1100"}))
    before = pc.load()
    code, output = run()
    assert code == 1
    assert f"@windows/pc1: account is somebody else's: {USER}" in output
    assert "hint: set wsl_user to a name that is free, or remove the account first" in output
    assert pc.load() == before
    pc.edit(lambda state: state["users"].pop())
    pc.edit(lambda state: state["security"].update(kept_by_policy=["SeBatchLogonRight"]))
    code, output = run()
    assert code == 1
    assert f"this PC does not keep the rights of {USER}: SeBatchLogonRight" in output
