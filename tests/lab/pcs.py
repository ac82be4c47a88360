"""Lab PCs: privileged containers with systemd as PID 1 and sshd, each at its own address on the lab's bridge.

For tests and benchmarks: `start_pc`, `remove_pc`, `reboot_pc`, `exec_in_pc`.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.lab import debian, state
from tests.lab.commands import LABEL, PREFIX, SUBNET, LabError, Log, output, run
from tests.lab.state import Kind, Pc

NETWORK = PREFIX
IMAGE = "citadelle-lab/pc"
SPEC = "org.citadelle.lab.spec"
KINDS = (
    ("container", ["ps", "--all", "--format", "{{.Names}}"], ["rm", "--force", "--volumes"]),
    ("network", ["network", "ls", "--format", "{{.Name}}"], ["network", "rm"]),
    ("volume", ["volume", "ls", "--format", "{{.Name}}"], ["volume", "rm"]),
    ("image", ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"], ["image", "rm", "--force"]),
)
DOUBLE = "/opt/windows-double"


def start_pc(
    name: str,
    kind: Kind,
    address: str,
    *,
    powershell: Path | None = None,
    image: str = IMAGE,
    volumes_of: str | None = None,
    log: Log | None = None,
) -> Pc:
    """Have this PC up and reachable: made, started or left as it is.

    `powershell`: folder of a PowerShell engine on this machine, for kind "windows". `image`, `volumes_of`: disk of another PC
    (`docker commit`) and the name of that PC, stopped, whose Docker data a new PC starts with. Raises `LabError`.
    """
    pc, log = Pc(name, kind, address), log or state.log(f"pc-{name}")
    spec = _spec(pc, powershell, image)
    found = inspect(pc.container, '{{index .Config.Labels "' + SPEC + '"}} {{.State.Running}}')
    if found is None or found.split()[0] != spec:
        remove_pc(name, log=log)
        _create(pc, spec, powershell, log, image=image, volumes_of=volumes_of)
    elif found.split()[1] != "true":
        run(["docker", "start", pc.container], log)
    _settle(pc, log)
    return pc


def remove_pc(name: str, *, log: Log | None = None) -> None:
    """Remove the PC with its volumes; its host keys are forgotten."""
    pc = Pc(name, "linux", "")
    log = log or state.log(f"pc-{name}")
    address = inspect(pc.container, "{{range .NetworkSettings.Networks}}{{.IPAMConfig.IPv4Address}}{{end}}")
    if address is not None:
        run(["docker", "rm", "--force", "--volumes", pc.container], log)
        state.known_hosts({address: []})
    for volume in _volumes(pc):
        if output(["docker", "volume", "inspect", volume]) is not None:
            run(["docker", "volume", "rm", volume], log)


def reboot_pc(name: str, *, log: Log | None = None) -> None:
    """Restart the PC and wait until systemd has started everything; sessions die, data stays."""
    pc = Pc(name, "linux", "")
    run(["docker", "restart", "--time", "20", pc.container], log or state.log(f"pc-{name}"))
    _wait_for_systemd(pc)


def exec_in_pc(
    name: str, argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 120
) -> subprocess.CompletedProcess[bytes]:
    """Run a command as root in the PC, past SSH and the Windows double: for reading it independently."""
    command = ["docker", "exec", "--interactive", Pc(name, "linux", "").container, *argv]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=timeout, check=False)


def set_personality(name: str, word: str) -> None:
    """How the Windows PC starts its engine: "5.1" as powershell.exe, "plain" as pwsh 7."""
    command = ["runuser", "-u", "operator", "--", f"{DOUBLE}/control", "powershell", word]
    done = exec_in_pc(name, command)
    if done.returncode:
        raise LabError(
            f"{name}: the Windows double refuses its engine: {done.stderr.decode(errors='replace').strip()}",
            " ".join(command),
        )


def remove_all(*, images: bool) -> list[str]:
    """Remove every container, network and volume with the lab's label, with `images` the images too; says what went."""
    gone = []
    for kind, listing, removal in KINDS:
        if kind == "image" and not images:
            continue
        names = (output(["docker", *listing, "--filter", f"label={LABEL}"]) or "").split()
        for name in dict.fromkeys(names):
            if output(["docker", *removal, name]) is not None:
                gone.append(f"removed {kind} {name}")
    return gone


def have_network(log: Log) -> None:
    """The lab's bridge; its name on this machine is the network's name."""
    if output(["docker", "network", "inspect", NETWORK]) is None:
        bridge = f"com.docker.network.bridge.name={NETWORK}"
        run(["docker", "network", "create", "--label", LABEL, "--subnet", SUBNET, "--opt", bridge, NETWORK], log)


