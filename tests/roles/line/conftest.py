"""A PC that plays Windows behind a genuine sshd of which the double's own configuration counts: so a wrong one locks out."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.conftest import DOUBLE, WindowsPC, engine, until  # noqa: F401  (a fixture)
from tests.inventory.conftest import Checkout, checkout  # noqa: F401  (a fixture)

DEPLOY = """
from roles.line.deploy import line

line()
"""
SSH = "ProgramData/ssh"
REFUSED = "by authenticating user"
FOLDER = "Program Files/citadelle"


class LinePC(WindowsPC):
    """Its sshd reads what the double translates from drive C:, first of all; keys are those of administrators."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.extra = f"Include {self.home}/sshd.conf\n{self.extra}"
        (self.home / "sshd.conf").write_text("")
        hook = self.home / "hooks/sshd"
        hook.parent.mkdir()
        # The configuration that counts is checked as systemd does before a restart; open sessions stay.
        hook.write_text(
            f"#!/bin/sh\nset -e\n/usr/sbin/sshd -t -f {self.folder}/sshd_config\nkill -HUP $(cat {self.folder}/pid)\n"
        )
        hook.chmod(0o755)

    def prepare(self) -> None:
        """As after a bootstrap: the key among those of administrators, their file closed, sshd with the configuration of drive C:."""
        self.control("setup")
        self.change(users=[*self.state["users"], self.me])
        members = next(group for group in self.state["groups"] if group["SID"] == "S-1-5-32-544")["Members"]
        self.change(groups=[{**group, "Members": [*members, self.me["SID"]]} if group["SID"] == "S-1-5-32-544" else group
                            for group in self.state["groups"]])  # fmt: skip
        self.keys.write_text((self.folder / "user_key.pub").read_text())
        (self.folder / "authorized_keys").write_text("")  # from here on the double's file alone opens
        self.ask(
            "icacls C:\\ProgramData\\ssh\\administrators_authorized_keys /inheritance:r /grant:r *S-1-5-32-544:F *S-1-5-18:F"
        )
        self.control("sshd")

    @property
    def me(self) -> dict[str, Any]:
        """The user of the tests as a user of Windows."""
        first = next(
            user
            for user in json.loads((self.home / "state.json").read_text("utf-8-sig"))["users"]
            if user["Name"] == "operator"
        )
        return {**first, "Name": self.data["ssh_user"], "SID": first["SID"][:-4] + "1017"}

    @property
    def config(self) -> Path:
        """sshd_config of drive C:."""
        return self.home / "C:" / SSH / "sshd_config"

    @property
    def keys(self) -> Path:
        """The keys of administrators."""
        return self.home / "C:" / SSH / "administrators_authorized_keys"

    @property
    def folder_of_rollback(self) -> Path:
        """Where a rollback keeps its things."""
        return self.home / "C:" / FOLDER / "rollback"

    @property
    def state(self) -> dict[str, Any]:
        """The double's state, read past the product's code."""
        found: dict[str, Any] = json.loads((self.home / "state.json").read_text("utf-8-sig"))
        return found

    def change(self, **values: Any) -> None:
        """Write some of the double's state."""
        (self.home / "state.json").write_text(json.dumps(self.state | values))

    def ask(self, line: str) -> None:
        """One command line in the double, past sshd."""
        environment = os.environ | {"WINDOWS_DOUBLE_HOME": str(self.home), "SSH_ORIGINAL_COMMAND": line}
        subprocess.run([DOUBLE / "shell"], env=environment, check=True, capture_output=True)

    def profile(self, name: str = "Public") -> dict[str, Any]:
        """A profile of the firewall."""
        found: dict[str, Any] = self.state["firewall"]["profiles"][name]
        return found

    @property
    def is_changed(self) -> bool:
        """Whether a change is made, and waits for its confirmation."""
        return (self.folder_of_rollback / "outcome").exists()

    def fire_when_refused(self) -> None:
        """As soon as the change is made and somebody was not let in, the time of the rollback is over: no test waits for a clock."""
        until(lambda: self.is_changed, 120)
        before = self.log.count(REFUSED)
        until(lambda: self.log.count(REFUSED) > before, 120)
        self.control("start-task", "\\citadelle-rollback")

    @property
    def snapshot(self) -> dict[str, Any]:
        """All that a change of the line touches, and what a rollback would leave."""
        state = self.state
        return {"firewall": state["firewall"], "tasks": state["tasks"], "config": self.config.read_bytes(),
                "keys": self.keys.read_bytes(), "left": self.folder_of_rollback.exists()}  # fmt: skip


@pytest.fixture
def pc(tmp_path: Path, engine: str) -> Iterator[LinePC]:  # noqa: F811
    """A fresh PC."""
    server = LinePC(tmp_path / "pc", engine=engine)
    server.start()
    server.prepare()
    yield server
    server.stop()


class Run:
    """One run of pyinfra, and what it said."""

    def __init__(self, code: int, output: str):
        self.code, self.output = code, output

    @property
    def changed_nothing(self) -> bool:
        """Whether everything was right."""
        return self.code == 0 and re.search(r"Grand total +1 +- +- +1", self.output) is not None


@pytest.fixture
def roll(checkout: Checkout, pc: LinePC) -> Callable[..., Run]:  # noqa: F811
    """`roll(key=value)`: the role over the PC, with these settings."""

    def run(*words: str, **data: Any) -> Run:
        write(checkout, pc, **data)
        command = [Path(sys.executable).with_name("pyinfra"), *(words or ("-y",)), "inventory", "deploy.py"]
        done = subprocess.run(command, cwd=checkout.path, env=os.environ | {"NO_COLOR": "1"}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=280, check=False)  # fmt: skip
        return Run(done.returncode, done.stdout)

    return run


def write(checkout: Checkout, pc: LinePC, **data: Any) -> None:  # noqa: F811
    """Inventory and deploy of a run."""
    given = {**pc.data, "line_networks": ["127.0.0.0/8"], **data}
    checkout.write("inventory/mine.py", f"windows = [('@windows/pc1', {given!r})]\n")
    checkout.write("deploy.py", DEPLOY)


@pytest.fixture
def kill_after(checkout: Checkout, pc: LinePC) -> Callable[..., None]:  # noqa: F811
    """`kill_after(what, key=value)`: starts a run and kills it -9 as soon as `what()` is true."""

    def run(what: Callable[[], object], **data: Any) -> None:
        write(checkout, pc, **data)
        command = [Path(sys.executable).with_name("pyinfra"), "-y", "inventory", "deploy.py"]
        process = subprocess.Popen(command, cwd=checkout.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(what, 120)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()

    return run
