"""The three tools: how each is started for a set of PCs, and what it says it has done."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.converge.measure import Run

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
VENV = ROOT / "benchmarks/.venv"
RECAP = re.compile(
    r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)\s+skipped=(\d+)", re.MULTILINE
)

CHANGED = re.compile(r"^changed: \[([^\]]+)\]", re.MULTILINE)


@dataclass
class Said:
    """Per host: checks (operations or tasks), and how many of them changed something or failed. `what`: `host: check` that changed."""

    checks: dict[str, int] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    what: list[str] = field(default_factory=list)


class Pyinfra:
    """`pyinfra -y --json`: facts once, no plan. All hosts side by side is its default for so few."""

    def __init__(self, name: str, connector: str, deploy: Path, desired: Path, extra: Mapping[str, Any]) -> None:
        self.name = name
        self._connector, self._deploy, self._desired, self._extra = connector, deploy, desired, extra

    @contextmanager
    def command(self, hosts: Mapping[str, dict[str, Any]], folder: Path) -> Iterator[tuple[list[str], dict[str, str]]]:
        """Command line and additions to the environment for hosts (name -> data); a name with `@` is taken as it is."""
        names = {name if "@" in name else f"{self._connector}/{name}": data for name, data in hosts.items()}
        inventory = folder / f"{self.name.split()[0]}.py"
        inventory.write_text(f"pcs = {[(name, {**data, **self._extra}) for name, data in names.items()]!r}\n")
        program = str(Path(sys.executable).with_name("pyinfra"))
        yield (
            [program, "-y", "--json", str(inventory), str(self._deploy)],
            {"CITADELLE_BENCH_DESIRED": str(self._desired)},
        )

    def said(self, run: Run) -> Said:
        """Read the JSON on standard output. Raises `SystemExit` with the tool's own words where there is none."""
        try:
            operations = json.loads(run.out)["results"]["operations"]
        except (ValueError, KeyError, TypeError):
            raise SystemExit(f"{self.name}: gives no result, exit code {run.code}\n{run.err[-2000:]}") from None
        said = Said()
        for operation in operations:
            for kind in ("success", "no_change", "error"):
                for host in operation[kind]:
                    _count(said, host.removeprefix(f"{self._connector}/"), kind)
            said.what += [f"{host}: {operation['name']}" for host in operation["success"]]
        return said


def _count(said: Said, host: str, kind: str) -> None:
    said.checks[host] = said.checks.get(host, 0) + 1
    said.changed[host] = said.changed.get(host, 0) + (kind == "success")
    said.failed[host] = said.failed.get(host, 0) + (kind == "error")


class Ansible:
    """`ansible-playbook` with pipelining, ControlPersist and as many forks as hosts; each run opens its connections anew."""

    name = "ansible"

    def __init__(self, desired: Path) -> None:
        self._desired = desired

    @contextmanager
    def command(self, hosts: Mapping[str, dict[str, Any]], folder: Path) -> Iterator[tuple[list[str], dict[str, str]]]:
        """As `Pyinfra.command`; the masters of the connections are ended afterwards."""
        inventory = folder / "ansible.json"
        inventory.write_text(json.dumps({"all": {"hosts": {name: _variables(data) for name, data in hosts.items()}}}))
        sockets = Path(tempfile.mkdtemp(prefix="cit-", dir="/tmp"))  # short: a socket's path has at most 108 bytes
        argv = [str(VENV / "bin/ansible-playbook"), "--inventory", str(inventory), "--forks", str(len(hosts))]
        argv += ["--extra-vars", f"@{self._desired}", str(HERE / "ansible/site.yml")]
        try:
            yield argv, _environment(folder, sockets)
        finally:
            for control in sockets.iterdir():
                subprocess.run(
                    ["ssh", "-o", f"ControlPath={control}", "-O", "exit", "any"], capture_output=True, check=False
                )
            shutil.rmtree(sockets, ignore_errors=True)

    def said(self, run: Run) -> Said:
        """Read the recap at the end of standard output."""
        said = Said()
        for host, ok, changed, unreachable, failed, skipped in RECAP.findall(run.out):
            said.checks[host] = int(ok) + int(skipped) + int(failed)
            said.changed[host], said.failed[host] = int(changed), int(unreachable) + int(failed)
        for task in run.out.split("\nTASK [")[1:]:
            said.what += [f"{host}: {task.partition(']')[0]}" for host in CHANGED.findall(task)]
        if not said.checks:
            raise SystemExit(f"{self.name}: gives no result, exit code {run.code}\n{run.out[-1000:]}{run.err[-1000:]}")
        return said


def _variables(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "ansible_host": data["ssh_hostname"],
        "ansible_user": data["ssh_user"],
        "ansible_ssh_private_key_file": data["ssh_key"],
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={data['ssh_known_hosts_file']}",
    }


def _environment(folder: Path, sockets: Path) -> dict[str, str]:
    return {
        "ANSIBLE_CONFIG": str(HERE / "ansible/ansible.cfg"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets),
        "ANSIBLE_LOCAL_TEMP": str(folder / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "LC_ALL": "C.UTF-8",
    }


Tool = Pyinfra | Ansible


def tools(desired: Path) -> list[Tool]:
    """Ours first; the others are compared with it."""
    stock = {"_sudo": True}
    return [
        Pyinfra("citadelle", "@linux", ROOT / "deploy.py", desired, {}),
        Pyinfra("stock pyinfra", "@ssh", HERE / "stock/deploy.py", desired, stock),
        Ansible(desired),
    ]


def have_ansible() -> None:
    """Ansible in an environment of its own, by hash; made once."""
    wanted, stamp = ROOT / "benchmarks/requirements-ansible.txt", VENV / "requirements"
    if stamp.is_file() and stamp.read_bytes() == wanted.read_bytes():
        return
    shutil.rmtree(VENV, ignore_errors=True)
    _call([sys.executable, "-m", "venv", str(VENV)])
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--require-hashes"]
    _call([str(VENV / "bin/python"), "-m", "pip", "install", *options, "--requirement", str(wanted)])
    stamp.write_bytes(wanted.read_bytes())


def _call(argv: Sequence[str]) -> None:
    if code := subprocess.call(argv):
        raise SystemExit(f"command failed with exit code {code}: {' '.join(argv)}")
