"""The lab PCs of `bin/lab` on this machine: the default inventory, as long as this folder holds no file of your own."""

import json
from pathlib import Path

from citadelle.pointers import path

_state = Path(path("CITADELLE_LAB", ".lab"))
_file = _state / "lab.json"
if not _file.is_file():
    raise SystemExit(
        f"inventory: no lab on this machine: {_file}\nhint: run bin/lab, or cp inventory/example.py inventory/mine.py"
    )
_lab = json.loads(_file.read_text())


def _data(pc: dict) -> dict:
    return {
        "ssh_hostname": pc["address"],
        "ssh_user": "operator",
        "ssh_key": str(_state / "id_ed25519"),
        "ssh_known_hosts_file": str(_state / "known_hosts"),
        "ssh_strict_host_key_checking": "yes",
        "line_networks": [pc["address"].rpartition(".")[0] + ".0/24"],
        "wsl_rootfs": str(_state / "rootfs.tar"),
        "wsl_rootfs_sha256": _lab["rootfs_sha256"],
        "wsl_rootfs_source": "bin/lab: a stand-in, since the lab PC itself plays the distribution",
        "docker_source": "distribution",
        "models_store": str(_state / "models"),
        "models_lock": str(_state / "policies/models.lock.json"),
        "models_keys": str(_state / "policies/models.keys/keyring.yaml"),
        "stack_engine": _lab["engine"],
        "stack_images_archive": str(_state / "bundle/images.tar"),
        "stack_images_lock": str(_state / "bundle/images.lock.env"),
        "stack_engine_memory": "512m",
        "stack_engine_context": 2048,
    }


_pcs = {"windows": [], "linux": []}
for _pc in _lab["pcs"]:
    _pcs[_pc["kind"]].append(_pc)

# The lab's own key pair, so that its escrow can be opened; an operator keeps the private key away from here.
_escrow = {
    "bitlocker_unlock": "tpm",
    "bitlocker_certificate": str(_state / "escrow/escrow.crt"),
    "bitlocker_private_key": str(_state / "escrow/escrow.key"),
    "bitlocker_escrow": str(_state / "escrow/keys"),
    "bitlocker_escrow_copy": str(_state / "escrow/keys.copy"),
}
# What no role sets on a lab PC is accepted, so that its other deviations are seen.
_accepted = {"hardening_waivers": "tests/lab/waivers.yaml"}
# The plain server is asked from outside too: by TLS, on its own address, with a certificate of the lab's CA.
_tls = {"stack_tls_port": 8443, "stack_tls_folder": str(_state / "certificates")}
windows = [(f"@windows/{pc['name']}", _data(pc) | _escrow | _accepted) for pc in _pcs["windows"]]
wsl = [(f"@wsl/{pc['name']}", _data(pc) | _accepted) for pc in _pcs["windows"]]
# One PC sees and alerts, to nobody: its tests name receivers. The other one shows the stack without it.
linux = [
    (f"@linux/{pc['name']}", _data(pc) | _accepted | {"observability": True} | _tls | {"stack_tls_bind": pc["address"]})
    for pc in _pcs["linux"]
]
