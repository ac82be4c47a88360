"""The doctor's look at the models' lock: approved here, and the one that the host judges by."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from citadelle.cli.check import Check
from citadelle.cli.hosts import Serving
from citadelle.cli.models import KEYS, LOCK, signature_state
from citadelle.facts.models import RUN
from citadelle.models import verify
from citadelle.models.lock import ModelsLock

SOON = timedelta(days=30)
SIGN = "citadelle models sign --key FILE: docs/models.md"
DEPLOY = "pyinfra inventory deploy.py"


def approved(serving: Serving, now: datetime) -> Check:
    """H022: the lock of this checkout that the host's next deploy would bring is signed by enough keys, and in its time."""
    lock, keys = (Path(serving.connector.host.data.get(name) or other) for name, other in _PATHS)
    signed = signature_state(lock, keys)
    try:
        found = ModelsLock.read(lock)
    except (OSError, verify.Refused, ValidationError) as error:
        return Check(
            "H022", serving.pc, False, " ".join(f"lock cannot be read: {error}".split()), f"git checkout -- {lock}"
        )
    late = found.expires is not None and found.expires < now + SOON
    ends = f"ends {found.expires:%Y-%m-%d}" if found.expires else "has no end"
    text = f"lock of this checkout: serial {found.serial}, {ends}, {signed}"
    return Check(
        "H022",
        serving.pc,
        signed == "signed" and not late,
        text,
        f"{SIGN}; citadelle models lock --expires for another end",
    )


_PATHS = (("models_lock", LOCK), ("models_keys", KEYS))


def in_force(serving: Serving, now: datetime) -> Check:
    """H023: the lock on the host is not older than what it has served before, and does not end soon."""
    try:
        told = json.loads(serving.run(f"{RUN} terms --json").stdout or b"{}")
    except (OSError, ValueError) as error:
        return Check("H023", serving.pc, False, serving.problem(error)[0], DEPLOY)
    if "serial" not in told:
        seen = "; ".join(str(verify.Finding(**finding)) for finding in told.get("findings", []))
        return Check("H023", serving.pc, False, f"lock of the host: {seen or 'no answer'}", DEPLOY)
    ends = datetime.fromtimestamp(told["expires"], UTC) if told["expires"] is not None else None
    text = f"lock of the host: serial {told['serial']}, newest served {told['floor']}, " + (
        f"ends {ends:%Y-%m-%d}" if ends else "has no end"
    )
    return Check(
        "H023",
        serving.pc,
        told["ok"] and (ends is None or ends > now + SOON),
        text,
        f"approve a newer lock, then {DEPLOY}",
    )
