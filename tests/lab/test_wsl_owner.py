"""The distribution of a Windows PC belongs to an account of its own, which starts it at boot with nobody logged in.

Read past SSH and past our facts: an SSH session of the owner would itself start what is to be shown to start alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.lab.conftest import Read
from tests.lab.pcs import exec_in_pc
from tests.lab.rollout import answers, citadelle, rollout
from tests.lab.state import Pc

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]

USER = "citadelle-wsl"
GATEWAY = "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/v1/models || true"
BOOTED = "stat -c %Y /proc/1"
PATIENCE = 180


def load(pc: Pc, read: Read, name: str = "state.json") -> Any:
    """The double's own record."""
    return json.loads(read(pc, f"cat /var/lib/windows-double/{name}"))


def edit(pc: Pc, change: str, name: str = "state.json") -> None:
    """Change the double's record `s` by a line of Python."""
    file = f"/var/lib/windows-double/{name}"
    code = f"import json\ns = json.load(open('{file}', encoding='utf-8-sig'))\n{change}\njson.dump(s, open('{file}', 'w'))\n"
    done = exec_in_pc(pc.name, ["runuser", "-u", "operator", "--", "python3", "-"], stdin=code.encode())
    assert done.returncode == 0, done.stderr


def restart(pc: Pc, read: Read, control: Callable[..., str]) -> None:
    """Restart it as Windows does, and wait until it has started anew."""
    before = read(pc, BOOTED)
    exec_in_pc(pc.name, ["runuser", "-u", "operator", "--", "/opt/windows-double/control", "reboot"])
    wait(lambda: exec_in_pc(pc.name, ["sh", "-c", BOOTED]).stdout.decode() not in (before, ""))
    wait(lambda: exec_in_pc(pc.name, ["systemctl", "is-active", "ssh.service"]).returncode == 0)


def wait(what: Callable[[], bool]) -> None:
    """Until something is so; fails when it does not become so."""
    end = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < end, f"still not so after {PATIENCE} s"
        time.sleep(0.5)


def test_the_distribution_is_the_owners_and_not_the_administrators(windows: Pc, read: Read) -> None:
    state, registry = load(windows, read), load(windows, read, "registry.json")
    sid = next(user["SID"] for user in state["users"] if user["Name"] == USER)
    lxss = f"HKEY_USERS\\{sid}\\Software\\Microsoft\\Windows\\CurrentVersion\\Lxss\\"
    mine = [json.dumps(values["DistributionName"]) for key, values in registry.items() if key.startswith(lxss)]
    assert len(mine) == 1
    assert '"citadelle"' in mine[0]
    assert [group["SID"] for group in state["groups"] if sid in group["Members"]] == ["S-1-5-32-545"]
    assert len(read(windows, "pgrep -fx '/usr/bin/sleep infinity'").split()) >= 1, "a process holds it"
    assert state["tasks"]["\\citadelle\\wsl"]["LastTaskResult"] == 0x41301
    source = read(windows, "cat /C:/ProgramData/citadelle/wsl/source.txt")
    assert "from bin/lab: a stand-in" in source
    assert read(windows, "ls /C:/ProgramData/citadelle").split() == ["run", "updates.json", "updates.ps1", "wsl"]
    config = read(windows, "cat /etc/wsl.conf")
    assert config.startswith("[boot]\nsystemd=true\n")
    assert "\r" not in config


def test_its_task_alone_brings_the_stack_back_after_a_restart(
    windows: Pc, read: Read, control: Callable[..., str]
) -> None:
    """Without the task a restarted PC serves nobody; with it, it serves with nobody logged in."""
    edit(windows, "s['tasks'][chr(92) + 'citadelle' + chr(92) + 'wsl']['Enabled'] = False")
    restart(windows, read, control)
    wait(lambda: read(windows, "systemctl is-active windows-boot.service || true").strip() == "active")
    assert read(windows, "systemctl is-active multi-user.target docker.service || true").split() == ["inactive"] * 2
    assert read(windows, GATEWAY) == "000"
    run = rollout()
    assert run.code == 0, run.text
    assert run.operations("success", "@windows/pc1") == ["WSL | Start WSL at boot"]
    restart(windows, read, control)
    wait(lambda: read(windows, GATEWAY) == "401")
    logins = "journalctl --unit ssh --no-pager --since @$(stat -c %Y /proc/1) | grep -c 'Accepted publickey' || true"
    assert read(windows, logins).strip() == "0"
    assert "Paris" in answers(windows.name)


