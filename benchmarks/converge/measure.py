"""One run of one tool: wall time, processor time and peak memory of the controller, processor time of the PCs and of everything else."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Run:
    """`wall`, `controller`, `hosts`, `other` in seconds (the last three of processor time), `memory` in MB: peak of the largest process.

    `other` is what the machine computed for neither the tool nor the PCs: a large value means a disturbed run.
    """

    wall: float
    controller: float
    hosts: float
    other: float
    memory: float
    code: int
    out: str
    err: str


def run(argv: Sequence[str], env: Mapping[str, str], cwd: Path, folder: Path, pcs: Iterable[str]) -> Run:
    """Run to the end with output in `folder`; `pcs` are names of the containers whose processor time counts as `hosts`."""
    out, err = folder / "out", folder / "err"
    groups = [group(container) for container in pcs]
    with out.open("wb") as stdout, err.open("wb") as stderr:
        before, busy, start = spent(groups), _busy(), time.monotonic()
        child = subprocess.Popen(argv, env={**env}, cwd=cwd, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
        # wait4: the child's own figures with those of the children that it has waited for, unlike RUSAGE_CHILDREN of all runs so far.
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    wall, hosts = time.monotonic() - start, spent(groups) - before
    controller = used.ru_utime + used.ru_stime
    other = max(0.0, _busy() - busy - hosts - controller)
    said = (out.read_text(errors="replace"), err.read_text(errors="replace"))
    return Run(wall, controller, hosts, other, used.ru_maxrss / 1024, child.returncode, *said)


def own_peak() -> float:
    """MB. A child counts the memory of the process that it was forked from: `Run.memory` is never less than this."""
    return int(_field(Path("/proc/self/status"), "VmHWM:")) / 1024


def _field(file: Path, name: str) -> str:
    return next(line.split()[1] for line in file.read_text().splitlines() if line.startswith(name))


def group(container: str) -> Path:
    """File with the processor time of a container, all that runs nested in it included."""
    pid = subprocess.check_output(["docker", "inspect", "--format", "{{.State.Pid}} {{.Id}}", container], text=True)
    number, name = pid.split()
    for line in Path(f"/proc/{number}/cgroup").read_text().splitlines():
        _, kinds, path = line.split(":", 2)
        head, found, _ = path.partition(name)
        scope = f"{head}{found}{'.scope' if f'{found}.scope' in path else ''}".lstrip("/")
        if "cpuacct" in kinds.split(","):
            return CGROUPS / kinds / scope / "cpuacct.usage"
        if not kinds and (CGROUPS / scope / "cpu.stat").is_file():
            return CGROUPS / scope / "cpu.stat"
    raise SystemExit(f"{container}: no control group with its processor time: /proc/{number}/cgroup")


def spent(files: Iterable[Path]) -> float:
    """Seconds of processor time, in files that `group` names."""
    return sum(
        int(_field(file, "usage_usec")) / 1e6 if file.name == "cpu.stat" else int(file.read_text()) / 1e9
        for file in files
    )


def _busy() -> float:
    """Seconds of processor time that the whole machine has computed."""
    user, nice, system, _, _, irq, soft, *_ = map(int, Path("/proc/stat").read_text().split(None, 10)[1:10])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")
