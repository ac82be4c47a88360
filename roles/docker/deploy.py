"""Docker Engine, hardened, with the image store that keeps digests."""

import json
from pathlib import Path

from pyinfra import host
from pyinfra.api.deploy import deploy

from citadelle.operations import docker as engine
from citadelle.operations import files
from roles.docker.settings import DockerSettings

CONFIG = "/etc/docker/daemon.json"
FILES = Path(__file__).parent / "files"
RUNTIME = "/usr/local/lib/citadelle/verified-runtime"


def daemon_config(settings: DockerSettings) -> dict[str, object]:
    """Content of daemon.json. Sources of each line: CIS Docker Benchmark section 2, and Docker's pages on the containerd image store."""
    return {
        "features": {
            "containerd-snapshotter": True
        },  # the classic store forgets digests when an image is loaded from a file
        "icc": False,
        "ip": "127.0.0.1",  # a published port without an address stays on this machine
        "live-restore": settings.docker_live_restore,
        "log-driver": settings.docker_log_driver,
        "no-new-privileges": True,
        "runtimes": {
            "verified": {"path": RUNTIME}
        },  # of containers that read model files; without the verifier it refuses
        "userland-proxy": False,
        "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 65536, "Hard": 65536}},
    }


def runtime() -> list[files.File]:
    """The runtime that the configuration names."""
    return files.role_files(FILES, {RUNTIME: "755"})


@deploy("Docker Engine")
def docker() -> None:
    """Configuration first, so that the Engine's first start already has the right image store."""
    settings = DockerSettings.from_host(host)
    content = json.dumps(daemon_config(settings), indent=2).encode() + b"\n"
    files.present(
        name="Write the hardened configuration of the Docker daemon, and the runtime that verifies",
        files=[*runtime(), files.File(CONFIG, content, check=engine.VALIDATE)],
        after="! systemctl is-active --quiet docker || systemctl restart docker",
    )
    engine.engine(name="Have Docker Engine and Compose, now and at boot", source=settings.docker_source)