def test_missing_updates_and_what_they_need_in_one_run(
    windows: Pc, read: Read, other_inventory: Callable[..., str]
) -> None:
    """Installed, restarted for, BitLocker suspended for that one start and on again after it; wsl.conf put right on the way."""
    missing = {"title": "2026-11 Mise à jour cumulative", "kb": "5099999", "severity": "Critical", "restart": True}
    key = "HKEY_LOCAL_MACHINE/SOFTWARE/Microsoft/Windows/CurrentVersion/WindowsUpdate/Auto Update/RebootRequired"
    edit(windows, f"s['updates']['missing'] = [{missing!r}]")
    edit(windows, f"s['{key}'.replace('/', chr(92))] = {{}}", "registry.json")
    file = "/C:/ProgramData/citadelle/updates.json"
    seen = json.loads(read(windows, f"cat {file}").lstrip("\ufeff")) | {"pending": [missing]}
    put = exec_in_pc(windows.name, ["sh", "-c", f"cat > {file}"], stdin=json.dumps(seen).encode())
    assert put.returncode == 0, put.stderr
    read(windows, "sed -i 's/$/\\r/' /etc/wsl.conf")
    before = read(windows, BOOTED)
    run = rollout(inventory=other_inventory(pc1={"updates_install": True, "updates_restart": True}))
    assert run.code == 0, run.text
    assert "fail: WIN-UPD-06 No update is missing: found Name=2026-11 Mise à jour cumulative" in run.text
    changed = ["Updates | Install the updates that are missing", "Updates | Restart where that is pending"]
    assert run.operations("success", "@windows/pc1") == changed
    # What of the stack has not started yet after the restart, the run starts.
    assert "WSL distribution | Write wsl.conf" in run.operations("success", "@wsl/pc1")
    assert load(windows, read)["updates"]["missing"] == []
    assert json.loads(read(windows, f"cat {file}").lstrip("\ufeff"))["pending"] == []
    assert read(windows, BOOTED) != before
    volume = load(windows, read)["bitlocker"]["C:"]
    assert (volume["ProtectionStatus"], volume["SuspendCount"]) == ("On", 0)
    assert "\r" not in read(windows, "cat /etc/wsl.conf")
    assert "Paris" in answers(windows.name)
    again = rollout()
    assert again.code == 0, again.text
    assert again.changed_nothing, again.text  # the task that holds the distribution, which ended with it, runs again


def test_the_script_for_a_real_pc_runs(windows: Pc, read: Read) -> None:
    """What it finds in the double is known, line by line; on a real PC all lines are `ok`."""
    text = citadelle("live-check").stdout
    put = exec_in_pc(windows.name, ["sh", "-c", "cat > /C:/live-check.ps1"], stdin=text.encode())
    assert put.returncode == 0, put.stderr
    line = "powershell.exe -NoProfile -ExecutionPolicy Bypass -File C:\\live-check.ps1"
    asked = ["runuser", "-u", "operator", "--", "env", f"SSH_ORIGINAL_COMMAND={line}", "/opt/windows-double/shell"]
    done = exec_in_pc(windows.name, asked)
    said = done.stdout.decode("cp850").replace("\r\n", "\n").splitlines()
    assert {words[1]: words[0] for words in (text.split() for text in said[:-1])} == {
        f"L{number:02}": "ok"
        for number in (1, 3, 4, 5, 10, 11, 12, 13, 20, 21, 22, 24, 25, 26, 27, 28, 30, 31, 32, 33, 34, 35, 36)
    } | {f"L{number:02}": "OTHER" for number in (2, 23)}, "\n".join(said)
    assert said[-1] == "2 lines say something else than expected"
    assert done.returncode == 1
