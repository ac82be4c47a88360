"""The host's verdict on the model files that the engine reads. The host replaces the file, or takes it away while it is in doubt."""

from pathlib import Path

import orjson

from gateway.errors import Refusal
from gateway.log import event
from gateway.stamp import stamp_of


class Verdict:
    """`path`: the verifier's report, its `ok` true while the files are right; None where nobody verifies (a gateway run alone)."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._stamp, self._good = None if path is None else str(path), object(), path is None

    def good(self) -> bool:
        """Whether the files were right at the last verification; a stat for each question, for the file changes seldom."""
        if self._path is not None:
            stamp = stamp_of(self._path)
            if stamp != self._stamp:
                self._stamp, self._good = stamp, _read(self._path)
                event("models_verified" if self._good else "models_unverified")
        return self._good

    def check(self) -> None:
        """Raise Refusal (503)."""
        if not self.good():
            raise Refusal(
                503,
                "models_unverified",
                "The model files of this host do not match their lock, or are being verified: nothing is answered until they do.",
                retry_after=30,
            )


def _read(path: str) -> bool:
    try:
        return orjson.loads(Path(path).read_bytes())["ok"] is True
    except (OSError, ValueError, KeyError, TypeError):
        return False
