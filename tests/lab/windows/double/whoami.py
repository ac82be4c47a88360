"""whoami.exe: the identity of the session. [Security.Principal.WindowsIdentity] does not exist on this machine: scripts ask here."""

from . import environment, home, principals, streams, texts

ENABLED = ("Mandatory group, Enabled by default, Enabled group", "Groupe obligatoire, Activé par défaut, Groupe activé")
OWNER = (ENABLED[0] + ", Group owner", ENABLED[1] + ", Propriétaire du groupe")
TYPES = {"Alias": "Alias", "Well-known group": "Groupe bien connu", "Label": "Nom"}
HEADS = {
    "groups": (
        ("Group Name", "Type", "SID", "Attributes"),
        ("Nom du groupe", "Type", "SID", "Attributs"),
    ),
    "user": (("User Name", "SID"), ("Nom d’utilisateur", "SID")),
    "priv": (("Privilege Name", "Description", "State"), ("Nom de privilège", "Description", "État")),
}
PRIVILEGES = (
    "SeSecurityPrivilege",
    "SeTakeOwnershipPrivilege",
    "SeBackupPrivilege",
    "SeRestorePrivilege",
    "SeShutdownPrivilege",
)


def _groups() -> list[tuple[str, ...]]:
    language = 1 if texts.is_french() else 0
    sid = principals.current_sid()
    own = principals.groups_of(sid)
    is_admin = "S-1-5-32-544" in own or sid == "S-1-5-18"
    wanted = [
        "S-1-1-0",
        *(["S-1-5-114"] if is_admin else []),
        *own,
        "S-1-5-2",
        "S-1-5-11",
        "S-1-5-15",
        "S-1-5-113",
        "S-1-5-64-10",
    ]
    rows: list[tuple[str, ...]] = []
    for group in dict.fromkeys(wanted):
        kind = "Alias" if group.startswith("S-1-5-32-") else "Well-known group"
        flags = OWNER if group == "S-1-5-32-544" else ENABLED
        rows.append((principals.name_of(group), TYPES[kind] if language else kind, group, flags[language]))
    label = "S-1-16-12288" if is_admin else "S-1-16-8192"
    rows.append((principals.name_of(label), TYPES["Label"] if language else "Label", label, ""))
    return rows


def _user() -> list[tuple[str, ...]]:
    return [(_name(), principals.current_sid())]


def _name() -> str:
    return f"{environment.computer_name()}\\{home.windows_user()}".lower()


def _privileges() -> list[tuple[str, ...]]:
    state = "Activé" if texts.is_french() else "Enabled"
    return [(name, "", state) for name in PRIVILEGES]


def _show(what: str, rows: list[tuple[str, ...]], form: str, heads: bool) -> None:
    names = HEADS[what][1 if texts.is_french() else 0]
    if form == "csv":
        lines = ([names] if heads else []) + rows
        streams.out("\n".join(",".join(f'"{cell}"' for cell in line) for line in lines))
        return
    if form == "list":
        streams.out(
            "\n\n".join("\n".join(f"{name}: {cell}" for name, cell in zip(names, row, strict=True)) for row in rows)
        )
        return
    widths = [max(len(cell) for cell in column) for column in zip(names, *rows, strict=True)]
    lines = [names, tuple("=" * width for width in widths)] if heads else []
    table = [" ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in [*lines, *rows]]
    streams.out("\n" + "\n".join(table) if heads else "\n".join(table))


def main(_bare: str, arguments: list[str], _variables: dict[str, str], _raw: str | None) -> int:
    """`whoami [/user | /groups | /priv] [/fo table|list|csv] [/nh]`."""
    words = [word.lower() for word in arguments]
    form = words[words.index("/fo") + 1] if "/fo" in words[:-1] else "table"
    rest = [word for word in words if word not in ("/fo", form, "/nh")]
    if not rest:
        streams.out(_name())
        return 0
    shown = {"/groups": ("groups", _groups), "/user": ("user", _user), "/priv": ("priv", _privileges)}
    if len(rest) != 1 or rest[0] not in shown or form not in ("table", "list", "csv"):
        streams.err(f"ERROR: Invalid argument/option - '{rest[0]}'.\nType \"WHOAMI /?\" for usage.")
        return 1
    what, rows = shown[rest[0]]
    _show(what, rows(), form, "/nh" not in words)
    return 0
