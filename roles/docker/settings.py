"""Settings of the role `docker`."""

from typing import Literal

from pydantic import Field

from citadelle.settings import RoleSettings


class DockerSettings(RoleSettings):
    """Docker Engine: where it comes from, and how it may differ from the hardened configuration."""

    docker_source: Literal["docker", "distribution"] = Field(
        "docker",
        description="Where the Engine's packages come from: Docker's own repository (its key is pinned), or the distribution.",
    )
    docker_log_driver: Literal["journald", "local"] = Field(
        "journald", description="Log driver of all containers; `journald` is what the host's log shipping reads."
    )
    docker_live_restore: bool = Field(True, description="Containers go on while the Docker daemon restarts.")
