"""What the roles claim about a Linux PC, written down for the other tools: the roles' own values, so that all three agree.

Where a tool has a module of its own (users, files, packages, services) its play uses that; for the rest all tools run the
probes below, which ask the host the same questions as our facts.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any, TypeVar

from citadelle.accelerator.hardware import Hardware
from citadelle.facts.accelerator import AcceleratorHardware
from citadelle.facts.hardening import LinuxHardening
from citadelle.facts.models import RUN
from citadelle.facts.stack import STACK
from citadelle.hardening.table import Table
from citadelle.models.lock import ModelsLock
from citadelle.models.source import checked_models
from citadelle.models.verify import STORE, expected_files
from citadelle.operations.accounts import SHELL
from citadelle.operations.docker import PACKAGES, STAGING
from citadelle.operations.files import File
from citadelle.operations.stack import MAKE_KEY, RELEASES
from citadelle.settings import RoleSettings
from roles.accelerator.settings import AcceleratorSettings
from roles.docker.deploy import CONFIG, daemon_config, runtime
from roles.docker.settings import DockerSettings
from roles.hardening.deploy import firewall_files
from roles.hardening.settings import HardeningSettings
from roles.logs.settings import LogsSettings
from roles.model_files.deploy import orders, programs
from roles.model_files.settings import ModelFilesSettings
from roles.observability.settings import ObservabilitySettings
from roles.service_user.deploy import UIDS
from roles.service_user.settings import ServiceUserSettings
from roles.stack.deploy import host_files, images, sizing, stack_release
from roles.stack.models import Offered, chat_model, embed_model
from roles.stack.settings import StackSettings

Settings = TypeVar("Settings", bound=RoleSettings)


def desired(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Everything the other tools need for a host with inventory data `data`; files they upload are written below `folder`."""
    engine, users = _read(DockerSettings, data), _read(ServiceUserSettings, data)
    models, stack = _read(ModelFilesSettings, data), _read(StackSettings, data)
    lock = ModelsLock.read(models.models_lock)
    wanted = checked_models("controller", models.models_store, lock, models.models)
    model, choice = chat_model(stack, models), _read(AcceleratorSettings, data).choice(stack)
    # These hosts have no accelerator, and their data gives memory and context.
    size, seen = sizing(stack, models, model, choice), _read(ObservabilitySettings, data)
    release = stack_release(stack, Offered(model, embed_model(stack, models)), size, Hardware(), seen)
    references = list(images(stack).values())
    controls, _ = _read(HardeningSettings, data).tables("controller", "linux")
    config = json.dumps(daemon_config(engine), indent=2).encode() + b"\n"
    (folder / "release.tar").write_bytes(release.archive())
    (folder / "look.sh").write_text(_look(controls))
    place = f"{RELEASES}/{release.id}"
    return {
        "accounts": {f"{users.service_user_prefix}-{name}": uid for name, uid in UIDS.items()},
        "shell": SHELL,
        "daemon_config": _file(File(CONFIG, config), folder),
        "packages": PACKAGES[engine.docker_source],
        "files": [
            _file(file, folder) for file in (*runtime(), *orders(lock, wanted), *programs(), *firewall_files("drop"))
        ],
        "models": [
            {"path": f"{STORE}/{path}", "src": str(models.models_store / path)}
            for path in expected_files(lock.checked([model.name for model in wanted]))
        ],
        "stack_files": [_file(file, folder) for file in host_files(stack, seen, _read(LogsSettings, data))],
        "images": {
            "references": references,
            "archive": str(stack.stack_images_archive),
            "staged": f"{STAGING}/images.tar",
        },
        "release": {"id": release.id, "folder": place, "archive": str(folder / "release.tar")},
        "probes": _probes(references, release.id),
        "look": str(folder / "look.sh"),
        "repairs": _repairs(release.id),
    }


def _read(cls: type[Settings], data: dict[str, Any]) -> Settings:
    return cls(**{key: data[key] for key in cls.model_fields if key in data})


def _file(file: File, folder: Path) -> dict[str, str]:
    source = folder / hashlib.sha256(file.path.encode()).hexdigest()[:12]
    source.write_bytes(file.content)
    owner, group = file.owner.split(":")
    digest = hashlib.sha256(file.content).hexdigest()
    return {"path": file.path, "src": str(source), "mode": file.mode, "owner": owner, "group": group, "sha256": digest}


def _look(controls: Table) -> str:
    """What our facts read for the controls and of the hardware: it succeeds where the host answers. Ours alone judges what it reads."""
    looks = LinuxHardening().command(controls.names), AcceleratorHardware().command()
    return "; ".join(f"( {look.get_raw_value()} )" for look in looks) + " | grep -q ."


def _probes(references: list[str], release: str) -> dict[str, str]:
    """Shell commands that succeed where a claim holds."""
    running = r"s/^running \([^ ]* [^ ]*\) running .*(healthy).*/\1/p"
    return {
        "models_bound": f"{RUN} status",
        "images": f"docker image inspect --format ok {' '.join(references)}",
        "operator_key": f"{MAKE_KEY} --check",
        "release": f"cd {RELEASES}/{release} && sha256sum --check --quiet MANIFEST.sha256",
        "running": (
            f's=$({STACK} state) && echo "$s" | grep -qx "current {release}" && echo "$s" | grep -qx "files intact"'
            f' && w=$(echo "$s" | sed -n \'s/^wanted //p\' | sort) && test -n "$w"'
            f' && test "$w" = "$(echo "$s" | sed -n \'{running}\' | sort)"'
        ),
    }


def _repairs(release: str) -> dict[str, str]:
    """Shell commands that make a claim hold; images and the release need their upload before."""
    place, staged = f"{RELEASES}/{release}", f"{STAGING}/images.tar"
    return {
        "models_bound": "systemctl daemon-reload && systemctl restart citadelle-models.service",
        "images_before": f"install -d -m 700 {STAGING}",
        "images": f"docker load --quiet --input {staged} && rm -f {staged}",
        "operator_key": MAKE_KEY,
        "release_before": f"rm -rf {place} && umask 022 && mkdir -p {place}",
        "release": f"cd {place} && tar --extract --no-same-owner --file release.tar && rm release.tar",
        "running": f"{STACK} up {release}",
    }


def main() -> None:
    """`python -m benchmarks.converge.desired FOLDER`: host data on standard input, `FOLDER/desired.json` written."""
    folder = Path(sys.argv[1])
    content = desired(json.load(sys.stdin), folder)
    (folder / "desired.json").write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
