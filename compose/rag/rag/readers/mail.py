"""EML by Python's own library: who, when, what about, and the text. Attachments are left out."""

import email
from email import policy
from email.message import EmailMessage
from pathlib import Path

from rag.readers import Text
from rag.readers.html import shown

_SHOWN = ("From", "To", "Cc", "Date", "Subject")


def read(path: Path) -> Text:
    """One page."""
    with path.open("rb") as file:
        message = email.message_from_binary_file(file, policy=policy.default)
    heads = [f"{name}: {message[name]}" for name in _SHOWN if message[name]]
    return Text(str(message["Subject"] or "").strip(), ["\n".join(heads) + "\n\n" + _text(message)])


def _text(message: EmailMessage) -> str:
    part = message.get_body(("plain", "html"))
    if part is None:
        return ""
    content = part.get_content()
    return shown(content.encode()).pages[0] if part.get_content_subtype() == "html" else str(content)
