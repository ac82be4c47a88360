"""Who may log on how, and what the first logon of an account leaves behind."""

from typing import Any

from . import home, paths, principals

PROFILES = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\ProfileList"
ADMINISTRATORS = "S-1-5-32-544"
EVERYONE = ("S-1-1-0", "S-1-5-11", "S-1-5-113")
DISABLED, NO_RIGHT = 0x80070533, 0x80070569


def account(name: str) -> dict[str, Any] | None:
    """A local account by name, whatever its case."""
    users = home.load(home.STATE).get("users", [])
    return next((user for user in users if user["Name"].lower() == name.lower()), None)


def has_right(sid: str, right: str) -> bool:
    """Whether an account has a user right, by itself or through a group. One that nobody has is not listed."""
    held = home.load(home.STATE)["security"]["Privilege Rights"].get(right, "")
    holders = {principals.sid_of(who.strip()) for who in held.split(",") if who.strip()}
    return bool(holders & {sid, *EVERYONE, *principals.groups_of(sid)})


def batch_refusal(name: str) -> int:
    """The result of a task that cannot log on as this account; 0 when it can."""
    found = account(name)
    if found is None:  # SYSTEM and the like
        return 0
    if not found["Enabled"]:
        return DISABLED
    return 0 if has_right(found["SID"], "SeBatchLogonRight") else NO_RIGHT


def may_come_over_the_network(name: str) -> bool:
    """As the SSH server logs on: an enabled account with that right, and without its denial."""
    found = account(name)
    if found is None or not found["Enabled"]:
        return False
    sid = found["SID"]
    return has_right(sid, "SeNetworkLogonRight") and not has_right(sid, "SeDenyNetworkLogonRight")


def have_profile(name: str) -> None:
    """The account's folder, its entry in the list of profiles and its part of the registry."""
    found = account(name)
    if found is None:
        return
    key, folder = f"{PROFILES}\\{found['SID']}", f"C:\\Users\\{found['Name']}"
    if key in home.load(home.REGISTRY):
        return
    paths.local(folder).mkdir(parents=True, exist_ok=True)
    with home.change(home.REGISTRY) as registry:
        registry[key] = {"ProfileImagePath": {"kind": "ExpandString", "value": folder}}
        if not found["SID"].endswith("-1001"):  # its part is HKEY_CURRENT_USER here
            registry.setdefault(f"HKEY_USERS\\{found['SID']}\\Software", {})
