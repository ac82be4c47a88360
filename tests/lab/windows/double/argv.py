"""How a Windows program splits its own command line (the rules of CommandLineToArgvW and of the C runtime)."""


def split_program(line: str) -> tuple[str, str]:
    """The program's name and what follows it; in the name a quote only groups and a backslash is plain."""
    if line.startswith('"'):
        end = line.find('"', 1)
        return (line[1:], "") if end < 0 else (line[1:end], line[end + 1 :])
    for index, char in enumerate(line):
        if char in " \t":
            return line[:index], line[index:]
    return line, ""


class _Splitter:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.quoted = False

    def _take_backslashes(self) -> str:
        start = self.at
        while self.text[self.at : self.at + 1] == "\\":
            self.at += 1
        count = self.at - start
        if self.text[self.at : self.at + 1] != '"':
            return "\\" * count
        if count % 2:
            self.at += 1
            return "\\" * (count // 2) + '"'
        return "\\" * (count // 2)

    def _take_quote(self) -> str:
        self.at += 1
        if self.quoted and self.text[self.at : self.at + 1] == '"':
            self.at += 1
            return '"'
        self.quoted = not self.quoted
        return ""

    def word(self) -> str:
        """One argument; a doubled quote inside quotes is a quote and stays inside."""
        out = ""
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in " \t" and not self.quoted:
                break
            if char == "\\":
                out += self._take_backslashes()
            elif char == '"':
                out += self._take_quote()
            else:
                out += char
                self.at += 1
        self.quoted = False
        return out


def split_arguments(text: str) -> list[str]:
    """The arguments after the program's name."""
    splitter = _Splitter(text)
    words: list[str] = []
    while True:
        while splitter.at < len(text) and text[splitter.at] in " \t":
            splitter.at += 1
        if splitter.at >= len(text):
            return words
        words.append(splitter.word())


def bare_name(path: str) -> str:
    """`C:\\Program Files\\WSL\\WSL.EXE` -> `wsl`."""
    name = path.replace("\\", "/").rsplit("/", 1)[-1].lower()
    return name.removesuffix(".exe")
