"""XLSX by openpyxl, row by row: a sheet is a page. Values as they were calculated last; formulas are not run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openpyxl import load_workbook

from rag.readers import Text
from rag.readers.office import judge
from rag.readers.table import lines


def read(path: Path) -> Text:
    """A page a sheet, its name first."""
    judge(path)
    book = load_workbook(path, read_only=True, data_only=True, keep_links=False)
    try:
        pages = ["\n".join([sheet.title, *lines(_rows(sheet))]) for sheet in book.worksheets]
        return Text((book.properties.title or "").strip(), pages)
    finally:
        book.close()


def _rows(sheet: Any) -> Iterator[list[str]]:
    for row in sheet.iter_rows(values_only=True):
        yield ["" if cell is None else str(cell) for cell in row]
