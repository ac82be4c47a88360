"""Checks with stable ids. Each says what it found; a finding says the next step."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version

from citadelle.cli import gateway
from citadelle.cli.hosts import Serving
from citadelle.operations.stack import KEY
from citadelle.release import read_env


@dataclass(frozen=True)
class Check:
    """`id` never changes its meaning; `next_step` is empty when `ok`."""

    id: str
    host: str
    ok: bool
    found: str
    next_step: str = ""

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)

    def line(self) -> str:
        """For people."""
        mark = "ok  " if self.ok else "FAIL"
        return f"{mark} {self.id} {self.host}: {self.found}" + ("" if self.ok else f"\n     hint: {self.next_step}")


def controller() -> Iterator[Check]:
    """Checks of this machine."""
    found = version("pyinfra")
    yield Check(
        "C001",
        "controller",
        found.startswith("3."),
        f"pyinfra {found}",
        "pip install --require-hashes -r requirements.txt",
    )
    yield Check(
        "C002", "controller", bool(shutil.which("ssh-keygen")), "ssh-keygen is here", "install the OpenSSH client"
    )


# id, what to run as root on the host, what is right, next step. The program's output is what was found.
PROGRAMS: list[tuple[str, str, Callable[[str], bool], str]] = [
    ("H010", "docker info --format 'Docker {{.ServerVersion}} {{.Driver}}' 2>&1", lambda text: text.startswith("Docker "),
     "systemctl status docker; pyinfra inventory deploy.py"),
    ("H011", "docker info --format '{{.DriverStatus}}' 2>&1", lambda text: "io.containerd.snapshotter" in text,
     "the role docker sets the containerd image store: pyinfra inventory deploy.py"),
    ("H020", "python3 -I -B /usr/local/lib/citadelle/verify.py status 2>&1 && echo 'model files verified in this boot'",
     lambda text: text.endswith("verified in this boot"), "systemctl restart citadelle-models; journalctl -u citadelle-models"),
    ("H050", "ss -Hltn | awk '{print $4}' | grep -E ':(11434|2375|2376)$' || echo 'engine and Docker listen on no address of the host'",
     lambda text: text.startswith("engine and Docker"), "ss -ltnp: end what listens there"),
    ("H060", "df --output=pcent /var/lib | tail -n 1 | tr -d ' %'", lambda text: text.isdigit() and int(text) < 90,
     "make room in /var/lib"),
]  # fmt: skip


@dataclass(frozen=True)
class Probe:
    """One request to the gateway and the status that is right."""

    id: str
    path: str
    with_key: bool
    wanted: int


PROBES = [
    Probe("H040", "/healthz", with_key=False, wanted=200),
    Probe("H041", "/v1/models", with_key=False, wanted=401),
    Probe("H042", "/api/tags", with_key=True, wanted=404),
]
LOGS = "on the host: docker logs citadelle-gateway-1"


def host(serving: Serving) -> Iterator[Check]:
    """Checks of one host; when it cannot be reached, that alone is said."""
    try:
        serving.read("true")
    except OSError as error:
        what, _, hint = str(error).partition("\nhint: ")
        yield Check("H001", serving.pc, False, what, hint or "ssh -v to the host")
        return
    yield Check("H001", serving.pc, True, "reachable, root shell")
    for identity, program, right, next_step in PROGRAMS:
        text = serving.run(program).stdout.decode(errors="replace").strip()
        yield Check(identity, serving.pc, right(text), text.splitlines()[-1] if text else "no answer", next_step)
    yield from _stack(serving)


def _stack(serving: Serving) -> Iterator[Check]:
    state = serving.stack()
    if not state.current:
        yield Check("H030", serving.pc, False, "nothing is deployed", "pyinfra inventory deploy.py")
        return
    problems = state.problems(state.current)
    yield Check(
        "H030",
        serving.pc,
        not problems,
        "; ".join(problems) or f"release {state.current}, all services healthy",
        "pyinfra inventory deploy.py",
    )
    env = read_env(serving.read(f"cat {gateway.ENV}"))
    key = serving.read(f"cat {KEY}").strip()
    for probe in PROBES:
        yield _gateway(serving, env, probe, key)


def _gateway(serving: Serving, env: dict[str, str], probe: Probe, key: str) -> Check:
    try:
        code, _ = gateway.request(serving, env, probe.path, key if probe.with_key else None)
    except OSError as error:
        return Check(probe.id, serving.pc, False, str(error).splitlines()[0], LOGS)
    found = f"gateway answers {code} to {probe.path} {'with' if probe.with_key else 'without'} a key"
    return Check(probe.id, serving.pc, code == probe.wanted, found, f"{probe.wanted} is right: {LOGS}")
