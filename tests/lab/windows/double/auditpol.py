"""auditpol.exe: subcategories by GUID, kept in the state as 0 none, 1 success, 2 failure, 3 both."""

import csv
import io
import json

from . import environment, home, paths, streams, texts

WORDS = ("No Auditing", "Success", "Failure", "Success and Failure")
FRENCH = ("Pas d’audit", "Opération réussie", "Échec", "Opération réussie et échec")
HEAD = ["Machine Name", "Policy Target", "Subcategory", "Subcategory GUID", "Inclusion Setting", "Exclusion Setting"]
BAD = 87


def _names() -> dict[str, str]:
    found: dict[str, str] = json.loads((home.CODE / "data" / "audit-names.json").read_text(encoding="utf-8"))
    return found


def _word(value: int) -> str:
    return (FRENCH if texts.is_french() else WORDS)[value]


def _chosen(text: str) -> list[str] | None:
    """GUIDs of `{guid},name,...`; None when one is unknown."""
    names = _names()
    by_name = {name.lower(): guid for guid, name in names.items()}
    found = []
    for part in text.split(","):
        guid = part.strip().strip('"').upper()
        guid = guid if guid in names else by_name.get(part.strip().strip('"').lower(), "")
        if not guid:
            return None
        found.append(guid)
    return found


def _rows(guids: list[str], with_value: bool) -> list[list[str]]:
    audit, names = home.load(home.STATE)["audit"], _names()
    machine = environment.computer_name()
    return [
        [machine, "System", names[guid], guid, _word(audit[guid]), "", *([str(audit[guid])] if with_value else [])]
        for guid in guids
    ]


def _csv(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().removesuffix("\n")


def _bad(text: str = "") -> int:
    streams.err(f"Error 0x00000057 occurred:\nThe parameter is incorrect.\n{text}".rstrip())
    return BAD


def _get(options: dict[str, str]) -> int:
    asked = options.get("/subcategory")
    guids = list(_names()) if options.get("/category") == "*" else _chosen(asked) if asked else None
    if guids is None:
        return _bad()
    if "/r" in options:
        streams.out(_csv([HEAD, *_rows(guids, False)]))
    else:
        lines = [f"  {row[2].ljust(40)}{row[4]}" for row in _rows(guids, False)]
        streams.out("System audit policy\nCategory/Subcategory                      Setting\n" + "\n".join(lines))
    return 0


def _set(options: dict[str, str]) -> int:
    guids = _chosen(options.get("/subcategory", ""))
    bits = {"/success": 1, "/failure": 2}
    given = {bits[name]: options[name].lower() for name in bits if name in options}
    if guids is None or not given or any(word not in ("enable", "disable") for word in given.values()):
        return _bad()
    with home.change() as state:
        for guid in guids:
            for bit, word in given.items():
                value = state["audit"][guid]
                state["audit"][guid] = value | bit if word == "enable" else value & ~bit
    streams.out("The command was successfully executed.")
    return 0


def _backup(options: dict[str, str]) -> int:
    target = paths.local(options.get("/file", ""))
    if target.exists():
        streams.err("Error 0x00000050 occurred:\nThe file exists.\n")
        return 80
    target.write_bytes(
        (_csv([[*HEAD, "Setting Value"], *_rows(list(_names()), True)]) + "\n").replace("\n", "\r\n").encode("utf-8")
    )
    streams.out("The command was successfully executed.")
    return 0


def _restore(options: dict[str, str]) -> int:
    source = paths.local(options.get("/file", ""))
    if not source.is_file():
        streams.err("Error 0x00000002 occurred:\n" + texts.text("no_file"))
        return 2
    rows = list(csv.DictReader(source.read_text(encoding="utf-8-sig").splitlines()))
    with home.change() as state:
        for row in rows:
            if row["Subcategory GUID"].upper() in state["audit"]:
                state["audit"][row["Subcategory GUID"].upper()] = int(row["Setting Value"])
    streams.out("The command was successfully executed.")
    return 0


VERBS = {"/get": _get, "/set": _set, "/backup": _backup, "/restore": _restore}


def main(_bare: str, arguments: list[str], _variables: dict[str, str], _raw: str | None) -> int:
    """`auditpol /get|/set|/backup|/restore ...`."""
    verb = VERBS.get(arguments[0].lower()) if arguments else None
    if verb is None:
        return _bad("Windows double: /get, /set, /backup and /restore only.")
    options = {}
    for word in arguments[1:]:
        name, _, value = word.partition(":")
        options[name.lower()] = value.strip('"')
    return verb(options)
