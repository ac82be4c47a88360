"""One run over several hosts: what one of them answers is nobody else's trouble, and a distribution may come into being on the way."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from pathlib import Path

import pytest

from tests.connectors.conftest import WindowsPC
from tests.inventory.conftest import Checkout
from tests.sshd import Sshd

FACTS = r"""
from pyinfra import host
from pyinfra.api import StringCommand, operation
from pyinfra.operations import server

from citadelle.facts.base import Fact, WindowsFact


class Line(Fact):
    default = str

    def command(self):
        return f"printf '{self.ANSWER}'"

    def parse(self, output):
        return self.judge(output[0])


class Json(WindowsFact):
    default = dict

    def command(self):
        return "printf '{\"cut'"


class Key(Line):
    ANSWER = "absent"

    def judge(self, line):
        return {"present": ""}[line]


class Number(Line):
    ANSWER = "douze"

    def judge(self, line):
        return str(int(line))


class Text(Line):
    ANSWER = "\\303\\251t\\303\\251"

    def judge(self, line):
        return line.encode().decode("ascii")


class Right(Line):
    ANSWER = "right"

    def judge(self, line):
        return line


@operation()
def look(fact):
    yield StringCommand(f"echo {host.name}", "read:", host.get_fact(fact), ">> MARK")


FACT = {"json": Json, "key": Key, "number": Number, "text": Text, "right": Right}[host.name.rpartition("/")[2]]
PLANNING
look(FACT)
server.shell(commands=[f"echo {host.name} goes on >> MARK"])
"""
SAID = {
    "json": "fact Json has an unexpected answer: '{\"cut' (JSONDecodeError(",
    "key": "fact Key has an unexpected answer: 'absent' (KeyError('absent')",
    "number": "fact Number has an unexpected answer: 'douze' (ValueError(",
    "text": "fact Text has an unexpected answer: 'été' (UnicodeDecodeError(",
}


@pytest.mark.parametrize("stage", ["planning", "carrying out"])
def test_a_fact_that_cannot_be_read_fails_its_own_host_alone(
    checkout: Checkout, linux_pc: Sshd, tmp_path: Path, stage: str
) -> None:
    """And nothing is done to that host with a default in the fact's place."""
    hosts = [(f"@linux/{name}", linux_pc.data) for name in ("json", "right", "key", "number", "text")]
    checkout.write("inventory/mine.py", f"linux = {hosts!r}\n")
    read = "host.get_fact(FACT)" if stage == "planning" else ""
    checkout.write("deploy.py", FACTS.replace("MARK", f"'{tmp_path}/mark'").replace("PLANNING", read))
    done = checkout.pyinfra("-y", "inventory", "deploy.py")
    assert "Traceback" not in done.stdout, done.stdout
    for name, said in SAID.items():
        assert re.search(rf"\[@linux/{name}\] +FactProcessError: {re.escape(said)}", done.stdout), done.stdout
    assert "FactProcessError: fact Right" not in done.stdout
    assert (tmp_path / "mark").read_text() == "@linux/right read: right\n@linux/right goes on\n"
    assert done.returncode != 0


BOTH = r"""
from pyinfra import host
from pyinfra.facts.files import Directory
from pyinfra.operations import files

from citadelle.operations import windows

if "windows" in host.groups:
    windows.distribution(distribution="fresh", archive="ROOTFS", sha256="SHA256", location="C:\\WSL\\fresh")
else:
    print("while planning:", host.get_fact(Directory, path="/etc"))
    files.put(src="ROOTFS", dest="TARGET")
"""


def test_wsl_is_planned_before_it_is_there_and_served_in_the_same_run(
    checkout: Checkout, windows_pc: WindowsPC, tmp_path: Path
) -> None:
    with tarfile.open(tmp_path / "rootfs.tar", "w") as tar:
        tar.add(__file__, "etc/os-release")
    digest = hashlib.sha256((tmp_path / "rootfs.tar").read_bytes()).hexdigest()
    text = BOTH.replace("ROOTFS", f"{tmp_path}/rootfs.tar").replace("SHA256", digest)
    checkout.write("deploy.py", text.replace("TARGET", f"{tmp_path}/in the distribution"))
    data = windows_pc.data
    # The WSL host stands first: the order of operations, not of hosts, decides.
    checkout.write("inventory/mine.py", f"wsl = [('@wsl/pc/fresh', {data!r})]\nwindows = [('@windows/pc', {data!r})]\n")

    alone = checkout.pyinfra("-y", "--limit", "wsl", "inventory", "deploy.py")
    assert alone.returncode != 0
    assert "@wsl/pc/fresh: WSL distribution is missing: fresh\n" in alone.stdout
    assert "hint: run the deploy for @windows/pc too" in alone.stdout
    assert not (tmp_path / "in the distribution").exists()

    counters = tmp_path / "counters.json"
    done = checkout.pyinfra("-y", "inventory", "deploy.py", CITADELLE_COUNTERS=str(counters))
    assert done.returncode == 0, done.stdout
    assert "while planning: None" in done.stdout
    assert (tmp_path / "in the distribution").read_bytes() == (tmp_path / "rootfs.tar").read_bytes()
    counted = json.loads(counters.read_text())
    kinds = {"pc connections": 1, "@windows/pc powershell": 1, "@windows/pc files": 1, "@wsl/pc/fresh files": 1}
    assert {name: counted.get(name) for name in kinds} == kinds
    windows_pc.control("distro", "missing", "fresh")
