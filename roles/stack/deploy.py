"""Engine, gateway and rag: images by digest, a release folder, and the release that runs."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from pyinfra import host
from pyinfra.api.deploy import deploy

from citadelle import audit, audit_log, audit_receiver, certificates, keys, pseudonyms, retention, textfile
from citadelle.accelerator.budget import Budget, Given, Sizing
from citadelle.accelerator.decision import Choice, Decision
from citadelle.accelerator.hardware import Hardware
from citadelle.accelerator.shape import read_shape
from citadelle.models import verify
from citadelle.models.lock import LockedModel, ModelsLock
from citadelle.observability import trail
from citadelle.operations import accelerator, docker, files
from citadelle.operations import stack as operations
from citadelle.release import Release, release, write_env
from citadelle.settings import DeployError
from roles.accelerator.settings import AcceleratorSettings
from roles.logs.settings import LogsSettings
from roles.model_files.settings import ModelFilesSettings
from roles.observability.settings import ObservabilitySettings
from roles.service_user.settings import ServiceUserSettings
from roles.stack.models import Offered, offered_models
from roles.stack.settings import StackSettings
from roles.stack.watching import overlays, tls_is_there, watching, watching_images

ROOT = Path(__file__).resolve().parents[2]
FILES = Path(__file__).parent / "files"
MODES = {"/usr/local/lib/citadelle/stack": "755"}
AUDIT, TIMERS = "citadelle-audit", "citadelle-retention.timer citadelle-trail.timer"
LOOKS = "/etc/systemd/system/citadelle-trail.timer.d/settings.conf"
PERIODS = "/etc/systemd/system/citadelle-retention.service.d/settings.conf"
MOUNTED = re.compile(r"\.\./policies/([A-Za-z0-9._-]+)")
IMAGES = ("ENGINE_IMAGE", "GATEWAY_IMAGE", "RAG_IMAGE")
TLS = "TLS_IMAGE"
TLS_FOLDER = "/etc/citadelle/tls"


def images(settings: StackSettings, engine: str = "ENGINE_IMAGE", further: Sequence[str] = ()) -> dict[str, str]:
    """The images of a host by digest, the engine's being the one that the lock calls `engine`. Raises `DeployError`."""
    path = settings.stack_images_lock
    if not path.is_file():
        raise DeployError(
            f"{host.name}: images lock is absent: {path}\nhint: citadelle images build images, then set what it prints"
        )
    locked = settings.locked_images()
    engines = [name for name in locked if name.startswith("ENGINE_")]
    needed = (*IMAGES, *([TLS] if settings.stack_tls_port else []), *further)
    wrong = [name for name in dict.fromkeys((*needed, engine, *engines)) if "@sha256:" not in locked.get(name, "")]
    if wrong:
        raise DeployError(
            f"{host.name}: images lock gives no digest: {', '.join(wrong)} in {path}\nhint: citadelle images build DIR writes such a lock"
        )
    return {name: locked[engine if name == "ENGINE_IMAGE" else name] for name in needed}


def sizing(settings: StackSettings, models: ModelFilesSettings, model: LockedModel, choice: Choice) -> Sizing:
    """What decides how much context there is, from the model's own file in the controller's store. Raises `DeployError`."""
    served = [ModelsLock.read(models.models_lock).model(name) for name in models.models]
    # Ollama holds one other model beside the chat model, llama.cpp's server none.
    others = [other.weights.size for other in served if other != model and settings.stack_engine == "ollama"]
    path = models.models_store / "blobs" / model.weights.blob
    try:
        shape = read_shape(path)
    except (OSError, ValueError) as error:
        raise DeployError(
            f"{host.name}: model file of the controller cannot be read: {error}\n"
            f"hint: citadelle models verify --store {models.models_store}"
        ) from None
    given = Given(
        settings.stack_engine_context,
        settings.stack_engine_slots,
        settings.stack_engine_keep_alive,
        settings.stack_engine_memory,
    )
    return Sizing(choice, shape, max(others, default=0), given)


