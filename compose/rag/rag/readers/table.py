"""Rows of a table as lines `name: value; ...`: a row that is found alone still tells what its values are."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rag.readers import Text
from rag.readers.plain import load

csv.field_size_limit(1_000_000)


def lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The first row that is not empty names the columns."""
    names: Sequence[str] | None = None
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if names is None:
            names = row
            continue
        cells = zip((*names, *[""] * len(row)), row, strict=False)
        yield "; ".join(f"{name}: {cell}" if name.strip() else cell for name, cell in cells if cell.strip())


def read(path: Path) -> Text:
    """One page; comma, semicolon or tab, whichever the file uses."""
    text = load(path)
    try:
        dialect: type[csv.Dialect] | csv.Dialect = csv.Sniffer().sniff(text[:20_000], ",;\t|")
    except csv.Error:
        dialect = csv.excel
    return Text("", ["\n".join(lines(csv.reader(text.splitlines(), dialect)))])
