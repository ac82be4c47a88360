"""wsl.exe: its own messages as the genuine writes them; commands run for real on this machine."""

import re
from collections.abc import Callable
from contextlib import suppress

from . import argv, distribution, distros, home, linux, paths, texts
from .voice import FAILED, VERSIONS, Failure, Voice


def _no_distro(voice: Voice) -> Failure:
    return Failure(voice.text("MessageNoDefaultDistro"), "Wsl/Service/WSL_E_DEFAULT_DISTRO_NOT_FOUND")


def _wanted(voice: Voice, name: str, step: str = "") -> distros.Distro:
    """The named distribution, or the default one."""
    known = distros.listed()
    if not name:
        if not known:
            raise _no_distro(voice)
        return known[0]
    found = distros.find(name)
    if found is None:
        raise Failure(voice.text("MessageDistroNotFound"), f"Wsl/Service/{step}WSL_E_DISTRO_NOT_FOUND")
    return found


def _list(voice: Voice, words: list[str]) -> int:
    flags = {word.lower() for word in words}
    known = distros.listed()
    if "--running" in flags and not known:
        voice.say(voice.text("MessageNoRunningDistro"))
        return FAILED
    if not known:
        voice.fail(_no_distro(voice))
        return FAILED
    if flags & {"-v", "--verbose"}:
        _verbose(voice, known)
    elif flags & {"-q", "--quiet"}:
        voice.say("\n".join(distro.name for distro in known))
    else:
        voice.say(voice.text("MessageRegisteredDistrosHeader"))
        names = [voice.text("MessagePrintDistroDefault", d.name) if d.is_default else d.name for d in known]
        voice.say("\n".join(names))
    return 0


def _verbose(voice: Voice, known: list[distros.Distro]) -> None:
    width = max(len("NAME"), *(len(distro.name) for distro in known)) + 4
    voice.say(f"  {'NAME'.ljust(width)}{'STATE'.ljust(16)}VERSION")
    for distro in known:
        mark = "* " if distro.is_default else "  "
        voice.say(f"{mark}{distro.name.ljust(width)}{'Running'.ljust(16)}{distro.version}")


def _status(voice: Voice, _: list[str]) -> int:
    known = distros.listed()
    if known:
        voice.say(voice.text("MessageStatusDefaultDistro", known[0].name))
    voice.say(voice.text("MessageStatusDefaultVersion", 2))
    return 0


def _version(voice: Voice, _: list[str]) -> int:
    voice.say(voice.text("MessagePackageVersions", *VERSIONS))
    return 0


def _value(words: list[str], name: str, default: str = "") -> str:
    for index, word in enumerate(words[:-1]):
        if word.lower() == name:
            return words[index + 1]
    return default


def _add(voice: Voice, name: str, folder: str, file: str, version: str) -> int:
    if not paths.local(file).is_file():
        raise Failure(texts.text("no_file"), "Wsl/Service/RegisterDistro/ERROR_FILE_NOT_FOUND")
    if distros.find(name):
        raise Failure(voice.text("MessageDistroNameAlreadyExists"), "Wsl/Service/RegisterDistro/ERROR_ALREADY_EXISTS")
    distros.register(name, folder, int(version or 2))
    return 0


def _install(voice: Voice, words: list[str]) -> int:
    flags = [word.lower() for word in words]
    if "--no-distribution" in flags:
        return 0
    file = _value(words, "--from-file")
    if not file:
        raise Failure(
            "the Windows double does not implement this: --install without --from-file", "Wsl/InstallDistro/E_NOTIMPL"
        )
    if "--no-launch" not in flags and "-n" not in flags:
        raise Failure(
            "the Windows double does not implement this: --install without --no-launch", "Wsl/InstallDistro/E_NOTIMPL"
        )
    name = _value(words, "--name", paths.local(file).stem)
    return _add(voice, name, _value(words, "--location", f"C:\\WSL\\{name}"), file, _value(words, "--version"))


def _import(voice: Voice, words: list[str]) -> int:
    if len(words) < 3:
        return _usage(voice)
    return _add(voice, words[0], words[1], words[2], _value(words, "--version"))


