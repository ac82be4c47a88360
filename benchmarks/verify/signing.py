"""OpenSSF's model-signing on the same files, from an environment of its own: `benchmarks/requirements-signing.txt`, by hash."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.verify.measure import Run, run

BENCHMARKS = Path(__file__).resolve().parents[1]
VENV = BENCHMARKS / ".venv-signing"


@dataclass(frozen=True)
class Signer:
    """`private` and `public`: a key pair of this run."""

    private: Path
    public: Path

    def sign(self, store: Path) -> None:
        """Its signature lies beside the store, not in it."""
        run(self._command("sign", store, "--private_key", self.private))

    def verify(self, store: Path) -> Run:
        """Every file of the store hashed, and the signature checked."""
        return run(self._command("verify", store, "--public_key", self.public))

    def _command(self, word: str, store: Path, *key: object) -> list[str]:
        signature = store.with_suffix(".sig")
        words = ["-m", "model_signing", word, "key", store, "--signature", signature, *key]
        return [str(part) for part in (VENV / "bin/python", *words)]


def signer(folder: Path) -> Signer:
    """Installed where it is not; with a key pair in `folder`."""
    _have()
    private, public = folder / "key.pem", folder / "key.pub.pem"
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", private], check=True)
    subprocess.run(["openssl", "ec", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return Signer(private, public)


def _have() -> None:
    wanted, stamp = BENCHMARKS / "requirements-signing.txt", VENV / "requirements"
    if stamp.is_file() and stamp.read_bytes() == wanted.read_bytes():
        return
    shutil.rmtree(VENV, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--require-hashes"]
    subprocess.run([VENV / "bin/python", "-m", "pip", "install", *options, "--requirement", wanted], check=True)
    stamp.write_bytes(wanted.read_bytes())
