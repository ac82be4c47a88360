"""The Linux PC of roles/, as a user of stock pyinfra would write it: stock operations over `@ssh`, guards where there is none.

Reads the values from the file named by CITADELLE_BENCH_DESIRED; see benchmarks/converge/desired.py.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

from pyinfra import host
from pyinfra.facts.server import Command
from pyinfra.operations import apt, files, server, systemd

WANTED = json.loads(Path(os.environ["CITADELLE_BENCH_DESIRED"]).read_text())
PROBES, REPAIRS = WANTED["probes"], WANTED["repairs"]
IMAGES, RELEASE = WANTED["images"], WANTED["release"]


def fails(probe: str) -> Callable[[], bool]:
    """For `_if`: whether the host says no, asked when the operation's turn comes."""
    return lambda: host.get_fact(Command, f"{{ {probe}; }} >/dev/null 2>&1 && echo yes || echo no") != "yes"


def put(file: dict) -> dict:
    """Arguments of `files.put`."""
    return {
        "src": file["src"],
        "dest": file["path"],
        "mode": file["mode"],
        "user": file["owner"],
        "group": file["group"],
    }


for account, uid in host.loop(WANTED["accounts"].items()):
    server.user(
        name=f"Account {account}",
        user=account,
        uid=uid,
        system=True,
        shell=WANTED["shell"],
        home="/nonexistent",
        ensure_home=False,
        password="!",
    )

config = files.put(name="Docker's configuration", **put(WANTED["daemon_config"]))
systemd.service(name="Docker reads it", service="docker", restarted=True, _if=config.did_change)
apt.packages(name="Docker's packages", packages=WANTED["packages"], no_recommends=True)
systemd.service(name="Docker runs", service="docker", running=True, enabled=True)

placed = [
    files.put(name=f"File {file['path']}", **put(file))
    for file in host.loop([*WANTED["files"], *WANTED["stack_files"]])
]
systemd.daemon_reload(name="Units are read", _if=lambda: any(file.did_change() for file in placed))
for file in host.loop(WANTED["models"]):
    files.put(
        name=f"Model file {Path(file['path']).name}",
        src=file["src"],
        dest=file["path"],
        mode="644",
        user="root",
        group="root",
    )
systemd.service(name="Models are verified at boot", service="citadelle-models", running=True, enabled=True)
server.shell(name="Models are verified and bound", commands=REPAIRS["models_bound"], _if=fails(PROBES["models_bound"]))

server.shell(name="Controls and hardware are seen", commands=["false"], _if=fails(Path(WANTED["look"]).read_text()))

room = server.shell(name="Images", commands=REPAIRS["images_before"], _if=fails(PROBES["images"]))
files.put(name="Archive of the images", src=IMAGES["archive"], dest=IMAGES["staged"], mode="600", _if=room.did_change)
server.shell(name="Images are loaded", commands=REPAIRS["images"], _if=room.did_change)

server.shell(name="Operator's key", commands=REPAIRS["operator_key"], _if=fails(PROBES["operator_key"]))

fresh = server.shell(name="Release", commands=REPAIRS["release_before"], _if=fails(PROBES["release"]))
archive = f"{RELEASE['folder']}/release.tar"
files.put(name="Archive of the release", src=RELEASE["archive"], dest=archive, _if=fresh.did_change)
server.shell(name="Release is unpacked", commands=REPAIRS["release"], _if=fresh.did_change)

server.shell(name="Release runs", commands=REPAIRS["running"], _if=fails(PROBES["running"]))
systemd.service(name="Stack starts at boot", service="citadelle-stack", running=True, enabled=True)
