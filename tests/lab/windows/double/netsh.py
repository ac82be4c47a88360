"""netsh.exe: the firewall's backup and the forwarded ports, as far as roles use them."""

import json
from collections.abc import Callable

from . import firewall, home, paths, streams

PROXIES = "HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\PortProxy"
KINDS = ("v4tov4", "v4tov6", "v6tov4", "v6tov6")
USAGE = "The following command was not found: {0}. Windows double: advfirewall export|import FILE, interface portproxy add|delete."


def _refuse(message: str) -> int:
    streams.out(message)
    return 1


def _export(words: list[str]) -> int:
    """Refuses a file that is there, as the genuine does."""
    target = paths.local(words[0])
    if target.exists() or not target.parent.is_dir():
        return _refuse("Cannot create a file when that file already exists.")
    policy = home.load(home.STATE)["firewall"]
    target.write_text(json.dumps({name: policy[name] for name in ("profiles", "rules")}), encoding="utf-8")
    streams.out("Ok.\n")
    return 0


def _import(words: list[str]) -> int:
    try:
        policy = json.loads(paths.local(words[0]).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return _refuse("The system cannot find the file specified.")
    with home.change() as state:
        state["firewall"].update(policy)
    firewall.enforce()
    streams.out("Ok.\n")
    return 0


def _values(words: list[str]) -> dict[str, str]:
    return {name.lower(): value for name, _, value in (word.partition("=") for word in words)}


def _key(registry: dict[str, dict[str, object]], kind: str) -> str:
    wanted = f"{PROXIES}\\{kind}\\tcp"
    return next((key for key in registry if key.lower() == wanted.lower()), wanted)


def _add(words: list[str]) -> int:
    given = _values(words[1:])
    with home.change(home.REGISTRY) as registry:
        value = f"{given['connectaddress']}/{given['connectport']}"
        registry.setdefault(_key(registry, words[0]), {})[f"{given['listenaddress']}/{given['listenport']}"] = value
    return 0


def _delete(words: list[str]) -> int:
    given = _values(words[1:])
    with home.change(home.REGISTRY) as registry:
        found = registry.get(_key(registry, words[0]), {}).pop(f"{given['listenaddress']}/{given['listenport']}", None)
    return 0 if found is not None else _refuse("The system cannot find the file specified.")


VERBS: dict[tuple[str, ...], Callable[[list[str]], int]] = {
    ("advfirewall", "export"): _export,
    ("advfirewall", "import"): _import,
    ("interface", "portproxy", "add"): _add,
    ("interface", "portproxy", "delete"): _delete,
}


def main(_bare: str, arguments: list[str], _variables: dict[str, str], _raw: str | None) -> int:
    """`netsh advfirewall export|import FILE`, `netsh interface portproxy add|delete KIND name=value...`."""
    words = [word.lower() for word in arguments]
    for verb, serve in VERBS.items():
        if tuple(words[: len(verb)]) == verb and len(words) > len(verb):
            if verb[0] == "interface" and words[len(verb)] not in KINDS:
                break
            return serve(arguments[len(verb) :])
    return _refuse(USAGE.format(" ".join(arguments)))
