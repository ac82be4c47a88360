"""Distributions of WSL: registered for each user, in that user's part of the registry."""

import uuid
from dataclasses import dataclass
from typing import Any

from . import home, principals

TAIL = "Software\\Microsoft\\Windows\\CurrentVersion\\Lxss"
VM_MODE = 0x8  # Flags bit of a WSL2 distribution


@dataclass(frozen=True)
class Distro:
    """One registration."""

    key: str
    name: str
    version: int
    is_default: bool


def root() -> str:
    """The Lxss key of the calling user. HKEY_CURRENT_USER is that of the first administrator; all others are below HKEY_USERS."""
    sid = principals.current_sid()
    return ("HKEY_CURRENT_USER" if sid.endswith("-1001") else f"HKEY_USERS\\{sid}") + f"\\{TAIL}"


def _value(values: dict[str, Any], name: str, default: Any = None) -> Any:
    found = next((value for key, value in values.items() if key.lower() == name.lower()), default)
    return found["value"] if isinstance(found, dict) else found


def listed() -> list[Distro]:
    """The caller's distributions, the default first."""
    content, top = home.load(home.REGISTRY), root()
    lower = {key.lower(): (key, values) for key, values in content.items()}
    default = _value(lower.get(top.lower(), ("", {}))[1], "DefaultDistribution", "")
    found = []
    for low, (key, values) in lower.items():
        if low.startswith(top.lower() + "\\{") and low.count("\\") == top.count("\\") + 1 and values:
            is_default = key.rpartition("\\")[2].lower() == str(default).lower()
            version = 2 if int(_value(values, "Flags", 0)) & VM_MODE else 1
            found.append(Distro(key, str(_value(values, "DistributionName", "")), version, is_default))
    return sorted(found, key=lambda distro: (not distro.is_default, distro.name.lower()))


def find(name: str) -> Distro | None:
    """A distribution by name, whatever its case."""
    return next((distro for distro in listed() if distro.name.lower() == name.lower()), None)


def register(name: str, folder: str, version: int = 2) -> None:
    """Adds a distribution; the first one becomes the default."""
    guid, top = "{" + str(uuid.uuid4()) + "}", root()
    has_default = any(distro.is_default for distro in listed())
    with home.change(home.REGISTRY) as content:
        content[f"{top}\\{guid}"] = {
            "DistributionName": name,
            "BasePath": folder,
            "VhdFileName": "ext4.vhdx",
            "Flags": 15 if version == 2 else 7,
            "State": 1,
            "Version": 2,
            "DefaultUid": 0,
        }
        if not has_default:
            content.setdefault(top, {})["DefaultDistribution"] = guid


def make_default(distro: Distro) -> None:
    """`wsl --set-default`."""
    with home.change(home.REGISTRY) as content:
        content.setdefault(root(), {})["DefaultDistribution"] = distro.key.rpartition("\\")[2]


def unregister(distro: Distro) -> None:
    """Removes a registration; another distribution becomes the default when this one was it."""
    with home.change(home.REGISTRY) as content:
        for key in [key for key in content if key.lower().startswith(distro.key.lower())]:
            del content[key]
        if distro.is_default:
            content.get(root(), {}).pop("DefaultDistribution", None)
    rest = listed()
    if distro.is_default and rest:
        make_default(rest[0])


def take(name: str) -> None:
    """Removes every registration of that name, whichever user's it is, and each user's default where it was that one."""
    with home.change(home.REGISTRY) as content:
        for key, values in list(content.items()):
            top, _, guid = key.rpartition("\\")
            if (
                not top.lower().endswith(TAIL.lower())
                or str(_value(values, "DistributionName", "")).lower() != name.lower()
            ):
                continue
            del content[key]
            if str(_value(content.get(top, {}), "DefaultDistribution", "")).lower() == guid.lower():
                content[top].pop("DefaultDistribution")
