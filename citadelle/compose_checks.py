"""What a rule of the Compose policy can ask: predicates on one value, and named checks of a service or of the stack."""

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol

Service = dict[str, Any]


class Parameters(Protocol):
    """What a named check may read from its rule."""

    @property
    def allowed(self) -> dict[str, list[Any]]:
        """Per service, what it may have."""

    @property
    def writable(self) -> dict[str, list[str]]:
        """Per service, the folders of the host that are its own to write."""

    @property
    def system(self) -> frozenset[str]:
        """Folders of the host that no service may mount; with a slash at the end, nor anything below."""

    @property
    def keys(self) -> frozenset[str]:
        """Keys that a service may have."""


def _matches(value: Any, pattern: str) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


PREDICATES: dict[str, Callable[[Any, Any], bool]] = {
    "equals": lambda value, wanted: type(value) is type(wanted) and value == wanted,
    "one_of": lambda value, wanted: value in wanted,
    "matches": _matches,
    "contains": lambda value, wanted: isinstance(value, list) and wanted in value,
    "excludes": lambda value, pattern: not any(_matches(str(item), pattern) for item in value or []),
    "absent": lambda value, wanted: (not value) is wanted,
    "present": lambda value, wanted: bool(value) is wanted,
}


def memory(_name: str, service: Service, _rule: Parameters) -> Iterator[str]:
    """A memory limit, and the same for memory and swap together."""
    limit, with_swap = service.get("mem_limit"), service.get("memswap_limit")
    if not limit:
        yield "has no mem_limit"
    elif with_swap != limit:
        yield f"memswap_limit is {with_swap!r}, not {limit!r}: prompts could be swapped to the disk"


def core_files(_name: str, service: Service, _rule: Parameters) -> Iterator[str]:
    """The core ulimit is there and zero. Compose renders a zero as an empty mapping."""
    core = (service.get("ulimits") or {}).get("core")
    if core is None or (core and core != {"soft": 0, "hard": 0}):
        yield f"ulimits.core is {core!r}, not 0"


def syscalls(name: str, service: Service, rule: Parameters) -> Iterator[str]:
    """A profile of system calls of its own, for each service that `allowed` names one for."""
    given = [str(option) for option in service.get("security_opt") or [] if str(option).startswith("seccomp")]
    for pattern in rule.allowed.get(name, []):
        if not any(re.fullmatch(pattern, option) for option in given):
            yield f"has no profile of system calls of its own: {given}"


def ports(name: str, service: Service, rule: Parameters) -> Iterator[str]:
    """Published ports: only the allowed container ports, bound to one address, unprivileged on the host."""
    for port in service.get("ports") or []:
        if port.get("target") not in rule.allowed.get(name, []):
            yield f"publishes port {port.get('target')}"
        if not _one_address(port.get("host_ip")):
            yield f"port {port.get('target')} is bound to {port.get('host_ip')!r}, not to one address"
        if not str(port.get("published", "")).isdigit() or int(port["published"]) < 1024:
            yield f"publishes at {port.get('published')!r}, not at one unprivileged port"


def _one_address(value: Any) -> bool:
    try:
        return not ipaddress.ip_address(str(value)).is_unspecified
    except ValueError:
        return False


def networks(name: str, service: Service, rule: Parameters) -> Iterator[str]:
    """The networks are those of the policy; a service with none of them has network_mode none."""
    joined, allowed = sorted(service.get("networks") or {}), rule.allowed.get(name)
    if allowed is None:
        yield "is not named by the policy"
    elif joined != sorted(allowed):
        yield f"is on networks {joined}, not {sorted(allowed)}"
    elif not joined and service.get("network_mode") != "none":
        yield f"network_mode is {service.get('network_mode')!r}, not 'none'"


def devices(name: str, service: Service, rule: Parameters) -> Iterator[str]:
    """Devices of the host: those that are allowed, under their own name, for reading and writing."""
    for device in service.get("devices") or []:
        source, target, rights = _device(device)
        if not any(_matches(source, pattern) for pattern in rule.allowed.get(name, [])):
            yield f"has the device {source}"
        elif target != source:
            yield f"has the device {source} under the name {target}"
        elif source.startswith("/") and not set(rights) <= set("rw"):
            yield f"may make device files of {source}: {rights}"


def _device(device: Any) -> tuple[str, str, str]:
    if isinstance(device, dict):
        source = str(device.get("source"))
        return source, device.get("target") or source, device.get("permissions") or "rwm"
    source, target, rights = [*str(device).split(":"), "", ""][:3]
    return source, target or source, rights or "rwm"


def groups(name: str, service: Service, rule: Parameters) -> Iterator[str]:
    """Extra groups: as allowed, a group's name being none."""
    for group in service.get("group_add") or []:
        if not any(_matches(str(group), pattern) for pattern in rule.allowed.get(name, [])):
            yield f"has the group {group}"