def inspect(container: str, template: str) -> str | None:
    """One answer of `docker inspect`; None where there is no such container."""
    return output(["docker", "container", "inspect", "--format", template, container])


def _volumes(pc: Pc) -> list[str]:
    return [f"{pc.container}-docker", f"{pc.container}-containerd"]


def _spec(pc: Pc, powershell: Path | None, image: str) -> str:
    """What a PC is made of: another value means another PC, made anew."""
    found = output(["docker", "image", "inspect", "--format", "{{.Id}}", image])
    if found is None:
        raise LabError(f"{pc.name}: image of the lab PCs is absent: {image}", "bin/lab")
    parts = (found, pc.kind, pc.address, state.user_key(), powershell, debian.nameservers(), _boot_files(pc))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _create(
    pc: Pc, spec: str, powershell: Path | None, log: Log, *, image: str = IMAGE, volumes_of: str | None = None
) -> None:
    docker, containerd = _volumes(pc)
    for volume in (docker, containerd):
        run(["docker", "volume", "create", "--label", LABEL, volume], log)
    if volumes_of:
        _fill(pc, Pc(volumes_of, "linux", ""), log)
    # on-failure: a `systemctl reboot` inside ends the container with an error code, and Docker starts it again.
    options = [
        "--restart",
        "on-failure",
        "--privileged",
        "--cgroupns",
        "private",
        "--tmpfs",
        "/run",
        "--tmpfs",
        "/run/lock",
    ]
    options += [
        "--network",
        NETWORK,
        "--ip",
        pc.address,
        "--hostname",
        pc.name,
        "--label",
        LABEL,
        "--label",
        f"{SPEC}={spec}",
    ]
    options += ["--volume", f"{docker}:/var/lib/docker", "--volume", f"{containerd}:/var/lib/containerd"]
    options += _resolver()
    if powershell:
        options += ["--volume", f"{powershell}:/opt/powershell:ro"]
    run(["docker", "create", "--name", pc.container, *options, image], log)
    _copy_in(pc, _first_files(pc), log)
    run(["docker", "start", pc.container], log)


def _fill(pc: Pc, source: Pc, log: Log) -> None:
    for origin, target in zip(_volumes(source), _volumes(pc), strict=True):
        folders = ["--volume", f"{origin}:/from:ro", "--volume", f"{target}:/to"]
        # Privileged: layers of images carry attributes that nobody else may read or write.
        options = ["--rm", "--privileged", "--network", "none", *folders]
        run(["docker", "run", *options, IMAGE, "cp", "--archive", "/from/.", "/to/"], log)


def _resolver() -> list[str]:
    """Docker's own resolver lives in rules of the packet filter, which a hardened PC may flush: name the real servers."""
    servers = debian.nameservers()
    if not servers:
        return []
    file = state.STATE / "resolv.conf"
    state.write_if_changed(file, "".join(f"nameserver {address}\n" for address in servers))
    return ["--volume", f"{file}:/etc/resolv.conf:ro"]


def _first_files(pc: Pc) -> list[tuple[tarfile.TarInfo, bytes]]:
    key = state.user_key().encode() + b"\n"
    files = [_folder("home/operator/.ssh", 0o700), _file("home/operator/.ssh/authorized_keys", key, 0o600)]
    for info, _ in files:
        info.uid, info.gid = 1000, 37
    if pc.kind == "windows":
        for name in ("C:", "var/lib/windows-double"):
            info, data = _folder(name, 0o755)
            info.uid, info.gid = 1000, 37
            files.append((info, data))
        # Windows alone starts by itself: what runs "inside WSL" is there from the first wsl.exe on.
        files += [_file(name, content, 0o644) for name, content in _boot_files(pc)]
        link = tarfile.TarInfo("etc/systemd/system/default.target")
        link.type, link.linkname = tarfile.SYMTYPE, "windows.target"
        files.append((link, b""))
        # In the place of the image's own file of that name: one Subsystem line only.
        forced = (state.CODE / "windows/sshd_config.part").read_bytes()
        files.append(_file("etc/ssh/sshd_config.d/requests.conf", forced, 0o644))
    bundle = debian.ca_bundle()
    if bundle:
        files.append(_file("etc/ssl/certs/ca-certificates.crt", bundle.read_bytes(), 0o644))
    return files


def _boot_files(pc: Pc) -> list[tuple[str, bytes]]:
    """Units of a PC that plays Windows."""
    folder = state.CODE / "windows" / "boot"
    found = sorted(folder.iterdir()) if pc.kind == "windows" else []
    return [(f"etc/systemd/system/{path.name}", path.read_bytes()) for path in found]


def _file(name: str, data: bytes, mode: int) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), mode, int(time.time())
    return info, data


