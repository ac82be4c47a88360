"""Cases of operations: a YAML file each, under the operation's name, as `args` and `facts` in, `commands` or `noop` out.

Arguments and facts are given as plain data and become what the operation's and the fact's own types say. Files of the controller
come from `local`, a mapping of path in the case's folder (`$TMP`) to text.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml
from pydantic import TypeAdapter
from pyinfra.api import FileUploadCommand, FunctionCommand
from pyinfra.context import ctx_host, ctx_state
from pyinfra_testing.operations import parse_commands
from pyinfra_testing.util import FakeHost, FakeState

from citadelle.facts.base import Fact
from citadelle.facts.hardening import LOOK
from citadelle.operations import rollback
from citadelle.operations.bitlocker_steps import take
from citadelle.operations.hardening import LINUX_APPLY
from citadelle.operations.refusal import _refuse
from tests.conftest import ROOT

FOLDER = Path(__file__).parent
DIGEST = re.compile(r"\$SHA256\(([\w./]+)\)")
WINDOWS = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in sorted((ROOT / "citadelle").rglob("*.ps1"))}
# What `refusal.attempt` makes of a command, its message and its hint.
ATTEMPT = re.compile(
    r"\{ (?P<attempt>.*) ; \} \|\| \{ printf '%s\\n' '(?P<what>.*)\nhint: (?P<hint>.*)' >&2; exit 1; \}", re.DOTALL
)
# A case of theirs gives the words alone.
SCRIPTS = f"{LOOK}\n{LINUX_APPLY}"


def cases() -> list[Path]:
    """Every case, as `<module>.<operation>/<case>.yaml`."""
    return sorted(FOLDER.glob("*.*/*.yaml"))


class CaseHost(FakeHost):
    """A host that answers facts from a case; a fact that the case does not give is an error."""

    def get_fact(self, fact_cls: type, *args: Any, **kwargs: Any) -> Any:
        command = fact_cls().command
        if callable(command):
            command(*args, **{key: value for key, value in kwargs.items() if not key.startswith("_")})
        value = self.given[fact_cls.__name__]
        return TypeAdapter(_type(fact_cls)).validate_python(value) if issubclass(fact_cls, Fact) else value

    given: dict[str, Any]
    groups: tuple[str, ...] = ()


def _type(fact_cls: type) -> Any:
    return next(arg for base in fact_cls.__orig_bases__ for arg in get_args(base))  # type: ignore[attr-defined]


def run(file: Path, folder: Path) -> tuple[list[Any], str | None]:
    """Plan the operation of a case; returns its commands as plain data and its noop text."""
    case = load(file, folder)
    for name, text in case.get("local", {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    module, name = file.parent.name.split(".")
    operation = getattr(import_module(f"citadelle.operations.{module}"), name)
    state = FakeState()
    state.failed_hosts = {FakeHost(state, failed, {}, {}) for failed in case.get("failed_hosts", [])}
    host = CaseHost(state, case.get("host", "@linux/srv1"), {}, {})
    host.given = case.get("facts", {})
    with ctx_state.use(state), ctx_host.use(host):
        commands = list(operation._inner(**_arguments(operation, case.get("args", {}))))
    return [_shown(command, folder) for command in commands], host.noop_description


def load(file: Path, folder: Path) -> dict[str, Any]:
    """A case with `$TMP` replaced by the folder of its local files, and `$SHA256(path)` by the digest of a file of the product."""
    text = file.read_text().replace("$TMP", str(folder))
    return yaml.safe_load(DIGEST.sub(lambda found: hashlib.sha256((ROOT / found[1]).read_bytes()).hexdigest(), text))


def _arguments(operation: Any, given: dict[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(operation._inner)
    return {name: TypeAdapter(hints[name]).validate_python(value) for name, value in given.items()}


def _shown(command: Any, folder: Path) -> Any:
    if isinstance(command, FunctionCommand) and command.function is rollback.confirm:
        seconds, what, hint = command.args
        return {"confirm": what, "seconds": seconds, "hint": hint}
    if isinstance(command, FunctionCommand) and command.function is take:
        step, what, _ = command.args
        return {"step": step.__name__, "volumes": [work.mount for work in (what if isinstance(what, list) else [what])]}
    if isinstance(command, FunctionCommand) and command.function is not _refuse:
        return {"call": command.function.__name__, "args": list(command.args)}
    if isinstance(command, FunctionCommand):
        what, hint = command.args
        return {"refuse": what.replace(str(folder), "$TMP"), "hint": hint}
    if isinstance(command, FileUploadCommand):
        return {"upload": _content(command.src, folder), "to": command.dest}
    (shown,) = parse_commands([command])
    shown = shown.replace(SCRIPTS, "<the look and what sets>") if isinstance(shown, str) else shown
    attempt = ATTEMPT.fullmatch(shown) if isinstance(shown, str) else None
    return shown if attempt is None else {**attempt.groupdict(), "what": attempt["what"].replace(str(folder), "$TMP")}


def without_sources(command: Any) -> Any:
    """A command with `<name>` in the place of each script that stands in a file of its own, as it is and quoted."""
    if isinstance(command, str):
        for name, text in WINDOWS.items():
            command = command.replace(text.replace("'", "''"), f"<{name}>").replace(text, f"<{name}>\n")
    return command


def _content(source: Any, folder: Path) -> Any:
    if not isinstance(source, io.BytesIO):
        return str(source).replace(str(folder), "$TMP")
    content = source.getvalue()
    if content.decode(errors="replace") in WINDOWS.values():
        return without_sources(content.decode())
    if content[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            return tar.getnames()
    return content.decode()
