"""Documents of every kind, made by the libraries and by hand: one sentence in each, and such as must be left out."""

from __future__ import annotations

import zipfile
from pathlib import Path

from docx import Document as Docx
from odfdo import Document as Odt
from odfdo import Header, Paragraph
from openpyxl import Workbook
from pptx import Presentation
from pptx.util import Inches


def sentence(kind: str) -> str:
    """What the document of this kind says."""
    return f"Le badge bleu numero {kind} ouvre le garage."


def lay(folder: Path) -> dict[str, str]:
    """A document of every kind; path -> kind."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "note.txt": sentence("txt"),
        "page.md": f"---\nauthor: x\n---\n# Titre en croix\n\n{sentence('md')}\n",
        "table.csv": f"nom;phrase\nun;{sentence('csv')}\n",
        "page.html": f"<html><head><title>Titre</title><script>var caché</script></head><body><p>{sentence('html')}</p></body></html>",
        "mail.eml": f"From: a@example.org\nSubject: Garage\nContent-Type: text/plain; charset=utf-8\n\n{sentence('eml')}\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "page.pdf").write_bytes(pdf(sentence("pdf")))
    _docx(folder / "page.docx")
    _odt(folder / "page.odt")
    _xlsx(folder / "page.xlsx")
    _pptx(folder / "page.pptx")
    return {path.name: path.suffix[1:] for path in sorted(folder.iterdir())}


def pdf(text: str, pages: int = 1) -> bytes:
    """A PDF by hand, with its table of places; the same text on every page."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode("latin-1")
    kids = " ".join(f"{number + 4} 0 R" for number in range(pages))
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>".encode(),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
    ]
    font = b"<< /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 3 0 R /Resources " + font + b" >>"
    data, places = b"%PDF-1.4\n", []
    for number, body in enumerate([*bodies, *[page] * pages], start=1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
    tail = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(places) + 1, len(data))
    return data + head + table + tail


def encrypted_pdf() -> bytes:
    """The same with a password that nobody has: its check does not hold."""
    lock = b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >> /ID [<00> <00>]" % (
        b"00" * 32,
        b"11" * 32,
    )
    return pdf("x").replace(b"/Root 1 0 R", b"/Root 1 0 R " + lock)


def encrypt_odt(path: Path) -> None:
    """What an office program makes of one with a password, as far as its table of contents tells."""
    _odt(path)
    with zipfile.ZipFile(path) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    parts["content.xml"] = bytes(range(256))
    manifest = parts["META-INF/manifest.xml"]
    parts["META-INF/manifest.xml"] = manifest.replace(
        b"</manifest:manifest>", b"<!-- manifest:encryption-data --></manifest:manifest>"
    )
    with zipfile.ZipFile(path, "w") as new:
        for name, content in parts.items():
            new.writestr(name, content)


def _docx(path: Path) -> None:
    document = Docx()
    document.add_heading("Titre")
    document.add_paragraph(sentence("docx"))
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(
        (*table.rows[0].cells, *table.rows[1].cells), ("nom", "prix", "clé", "12 euros"), strict=True
    ):
        cell.text = text
    document.save(str(path))


def _odt(path: Path) -> None:
    document = Odt("text")
    document.body.clear()
    document.body.append(Header(1, "Titre"))
    document.body.append(Paragraph(sentence("odt")))
    document.save(str(path))


def _xlsx(path: Path) -> None:
    book = Workbook()
    book.active.append(["nom", "phrase"])
    book.active.append(["un", sentence("xlsx")])
    book.save(path)


def _pptx(path: Path) -> None:
    presentation = Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[6])
    slide.shapes.add_textbox(Inches(1), Inches(1), Inches(5), Inches(1)).text_frame.text = sentence("pptx")
    presentation.save(str(path))


def zip_bomb(path: Path) -> None:
    """An office archive of some kilobytes that says it unpacks to 400 MB, and does."""
    packed = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with packed as archive, archive.open("word/document.xml", "w", force_zip64=True) as member:
        for _ in range(400):
            member.write(b" " * 1_000_000)
