"""ODT by odfdo: headings, paragraphs and tables in their order."""

import zipfile
from pathlib import Path
from typing import Any

from odfdo import Document

from rag.readers import Text, Unreadable
from rag.readers.office import judge
from rag.readers.table import lines


def read(path: Path) -> Text:
    """One page."""
    judge(path)
    with zipfile.ZipFile(path) as archive:
        if b"encryption-data" in archive.read("META-INF/manifest.xml"):
            raise Unreadable("encrypted")
    document = Document(str(path))
    blocks = [_block(element) for element in document.body.children]
    return Text((document.meta.title or "").strip(), ["\n\n".join(block for block in blocks if block.strip())])


def _block(element: Any) -> str:
    if element.tag == "table:table":
        return "\n".join(lines([str(cell or "") for cell in row] for row in element.get_values()))
    return str(element.inner_text)
