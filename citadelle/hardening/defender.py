"""The settings of Defender behind what a look at it reads."""

from __future__ import annotations

from typing import Any

# What is read of Defender -> the setting behind it.
SETTINGS = {
    "defender.RealTimeProtectionEnabled": "DisableRealtimeMonitoring",
    "defender.BehaviorMonitorEnabled": "DisableBehaviorMonitoring",
    "defender.IoavProtectionEnabled": "DisableIOAVProtection",
    "defender_preferences.PUAProtection": "PUAProtection",
    "defender_preferences.EnableNetworkProtection": "EnableNetworkProtection",
}
RULES = "defender_preferences.Rules"


def switch(target: str, where: dict[str, Any]) -> tuple[str, str] | None:
    """Kind and name of the setting behind a path into the state; None where there is none."""
    if target in SETTINGS:
        return "defender", SETTINGS[target]
    if target == RULES and set(where) == {"Id"}:
        return "rule", str(where["Id"]["equals"])
    return None
