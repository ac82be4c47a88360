"""Linux hosts as the table of controls wants them: read past our own facts, made wrong by hand, told, and made right again."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.lab import state
from tests.lab.conftest import Read
from tests.lab.pcs import reboot_pc
from tests.lab.rollout import answers, citadelle, rollout
from tests.lab.state import Pc

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]

SSHD = "/etc/ssh/sshd_config.d/00-citadelle.conf"
# A needless service as a package brings it.
CUPS = "printf '[Service]\\nExecStart=/bin/sleep infinity\\n' >/usr/lib/systemd/system/cups.service && systemctl daemon-reload"
# What is made wrong, by the value that is judged: of any Linux host, and of a plain one alone.
ANYWHERE = {
    "sysctl net.ipv4.conf.all.send_redirects": "echo 1 >/proc/sys/net/ipv4/conf/all/send_redirects",
    "sysctl net.ipv4.tcp_rfc1337": "sed -i /tcp_rfc1337/d /etc/sysctl.d/99-zz-citadelle.conf; echo 0 >/proc/sys/net/ipv4/tcp_rfc1337",
    "firewall containers": "nft insert rule inet citadelle forward accept",
    "file /etc/shadow": "chmod 644 /etc/shadow",
    "file /etc/cron.d": "chmod 755 /etc/cron.d",
    "file /run/docker.sock": "chmod 666 /run/docker.sock",
    "apt APT::Periodic::Unattended-Upgrade": "echo 'APT::Periodic::Unattended-Upgrade \"0\";' >>/etc/apt/apt.conf.d/99citadelle",
    "unit cups": f"systemctl unmask --quiet cups.service; {CUPS} && systemctl start cups",
    "setting /etc/systemd/journald.conf!Storage": "sed -i 's/^Storage=.*/Storage=volatile/' /etc/systemd/journald.conf.d/zz-citadelle.conf",
}
PLAIN = {
    "sshd x11forwarding": f"sed -i '/^x11forwarding/d' {SSHD}",
    "sshd maxauthtries": f"echo 'maxauthtries 9' | cat - {SSHD} >/tmp/x && cat /tmp/x >{SSHD}",
    "setting /etc/security/pwquality.conf!minlen": "sed -i 's/^minlen.*/minlen = 6/' /etc/security/pwquality.conf",
    "setting /etc/security/faillock.conf!deny": "echo 'deny = 50' >>/etc/security/faillock.conf",
    "setting /etc/login.defs!PASS_MAX_DAYS": "sed -i 's/^PASS_MAX_DAYS.*/PASS_MAX_DAYS 99999/' /etc/login.defs",
    "pam faillock": "pam-auth-update --package --remove citadelle-faillock citadelle-faillock-count",
}


def told(text: str, host: str) -> list[str]:
    """Lines of a run about controls of a host that this run sets, without their end."""
    found = re.findall(rf"{host}: (?:fail|unknown): (LIN-[A-Z]+-\d+ .*), this run sets it", text)
    return sorted(set(found))


@pytest.fixture
def names() -> Callable[[str], str]:
    """Id of the control that judges a value, by its kind and name."""
    rows = yaml.safe_load((state.ROOT / "policies/linux.yaml").read_text())["controls"]
    ids = {f"{kind} {name}": row["id"] for row in rows for kind, name in row["judge"].items() if kind != "default"}
    return ids.__getitem__


@pytest.fixture
def wrong(pcs: list[Pc], read: Read) -> Iterator[dict[str, dict[str, str]]]:
    """Host -> what was made wrong on it, past SSH and everything of ours."""
    made = {}
    for pc in pcs:
        host = f"@wsl/{pc.name}" if pc.kind == "windows" else f"@linux/{pc.name}"
        made[host] = ANYWHERE if pc.kind == "windows" else {**ANYWHERE, **PLAIN}
        for command in made[host].values():
            read(pc, command)
    yield made
    for pc in pcs:
        read(pc, "systemctl stop cups; rm -f /usr/lib/systemd/system/cups.service; systemctl daemon-reload")
    run = rollout()
    assert run.code == 0, run.text


def test_what_is_made_wrong_is_told_line_by_line_and_gone_after_a_run(
    wrong: dict[str, dict[str, str]], names: Callable[[str], str], pcs: list[Pc], read: Read
) -> None:
    dry = rollout("--dry")
    for host, made in wrong.items():
        assert [line.split()[0] for line in told(dry.text, host)] == sorted(names(target) for target in made), dry.text
    assert read(pcs[0], "stat -c %a /etc/shadow") == "644\n", "a dry run sets nothing"
    run = rollout()
    assert run.code == 0, run.text
    for pc in pcs:
        assert read(pc, "cat /proc/sys/net/ipv4/conf/all/send_redirects /proc/sys/net/ipv4/tcp_rfc1337") == "0\n1\n"
        assert (
            read(pc, "stat -c '%a %U:%G' /etc/shadow /etc/cron.d /run/docker.sock")
            == "640 root:shadow\n700 root:root\n660 root:docker\n"
        )
        assert (
            "accept\n\t\tct state"
            not in read(pc, "nft list chain inet citadelle forward").partition("policy accept;")[2][:20]
        )
        assert (
            read(pc, "apt-config dump | grep -F 'APT::Periodic::Unattended-Upgrade '")
            == 'APT::Periodic::Unattended-Upgrade "1";\n'
        )
        assert read(pc, "systemctl is-enabled cups.service || true") == "masked\n"
        assert read(pc, "systemctl is-active cups.service || true") == "inactive\n"
        assert "Storage=persistent" in read(pc, "systemd-analyze cat-config systemd/journald.conf")
        assert read(pc, "ls -d /var/log/journal/*") != ""
    again = rollout()
    assert again.changed_nothing, again.text
    assert [line for host in wrong for line in told(again.text, host)] == []


def test_a_plain_host_is_as_its_programs_say(server: Pc, read: Read) -> None:
    sshd = dict(line.split(" ", 1) for line in read(server, "sshd -T").splitlines() if " " in line)
    wanted = {
        "permitrootlogin": "no", "passwordauthentication": "no", "x11forwarding": "no", "allowtcpforwarding": "local", "maxauthtries": "4",
    }  # fmt: skip
    assert {name: sshd[name] for name in wanted} == wanted
    assert not re.search("cbc|3des|sha1|umac-64", sshd["ciphers"] + sshd["macs"] + sshd["kexalgorithms"])
    rules = read(server, "nft list table inet citadelle")
    assert "hook input priority filter - 10; policy drop;" in rules
    assert "tcp dport 22 accept" in rules
    assert (
        read(server, "systemctl is-enabled citadelle-firewall; systemctl is-active citadelle-firewall")
        == "enabled\nactive\n"
    )
    assert (
        read(server, "dpkg-query -W -f '${db:Status-Abbrev} ' unattended-upgrades libpam-pwquality nftables")
        == "ii  ii  ii  "
    )


def test_an_ssh_server_on_another_port_is_let_in_from_the_first_moment_of_a_boot(server: Pc, read: Read) -> None:
    """When the rules are loaded nothing of the SSH server has started, not even its folder is there."""
    more, up = "/etc/ssh/sshd_config.d/zz-more.conf", "/usr/local/lib/citadelle/firewall up"
    read(server, f"printf 'Port 22\\nPort 2222\\n' >{more}")
    try:
        assert "tcp dport { 22, 2222 } accept" in read(server, f"rm -r /run/sshd; {up}; nft list table inet citadelle")
    finally:
        read(server, f"rm {more}; {up}")
    assert read(server, "/usr/local/lib/citadelle/firewall state") == "closed\n"


def test_a_weak_password_is_refused_and_an_account_is_locked_after_failed_logins(server: Pc, read: Read) -> None:
    """By PAM itself, as a person would: with the wrong password, then with the right one."""
    right, login = "Kiwi_Zebra!92fjord", "su nobody -s /bin/sh -c 'su guest -c \"echo in\"' 2>/dev/null"
    read(server, "useradd --create-home guest")
    try:
        assert "BAD PASSWORD" in read(server, "echo guest:Summer2026 | chpasswd 2>&1 || true")
        read(server, f"echo 'guest:{right}' | chpasswd")
        assert read(server, f"echo '{right}' | {login}") == "in\n"
        read(server, f"for i in 1 2 3 4 5; do echo wrong | {login} || true; done")
        refused = read(server, f"echo '{right}' | {login} || echo refused")
        assert "locked due to 5 failed logins" in refused
        assert refused.endswith("refused\n")
        read(server, "faillock --user guest --reset")
        assert read(server, f"echo '{right}' | {login}") == "in\n"
    finally:
        read(server, "faillock --user guest --reset; userdel --remove guest 2>/dev/null; true")


def test_the_door_of_a_wsl_distribution_is_not_touched(windows: Pc, read: Read) -> None:
    assert read(windows, f"test ! -e {SSHD} && echo as it was") == "as it was\n"
    assert "policy accept;" in read(windows, "nft list chain inet citadelle input")


def test_a_host_that_does_not_keep_a_setting_is_named_with_the_control(
    server: Pc, read: Read, names: Callable[[str], str]
) -> None:
    """Its own configuration no longer reads the folder that ours lies in."""
    read(server, "cp -p /etc/ssh/sshd_config /root/kept && sed -i '/^Include/d' /etc/ssh/sshd_config")
    try:
        run = rollout()
        assert run.code == 1, run.text
        assert (
            f"@linux/{server.name}: this host does not keep a setting: {names('sshd x11forwarding')}: is yes after it was set to no"
            in run.text
        )
        assert "hint: cure what is said, or waive the control" in run.text
        assert run.hosts("error") == {f"@linux/{server.name}"}
    finally:
        read(server, "mv /root/kept /etc/ssh/sshd_config")
    run = rollout()
    assert run.code == 0, run.text
    assert rollout().changed_nothing


def test_a_saved_state_is_judged_without_its_host(
    other_inventory: Callable[..., str], tmp_path: Path, pcs: list[Pc]
) -> None:
    inventory = other_inventory(**{pc.name: {"hardening_states": str(tmp_path / "states")} for pc in pcs})
    assert rollout("--dry", inventory=inventory).code == 0
    for pc in pcs:
        said = citadelle("audit", "linux", "--json", str(tmp_path / f"states/linux/{pc.name}.json"))
        rows = json.loads(said.stdout)["controls"]
        assert [row["id"] for row in rows if row["status"] == "unknown"] == []
        assert said.returncode == int(any(row["status"] == "fail" for row in rows))
        container = [row for row in rows if row["id"].startswith("LIN-CTR")]
        assert {row["status"] for row in container} <= {"pass", "not applicable"}, container


def test_after_a_restart_everything_is_as_before_and_it_serves_with_nobody_logged_in(pcs: list[Pc], read: Read) -> None:
    for pc in pcs:
        rules = read(pc, "nft -s list table inet citadelle")
        reboot_pc(pc.name)
        assert read(pc, "nft -s list table inet citadelle") == rules
        assert read(pc, "cat /proc/sys/net/ipv4/conf/all/send_redirects /proc/sys/net/ipv4/tcp_rfc1337") == "0\n1\n"
    for pc in pcs:
        end = time.monotonic() + 120
        while citadelle("status", "--host", pc.name).returncode and time.monotonic() < end:
            time.sleep(1)
        assert "Paris" in answers(pc.name)
    run = rollout()
    assert run.changed_nothing, run.text


def test_a_firewall_that_cuts_the_line_is_taken_back_by_the_host_itself(server: Pc, read: Read, checkout: Path) -> None:
    """Its rules let nobody in: no fresh login confirms them, so the host goes back, and can be reached again."""
    rules = checkout / "roles/hardening/files/etc/citadelle/firewall.nft"
    assert "tcp dport $ssh accept" in rules.read_text()
    rules.write_text(rules.read_text().replace("tcp dport $ssh accept", "tcp dport 9 accept"))
    before = read(server, "nft -s list table inet citadelle")
    run = rollout("--limit", "linux", "--data", "hardening_rollback_seconds=30", checkout=checkout)
    assert run.code == 1, run.text
    assert (
        f"@linux/{server.name}: a change of SSH server and firewall cut the line, and the host has gone back by itself"
        in run.text
    )
    assert read(server, "nft -s list table inet citadelle") == before
    assert read(server, "systemctl list-timers --all | grep -c citadelle-rollback || true") == "0\n"
    run = rollout()
    assert run.code == 0, run.text
    assert rollout().changed_nothing


def test_a_keyword_that_shuts_everybody_out_is_taken_back(server: Pc, read: Read, checkout: Path) -> None:
    """`sshd -t` finds nothing wrong with it: only a login tells."""
    table = checkout / "policies/linux.yaml"
    text = table.read_text()
    shut = text.replace("judge: {sshd: pubkeyauthentication}\n    wanted: {equals: 'yes'}\n    apply: 'yes'",
                        "judge: {sshd: pubkeyauthentication}\n    wanted: {equals: 'no'}\n    apply: 'no'")  # fmt: skip
    assert shut != text
    table.write_text(shut)
    run = rollout("--limit", "linux", "--data", "hardening_rollback_seconds=30", checkout=checkout)
    assert run.code == 1, run.text
    assert "cut the line, and the host has gone back by itself" in run.text
    assert "pubkeyauthentication yes\n" in read(server, "sshd -T")
    assert rollout().changed_nothing