def stack_release(
    settings: StackSettings, offered: Offered, size: Sizing, hardware: Hardware, seen: ObservabilitySettings
) -> Release:
    """Everything that decides how the stack runs on a host with this hardware, in one folder."""
    decision, budget = size.choice.on(hardware), size.on(hardware)
    overlay = [f"accelerator.{decision.overlay}.yaml"] if decision.overlay else []
    tls = ["tls.yaml"] if settings.stack_tls_port else []
    watched, further = watching(seen)
    values: dict[str, object] = {
        "COMPOSE_FILE": ":".join(
            ["compose.yaml", f"engine.{settings.stack_engine}.yaml", *overlay, *tls, *overlays(seen)]
        ),
        "GATEWAY_BIND": settings.stack_bind,
        "GATEWAY_PORT": settings.stack_port,
        "MODELS_DIR": verify.TARGET,
        "VERDICT_DIR": str(Path(verify.VERDICT).parent),
        "KEYS_DIR": operations.KEYS_FOLDER,
        "AUDIT_DIR": audit_receiver.FOLDER,
        "RAG_DIR": operations.INDEX_FOLDER,
        "CHAT_MODEL": offered.chat.short_name,
        "EMBED_MODEL": offered.vectors,
        "EMBED_DIGEST": offered.digest,
        "ENGINE_MODEL_BLOB": offered.chat.weights.blob,
        "ENGINE_CONTEXT": budget.context,
        "ENGINE_CONTEXT_TOTAL": budget.context * budget.slots,
        "ENGINE_SLOTS": budget.slots,
        "ENGINE_KEEP_ALIVE": budget.keep_alive,
        "ENGINE_MEMORY": budget.memory,
        "ENGINE_CPUS": settings.stack_engine_cpus,
    }
    if settings.stack_tls_port:
        values |= {"TLS_BIND": settings.stack_tls_bind, "TLS_PORT": settings.stack_tls_port, "TLS_DIR": TLS_FOLDER}
    extra = {
        "images.lock.env": write_env(images(settings, decision.image, watching_images(seen))),
        "stack.env": write_env(values | decision.env | watched),
        operations.PLAN: plan(size.choice, decision, budget),
        **further,
    }
    return release({"compose": ROOT / "compose"}, extra | policies(ROOT))


def policies(root: Path) -> dict[str, bytes]:
    """The files of `policies/` that a service mounts. The others decide nothing in the stack: a change there is no new release."""
    texts = "".join(path.read_text() for path in (root / "compose").glob("*.yaml"))
    return {f"policies/{name}": (root / "policies" / name).read_bytes() for name in sorted(set(MOUNTED.findall(texts)))}


def plan(choice: Choice, decision: Decision, budget: Budget) -> bytes:
    """Why the stack runs so, for `citadelle doctor`: nothing that changes while the hardware does not."""
    said = {
        "wanted": choice.wanted,
        "engine": choice.engine,
        "images": sorted(name for name in choice.locked if name.startswith("ENGINE_")),
        "accelerator": decision.accelerator,
        "device": decision.device,
        "experimental": decision.experimental,
    }
    return json.dumps(said | asdict(budget), indent=1, sort_keys=True).encode() + b"\n"


def planned(
    settings: StackSettings, offered: Offered, size: Sizing, seen: ObservabilitySettings
) -> Callable[[], Release]:
    """What makes the release when the host's turn comes: a PC's distribution may be made in this very run."""
    made = cache(lambda hardware: stack_release(settings, offered, size, hardware, seen))
    return lambda: made(accelerator.hardware())


