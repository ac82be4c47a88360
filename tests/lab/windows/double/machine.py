"""What happens to the PC as a whole: restarts, and lines that drop."""

import os
import signal
import subprocess
import time
from pathlib import Path

from . import home

RESTART = str(home.CODE / "control")


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return False
    return True


def _of_operator() -> set[int]:
    """sshd's processes of `operator` in a lab PC, also those of a connection without any open session."""
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if line.startswith((b"sshd: operator", b"sshd-session: operator")):
            found.add(int(entry.name))
    return found


def _above_sessions() -> set[int]:
    found = set()
    for file in home.SESSIONS.glob("*"):
        if not Path("/proc", file.name).exists():
            file.unlink(missing_ok=True)
            continue
        parent = int(file.read_text(errors="replace").split("\n", 1)[0])
        if _comm(parent).startswith("sshd"):
            found.add(parent)
    return found


def drop() -> int:
    """Cuts every SSH connection of the PC at once; gives how many sshd processes were killed."""
    targets = _above_sessions() | (set() if home.HAS_OWN_HOME else _of_operator())
    return sum(_kill(pid) for pid in targets)


def _restart_services(content: dict[str, object]) -> None:
    services = content.get("services", {})
    assert isinstance(services, dict)
    for service in services.values():
        service["Status"] = "Running" if service["StartType"] == "Automatic" else "Stopped"


def _finish_features(content: dict[str, object]) -> None:
    features = content.get("features", {})
    assert isinstance(features, dict)
    for feature in features.values():
        feature["State"] = {"EnablePending": "Enabled", "DisablePending": "Disabled"}.get(
            feature["State"], feature["State"]
        )


def _restart_volumes(content: dict[str, object]) -> None:
    """A suspension for a number of restarts ends; a test that was pending is passed; what does not unlock by itself is locked."""
    volumes = content.get("bitlocker", {})
    assert isinstance(volumes, dict)
    for volume in volumes.values():
        if volume.get("SuspendCount"):
            volume["SuspendCount"] -= 1
            volume["Suspended"] = volume["SuspendCount"] > 0
        if volume.pop("Test", None):
            volume.update(VolumeStatus="FullyEncrypted", EncryptionPercentage=100, EncryptionMethod="XtsAes256")
        encrypted = str(volume["VolumeStatus"]).startswith("FullyEncrypted")
        if encrypted and volume["KeyProtector"] and not volume.get("Suspended"):
            volume["ProtectionStatus"] = "On"
        if volume["VolumeType"] == "Data" and volume["ProtectionStatus"] == "On" and not volume["AutoUnlockEnabled"]:
            volume.update(LockStatus="Locked", ProtectionStatus="Unknown")


def reboot() -> None:
    """Sessions die, pending changes take effect, automatic services run, start-up tasks are due; then the hook runs."""
    from . import wsl

    with home.change() as content:
        content["booted"] = int(time.time() * 1000)
        content["reboot_pending"] = False
        _restart_services(content)
        _finish_features(content)
        _restart_volumes(content)
    wsl.stop(None)
    drop()
    from . import tasks

    tasks.at_startup()
    hook = home.STATE_DIR / "hooks" / "reboot"
    if hook.exists():
        subprocess.run([str(hook)], check=False)


def reboot_later(seconds: float) -> None:
    """Restarts after a while, from a process that no dying session takes along."""
    if os.fork():
        return
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR)
    for handle in (0, 1, 2):
        os.dup2(null, handle)
    time.sleep(max(seconds, 0.3))
    reboot()
    os._exit(0)
