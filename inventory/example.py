"""Copy me: `cp inventory/example.py inventory/mine.py`, change the names and addresses, then

    pyinfra --dry inventory deploy.py      says what would change
    pyinfra inventory deploy.py            makes it so

From the moment that this folder holds a file of yours, the lab is left out of `inventory`. All keys, their defaults and
meanings: docs/settings.md. Values for a whole group go into `inventory/group_data/<group>.py`. No secret belongs here.
"""

from citadelle.pointers import path

# Required: how each PC is reached. Host keys are strict: put the PCs' real keys into the file below (the PC's console shows
# their fingerprints), otherwise the connection is refused.
_ssh = {
    "ssh_user": "operator",  # an administrator of the PC, with a key; no password is ever used
    "ssh_key": path("CITADELLE_SSH_KEY", "~/.ssh/id_ed25519"),
    "ssh_known_hosts_file": path("CITADELLE_KNOWN_HOSTS", "~/.ssh/known_hosts"),
    "ssh_strict_host_key_checking": "yes",
}

# Recovery keys of encrypted volumes are kept on this controller, encrypted to your certificate: docs/bitlocker.md says how to make it.
_bitlocker = {
    "bitlocker_unlock": "tpm",  # the PC starts by itself; "tpm_pin": somebody types a PIN at each start
    "bitlocker_certificate": path("CITADELLE_ESCROW_CERTIFICATE", "~/.config/citadelle/escrow.crt"),
    "bitlocker_escrow": path("CITADELLE_ESCROW", "~/.local/share/citadelle/escrow"),
    "bitlocker_escrow_copy": path("CITADELLE_ESCROW_COPY", "~/.local/share/citadelle/escrow.copy"),
}

# A Windows 11 PC is two hosts over the same SSH server: Windows itself, and its WSL distribution.
windows = [
    ("@windows/paris-01", {**_ssh, **_bitlocker, "ssh_hostname": "192.0.2.11"}),
]
wsl = [
    ("@wsl/paris-01", {**_ssh, "ssh_hostname": "192.0.2.11"}),
]

# A plain Linux PC is one host; `operator` may become root without a password (sudo).
linux = [
    ("@linux/lyon-01", {**_ssh, "ssh_hostname": "192.0.2.21"}),
]
