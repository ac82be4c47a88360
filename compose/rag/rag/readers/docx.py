"""DOCX by python-docx: paragraphs and tables in their order, headers and footers left out."""

from pathlib import Path

from docx import Document
from docx.table import Table

from rag.readers import Text
from rag.readers.office import judge
from rag.readers.table import lines


def read(path: Path) -> Text:
    """One page: where pages break is decided by whoever prints."""
    judge(path)
    document = Document(str(path))
    blocks = [_table(block) if isinstance(block, Table) else block.text for block in document.iter_inner_content()]
    return Text(
        (document.core_properties.title or "").strip(), ["\n\n".join(block for block in blocks if block.strip())]
    )


def _table(table: Table) -> str:
    return "\n".join(lines([cell.text.strip() for cell in row.cells] for row in table.rows))
