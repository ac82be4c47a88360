"""PPTX by python-pptx: a slide is a page, with its notes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pptx import Presentation

from rag.readers import Text
from rag.readers.office import judge
from rag.readers.table import lines


def read(path: Path) -> Text:
    """A page a slide."""
    judge(path)
    presentation = Presentation(str(path))
    title = (presentation.core_properties.title or "").strip()
    return Text(title, ["\n".join(_slide(slide)) for slide in presentation.slides])


def _slide(slide: Any) -> Iterator[str]:
    for shape in slide.shapes:
        yield from _shape(shape)
    if slide.has_notes_slide:
        yield slide.notes_slide.notes_text_frame.text


def _shape(shape: Any) -> Iterator[str]:
    if shape.has_text_frame:
        yield shape.text_frame.text
    if getattr(shape, "has_table", False) and shape.has_table:
        yield from lines([cell.text for cell in row.cells] for row in shape.table.rows)
    for inner in getattr(shape, "shapes", ()):
        yield from _shape(inner)
