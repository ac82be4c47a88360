"""What happens to the PC as a whole: restarts, and lines that drop."""

import os
import signal
import time
from pathlib import Path

from . import distribution, home

RUNNING, ENDED = 0x41301, 0x40010004  # the latter: ended by the system going down


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


def _of_users() -> set[int]:
    """sshd's processes of Windows' accounts in a lab PC, also those of a connection without any open session."""
    names = [user["Name"].encode() for user in home.load(home.STATE).get("users", [])]
    starts = tuple(b"%b: %b" % (program, name) for program in (b"sshd", b"sshd-session") for name in names)
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if line.startswith(starts):
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
    targets = _above_sessions() | (set() if home.HAS_OWN_HOME else _of_users())
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


def _forget_pending() -> None:
    """What waited for a restart has had it."""
    with home.change(home.REGISTRY) as registry:
        for key in [key for key in registry if key.endswith(("\\RebootPending", "\\RebootRequired"))]:
            del registry[key]
        for key, values in registry.items():
            if key.endswith("\\Control\\Session Manager"):
                values.pop("PendingFileRenameOperations", None)


def reboot() -> None:
    """Sessions die, pending changes take effect, automatic services run, start-up tasks are due.

    A lab PC restarts for real: nothing of before is left, and its systemd calls `boot`.
    """
    with home.change() as content:
        content["booted"] = int(time.time() * 1000)
        content["reboot_pending"] = False
        _restart_services(content)
        _finish_features(content)
        _restart_volumes(content)
        for task in content.get("tasks", {}).values():
            task["LastTaskResult"] = ENDED if task["LastTaskResult"] == RUNNING else task["LastTaskResult"]
    _forget_pending()
    if distribution.can_stop():
        drop()
        distribution.restart_machine()
        return
    from . import wsl

    wsl.stop(None)
    drop()
    boot()


def boot() -> None:
    """What Windows does by itself after it has started, with nobody logged in."""
    from . import firewall, tasks

    for file in (home.STATE_DIR / "wsl").glob("*"):
        file.unlink(missing_ok=True)  # numbers of processes from before the start are somebody else's by now
    firewall.enforce()
    tasks.at_startup()


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
