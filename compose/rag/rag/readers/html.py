"""HTML: what a reader of the page would see. Nothing is fetched, no script runs."""

from pathlib import Path

from lxml import html

from rag.readers import Text, Unreadable
from rag.readers.plain import decode

_HIDDEN = ("script", "style", "noscript", "template", "svg", "nav", "iframe", "object")
_BLOCKS = frozenset(
    {
        "p",
        "div",
        "section",
        "article",
        "header",
        "footer",
        "main",
        "aside",
        "li",
        "tr",
        "table",
        "ul",
        "ol",
        "dl",
        "dt",
        "dd",
    }
) | {*("h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "br", "hr")}
_BYTES = 40_000_000


def shown(data: bytes) -> Text:
    """Title and the text of one page."""
    if len(data) > _BYTES:
        raise Unreadable("too large")
    text = decode(data)
    if not text.strip():
        return Text("", [""])
    parser = html.HTMLParser(no_network=True, huge_tree=False, remove_comments=True, remove_pis=True)
    root = html.document_fromstring(_undeclared(text), parser=parser)
    title = root.findtext(".//title") or ""
    for element in [*root.iter(*_HIDDEN), *root.iter("title")]:
        element.drop_tree()
    parts: list[str] = []
    _collect(root, parts)
    rows = (" ".join(row.split()) for row in "".join(parts).split("\n"))
    return Text(" ".join(title.split()), ["\n".join(row for row in rows if row)])


def _undeclared(text: str) -> str:
    """lxml refuses a declared encoding in text that is decoded already."""
    return text.replace("<?xml", "<?was-xml", 1)


def _collect(root: html.HtmlElement, parts: list[str]) -> None:
    """Without recursion: a page may be nested as deep as it likes."""
    todo: list[html.HtmlElement | str] = [root]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            parts.append(item)
            continue
        is_block = item.tag in _BLOCKS
        edge = "\n" if is_block else " " if item.tag in ("td", "th") else ""
        parts.append(edge + " ".join((item.text or "").split("\n")))
        rest: list[html.HtmlElement | str] = []
        for child in item:
            rest += [child, " ".join((child.tail or "").split("\n"))]
        todo += [edge, *reversed(rest)]


def read(path: Path) -> Text:
    """One page."""
    return shown(path.read_bytes())
