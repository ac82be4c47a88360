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
from pyinfra.api import FactBase, StringCommand, operation
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


class Stock(FactBase):
    def command(self):
        return "printf 'no table'"

    def process(self, output):
        return output[3]


class Right(Line):
    ANSWER = "right"

    def judge(self, line):
        return line


@operation()
def look(fact):
    yield StringCommand(f"echo {host.name}", "read:", host.get_fact(fact), ">> MARK")


name = host.name.rpartition("/")[2]
fact = {"json": Json, "key": Key, "number": Number, "text": Text, "stock": Stock, "right": Right}[name.removeprefix("early-")]
if name.startswith("early-"):
    host.get_fact(fact)
look(fact)
server.shell(commands=[f"echo {host.name} goes on >> MARK"])
"""
SAID = {
    "json": "fact Json has an unexpected answer: '{\"cut' (JSONDecodeError(",
    "key": "fact Key has an unexpected answer: 'absent' (KeyError('absent')",
    "number": "fact Number has an unexpected answer: 'douze' (ValueError(",
    "stock": "fact Stock has an unexpected answer: 'no table' (IndexError('list index out of range')",
    "text": "fact Text has an unexpected answer: 'été' (UnicodeDecodeError(",
}


@pytest.mark.lab
def test_a_fact_that_cannot_be_read_fails_its_own_host_alone(
    checkout: Checkout, linux_pc: Sshd, tmp_path: Path
) -> None:
    """While planning (`early`) and while carrying out; and nothing is done to that host with a default in the fact's place."""
    names = ("json", "right", "key", "number", "early-key", "text", "stock", "early-stock", "early-right")
    checkout.write("inventory/mine.py", f"linux = {[(f'@linux/{name}', linux_pc.data) for name in names]!r}\n")
    checkout.write("deploy.py", FACTS.replace("MARK", f"'{tmp_path}/mark'"))
    done = checkout.pyinfra("-y", "inventory", "deploy.py")
    assert "Traceback" not in done.stdout, done.stdout
    for name in names:
        said = re.search(rf"\[@linux/{name}\] +FactProcessError: (.*)", done.stdout)
        assert (said[1] if said else "").startswith(SAID.get(name.removeprefix("early-"), "")), done.stdout
        assert bool(said) == ("right" not in name)
    carried_out = sorted((tmp_path / "mark").read_text().splitlines())
    assert carried_out == [
        f"@linux/{name} {what}" for name in ("early-right", "right") for what in ("goes on", "read: right")
    ]
    assert done.returncode != 0


BOTH = r"""
from pyinfra import host
from pyinfra.facts.files import Directory
from pyinfra.operations import files

from citadelle.operations import wsl

if "windows" in host.groups:
    wsl.distribution(
        distribution="fresh", archive="ROOTFS", sha256="SHA256", source="this test", location="C:\\WSL\\fresh", owner="", config=""
    )
else:
    print("while planning:", host.get_fact(Directory, path="/etc"))
    files.put(src="ROOTFS", dest="TARGET")
"""


@pytest.mark.lab
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

    counters = tmp_path / "counters.json"
    done = checkout.pyinfra("-y", "inventory", "deploy.py", CITADELLE_COUNTERS=str(counters))
    assert done.returncode == 0, done.stdout
    assert "while planning: None" in done.stdout
    assert (tmp_path / "in the distribution").read_bytes() == (tmp_path / "rootfs.tar").read_bytes()
    counted = json.loads(counters.read_text())
    kinds = {"pc connections": 1, "@windows/pc powershell": 1, "@windows/pc files": 1, "@wsl/pc/fresh files": 1}
    assert {name: counted.get(name) for name in kinds} == kinds
    windows_pc.control("distro", "missing", "fresh")