def mounts(name: str, service: Service, rule: Parameters) -> Iterator[str]:
    """Bind mounts are read-only or the service's own, not shared, never created on the way, and none of the system's own folders."""
    for mount in _binds(service):
        source, options = mount.get("source", ""), mount.get("bind") or {}
        if not mount.get("read_only") and source not in rule.writable.get(name, []):
            yield f"{source} is mounted for writing"
        if source not in rule.allowed.get(name, []) and any(_is_in(source, folder) for folder in rule.system):
            yield f"{source} is one of the system's own folders"
        if "shared" in options.get("propagation", ""):
            yield f"{source} is mounted with propagation {options['propagation']}"
        if options.get("create_host_path"):
            yield f"{source} would be created when it is missing"


def _is_in(source: str, folder: str) -> bool:
    same = source.rstrip("/") == folder.rstrip("/")
    return same or (folder.endswith("/") and folder != "/" and source.startswith(folder))


def keys(_name: str, service: Service, rule: Parameters) -> Iterator[str]:
    """No key that the policy does not know."""
    for key in sorted(service.keys() - rule.keys):
        yield f"has the key {key}"


def docker_socket(_name: str, service: Service, _rule: Parameters) -> Iterator[str]:
    """No socket of Docker, containerd or Podman, nor a folder that holds one."""
    for mount in _binds(service):
        if re.search(r"(docker|containerd|podman|crio)[^/]*(\.sock)?$|^/(var/)?run/?$", mount.get("source", "")):
            yield f"mounts {mount['source']}"


def tmpfs(_name: str, service: Service, _rule: Parameters) -> Iterator[str]:
    """Each temporary filesystem has a size and neither programs, set-user-id nor devices."""
    for entry in service.get("tmpfs") or []:
        target, _, options = entry.partition(":")
        if missing := _missing(options):
            yield f"{target} lacks {', '.join(missing)}"
    for mount in service.get("volumes") or []:
        if mount.get("type") == "tmpfs":
            yield f"{mount.get('target')} is a tmpfs volume: use `tmpfs:`, which takes noexec"


def environment(_name: str, service: Service, _rule: Parameters) -> Iterator[str]:
    """No variable whose name promises a secret: `docker inspect` shows them to everybody in the group."""
    for variable in service.get("environment") or {}:
        if re.search(r"(?i)(password|passwd|secret|token|credential|api_?key|private_?key|(^|_)key$)", variable):
            yield f"environment has {variable}"


def egress(model: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each network is internal, or does not masquerade; none is the host's or somebody else's."""
    for name, network in (model.get("networks") or {}).items():
        options = (network or {}).get("driver_opts") or {}
        closed = options.get("com.docker.network.bridge.enable_ip_masquerade") == "false"
        if not network or not (network.get("internal") or closed):
            yield f"network {name}", "has a way out: neither internal nor without masquerading"
        elif network.get("external") or network.get("driver", "bridge") != "bridge":
            yield f"network {name}", "is not a bridge of this stack"


def volumes(model: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Named volumes are bounded temporary filesystems: nothing that a service writes stays."""
    for name, volume in (model.get("volumes") or {}).items():
        options = (volume or {}).get("driver_opts") or {}
        missing = _missing(options.get("o", ""))
        if options.get("type") != "tmpfs":
            yield f"volume {name}", "is not in memory"
        elif missing:
            yield f"volume {name}", f"lacks {', '.join(missing)}"


def _missing(options: str) -> list[str]:
    have = {option.partition("=")[0] for option in options.split(",")}
    return sorted({"noexec", "nosuid", "nodev", "size"} - have)


def gates(_name: str, service: Service, rule: Parameters) -> Iterator[str]:
    """A service that mounts a folder of the policy has the runtime named there; any other has Docker's own."""
    sources = {mount.get("source", "").rstrip("/") for mount in _binds(service)}
    wanted = next((runtime for runtime, folders in rule.allowed.items() if sources & set(folders)), None)
    if service.get("runtime") != wanted:
        yield f"runtime is {service.get('runtime')!r}, not {wanted!r}"


def _binds(service: Service) -> Iterator[dict[str, Any]]:
    yield from (mount for mount in service.get("volumes") or [] if mount.get("type") == "bind")


STACK: dict[str | None, Callable[[dict[str, Any]], Iterator[tuple[str, str]]]] = {"egress": egress, "volumes": volumes}
_SERVICE = (
    memory,
    core_files,
    devices,
    groups,
    keys,
    syscalls,
    ports,
    networks,
    mounts,
    docker_socket,
    tmpfs,
    environment,
    gates,
)
CHECKS: dict[str, Callable[..., Iterator[Any]]] = {function.__name__: function for function in _SERVICE} | {
    name: function for name, function in STACK.items() if name
}
