"""Engine, gateway and rag: images by digest, a release folder, and the release that runs."""

import re
from pathlib import Path

from pyinfra import host
from pyinfra.api.deploy import deploy
from pyinfra.operations import systemd

from citadelle import audit, audit_receiver, keys
from citadelle.models import manifest, verify
from citadelle.models.lock import LockedModel, ModelsLock
from citadelle.operations import docker, files
from citadelle.operations import stack as operations
from citadelle.release import Release, read_env, release, write_env
from citadelle.settings import DeployError
from roles.model_files.settings import ModelFilesSettings
from roles.stack.settings import StackSettings

ROOT = Path(__file__).resolve().parents[2]
FILES = Path(__file__).parent / "files"
MODES = {"/usr/local/lib/citadelle/stack": "755"}
AUDIT = "citadelle-audit"
MOUNTED = re.compile(r"\.\./policies/([A-Za-z0-9._-]+)")
IMAGES = ("ENGINE_IMAGE", "GATEWAY_IMAGE", "RAG_IMAGE")


def images(settings: StackSettings) -> dict[str, str]:
    """The three images of the lock file, by digest. Raises `DeployError` for one that is absent or known by a tag alone."""
    path = settings.stack_images_lock
    if not path.is_file():
        raise DeployError(
            f"{host.name}: images lock is absent: {path}\nhint: citadelle images build images, then set what it prints"
        )
    locked = read_env(path.read_text())
    wrong = [name for name in IMAGES if "@sha256:" not in locked.get(name, "")]
    if wrong:
        raise DeployError(
            f"{host.name}: images lock gives no digest: {', '.join(wrong)} in {path}\nhint: citadelle images build DIR writes such a lock"
        )
    return {name: locked[name] for name in IMAGES}


def chat_model(settings: StackSettings, models: ModelFilesSettings) -> LockedModel:
    """The model that the gateway offers: the one named, else the only chat model that this host serves. Raises `DeployError`."""
    chat = ModelsLock.read(models.models_lock).for_purpose("chat")
    served = [model for model in chat if not models.models or model.name in models.models]
    named = [model for model in served if model.name == settings.stack_model]
    names = ", ".join(model.short_name for model in served) or "none"
    if settings.stack_model and not named:
        wanted = manifest.short_name(settings.stack_model)
        raise DeployError(f"{host.name}: stack_model is no chat model of this host: {wanted}\nhint: it serves {names}")
    if not named and len(served) != 1:
        raise DeployError(f"{host.name}: which chat model is meant: {names}\nhint: set stack_model")
    return (named or served)[0]


def stack_release(settings: StackSettings, model: LockedModel) -> Release:
    """Everything that decides how the stack runs, in one folder."""
    values = {
        "COMPOSE_FILE": f"compose.yaml:engine.{settings.stack_engine}.yaml",
        "GATEWAY_BIND": settings.stack_bind,
        "GATEWAY_PORT": settings.stack_port,
        "MODELS_DIR": verify.TARGET,
        "KEYS_DIR": operations.KEYS_FOLDER,
        "AUDIT_DIR": audit_receiver.FOLDER,
        "CHAT_MODEL": model.short_name,
        "ENGINE_MODEL_BLOB": model.weights.blob,
        "ENGINE_CONTEXT": settings.stack_engine_context,
        "ENGINE_MEMORY": settings.stack_engine_memory,
        "ENGINE_CPUS": settings.stack_engine_cpus,
    }
    extra = {"images.lock.env": write_env(images(settings)), "stack.env": write_env(values)}
    return release({"compose": ROOT / "compose"}, extra | policies(ROOT))


def policies(root: Path) -> dict[str, bytes]:
    """The files of `policies/` that a service mounts. The others decide nothing in the stack: a change there is no new release."""
    texts = "".join(path.read_text() for path in (root / "compose").glob("*.yaml"))
    return {f"policies/{name}": (root / "policies" / name).read_bytes() for name in sorted(set(MOUNTED.findall(texts)))}


def host_files() -> list[files.File]:
    """What runs on the host beside the containers: the stack's script and units, and the programs of keys and audit."""
    programs = {
        keys.PROGRAM: keys.__file__,
        audit.PROGRAM: audit.__file__,
        audit_receiver.PROGRAM: audit_receiver.__file__,
    }
    placed = [files.File(path, Path(source).read_bytes(), mode="755") for path, source in programs.items()]
    return [*placed, *files.role_files(FILES, MODES)]


@deploy("Stack")
def stack() -> None:
    """A release is placed before anything running is touched; it becomes current only when every service is healthy."""
    settings = StackSettings.from_host(host)
    model = chat_model(settings, ModelFilesSettings.from_host(host))
    content = stack_release(settings, model)
    docker.images(
        name="Load the stack's images by digest",
        references=list(images(settings).values()),
        archive=str(settings.stack_images_archive) if settings.stack_images_archive else None,
    )
    files.present(
        name="Place the stack's programs and unit",
        files=host_files(),
        after=f"systemctl daemon-reload && systemctl enable --quiet {AUDIT}.socket && systemctl try-restart {AUDIT}.service",
    )
    operations.operator_key(name="Make the operator's key on the host")
    operations.release(name="Place the release of the stack", content=content)
    operations.running(name="Run the release, every service healthy", release_id=content.id)
    systemd.service(name="Bring the stack up at boot", service="citadelle-stack", enabled=True, running=True)
