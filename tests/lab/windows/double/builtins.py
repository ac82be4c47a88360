"""The words that cmd.exe knows by itself, as far as they are played."""

import os
import re
import sys

from . import paths, streams, texts

WORD = re.compile(r"([A-Za-z]+)(?=$|[\s.:;,=/\\\"(])")


def _echo(rest: str, _: dict[str, str]) -> int:
    text = rest[1:] if rest[:1] in (" ", ".", ":", ",", ";", "=", "\t", "(") else rest
    streams.out(text if text.strip() or rest[:1] == "." else "ECHO is on.")
    return 0


def _exit(rest: str, _: dict[str, str]) -> int:
    words = [word for word in rest.split() if word.lower() != "/b"]
    sys.exit(int(words[0]) & 0xFF if words and re.fullmatch(r"-?\d+", words[0]) else 0)


def _set(rest: str, variables: dict[str, str]) -> int:
    name, sign, value = rest.strip().strip('"').partition("=")
    if sign:
        variables[next((known for known in variables if known.upper() == name.upper()), name)] = value
        return 0
    shown = [f"{known}={variables[known]}" for known in sorted(variables) if known.upper().startswith(name.upper())]
    if not shown:
        streams.err(f"Environment variable {name} not defined")
        return 1
    streams.out("\n".join(shown))
    return 0


def _cd(rest: str, _: dict[str, str]) -> int:
    target = re.sub(r"^/d\s+", "", rest.strip(), flags=re.IGNORECASE).strip('"')
    if not target:
        streams.out(paths.windows(os.getcwd()))
        return 0
    try:
        os.chdir(paths.local(target))
    except OSError:
        streams.err(texts.text("no_path"))
        return 1
    return 0


def _type(rest: str, _: dict[str, str]) -> int:
    try:
        data = paths.local(rest.strip().strip('"')).read_bytes()
    except OSError:
        streams.err(texts.text("no_file"))
        return 1
    sys.stdout.buffer.write(data)
    sys.stdout.flush()
    return 0


def _ver(_rest: str, _: dict[str, str]) -> int:
    streams.out("\nMicrosoft Windows [Version 10.0.26100.4061]")
    return 0


def _rem(_rest: str, _: dict[str, str]) -> int:
    return 0


WORDS = {"echo": _echo, "exit": _exit, "set": _set, "cd": _cd, "chdir": _cd, "type": _type, "ver": _ver, "rem": _rem}


def _word(text: str) -> str:
    found = WORD.match(text)
    return found[1].lower() if found else ""


def changes_state(text: str) -> bool:
    """True for words that must run in cmd.exe's own process."""
    return _word(text) in ("exit", "set", "cd", "chdir")


def run(text: str, variables: dict[str, str]) -> int | None:
    """Runs a built-in word; None when the text is not one."""
    word = _word(text)
    return WORDS[word](text[len(word) :], variables) if word in WORDS else None
