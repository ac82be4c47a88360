"""One wrong value for each control of Linux that is only judged, written by hand: none comes from what the table wants."""

from __future__ import annotations

from typing import Any

from tests.hardening.test_linux_judge import CONTAINER
from tests.hardening.wrong_windows import Wrong

ABSENT = ("telnet", "rsh-client", "talk", "nis", "ftp", "prelink")
# What stands on a right host beside what the role sets.
RIGHT: dict[str, Any] = {
    "clock": {"synchronized": "yes"},
    "sshd": {"disableforwarding": "yes"},
    "firewall": {"docker": "yes"},
    "unit": {"ufw": "absent", "apt-daily.timer": "enabled running", "apt-daily-upgrade.timer": "enabled running",
             "systemd-journald": "static running"},
    "sysctl": {"net.ipv4.conf.all.log_martians": 1, "net.ipv4.conf.default.log_martians": 1, "net.ipv4.ip_forward": 0,
               "net.ipv6.conf.all.accept_ra": 0},
    "listeners": ["127.0.0.1:80", "0.0.0.0:22"],
    "mount": {"/dev/shm": "rw,nosuid,nodev,noexec", "/tmp": "rw,nosuid,nodev"},
    "updates": {"days": 1},
    "pam": {"nullok": "no"},
    "package": dict.fromkeys(ABSENT, "absent"),
    "accounts": dict.fromkeys(
        ("root", "rootgroup", "rootgroups", "empty", "unshadowed", "twins", "groupless", "shadow", "shells", "docker"), ""
    ),
    "sudo": {"use_pty": "yes", "authenticate": "no"},
    "docker": {"Version": "29.0.1", "Store": [["driver-type", "io.containerd.snapshotter.v1"]], "Driver": "overlayfs",
               "LogDriver": "journald", "Security": ["name=no-new-privileges", "name=rootless", "name=userns"], "LiveRestore": True,
               "Experimental": False, "Swarm": "inactive"},
    "daemon": {"icc": False, "log-level": "info", "iptables": True, "hosts": ["unix:///run/docker.sock"],
               "default-ulimits": {"nofile": {"Hard": 64}}, "userland-proxy": False},
    "containers": [CONTAINER],
}  # fmt: skip


def box(**host: Any) -> list[dict[str, Any]]:
    """The one container, with something else in its configuration."""
    return [{**CONTAINER, "Host": CONTAINER["Host"] | host}]  # type: ignore[operator]


def published(address: str, port: str) -> dict[str, Any]:
    """One published port of a container."""
    return {"80/tcp": [{"HostIp": address, "HostPort": port}]}


def mounted(**mount: Any) -> list[dict[str, Any]]:
    """The container with one mount."""
    return [CONTAINER | {"Mounts": [mount]}]


NAME, NOT = "Name=citadelle-rag-1 ", "not applicable"
ACCOUNTS = (
    ("LIN-ACC-01", "root"), ("LIN-ACC-02", "rootgroup"), ("LIN-ACC-03", "rootgroups"), ("LIN-ACC-04", "empty"),
    ("LIN-ACC-05", "unshadowed"), ("LIN-ACC-06", "twins"), ("LIN-ACC-07", "groupless"), ("LIN-ACC-08", "shadow"),
    ("LIN-ACC-09", "shells"), ("LIN-ACC-10", "docker"),
)  # fmt: skip
PACKAGES = zip(
    ("LIN-SVC-26", "LIN-SVC-27", "LIN-SVC-28", "LIN-SVC-29", "LIN-SVC-30", "LIN-SVC-31"), ABSENT, strict=True
)
# What is a unit of systemd, or is set by a file of it.
UNITS = ("LIN-KRN-16", "LIN-UPD-08", "LIN-UPD-09", *(f"LIN-SVC-{number:02}" for number in range(1, 26)),
         "LIN-LOG-01", "LIN-LOG-02", "LIN-LOG-03", "LIN-LOG-04", "LIN-LOG-05")  # fmt: skip
