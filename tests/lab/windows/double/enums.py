"""Numbers of Windows' enumerations, as ConvertTo-Json shows them; where none is known the documented order counts from 0."""

FLAGS = {"Double_NetSecurity_Profile"}
_ENABLED = {"True": 1, "False": 2}
_GPO = {"False": 0, "True": 1, "NotConfigured": 2}
_ACTION = {"NotConfigured": 0, "Allow": 2, "Block": 4}
_KNOWN = {
    "Double_NetSecurity_Action": _ACTION,
    "Double_NetSecurity_Enabled": _ENABLED,
    "Double_NetSecurity_GpoBoolean": _GPO,
    "Double_NetSecurity_Direction": {"Inbound": 1, "Outbound": 2},
    "Double_NetSecurity_Profile": {"Any": 0, "Domain": 1, "Private": 2, "Public": 4, "NotApplicable": 65535},
    "Double_NetSecurity_Profiles": {"Any": 0, "Domain": 1, "Private": 2, "Public": 4, "NotApplicable": 65535},
    "Double_ScheduledTasks_RunLevelEnum": {"Limited": 0, "Highest": 1},
    "Double_ScheduledTasks_LogonTypeEnum": {
        "None": 0, "Password": 1, "S4U": 2, "Interactive": 3, "Group": 4, "ServiceAccount": 5, "InteractiveOrPassword": 6,
    },
    "Double_WindowsDoubleManagement_ServiceStartMode": {"Boot": 0, "System": 1, "Automatic": 2, "Manual": 3, "Disabled": 4},
}  # fmt: skip


def numbers(name: str, values: list[str]) -> dict[str, int]:
    """The number of each member."""
    known = _KNOWN.get(name, {})
    if known and all(value in known for value in values):
        return {value: known[value] for value in values}
    return {value: index for index, value in enumerate(values)}
