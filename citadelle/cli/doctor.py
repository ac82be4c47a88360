"""Checks with stable ids. Each says what it found; a finding says the next step. A check that cannot run is a finding."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from citadelle.cli import accelerator, gateway, lock_checks
from citadelle.cli.check import DEPLOY, Check
from citadelle.cli.controls import look
from citadelle.cli.hosts import Serving, WindowsSide, side_by_side
from citadelle.cli.windows import windows
from citadelle.facts.models import RUN, TIMER, UNIT, WATCH
from citadelle.operations.stack import KEY
from citadelle.release import read_env

NOTHING = "nothing is deployed"


def controller() -> Iterator[Check]:
    """Checks of this machine."""
    pyinfra, keygen = version("pyinfra"), shutil.which("ssh-keygen")
    yield Check("C001", "controller", pyinfra.startswith("3."), f"pyinfra {pyinfra}", "bin/venv")
    yield Check("C002", "controller", bool(keygen), f"ssh-keygen: {keygen or 'absent'}", "install the OpenSSH client")


@dataclass(frozen=True)
class Program:
    """One program, run as root on the host; `right` judges its output, which is what was found. Both streams, whatever its exit code."""

    id: str
    command: str
    right: Callable[[str], bool]
    next_step: str


UNSEEN = "engine and Docker listen on no address of the host"
VERIFIED = "model files verified in this boot"
WATCHED = "model files are watched, and a timer verifies them again"
GATED = "the engine starts behind the verification"
PROGRAMS = [
    Program(
        "H010",
        "docker info --format 'Docker {{.ServerVersion}} {{.Driver}}'",
        lambda text: text.startswith("Docker "),
        f"systemctl status docker; {DEPLOY}",
    ),
    Program(
        "H011",
        "docker info --format '{{.DriverStatus}}'",
        lambda text: "io.containerd.snapshotter" in text,
        f"the role docker sets the containerd image store: {DEPLOY}",
    ),
    Program(
        "H020",
        f"{RUN} status && echo '{VERIFIED}'",
        lambda text: text.endswith(VERIFIED),
        f"systemctl restart {UNIT}; journalctl -u {UNIT}",
    ),
    Program(
        "H021",
        f"systemctl is-active --quiet {WATCH} && systemctl is-active --quiet {TIMER} && echo '{WATCHED}'"
        f" || systemctl is-active {WATCH} {TIMER}",
        lambda text: text == WATCHED,
        f"systemctl restart {UNIT}; journalctl -u {WATCH}",
    ),
    Program(
        "H024",
        "docker inspect --format '{{.HostConfig.Runtime}}' citadelle-engine-1 | sed 's|^verified$|" + GATED + "|'",
        lambda text: text == GATED,
        f"the role docker gives the runtime, the stack uses it: {DEPLOY}",
    ),
    Program(
        "H025",
        # A word on how fast a start is, never a finding by itself: without a seal all is read.
        f'{RUN} status --json | sed \'s/.*"seal": "\\([^"]*\\)".*/\\1/\'',
        lambda text: text.startswith(("sealed: ", "read at every start: ")),
        f"systemctl restart {UNIT}; journalctl -u {UNIT}",
    ),
    Program(
        "H050",
        # Two steps: a missing `ss` must not look like a host on which nothing listens.
        "all=$(ss -Hltn) && { printf '%s\\n' \"$all\" | awk '{print $4}' | grep -E ':(11434|2375|2376)$' || echo '"
        + UNSEEN
        + "'; }",
        lambda text: text == UNSEEN,
        "ss -ltnp: end what listens there",
    ),
    Program(
        "H060",
        "df --output=pcent /var/lib | tail -n 1 | sed 's|^ *\\([0-9]*\\)%|\\1 % of the disk of /var/lib is full|'",
        lambda text: text.split(" ")[0].isdigit() and int(text.split(" ")[0]) < 90,
        "make room in /var/lib",
    ),
]


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
    Probe("H042", "/api/ps", with_key=True, wanted=404),
]
LOGS = "on the host: docker logs citadelle-gateway-1"


def judge(found: Sequence[Serving | WindowsSide]) -> list[Check]:
    """Every check of the hosts, in their order; the hosts are asked side by side."""

    def checks(one: Serving | WindowsSide) -> list[Check]:
        return list(linux(one) if isinstance(one, Serving) else windows(one))

    return [check for answers in side_by_side(checks, found) for check in answers]


def linux(serving: Serving) -> Iterator[Check]:
    """Checks of one serving host; when it cannot be reached, that alone is said."""
    try:
        serving.read("true")
    except OSError as error:
        yield Check("H001", serving.pc, False, *serving.problem(error))
        return
    yield Check("H001", serving.pc, True, "reachable, root shell")
    for program in PROGRAMS:
        yield _program(serving, program)
    now = datetime.now(UTC)
    yield lock_checks.approved(serving, now)
    yield lock_checks.in_force(serving, now)
    stack = _stack(serving)
    yield stack
    if stack.ok or stack.found != NOTHING:
        yield from (_probe(serving, probe) for probe in PROBES)
        yield from (Check(said.id, serving.pc, *said[1:]) for said in accelerator.checks(serving))
    yield from _controls(serving)


def _controls(serving: Serving) -> Iterator[Check]:
    """H080, then one check for each control of its Linux."""
    try:
        judged = look(serving)
    except OSError as error:
        yield Check("H080", serving.pc, False, serving.problem(error)[0], DEPLOY)
        return
    yield Check("H080", serving.pc, True, judged.count)
    yield from judged.checks(serving.pc)


def _program(serving: Serving, program: Program) -> Check:
    try:
        text = serving.run(f"{{ {program.command}; }} 2>&1").stdout.decode(errors="replace").strip()
    except OSError as error:
        return Check(program.id, serving.pc, False, serving.problem(error)[0], program.next_step)
    found = text.splitlines()[-1] if text else "no answer"
    return Check(program.id, serving.pc, program.right(text), found, program.next_step)


def _stack(serving: Serving) -> Check:
    try:
        state = serving.stack()
    except OSError as error:
        return Check("H030", serving.pc, False, serving.problem(error)[0], DEPLOY)
    problems = state.problems(state.current) if state.current else [NOTHING]
    found = "; ".join(problems) or f"release {state.current}, all services healthy"
    return Check("H030", serving.pc, not problems, found, DEPLOY)


def _probe(serving: Serving, probe: Probe) -> Check:
    try:
        env = read_env(serving.read(f"cat {gateway.ENV}"))
        key = serving.read(f"cat {KEY}").strip() if probe.with_key else None
        code, _ = gateway.request(serving, env, probe.path, key)
    except (OSError, LookupError, ValueError) as error:
        return Check(probe.id, serving.pc, False, serving.problem(error)[0], LOGS)
    found = f"gateway answers {code} to {probe.path} {'with' if probe.with_key else 'without'} a key"
    return Check(probe.id, serving.pc, code == probe.wanted, found, f"{probe.wanted} is right: {LOGS}")
