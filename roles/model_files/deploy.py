"""The model files: locked, verified on the controller, verified on the host, bound read-only for the engine."""

from pathlib import Path

from pyinfra import host
from pyinfra.api.deploy import deploy

from citadelle.models import verify, watch
from citadelle.models.approval import approved_lock
from citadelle.models.lock import LockedModel, ModelsLock
from citadelle.models.source import checked_models
from citadelle.operations import files, models
from roles.model_files.settings import ModelFilesSettings

ROOT = Path(__file__).resolve().parents[2]
FILES = Path(__file__).parent / "files"
WAIVERS = ROOT / "policies/waivers.yaml"


def programs() -> list[files.File]:
    """What judges the store on its host: the verifier, the watch, their units."""
    placed = {verify.PROGRAM: verify.__file__, watch.PROGRAM: watch.__file__}
    found = [files.File(path, Path(source).read_bytes(), mode="755") for path, source in placed.items()]
    return [*found, *files.role_files(FILES)]


def orders(lock: ModelsLock, wanted: list[LockedModel]) -> list[files.File]:
    """By what it judges: the whole lock, and the names wanted there."""
    names = "".join(f"{model.name}\n" for model in wanted)
    return [files.File(verify.LOCK, lock.canonical()), files.File(verify.SELECTION, names.encode())]


@deploy("Model files")
def model_files() -> None:
    """Lock and files are judged on the controller first: nothing on a host changes for a lock that nobody approved, or a wrong file."""
    settings = ModelFilesSettings.from_host(host)
    store = settings.models_store
    lock = approved_lock(host.name, settings.models_lock, settings.models_keys, WAIVERS)
    wanted = checked_models(host.name, store, lock, settings.models)
    models.programs(
        name="Place the model verifier, the watch, their units and the lock, but none that is older than the last one",
        lock=lock,
        files=programs(),
        after=f"systemctl daemon-reload && systemctl try-restart {models.WATCH}",
        orders=orders(lock, wanted),
    )
    models.store(name="Bring the locked model files onto the host", source=str(store), lock=lock, wanted=wanted)
    models.served(name="Verify the model files and bind them for the engine", lock=lock, wanted=wanted)
