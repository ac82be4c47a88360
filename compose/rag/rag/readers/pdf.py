"""PDF by PDFium. Pictures of text stay pictures: there is no character recognition here."""

from pathlib import Path

import pypdfium2
import pypdfium2.raw

from rag.readers import PAGES, Text, Unreadable

_PASSWORD = pypdfium2.raw.FPDF_ERR_PASSWORD


def read(path: Path) -> Text:
    """A page of text for each page."""
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        code = getattr(error, "err_code", None)
        raise Unreadable("encrypted" if code == _PASSWORD or "password" in str(error).lower() else "damaged") from None
    with document:
        if len(document) > PAGES:
            raise Unreadable("too many pages")
        pages = [_text(document, number) for number in range(len(document))]
        title = document.get_metadata_dict().get("Title", "")
    if not any(page.strip() for page in pages):
        raise Unreadable("no text in it")
    return Text(title.strip(), pages)


def _text(document: pypdfium2.PdfDocument, number: int) -> str:
    page = document[number]
    text = page.get_textpage()
    found: str = text.get_text_bounded()
    text.close()
    page.close()
    return found.replace("\r\n", "\n").replace("\x02", "")  # a soft hyphen at a line's end
