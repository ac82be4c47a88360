"""What a Linux host says of itself, as the script `citadelle/facts/hardening.sh` answers; live, or saved as JSON and judged later."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from citadelle.hardening.state import FORMAT, State

SYSTEM = "linux"
# Sections of which each line is an item, not a name and its value.
LISTS = ("listeners", "containers")
# What is kept of daemon.json, by what Docker does without it; the file may hold the address of a proxy, with a password in it.
DAEMON: dict[str, tuple[str, Any]] = {
    "Icc": ("icc", True), "LogLevel": ("log-level", "info"), "Iptables": ("iptables", True), "Hosts": ("hosts", []),
    "Ulimits": ("default-ulimits", {}), "CgroupParent": ("cgroup-parent", ""), "UserlandProxy": ("userland-proxy", True),
    "Seccomp": ("seccomp-profile", ""),
}  # fmt: skip
# What is asked of a container's own configuration, by Docker's names for it.
HOST = ("Privileged", "NetworkMode", "PidMode", "IpcMode", "UTSMode", "UsernsMode", "CgroupParent", "ReadonlyRootfs", "Memory", "NanoCpus",
        "CpuShares", "PidsLimit", "PublishAllPorts")  # fmt: skip
SENSITIVE = re.compile(r"/(boot|dev|etc|lib|proc|sys|usr|run|var/run)?/?$")
SOCKET = re.compile(r"/(var/)?run/(docker|containerd).*\.sock$")


def raw(lines: Iterable[str]) -> dict[str, Any]:
    """The answer's lines as the document that is saved."""
    sections: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for line in lines:
        kind, name, *rest = line.split("\t", 2)
        if kind == "error":
            errors[name] = rest[0] if rest else "no reason is given"
        elif kind == "json":
            sections[name] = _document(name, rest[0])
        elif kind in LISTS:
            sections.setdefault(kind, []).extend([name] if name else [])
        else:
            _add(sections.setdefault(kind, {}), name, rest[0] if rest else None)
    if "platform" not in sections:
        raise ValueError("the host's answer has no platform")
    return {"format": FORMAT, "system": SYSTEM, "sections": sections, "errors": errors}


def _add(section: dict[str, Any], name: str, value: str | None) -> None:
    """A name that comes again has several values: one port beside another, one file beside another."""
    if name not in section:
        section[name] = value
    elif value is not None and value not in str(section[name]).split(" and "):
        section[name] = f"{section[name]} and {value}"


def _document(name: str, text: str) -> Any:
    try:
        found = json.loads(text)
    except ValueError:
        return "no JSON"
    kept = [key for key, _ in DAEMON.values()]
    return {key: found[key] for key in kept if key in found} if name == "daemon" and isinstance(found, dict) else found


def parse(document: Any) -> State:
    """Read a saved state. Raises `StateError`."""
    return State.parse(document, SYSTEM, SECTIONS)


def _values(section: Any) -> dict[str, Any]:
    """Numbers are numbers."""
    return {name: _number(value) for name, value in section.items()}


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?(0|[1-9]\d*)", value) else value


def _object(section: Any) -> dict[str, Any]:
    if not isinstance(section, dict):
        raise TypeError("no object")
    return section


def _listeners(section: Any) -> list[dict[str, Any]]:
    """`[::1]:631` -> address without brackets and interface, port."""
    pairs = [text.rpartition(":")[::2] for text in section]
    return [{"Address": address.strip("[]").partition("%")[0], "Port": int(port)} for address, port in pairs]


def _daemon(section: Any) -> dict[str, Any]:
    found = {name: _object(section).get(key, default) for name, (key, default) in DAEMON.items()}
    return {**found, "Hosts": [{"Address": str(address)} for address in found["Hosts"]]}


def _docker(section: Any) -> dict[str, Any]:
    store = dict(pair for pair in _object(section).get("Store") or [] if len(pair) == 2)
    registries = (section.get("Registries") or {}).items()
    insecure = [name for name, registry in registries if not registry.get("Secure", True)]
    local = {"127.0.0.0/8", "::1/128"}
    return {
        **section,
        "Snapshotter": store.get("driver-type", ""),
        "Insecure": sorted({*(section.get("Insecure") or []), *insecure} - local),
        "Security": [str(option).removeprefix("name=") for option in section.get("Security") or []],
    }


def _containers(section: Any) -> list[dict[str, Any]]:
    return [_container(json.loads(one) if isinstance(one, str) else one) for one in section]


def _container(one: dict[str, Any]) -> dict[str, Any]:
    """Flat, for `every`: what the benchmark asks of a running container."""
    host = one["Host"]
    ports = [binding for bindings in (host.get("PortBindings") or {}).values() for binding in bindings or []]
    mounts = one.get("Mounts") or []
    options = host.get("SecurityOpt") or []
    return {
        "Name": str(one["Name"]).lstrip("/"),
        "User": one.get("User") or "root",
        "Profile": one.get("Profile") or "",
        "Healthcheck": bool(one.get("Health")),
        **{name: host.get(name) for name in HOST},
        "Restart": (host.get("RestartPolicy") or {}).get("Name") or "no",
        "Retries": (host.get("RestartPolicy") or {}).get("MaximumRetryCount") or 0,
        "CapAdd": host.get("CapAdd") or [],
        "CapDrop": host.get("CapDrop") or [],
        "Devices": [device["PathOnHost"] for device in host.get("Devices") or []],
        "NoNewPrivileges": any(str(option).startswith("no-new-privileges") for option in options),
        "Unconfined": [option for option in options if "unconfined" in str(option)],
        "Addresses": [binding.get("HostIp") or "0.0.0.0" for binding in ports],  # noqa: S104  (what is found, not what is bound)
        "LowPorts": [int(binding["HostPort"]) for binding in ports if 0 < int(binding.get("HostPort") or 0) < 1024],
        "Sensitive": [
            mount["Source"] for mount in mounts if mount.get("RW") and SENSITIVE.fullmatch(mount.get("Source", ""))
        ],
        "Sockets": [mount["Source"] for mount in mounts if SOCKET.search(mount.get("Source", ""))],
        "Shared": [mount["Source"] for mount in mounts if mount.get("Propagation") in ("shared", "rshared")],
    }


SECTIONS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(
        ("platform", "sysctl", "sshd", "unit", "file", "setting", "apt", "package", "module", "watch", "pam", "mount", "accounts", "sudo",
         "updates", "clock", "firewall"),
        _values,
    ),
    "daemon": _daemon,
    "listeners": _listeners,
    "docker": _docker,
    "containers": _containers,
}  # fmt: skip