def host_files(settings: StackSettings, seen: ObservabilitySettings, logs: LogsSettings) -> list[files.File]:
    """What runs on the host beside the containers: the stack's script and units, and the programs of keys, audit and deletion."""
    programs = {
        one.PROGRAM: str(one.__file__)
        for one in (keys, audit, audit_log, audit_receiver, pseudonyms, retention, textfile, trail)
    }
    placed = [files.File(path, Path(source).read_bytes(), mode="755") for path, source in programs.items()]
    looks = files.File(LOOKS, f"[Timer]\nOnUnitActiveSec={logs.logs_anchor_seconds}s\n".encode())
    return [*placed, *files.role_files(FILES, MODES), files.File(PERIODS, periods(settings, seen).encode()), looks]


def periods(settings: StackSettings, seen: ObservabilitySettings) -> str:
    """How long each store may keep what it has, for the unit of the deletion."""
    days = {"audit": settings.stack_audit_days, "pseudonym": settings.stack_pseudonym_days}
    days |= {"journal": settings.stack_journal_days} if settings.stack_journal_days else {}
    days |= {"figures": seen.observability_days} if seen.observability else {}
    days |= {"logs": seen.observability_log_days} if seen.observability_grafana_port else {}
    words = "".join(f" --{store}-days {count}" for store, count in days.items())
    return f"[Service]\nExecStart=/usr/bin/python3 -I -B {retention.PROGRAM}{words}\n"


def tls_files(settings: StackSettings, owner: str, now: datetime) -> list[files.File]:
    """Certificate and key of a host, the key for root and Caddy only; none without TLS. Raises `DeployError`."""
    if not settings.stack_tls_port:
        return []
    folder, name = settings.stack_tls_folder, host.name.rpartition("/")[2]
    try:
        certificate, key = certificates.read(folder, name, now)
    except (OSError, ValueError) as error:
        raise DeployError(
            f"{host.name}: certificate for TLS does not hold: {folder / name}.pem: {error}\n"
            f"hint: citadelle certificates make {folder} {name} --name ..."
        ) from None
    placed = (
        files.File(f"{TLS_FOLDER}/certificate.pem", certificate),
        files.File(f"{TLS_FOLDER}/key.pem", key, "400", f"{owner}:root"),
    )
    return list(placed)


@deploy("Stack")
def stack() -> None:
    """A release is placed before anything running is touched; it becomes current only when every service is healthy."""
    settings, models = StackSettings.from_host(host), ModelFilesSettings.from_host(host)
    seen = ObservabilitySettings.from_host(host)
    tls_is_there(seen, settings)
    further = watching_images(seen)
    images(settings, further=further)  # what is wrong with them is told before anything else
    choice = AcceleratorSettings.from_host(host).choice(settings)
    served = offered_models(settings, models)
    size = sizing(settings, models, served.chat, choice)
    content = planned(settings, served, size, seen)
    secured = tls_files(settings, f"{ServiceUserSettings.from_host(host).service_user_prefix}-tls", datetime.now(UTC))
    accelerator.fits(name="Go on only where the model has room", sizing=size)
    docker.images(
        name="Load the stack's images by digest",
        references=lambda: list(images(settings, choice.on(accelerator.hardware()).image, further).values()),
        archive=str(settings.stack_images_archive) if settings.stack_images_archive else None,
    )
    # One operation: each costs every run a question. Caddy reads its certificate at its start alone.
    files.present(
        name="Place the stack's programs, unit and certificate",
        files=[*host_files(settings, seen, LogsSettings.from_host(host)), *secured],
        after=f"systemctl daemon-reload && systemctl enable --quiet {AUDIT}.socket citadelle-stack {TIMERS}"
        f" && systemctl try-restart {AUDIT}.service && systemctl restart {TIMERS}"
        " && systemctl start --no-block citadelle-retention.service"
        " && docker ps --quiet --filter label=com.docker.compose.service=tls | xargs -r docker restart",
    )
    operations.release(name="Place the operator's key and the release of the stack", content=content)
    operations.running(name="Run the release, every service healthy, now and at boot", release_id=lambda: content().id)
