"""Watch the verified model files, and judge all of them again the moment that anything touches them.

Runs on hosts beside verify.py, as long as the models are served: watch.py [--store PATH] ... (the options of verify.py). It ends with 3
when they are no longer right; by then verify.py has withdrawn them, and the unit's OnFailure= ends the engine. What inotify does not see,
a write past the file system or through a mapping that stays open, is left to the timer and to the next start of the engine.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

if __package__:
    from citadelle.models import verify
else:  # run as a file: verify.py lies beside it
    sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
    import verify  # type: ignore[import-not-found,no-redef]

PROGRAM = "/usr/local/lib/citadelle/watch.py"
# linux/inotify.h: modify, attrib, close after writing, moved from and to, create, delete, the watched thing itself deleted or moved.
EVENTS = 0x2 | 0x4 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x800
DONT_FOLLOW = 0x02000000
WRONG = 3  # its exit status then; Python's own is 1
LIBC = ctypes.CDLL(None, use_errno=True)


class Watch:
    """inotify on a folder, all folders and all files below it; files of their own, since a second name may lie elsewhere."""

    def __init__(self, folder: str) -> None:
        self._folder, self._file = folder, LIBC.inotify_init1(os.O_CLOEXEC)
        if self._file < 0:
            raise OSError(ctypes.get_errno(), "inotify cannot be had")
        self.arm()

    def arm(self) -> None:
        """Watch whatever is there by now; what is watched already stays so. Raises OSError."""
        self._add(self._folder)
        for folder, folders, files in os.walk(self._folder):
            for name in (*folders, *files):
                with contextlib.suppress(FileNotFoundError):  # gone since: the verification says so
                    self._add(os.path.join(folder, name))

    def _add(self, path: str) -> None:
        if LIBC.inotify_add_watch(self._file, os.fsencode(path), EVENTS | DONT_FOLLOW) < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), path)

    def wait(self) -> None:
        """Block until something has happened; what, does not matter."""
        os.read(self._file, 1 << 16)


def main(arguments: list[str] | None = None) -> int:
    """Watch until the models are wrong (WRONG). Raises OSError where watching is not possible."""
    given = sys.argv[1:] if arguments is None else arguments
    options = verify.options_of(["recheck", *given])
    watch = Watch(options.store)
    touched = not verify.status(options)["ok"]  # between the verification and the first watch
    while True:
        if touched:
            verify.doubt(options.verdict)
            watch.arm()  # first: what happens to a new file while it is read is seen too
            if verify.main(["recheck", *given]):
                return WRONG
        watch.wait()
        touched = True


if __name__ == "__main__":
    sys.exit(main())
