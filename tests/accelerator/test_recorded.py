"""Detection and decision on recorded hosts of each kind; data/SOURCES.md says whose they were."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyinfra.api.exceptions import FactProcessError

from citadelle.accelerator.decision import Decision, decide
from citadelle.accelerator.hardware import Hardware
from citadelle.facts.accelerator import AcceleratorHardware
from citadelle.hardening.accelerators import accelerators
from tests.accelerator.trees import DATA, KINDS, lay, output, read, recorded
from tests.hardening.states import parsed

ALL = frozenset({"ENGINE_IMAGE", "ENGINE_ROCM_IMAGE", "ENGINE_OPENVINO_IMAGE", "ENGINE_XDNA_IMAGE"})


def holds(decision: Decision, wanted: dict[str, Any]) -> dict[str, Any]:
    """The parts of a decision that a record speaks of."""
    return {key: _plain(getattr(decision, key)) for key in wanted}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("kind", KINDS)
def test_a_recorded_host(kind: str, tmp_path: Path) -> None:
    record = recorded(kind)
    hardware = read(record, tmp_path)
    assert hardware.found() == record["found"]
    assert holds(decide("auto", hardware, "ollama", ALL), record["auto"]) == record["auto"]
    assert decide("cpu", hardware, "ollama", ALL).overlay == ""
    for engine, key in (("ollama", "chosen"), ("llamacpp", "llamacpp")):
        for wanted, expected in record.get(key, {}).items():
            decision = decide(wanted, hardware, engine, ALL)
            assert decision.refusal == ""
            assert holds(decision, expected) == expected
    for engine, key in (("ollama", "refusals"), ("llamacpp", "llamacpp_refusals")):
        for wanted, reason in record.get(key, {}).items():
            decision = decide(wanted, hardware, engine, ALL)
            assert reason in decision.refusal
            assert decision.refusal.endswith(f": {wanted}; found: {record['found']}")
            assert (decision.overlay, decision.hint != "") == ("", True)
    for wanted, reason in record.get("without_images", {}).items():
        assert reason in decide(wanted, hardware, "ollama", frozenset({"ENGINE_IMAGE"})).refusal


def test_each_record_has_its_source_and_each_outcome_occurs() -> None:
    named = set(re.findall(r"^\| `([\w-]+)(?:\.yaml)?` \|", (DATA / "SOURCES.md").read_text(), re.MULTILINE))
    assert named == {path.stem for path in DATA.glob("*.yaml")}
    automatic = {recorded(kind)["auto"]["accelerator"] for kind in KINDS}
    assert automatic == {"cpu", "nvidia", "amd", "intel"}
    overlays = {
        part.get("overlay", "")
        for kind in KINDS
        for part in (
            recorded(kind)["auto"],
            *recorded(kind).get("chosen", {}).values(),
            *recorded(kind).get("llamacpp", {}).values(),
        )
    }
    assert overlays >= {"nvidia", "amd", "amd-wsl", "intel", "intel-wsl", "npu", "xdna"}


def test_a_host_that_does_not_exist_yet_is_not_refused() -> None:
    assert decide("nvidia", Hardware(), "ollama", ALL) == Decision()


@pytest.mark.parametrize("mode", ["600", "640", "060"])
def test_a_device_that_the_engine_may_not_open_is_not_taken(tmp_path: Path, mode: str) -> None:
    record = recorded("intel-linux")
    record["nodes"]["dev/dri/renderD128"] = [0 if mode == "060" else 992, mode]
    refusal = decide("intel", read(record, tmp_path), "ollama", ALL).refusal
    assert f"/dev/dri/renderD128 is closed to everybody but root: mode {mode.lstrip('0')}, group" in refusal


def test_an_answer_that_breaks_off_fails_that_host(tmp_path: Path) -> None:
    lay(recorded("amd-linux"), tmp_path)
    lines = output(tmp_path)
    for cut in (lines[:-1], lines[:3], ["sh: 1: not found"]):
        with pytest.raises(FactProcessError, match="fact AcceleratorHardware has an unexpected answer"):
            AcceleratorHardware().process(cut)


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    """Half of /sys is missing, and a driver hangs on its own files: there is an answer all the same."""
    folder = tmp_path / "sys/bus/pci/devices/0000:01:00.0"
    folder.mkdir(parents=True)
    (folder / "class").write_text("0x030000")
    (folder / "vendor").mkdir()
    (tmp_path / "proc").mkdir()
    hardware = AcceleratorHardware().process(output(tmp_path))
    assert (hardware.seen, hardware.devices, hardware.memory, hardware.kernel) == (True, (), 0, "-")


@pytest.mark.parametrize(
    "device", yaml.safe_load((DATA / "pnp.yaml").read_text()), ids=lambda device: f"{device['list']}-{device['name']}"
)
def test_a_device_as_windows_lists_it(device: dict[str, str]) -> None:
    [found] = accelerators(parsed(**{device["list"]: [{"Name": device["name"], "InstanceId": device["id"]}]}))
    assert (found.kind, found.vendor, found.name) == (device["kind"], device["vendor"], device["name"])
    assert device["use"] in found.use
