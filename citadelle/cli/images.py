"""`citadelle images`: what hosts run, as one archive, made on a machine that reaches the registries. Exit codes as everywhere."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from citadelle import images
from citadelle.image_lock import left_open
from citadelle.release import read_env

app = typer.Typer(
    no_args_is_help=True, help="The images that hosts run: lock them by digest, check them, build one archive of them."
)
COMPOSE = Path("compose")
PINS = COMPOSE / "images.lock.env"
# Debian's stable release has no llama.cpp: its image is brought to this one first.
LLAMACPP_SUITE = "forky"
BASES = {"ollama": ["OLLAMA_IMAGE", "PYTHON_IMAGE"], "llamacpp": ["DEBIAN_IMAGE", "PYTHON_IMAGE"]}
# Engines for accelerators, beside the one of --engine: in the hosts' lock as ENGINE_<WORD>_IMAGE.
FURTHER = {"rocm": "OLLAMA_ROCM_IMAGE", "openvino": "LLAMACPP_OPENVINO_IMAGE", "xdna": "LLAMACPP_XDNA_IMAGE"}
WATCHING = ["PROMETHEUS_IMAGE", "ALERTMANAGER_IMAGE"]
SHOWING = ["GRAFANA_IMAGE", "LOKI_IMAGE"]
UNREACHABLE = re.compile(r"failed to do request|dial tcp|no such host|connection refused|i/o timeout|TLS handshake")
FOREIGN = re.compile(r"no matching manifest|no match for platform")
ABSENT = re.compile(r"not found|manifest unknown")
FREE = "see the lines above; df -h"


@app.command()
def build(  # noqa: PLR0917  each is an option, by name
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the archive and its lock; made if absent.")],
    engine: Annotated[Literal["ollama", "llamacpp"], typer.Option(help="As the setting stack_engine.")] = "ollama",
    pins: Annotated[Path, typer.Option(help="Third-party images by digest.")] = PINS,
    further: Annotated[
        list[str] | None,
        typer.Option(
            "--with", help="An engine for accelerators too, rocm, openvino or xdna (docs/accelerators.md); repeatable."
        ),
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Caddy too, for the setting stack_tls_port.")] = False,
    observability: Annotated[
        bool, typer.Option("--observability", help="Prometheus and Alertmanager too, for the setting observability.")
    ] = False,
    grafana: Annotated[
        bool, typer.Option("--grafana", help="Grafana and Loki too, for the setting observability_grafana_port.")
    ] = False,
) -> None:
    """Pull what is pinned, build gateway and rag (and Caddy for TLS), and save all as DIR/images.tar with DIR/images.lock.env."""
    if not (COMPOSE / "gateway").is_dir():
        raise SystemExit(f"folder of the stack is absent: {COMPOSE}\nhint: run in the checkout")
    more = {f"ENGINE_{word.upper()}_IMAGE": FURTHER.get(word, "") for word in further or []}
    if unknown := set(further or []) - FURTHER.keys():
        raise SystemExit(f"no such engine: {', '.join(sorted(unknown))}\nhint: --with {' or --with '.join(FURTHER)}")
    seen = [*(WATCHING if observability else []), *(SHOWING if grafana else [])]
    bases = pinned(pins, [*BASES[engine], *more.values(), *(["CADDY_IMAGE"] if tls else []), *seen])
    need_docker()
    for name, reference in bases.items():
        typer.echo(f"{name}: {reference}", err=True)
        with refusals("docker images"):
            pull(reference)
    wanted = {"ENGINE_IMAGE": bases.get("OLLAMA_IMAGE") or llamacpp(bases["DEBIAN_IMAGE"])}
    wanted |= {name: bases[pin] for name, pin in more.items()} | {name: bases[name] for name in seen}
    for name in ("gateway", "rag"):
        wanted[f"{name.upper()}_IMAGE"] = service(name, bases["PYTHON_IMAGE"], folder / "wheels")
    if tls:
        with refusals(FREE):
            wanted["TLS_IMAGE"] = images.build(images.tls(bases["CADDY_IMAGE"], COMPOSE), run)
    with refusals(f"df -h {folder}; docker images --digests"):
        images.bundle(wanted, folder, run)
    typer.echo((folder / "images.lock.env").read_text().rstrip(), err=True)
    typer.echo("for inventory/group_data/all.py:", err=True)
    typer.echo(settings(folder, engine))


def settings(folder: Path, engine: str) -> str:
    """Lines for the inventory; the engine is one of them where it is not the default."""
    lines = {"stack_images_archive": folder / "images.tar", "stack_images_lock": folder / "images.lock.env"}
    named = {key: str(path.resolve()) for key, path in lines.items()}
    named |= {"stack_engine": engine} if engine != "ollama" else {}
    return "\n".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in named.items())


def pinned(file: Path, names: Sequence[str]) -> dict[str, str]:
    """The images of these names, all by digest; exit code 2 where one is not."""
    if not file.is_file():
        raise SystemExit(f"pins of images are absent: {file}\nhint: give --pins, or git checkout -- {PINS}")
    given, unlocked = read_env(file.read_text()), left_open(file.read_text())
    wrong = [name for name in names if not re.fullmatch(r"[^@\s]+:[^@:/\s]+@sha256:[0-9a-f]{64}", given.get(name, ""))]
    if wrong:
        said = "; ".join(f"{name}={given.get(name, '')}" for name in wrong)
        words = " ".join(f"{name}={unlocked.get(name, 'image:tag')}" for name in wrong)
        raise SystemExit(f"pins give no digest: {said} in {file}\nhint: citadelle images lock {words}")
    return {name: given[name] for name in names}


def need_docker() -> None:
    """Exit code 1, with all that is wrong, unless a Docker with buildx and the store that keeps digests answers."""
    try:
        said = images.answer(["docker", "info", "--format", "{{json .}}"])
    except FileNotFoundError:
        refuse("program is absent: docker", "install Docker Engine 28 or newer with its buildx plugin")
    found = json.loads(said.stdout) if said.stdout.startswith("{") else {}
    if said.returncode or not found.get("ServerVersion"):
        why = (
            "; ".join(found.get("ServerErrors") or said.stderr.strip().splitlines()[-1:])
            or f"exit code {said.returncode}"
        )
        refuse(f"Docker daemon does not answer: {why}", "systemctl status docker; docker info")
    problems = list(_unfit(found))
    for what, hint in problems:
        typer.echo(f"citadelle: {what}\nhint: {hint}", err=True)
    if problems:
        raise typer.Exit(1)


def _unfit(info: Mapping) -> Iterator[tuple[str, str]]:
    if ["driver-type", "io.containerd.snapshotter.v1"] not in (info.get("DriverStatus") or []):
        yield (
            f"Docker does not use the containerd image store, which keeps digests: {info.get('Driver')}",
            'set {"features": {"containerd-snapshotter": true}} in /etc/docker/daemon.json, then systemctl restart docker',
        )
    plugins = [plugin["Name"] for plugin in (info.get("ClientInfo") or {}).get("Plugins") or []]
    if "buildx" not in plugins:
        yield f"Docker client has no buildx: {', '.join(plugins) or 'no plugin'}", "install docker-buildx-plugin"


def pull(reference: str) -> None:
    """Have a pinned image here; a registry that does not answer and one that lacks the digest are told apart."""
    try:
        images.pull(reference, run)
    except subprocess.CalledProcessError as error:
        said = last_line(error)
        if UNREACHABLE.search(said):
            registry = reference.partition("/")[0]
            refuse(f"registry is unreachable: {registry}: {said}", "docker info shows the daemon's proxy and mirrors")
        if FOREIGN.search(said):
            refuse(f"image is not for {images.PLATFORM}: {reference}", "hosts are of that platform: change the pin")
        if ABSENT.search(said):
            name = reference.partition("@")[0]
            refuse(
                f"registry has no image of this digest: {reference}",
                f"docker buildx imagetools inspect {name} shows today's; review it, then change the pin",
            )
        refuse(f"image cannot be pulled: {reference}: {said}", "docker login, where the registry asks for it")


def service(name: str, python: str, wheels: Path) -> str:
    """Have the image of `gateway` or `rag`; gives its `name:tag`."""
    typer.echo(f"{name}: wheels by hash, then the build without a network", err=True)
    package = COMPOSE / name
    with refusals(
        f"does this machine reach a package index (PIP_INDEX_URL)? {package}/requirements.lock decides which files are right"
    ):
        images.download_wheels(package, wheels / name, run, python=images.python_version(python))
    with refusals(FREE):
        return images.build(images.service(name, python, COMPOSE, wheels), run)


def llamacpp(debian: str) -> str:
    """Have the image of llama.cpp; gives its `name:tag`."""
    typer.echo(f"llamacpp: Debian's packages of {LLAMACPP_SUITE}", err=True)
    with refusals("does the Docker daemon reach Debian's mirror? see the lines above"):
        return images.build(images.engine("llamacpp", debian, COMPOSE, suite=LLAMACPP_SUITE), run)


def run(command: Sequence[str]) -> None:
    """Run to its end. Raises `CalledProcessError` with what it said."""
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)


@contextmanager
def refusals(hint: str) -> Iterator[None]:
    """What fails inside ends the command with exit code 1; a program that failed is quoted."""
    try:
        yield
    except subprocess.CalledProcessError as error:
        typer.echo("\n".join(_lines(error)[-12:]), err=True)
        refuse(f"command failed with exit code {error.returncode}: {' '.join(error.cmd)}", hint)
    except (OSError, ValueError) as error:
        refuse(str(error), hint)


def refuse(what: str, hint: str) -> NoReturn:
    """Say it and end, with exit code 1."""
    typer.echo(f"citadelle: {what}\nhint: {hint}", err=True)
    raise typer.Exit(1)


def last_line(error: subprocess.CalledProcessError) -> str:
    """What a failed program said at its end, or its exit code."""
    return (_lines(error) or [f"exit code {error.returncode}"])[-1]


def _lines(error: subprocess.CalledProcessError) -> list[str]:
    return f"{error.stdout or ''}\n{error.stderr or ''}".strip().splitlines()
