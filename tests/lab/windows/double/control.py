"""The control program: turns the double into another Windows, or makes something happen to it."""

import json
import sys
from collections.abc import Callable

from . import accounts, acl, distros, firewall, home, machine, openssh, setup, tasks

HELP = """control WORD [VALUE]
  setup              make what is missing (drive C:, state, registry)
  reset              state and registry as on the first day; knobs too; files on drive C: stay
  reboot             sessions die, services come back
  drop               cut every SSH connection now
  slow SECONDS       each process start takes that long (0 = off)
  language fr|en     French or English Windows
  edition home|pro|enterprise
  distro missing|present [NAME]   missing: whichever account has it; present: registered for the caller
  fuse N             PowerShell dies, as in a loss of power, right after its Nth change of the state (0 = never)
  powershell plain|5.1|PATH   the engine started as pwsh 7, as powershell.exe, or another engine
  firewall, sshd     firewall and SSH server of this machine as the double's state and files say
  boot               what Windows does by itself after its start: start-up tasks
  account add|remove NAME   the login behind a Windows account, in a lab PC (used by the double itself)
  run-task PATH      run a scheduled task's actions here (this and the next line: used by the double itself)
  start-task PATH, schedule PATH, reboot-in SECONDS, acl PATH [JSON]
  journal [clear]    process starts, one JSON a line
  state              the state as JSON"""

EDITIONS = {"home": ("Core", 101), "pro": ("Professional", 48), "enterprise": ("Enterprise", 4)}
VERSION_KEY = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"


class Usage(Exception):
    """Words that control does not know."""


def _reset() -> None:
    home.KNOBS.unlink(missing_ok=True)
    setup.create(force=True)


def _language(word: str) -> None:
    culture = {"fr": "fr-FR", "en": "en-US"}.get(word)
    if culture is None:
        raise Usage(f"unknown language: {word}")
    home.turn(culture=culture)
    setup.localise(culture)


def _edition(word: str) -> None:
    if word not in EDITIONS:
        raise Usage(f"unknown edition: {word}")
    name, sku = EDITIONS[word]
    with home.change() as content:
        content.setdefault("computer", {}).update(EditionID=name, OperatingSystemSKU=sku)
    with home.change(home.REGISTRY) as registry:
        registry.setdefault(VERSION_KEY, {})["EditionID"] = name


def _distro(state: str, name: str = "citadelle") -> None:
    if state == "missing":
        distros.take(name)
    elif state == "present" and not distros.find(name):
        distros.register(name, f"C:\\WSL\\{name}")
    elif state != "present":
        raise Usage(f"unknown state of a distribution: {state}")


def _fuse(changes: str) -> None:
    file = home.STATE_DIR / "fuse"
    if int(changes) > 0:
        home.replace_text(file, str(int(changes)))
    else:
        file.unlink(missing_ok=True)


def _powershell(word: str) -> None:
    if word in ("plain", "5.1"):
        home.turn(personality="plain" if word == "plain" else "")
    else:
        home.turn(powershell=word)


def _journal(word: str = "") -> None:
    if word == "clear":
        home.replace_text(home.JOURNAL, "")
    elif home.JOURNAL.exists():
        sys.stdout.write(home.JOURNAL.read_text(encoding="utf-8", errors="replace"))


WORDS: dict[str, Callable[..., object]] = {
    "setup": setup.create,
    "reset": _reset,
    "reboot": machine.reboot,
    "boot": machine.boot,
    "account": accounts.mirror,
    "drop": machine.drop,
    "slow": lambda seconds: home.turn(slow_start=float(seconds)),
    "language": _language,
    "edition": _edition,
    "distro": _distro,
    "fuse": _fuse,
    "powershell": _powershell,
    "acl": lambda path, own="": acl.put(path, own) if own else acl.show(path),
    "reboot-in": lambda seconds: machine.reboot_later(float(seconds)),
    "run-task": tasks.run,
    "start-task": tasks.start,
    "schedule": tasks.schedule,
    "firewall": firewall.enforce,
    "sshd": openssh.restart,
    "journal": _journal,
    "state": lambda: print(json.dumps(home.load(home.STATE), indent=1, ensure_ascii=False)),
}


def main(words: list[str]) -> int:
    """Runs one control word; 2 for words it does not know."""
    if not words or words[0] in ("help", "--help", "-h"):
        print(HELP)
        return 0
    setup.create()
    try:
        if words[0] not in WORDS:
            raise Usage(f"unknown word: {words[0]}")
        result = WORDS[words[0]](*words[1:])
    except (Usage, TypeError, ValueError) as problem:
        print(f"control: {problem}\nhint: control help", file=sys.stderr)
        return 2
    if words[0] in ("run-task",):
        return int(result or 0)  # type: ignore[call-overload]  # the one word that gives an exit code
    return 1 if result is False else 0