def _folder(name: str, mode: int) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = tarfile.DIRTYPE, mode, int(time.time())
    return info, b""


def _copy_in(pc: Pc, files: Sequence[tuple[tarfile.TarInfo, bytes]], log: Log) -> None:
    """Also into a PC that is not started yet."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for info, data in files:
            tar.addfile(info, io.BytesIO(data))
    command = ["docker", "cp", "--archive", "-", f"{pc.container}:/"]
    done = subprocess.run(command, input=archive.getvalue(), capture_output=True, check=False)
    log.write(f"$ {' '.join(command)}\n{done.stderr.decode(errors='replace')}")
    if done.returncode:
        raise LabError(
            f"{pc.name}: cannot copy files into the PC: {done.stderr.decode(errors='replace').strip()}",
            f"less {log.path}",
        )


def _settle(pc: Pc, log: Log) -> None:
    """After every start: the newest double, systemd at rest, host keys known."""
    if pc.kind == "windows":
        _lay_double(pc, log)
    _wait_for_systemd(pc)
    if pc.kind == "windows":
        _bring_into_force(pc, log)
    state.known_hosts({pc.address: _host_keys(pc)})


def _lay_double(pc: Pc, log: Log) -> None:
    sources = sorted(
        path for path in (state.CODE / "windows").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
    digest = hashlib.sha256()
    for path in sources:
        digest.update(f"{path} {path.stat().st_mode}\n".encode() + path.read_bytes())
    stamp = f"{digest.hexdigest()}\n".encode()
    if exec_in_pc(pc.name, ["cat", f"{DOUBLE}/.stamp"]).stdout == stamp:
        return
    log.write(f"{pc.name}: the Windows double is laid anew\n")
    exec_in_pc(pc.name, ["rm", "-rf", DOUBLE])
    folders = sorted({path.relative_to(state.CODE / "windows").parent for path in sources})
    files = [_folder(f"{DOUBLE[1:]}/{folder}", 0o755) for folder in folders]
    for path in sources:
        name = f"{DOUBLE[1:]}/{path.relative_to(state.CODE / 'windows')}"
        files.append(_file(name, path.read_bytes(), path.stat().st_mode & 0o755))
    _copy_in(pc, files, log)
    for command in (
        ["python3", "-m", "compileall", "-q", DOUBLE],
        ["runuser", "-u", "operator", "--", f"{DOUBLE}/control", "setup"],
    ):
        done = exec_in_pc(pc.name, command)
        log.write(f"$ {' '.join(command)}\n{(done.stdout + done.stderr).decode(errors='replace')}")
        if done.returncode:
            raise LabError(
                f"{pc.name}: the Windows double cannot be set up: exit code {done.returncode}", f"less {log.path}"
            )
    _copy_in(pc, [_file(f"{DOUBLE[1:]}/.stamp", stamp, 0o644)], log)


def _bring_into_force(pc: Pc, log: Log) -> None:
    """The double's firewall and SSH server filter and let in for real, from the start on."""
    for word in ("sshd", "firewall"):
        done = exec_in_pc(pc.name, ["runuser", "-u", "operator", "--", f"{DOUBLE}/control", word])
        log.write(f"$ control {word}\n{(done.stdout + done.stderr).decode(errors='replace')}")
        if done.returncode:
            raise LabError(
                f"{pc.name}: the Windows double has no {word}: exit code {done.returncode}", f"less {log.path}"
            )


def _wait_for_systemd(pc: Pc, patience: float = 60) -> None:
    end = time.monotonic() + patience
    answer = ""
    while time.monotonic() < end:
        found = exec_in_pc(pc.name, ["systemctl", "is-system-running", "--wait"], timeout=patience)
        answer = found.stdout.decode().strip() or found.stderr.decode(errors="replace").strip()
        listening = exec_in_pc(pc.name, ["systemctl", "is-active", "ssh.service"]).stdout.strip() == b"active"
        # "degraded" is for the tests to look at (a role's unit may have failed); the PC can be reached all the same.
        if answer in ("running", "degraded") and listening:
            return
        time.sleep(0.3)
    raise LabError(
        f"{pc.name}: systemd has not started everything in {patience:.0f} s: {answer}", f"docker logs {pc.container}"
    )


def _host_keys(pc: Pc) -> list[str]:
    """Read in the PC itself, so nobody between can give others."""
    found = exec_in_pc(pc.name, ["sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub"]).stdout.decode()
    keys = [" ".join(line.split()[:2]) for line in found.splitlines() if line.strip()]
    if not keys:
        raise LabError(
            f"{pc.name}: SSH server has no host keys: /etc/ssh", f"docker exec {pc.container} journalctl -u ssh"
        )
    return keys