def _unregister(voice: Voice, words: list[str]) -> int:
    distros.unregister(_wanted(voice, words[0] if words else ""))
    return 0


def _set_default(voice: Voice, words: list[str]) -> int:
    distros.make_default(_wanted(voice, words[0] if words else ""))
    return 0


def stop(name: str | None) -> None:
    """Ends what wsl.exe started in one distribution, or in all."""
    for file in (home.STATE_DIR / "wsl").glob("*"):
        with suppress(OSError):
            if name is None or file.read_text() == name:
                distribution.end(int(file.name))
                file.unlink()
    distribution.stop()


def _terminate(voice: Voice, words: list[str]) -> int:
    stop(_wanted(voice, words[0] if words else "", "").name)
    return 0


def _shutdown(_voice: Voice, _words: list[str]) -> int:
    stop(None)
    return 0


def _manage(voice: Voice, words: list[str]) -> int:
    distro = _wanted(voice, words[0] if words else "")
    user = _value(words[1:], "--set-default-user")
    if not user:
        raise Failure("the Windows double does not implement this: --manage " + " ".join(words[1:]), "Wsl/E_NOTIMPL")
    with home.change(home.REGISTRY) as content:
        content[distro.key]["DefaultUid"] = linux.pwd.getpwnam(user).pw_uid
    return 0


VERBS: dict[str, Callable[[Voice, list[str]], int]] = {
    "-l": _list, "--list": _list, "--status": _status, "--version": _version, "-v": _version, "--install": _install,
    "--import": _import, "--unregister": _unregister, "--set-default": _set_default, "-s": _set_default,
    "--terminate": _terminate, "-t": _terminate, "--shutdown": _shutdown, "--manage": _manage,
}  # fmt: skip


def _usage(voice: Voice, word: str = "") -> int:
    voice.say(
        f"{'Option de ligne de commande non valide' if texts.is_french() else 'Invalid command line argument'}: {word}"
    )
    return FAILED


def _tail(raw: str | None, words: list[str]) -> str:
    """What the user's shell gets: the line as typed behind wsl.exe's own options."""
    if raw is None:
        return " ".join(words)
    text = raw
    while text and argv.split_arguments(text) != words:
        text = re.sub(r'^("[^"]*"|[^\s"])+\s*', "", text, count=1)
    return text


def _start(voice: Voice, words: list[str], raw: str | None) -> int:
    name, user, cd, at = "", "", "", 0
    while at < len(words) and words[at].startswith("-"):
        word = words[at].lower()
        if word in ("-d", "--distribution", "-u", "--user", "--cd") and at + 1 < len(words):
            value = words[at + 1]
            name = value if word in ("-d", "--distribution") else name
            user = value if word in ("-u", "--user") else user
            cd = value if word == "--cd" else cd
            at += 2
        elif word in ("-e", "--exec", "--"):
            distro = _wanted(voice, name)
            rest = words[at + 1 :]
            if word == "--":
                return linux.become(distro.name, user, cd, None, _tail(raw, rest))
            return linux.become(distro.name, user, cd, rest, None) if rest else _usage(voice, words[at])
        else:
            return _usage(voice, words[at])
    distro = _wanted(voice, name)
    return linux.become(distro.name, user, cd, None, _tail(raw, words[at:]) if words[at:] else None)


def main(_bare: str, arguments: list[str], variables: dict[str, str], raw: str | None) -> int:
    """Runs wsl.exe; a Linux program replaces this process and its exit code is kept."""
    voice = Voice(variables)
    if home.windows_user().lower() == "system":
        return voice.fail(Failure(voice.text("MessageLocalSystemNotSupported"), "Wsl/WSL_E_LOCAL_SYSTEM_NOT_SUPPORTED"))
    verb = VERBS.get(arguments[0].lower()) if arguments else None
    try:
        return verb(voice, arguments[1:]) if verb else _start(voice, arguments, raw)
    except Failure as problem:
        return voice.fail(problem)
