"""What each tool must notice and make right again: each facet is broken on a PC of its own, then the tool's own run is read.

`probe` succeeds where the facet is right. It is run past SSH and past every tool, before and after.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

UNITS = "/etc/systemd/system"
KEYS = "/etc/citadelle"


@dataclass(frozen=True)
class Facet:
    """Two programs for a root /bin/sh on the PC: one that breaks a claim, one that fails while it is broken."""

    name: str
    disturb: str
    probe: str


def facets(wanted: dict[str, Any]) -> list[Facet]:
    """All of them, for the content of desired.json."""
    return [*_host(wanted), *_files(wanted), *_stack(wanted)]


def _host(wanted: dict[str, Any]) -> list[Facet]:
    account = next(iter(wanted["accounts"]))
    return [
        Facet(
            "shell of an account",
            f"usermod --shell /bin/sh {account}",
            f"getent passwd {account} | grep -q {wanted['shell']}$",
        ),
        Facet("account is locked", f"usermod --password '' {account}", f"passwd -S {account} | grep -q '^{account} L'"),
        Facet("package", "dpkg --remove docker-compose", "docker compose version"),
        Facet("service is enabled", "systemctl disable docker.service", "systemctl is-enabled docker.service"),
        Facet("service runs", "systemctl stop docker.socket docker.service", "systemctl is-active docker.service"),
        Facet("stack starts at boot", "systemctl disable citadelle-stack", "systemctl is-enabled citadelle-stack"),
    ]


def _content(file: dict[str, str]) -> str:
    return f"echo '{file['sha256']}  {file['path']}' | sha256sum --check --quiet"


def _mode(file: dict[str, str]) -> Facet:
    right = f'test "$(stat -c %a {file["path"]})" = {file["mode"]}'
    return Facet(f"mode of {file['path']}", f"chmod 600 {file['path']}", right)


def _files(wanted: dict[str, Any]) -> list[Facet]:
    config, placed = wanted["daemon_config"], {Path(file["path"]).name: file for file in wanted["files"]}
    verifier, unit = placed["verify.py"], placed["citadelle-models.service"]
    script, firewall = wanted["stack_files"][-1], placed["firewall.conf"]
    return [
        Facet("content of Docker's configuration", f"echo >> {config['path']}", _content(config)),
        Facet(f"content of {firewall['path']}", f"echo >> {firewall['path']}", _content(firewall)),
        Facet(f"content of {verifier['path']}", f"echo >> {verifier['path']}", _content(verifier)),
        Facet(
            f"owner of {script['path']}",
            f"chown 1000 {script['path']}",
            f'test "$(stat -c %U {script["path"]})" = root',
        ),
        _mode(unit),
    ]


def _stack(wanted: dict[str, Any]) -> list[Facet]:
    manifest, probes = wanted["models"][-1]["path"], wanted["probes"]
    released = f"{wanted['release']['folder']}/policies/gateway.yaml"
    image = wanted["images"]["references"][-1].partition("@")[0]
    return [
        Facet("model file", f"rm {manifest}", f"test -s {manifest}"),
        Facet("models are bound", "umount /run/citadelle/models", probes["models_bound"]),
        Facet("image", f"ctr --namespace moby images rm docker.io/{image}", probes["images"]),
        Facet("mode of the operator's key", f"chmod 644 {KEYS}/operator.key", probes["operator_key"]),
        Facet(
            "digest of the operator's key",
            f"echo '{{\"keys\": []}}' > {KEYS}/gateway/keys.json",
            probes["operator_key"],
        ),
        Facet("file of the release", f"echo >> {released}", probes["release"]),
        Facet("service of the stack", "docker stop citadelle-rag-1", probes["running"]),
    ]
