"""The command line of powershell.exe: options by any unambiguous beginning, then a command, a file or encoded text."""

import base64
from dataclasses import dataclass, field

# name -> (fewest characters that select it, takes a value)
KNOWN = {
    "command": (1, True),
    "encodedcommand": (1, True),
    "file": (1, True),
    "encodedarguments": (8, True),
    "executionpolicy": (2, True),
    "inputformat": (2, True),
    "outputformat": (1, True),
    "windowstyle": (1, True),
    "version": (1, True),
    "psconsolefile": (3, True),
    "configurationname": (6, True),
    "nologo": (3, False),
    "noprofile": (3, False),
    "noninteractive": (4, False),
    "noexit": (3, False),
    "sta": (2, False),
    "mta": (2, False),
    "help": (1, False),
}
SHORT = {
    "ec": "encodedcommand",
    "e": "encodedcommand",
    "ep": "executionpolicy",
    "ex": "executionpolicy",
    "of": "outputformat",
    "if": "inputformat",
}


@dataclass
class Options:
    """What a command line asks for: options to hand on, and one of script text, file or standard input."""

    passed: list[str] = field(default_factory=list)
    kind: str = "stdin"
    text: str = ""
    arguments: list[str] = field(default_factory=list)


def option(word: str) -> str | None:
    """The full name of an option word, or None for a bare word."""
    if len(word) < 2 or word[0] not in "-/–—―":
        return None
    name = word.lstrip("-/–—―").lower()
    name = SHORT.get(name, name)
    return next((full for full, (least, _) in KNOWN.items() if len(name) >= least and full.startswith(name)), None)


def parse(words: list[str]) -> Options:
    """Reads the words; text that cannot be decoded is left to the engine to refuse (kind `raw`)."""
    found = Options()
    index = 0
    while index < len(words):
        name = option(words[index])
        if name is None:
            return _command(found, words[index:])
        if name in ("command", "file"):
            return _rest(found, name, words[index + 1 :])
        if name == "help":
            found.kind = "raw"
            return found
        step = 2 if KNOWN[name][1] else 1
        if name == "encodedcommand" and not _encoded(found, words[index + 1 : index + 2]):
            return found
        if name != "encodedcommand":
            found.passed += words[index : index + step]
        index += step
    return found


def _command(found: Options, words: list[str]) -> Options:
    found.kind, found.text = "command", " ".join(words)
    return found


def _rest(found: Options, name: str, words: list[str]) -> Options:
    if not words:
        found.kind = "raw"
    elif words[0] == "-":
        found.kind = "stdin"
        found.passed += ["-Command", "-"] if name == "command" else ["-File", "-"]
    elif name == "command":
        _command(found, words)
    else:
        found.kind, found.text, found.arguments = "file", words[0], words[1:]
    return found


def _encoded(found: Options, value: list[str]) -> bool:
    try:
        found.text = base64.b64decode(value[0], validate=True).decode("utf-16-le")
    except (IndexError, ValueError):
        found.kind = "raw"
        return False
    found.kind = "encoded"
    return True


def encode(script: str) -> str:
    """A script as -EncodedCommand wants it."""
    return base64.b64encode(script.encode("utf-16-le")).decode("ascii")
