"""What the office formats share: a zip archive, which is judged before a library opens it."""

import zipfile
from pathlib import Path

from rag.readers import Unreadable

_BYTES = 300_000_000  # unpacked
_MEMBERS = 20_000
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")  # what Office wraps an encrypted document in


def judge(path: Path) -> None:
    """Raise Unreadable for an archive that is encrypted, damaged, or larger than it has any reason to be."""
    with path.open("rb") as file:
        if file.read(8) == _OLE:
            raise Unreadable("encrypted")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError):
        raise Unreadable("damaged") from None
    if len(members) > _MEMBERS or sum(member.file_size for member in members) > _BYTES:
        raise Unreadable("too large unpacked")
    if any(member.flag_bits & 1 for member in members):
        raise Unreadable("encrypted")
