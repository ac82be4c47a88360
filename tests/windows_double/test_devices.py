"""Graphics and neural processors of a PC, through the genuine engine."""

from __future__ import annotations

import json

import pytest

from citadelle.hardening.accelerators import accelerators
from citadelle.hardening.state import State
from tests.windows_double.conftest import Double
from tests.windows_double.looks import only
from tests.windows_double.test_hardening import change_state, run, state_of, windows  # noqa: F401  (a fixture)

pytestmark = pytest.mark.lab

CLASS = "{4d36e968-e325-11ce-bfc1-08002be10318}"
CONTROL_SET = r"HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet"


def look(pc: Double) -> State:
    """Its devices."""
    return state_of(run(pc, only(("gpus", "npus")))[0])


def test_memory_of_graphics_is_what_the_driver_says_not_what_ends_at_4_gib(windows: Double) -> None:  # noqa: F811
    """One has written a number, one its bytes, one nothing."""
    sizes = {
        "0000": {"kind": "QWord", "value": 17_163_091_968},
        "0001": {"kind": "Binary", "value": "000000c000000000"},
        "0002": None,
    }
    devices = {number: f"PCI\\VEN_10DE&DEV_2684\\{number}" for number in sizes}
    change_state(
        windows, gpus=[{"Name": f"GeForce {number}", "PNPDeviceID": device} for number, device in devices.items()]
    )
    registry = json.loads((windows.home / "registry.json").read_text("utf-8-sig"))
    for number, size in sizes.items():
        registry[rf"{CONTROL_SET}\Enum\{devices[number]}"] = {"Driver": rf"{CLASS}\{number}"}
        registry[rf"{CONTROL_SET}\Control\Class\{CLASS}\{number}"] = (
            {"HardwareInformation.qwMemorySize": size} if size else {"x": 1}
        )
    (windows.home / "registry.json").write_text(json.dumps(registry))
    state = look(windows)
    assert state.errors == {}
    found = accelerators(state)
    assert [(one.memory, one.told) for one in found] == [
        (17_163_091_968, "GeForce 0000, 16.0 GiB"), (3_221_225_472, "GeForce 0001, 3.0 GiB"), (0, "GeForce 0002"),
    ]  # fmt: skip


def test_processors_are_found_in_whatever_class_their_drivers_stand(windows: Double) -> None:  # noqa: F811
    """Neural ones: of their own class, as onnxruntime looks for them; and as early drivers of Intel and AMD placed them."""

    def device(kind: str, name: str, identity: str) -> dict[str, str]:
        return {"Class": kind, "FriendlyName": name, "InstanceId": identity, "Status": "OK"}

    change_state(windows, devices=[
        device("ComputeAccelerator", "Intel(R) AI Boost", "PCI\\VEN_8086&DEV_643E&SUBSYS_0\\3&11"),
        device("System", "Intel(R) NPU", "PCI\\VEN_8086&DEV_7D1D&SUBSYS_0\\3&12"),
        device("System", "PCI Express Root Port", "PCI\\VEN_8086&DEV_7E3D&SUBSYS_0\\3&13"),
        device("MEDIA", "NPU Compute Device", "PCI\\VEN_1022&DEV_1502&SUBSYS_0\\3&14"),
    ])  # fmt: skip
    found = [(one.kind, one.vendor, one.name) for one in accelerators(look(windows)) if one.kind == "npu"]
    assert found == [
        ("npu", "Intel", "Intel(R) AI Boost"),
        ("npu", "Intel", "Intel(R) NPU"),
        ("npu", "AMD", "NPU Compute Device"),
    ]
    change_state(windows, devices=[])
    assert look(windows).sections["npus"] == []
