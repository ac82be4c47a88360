"""The keys that the SSH server takes for an account that is no administrator: the rules of OpenSSH for Windows.

It reads `.ssh\\authorized_keys` of the profile, and only where nobody but the system, administrators and the account itself may write it
(PowerShell/openssh-portable, contrib/win32/win32compat/w32-sshfileperm.c).
"""

import sys

from . import home, icacls, logon, paths, principals

TRUSTED = {"S-1-5-18", "S-1-5-32-544"}
READING = {"(R)", "(RX)"}


def _is_safe(file: str, sid: str) -> bool:
    path, acls = paths.local(file), home.load(home.STATE).get("acls", {})
    owner = acls.get(icacls.key(path), {}).get("owner", "S-1-5-32-544")
    entries = [entry for entry, _ in icacls.effective(acls, path)]
    writers = {entry["sid"] for entry in entries if entry["rights"] not in READING and not entry.get("deny")}
    return owner in TRUSTED | {sid} and writers <= TRUSTED | {sid}


def main(words: list[str]) -> int:
    """Prints the keys of the account named by the one word."""
    found = logon.account(words[0])
    if found is None or not logon.may_come_over_the_network(found["Name"]):
        return 0
    if logon.ADMINISTRATORS in principals.groups_of(found["SID"]):
        return 0
    file = f"C:\\Users\\{found['Name']}\\.ssh\\authorized_keys"
    if paths.local(file).is_file() and _is_safe(file, found["SID"]):
        sys.stdout.write(paths.local(file).read_text(encoding="utf-8-sig").replace("\r\n", "\n"))
    return 0
