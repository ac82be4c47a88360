"""wsl.exe's own messages: the texts of WSL's sources, in the encoding that wsl.exe gives them."""

import json

from . import environment, home, streams, texts

FAILED = -1
VERSIONS = (
    "2.6.1.0",
    "6.6.87.2-1",
    "1.0.66",
    "1.2.6353",
    "1.611.1-81528511",
    "10.0.26100.1-240331-1435.ge-release",
    "10.0.26100.4061",
)


class Failure(Exception):
    """A message of wsl.exe and the error code behind it."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Voice:
    """Writes wsl.exe's own texts: UTF-16LE without a mark, CRLF; UTF-8 when WSL_UTF8 is exactly 1."""

    def __init__(self, variables: dict[str, str]) -> None:
        self.encoding = "utf-8" if environment.get(variables, "WSL_UTF8") == "1" else "utf-16-le"
        templates = json.loads((home.CODE / "data" / "wsl-messages.json").read_text(encoding="utf-8"))
        self.templates = templates["fr-FR" if texts.is_french() else "en-US"]

    def text(self, name: str, *values: object) -> str:
        """A template with its values."""
        found: str = self.templates[name]
        for value in values:
            found = found.replace("{}", str(value), 1)
        return found

    def say(self, text: str) -> None:
        """One message."""
        streams.out(text, self.encoding)

    def fail(self, problem: Failure) -> int:
        """The message and its error code; the exit code of a failed wsl.exe."""
        self.say(self.text("MessageErrorCode", problem, problem.code))
        return FAILED
