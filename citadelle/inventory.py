"""Lets pyinfra take a directory as inventory: `pyinfra inventory deploy.py`.

pyinfra 3 reads one file. `config.py` runs before the inventory is read, so it can teach `pyinfra_cli` to merge a folder. Two
private names of pyinfra are replaced; `tests/inventory/` runs the real command to notice when they move.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

DEFAULT = "lab.py"
EXAMPLE = "example.py"


def inventory_files(folder: Path) -> list[Path]:
    """Files of a folder that hold hosts: the operator's own, or `lab.py` as long as there is no own file."""
    files = sorted(folder.glob("[!_]*.py"))
    own = [file for file in files if file.name not in {DEFAULT, EXAMPLE}]
    return own or [file for file in files if file.name == DEFAULT]


def allow_directories() -> None:
    """Teach `pyinfra_cli` to accept a folder: its files merged, each file's hosts in a group of the file's name.

    `group_data/` inside the folder is read too. Raises `SystemExit` with a hint where pyinfra's inner names have moved.
    """
    import pyinfra_cli.inventory as cli

    try:
        load_file, make = cli._get_groups_from_filename, cli.make_inventory_from_files
    except AttributeError as error:
        raise SystemExit(
            f"config.py: this pyinfra cannot be taught folders: {error}\nhint: pip install 'pyinfra>=3.10,<4'"
        ) from None

    def load(path: str) -> dict[str, Any]:
        return merge(Path(path), load_file) if Path(path).is_dir() else load_file(path)

    def make_from(name: str, override: Any = None, cwd: str | None = None, extra: list[str] | None = None) -> Any:
        folder = Path(name)
        if folder.is_dir():
            own = str((folder / "group_data").resolve())
            extra = [own, *(extra or [])]
        return make(name, override, cwd, extra)

    cli._get_groups_from_filename = load
    cli.make_inventory_from_files = make_from


def merge(folder: Path, load_file: Any) -> dict[str, Any]:
    """Groups of all inventory files of `folder`; the same group in two files is joined, the same host twice refused."""
    files = inventory_files(folder)
    if not files:
        raise SystemExit(f"{folder}: no inventory file in it\nhint: cp {folder}/{EXAMPLE} {folder}/mine.py")
    groups: dict[str, Any] = {}
    owner: dict[str, Path] = {}
    for file in files:
        found = load_file(str(file))
        hosts = _unique_names(found)
        for host in hosts:
            if host in owner:
                raise SystemExit(
                    f"{host}: stands in two inventory files: {owner[host]}, {file}\nhint: remove it from one of them"
                )
            owner[host] = file
        for name, group in found.items():
            groups[name] = _join(name, groups.get(name), group, file)
        groups.setdefault(file.stem, list(hosts))
    return groups


def _join(name: str, present: Any, added: Any, file: Path) -> Any:
    if present is None:
        return added
    if isinstance(present, tuple) or isinstance(added, tuple):
        raise SystemExit(
            f"{file}: group with data is defined twice: {name}\nhint: put the data into group_data/{name}.py"
        )
    return [*present, *added]


def _unique_names(groups: dict[str, Any]) -> dict[str, None]:
    members = (group[0] if isinstance(group, tuple) else group for group in groups.values())
    return {(item[0] if isinstance(item, tuple) else item): None for member in members for item in member}