WRONG = [
    Wrong("LIN-PLT-02", "platform.architecture", "armv7l", "armv7l"),
    Wrong("LIN-PLT-03", "platform.restart", "yes", "yes"),
    Wrong("LIN-PLT-04", "platform.login", "root", "root"),
    Wrong("LIN-PLT-05", "clock.synchronized", "no", "no"),
    Wrong("LIN-SSH-24", "sshd.disableforwarding", "no", "no", "waived"),
    Wrong("LIN-FWL-03", "firewall.docker", "no", "no"),
    Wrong("LIN-FWL-06", "unit.ufw", "enabled running", "enabled running"),
    Wrong("LIN-FWL-08", "listeners", ["127.0.0.1:2375"], "Address=127.0.0.1 Port=2375"),
    Wrong("LIN-NET-11", "sysctl.net.ipv4.conf.all.log_martians", 0, "0", "waived"),
    Wrong("LIN-NET-12", "sysctl.net.ipv4.conf.default.log_martians", 0, "0", "waived"),
    Wrong("LIN-NET-21", "sysctl.net.ipv4.ip_forward", 1, "1", "waived"),
    Wrong("LIN-NET-22", "sysctl.net.ipv6.conf.all.accept_ra", 1, "1", "waived"),
    Wrong("LIN-MNT-01", "mount./dev/shm", "rw,nosuid,noexec", "rw,nosuid,noexec"),
    Wrong("LIN-MNT-02", "mount./dev/shm", "rw,nodev,noexec", "rw,nodev,noexec"),
    Wrong("LIN-MNT-03", "mount./dev/shm", "rw,nosuid,nodev", "rw,nosuid,nodev"),
    Wrong("LIN-MNT-04", "mount./tmp", "rw,nodev", "rw,nodev"),
    Wrong("LIN-MNT-05", "mount./tmp", "rw,nosuid", "rw,nosuid"),
    Wrong("LIN-UPD-08", "unit.apt-daily.timer", "disabled stopped", "disabled stopped"),
    Wrong("LIN-UPD-09", "unit.apt-daily-upgrade.timer", "masked", "masked"),
    Wrong("LIN-UPD-10", "updates.days", 8, "8"),
    Wrong("LIN-PWD-15", "pam.nullok", "yes", "yes"),
    *(Wrong(control, f"accounts.{name}", "intruder", "intruder") for control, name in ACCOUNTS),
    Wrong("LIN-ACC-11", "sudo.use_pty", "no", "no"),
    Wrong("LIN-ACC-12", "sudo.authenticate", "yes", "yes"),
    *(Wrong(control, f"package.{name}", "installed", "installed") for control, name in PACKAGES),
    Wrong("LIN-LOG-04", "unit.systemd-journald", "static stopped", "static stopped"),
    Wrong("LIN-DKR-01", "docker.Version", "27.5.1", "27.5.1"),
    Wrong("LIN-DKR-02", "docker.Store", [["driver-type", "overlay2"]], "overlay2"),
    Wrong("LIN-DKR-03", "daemon.icc", True, "yes"),
    Wrong("LIN-DKR-04", "daemon.log-level", "debug", "debug"),
    Wrong("LIN-DKR-05", "daemon.iptables", False, "no"),
    Wrong("LIN-DKR-06", "docker.Insecure", ["192.0.2.0/24"], "192.0.2.0/24"),
    Wrong("LIN-DKR-07", "docker.Driver", "aufs", "aufs"),
    Wrong("LIN-DKR-08", "daemon.hosts", ["tcp://0.0.0.0:2375"], "Address=tcp://0.0.0.0:2375"),
    Wrong("LIN-DKR-09", "daemon.default-ulimits", {}, "nothing"),
    Wrong("LIN-DKR-10", "daemon.cgroup-parent", "/other", "/other"),
    Wrong("LIN-DKR-11", "docker.LogDriver", "json-file", "json-file"),
    Wrong("LIN-DKR-12", "docker.Security", ["name=rootless", "name=userns"], "rootless, userns"),
    Wrong("LIN-DKR-13", "docker.LiveRestore", False, "no"),
    Wrong("LIN-DKR-14", "daemon.userland-proxy", True, "yes"),
    Wrong("LIN-DKR-15", "daemon.seccomp-profile", "unconfined", "unconfined"),
    Wrong("LIN-DKR-16", "docker.Experimental", True, "yes"),
    Wrong("LIN-DKR-17", "docker.Swarm", "active", "active"),
    Wrong("LIN-DKR-18", "docker.Security", ["name=no-new-privileges", "name=userns"], "no-new-privileges, userns", "waived"),
    Wrong("LIN-DKR-19", "docker.Security", ["name=no-new-privileges", "name=rootless"], "no-new-privileges, rootless", "waived"),
    Wrong("LIN-CTR-01", "containers", [CONTAINER | {"Profile": "unconfined"}], NAME + "Profile=unconfined"),
    Wrong("LIN-CTR-02", "containers", box(CapAdd=["NET_ADMIN"]), NAME + "CapAdd=NET_ADMIN CapDrop=ALL"),
    Wrong("LIN-CTR-03", "containers", box(Privileged=True), NAME + "Privileged=yes"),
    Wrong("LIN-CTR-04", "containers", mounted(Source="/etc", RW=True), NAME + "Sensitive=/etc"),
    Wrong("LIN-CTR-05", "containers", box(PortBindings=published("127.0.0.1", "80")), NAME + "LowPorts=80"),
    Wrong("LIN-CTR-06", "containers", box(PublishAllPorts=True), NAME + "PublishAllPorts=yes"),
    Wrong("LIN-CTR-07", "containers", box(NetworkMode="host"), NAME + "NetworkMode=host"),
    Wrong("LIN-CTR-08", "containers", box(Memory=0), NAME + "Memory=0"),
    Wrong("LIN-CTR-09", "containers", box(CpuShares=0), NAME + "CpuShares=0"),
    Wrong("LIN-CTR-10", "containers", box(ReadonlyRootfs=False), NAME + "ReadonlyRootfs=no"),
    Wrong("LIN-CTR-11", "containers", box(PortBindings=published("", "8080")), NAME + "Addresses=0.0.0.0"),
    Wrong("LIN-CTR-12", "containers", box(RestartPolicy={"Name": "always"}), NAME + "Restart=always Retries=0"),
    Wrong("LIN-CTR-13", "containers", box(PidMode="host"), NAME + "PidMode=host"),
    Wrong("LIN-CTR-14", "containers", box(IpcMode="host"), NAME + "IpcMode=host"),
    Wrong("LIN-CTR-15", "containers", box(Devices=[{"PathOnHost": "/dev/sda"}]), NAME + "Devices=/dev/sda"),
    Wrong("LIN-CTR-16", "containers", mounted(Source="/srv", Propagation="shared"), NAME + "Shared=/srv"),
    Wrong("LIN-CTR-17", "containers", box(UTSMode="host"), NAME + "UTSMode=host"),
    Wrong("LIN-CTR-18", "containers", box(SecurityOpt=["no-new-privileges", "seccomp=unconfined"]), NAME + "Unconfined=seccomp=unconfined"),
    Wrong("LIN-CTR-19", "containers", box(SecurityOpt=None), NAME + "NoNewPrivileges=no"),
    Wrong("LIN-CTR-20", "containers", [CONTAINER | {"Health": None}], NAME + "Healthcheck=no"),
    Wrong("LIN-CTR-21", "containers", box(PidsLimit=0), NAME + "PidsLimit=0"),
    Wrong("LIN-CTR-22", "containers", box(NetworkMode="bridge"), NAME + "NetworkMode=bridge"),
    Wrong("LIN-CTR-23", "containers", box(UsernsMode="host"), NAME + "UsernsMode=host"),
    Wrong("LIN-CTR-24", "containers", mounted(Source="/run/docker.sock", RW=False), NAME + "Sockets=/run/docker.sock"),
    Wrong("LIN-CTR-25", "containers", [CONTAINER | {"User": "0:10"}], NAME + "User=0:10"),
    Wrong("LIN-PLT-01", "platform.systemd", "no", "no", also=dict.fromkeys(UNITS, NOT)),
    Wrong("LIN-PLT-06", "platform.apparmor", "N", "N", also={"LIN-CTR-01": NOT}),
]  # fmt: skip
