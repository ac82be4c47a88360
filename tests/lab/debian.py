"""The machine's own Debian source, handed on to everything that is made from it."""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass
from pathlib import Path

from tests.lab.commands import output

BASE = "bookworm"  # what a PC runs
NEWER = "forky"  # where Docker with Compose, llama.cpp and a compiler new enough for Ollama come from
DOCKER = ("docker.io", "docker-cli", "docker-compose", "docker-buildx", "tini-static")
FALLBACK = "http://deb.debian.org/debian"
# The Release file of a mirror may be past its date.
ANY_DATE = 'Acquire::Check-Valid-Until "false";\n'


@dataclass(frozen=True)
class Source:
    """Where packages come from: `main`, `security` (URLs, the latter may be empty) and apt's proxy settings as apt writes them."""

    main: str
    security: str = ""
    proxies: str = ""

    def lists(self) -> str:
        """Content of a PC's `sources.list`."""
        lines = [f"deb {self.main} {BASE} main", f"deb {self.main} {BASE}-updates main"]
        if self.security:
            lines.append(f"deb {self.security} {BASE}-security main")
        lines.append(f"deb {self.main} {NEWER} main")
        return "\n".join(lines) + "\n"

    def options(self) -> str:
        """Content of a file for `apt.conf.d`."""
        return ANY_DATE + self.proxies


def pin() -> str:
    """Only Docker comes from the newer release, the rest of it never: its libraries would pull the whole system along.

    containerd and runc stay out on purpose: with them in the pin apt finds no solution.
    """
    return (
        f"Package: {' '.join(DOCKER)}\nPin: release n={NEWER}\nPin-Priority: 600\n\n"
        f"Package: *\nPin: release n={NEWER}\nPin-Priority: -1\n"
    )


def parse_source(targets: str, proxies: str = "") -> Source:
    """From lines `URL SUITE COMPONENT` as `apt-get indextargets` gives them."""
    rows = [line.split() for line in targets.splitlines() if len(line.split()) >= 3]
    debian = [(url.rstrip("/"), suite) for url, suite, part, *_ in rows if part == "main" and "debian" in url]
    main = [url for url, suite in debian if re.fullmatch(r"[a-z]+", suite)]
    security = [url for url, suite in debian if suite.endswith("-security")]
    return Source(main[0] if main else FALLBACK, security[0] if security else "", proxies)


@functools.cache
def machine_source() -> Source:
    """The source of this machine; Debian's own where it has none (another distribution)."""
    targets = (
        output(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"])
        or ""
    )
    dump = output(["apt-config", "dump", "Acquire"]) or ""
    proxies = "".join(
        f"{line}\n" for line in dump.splitlines() if re.match(r"Acquire::\w+::(Proxy|Verify)", line, re.IGNORECASE)
    )
    return parse_source(targets, proxies)


def ca_bundle() -> Path | None:
    """The certificates this machine trusts, its own additions included; None where it has no bundle."""
    for name in (os.environ.get("SSL_CERT_FILE", ""), "/etc/ssl/certs/ca-certificates.crt"):
        if name and Path(name).is_file():
            return Path(name)
    return None


def nameservers(*files: str) -> list[str]:
    """Addresses of name servers that a container can reach too (loopback ones are this machine's alone)."""
    for name in files or ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"):
        text = Path(name).read_text() if Path(name).is_file() else ""
        found = re.findall(r"^nameserver\s+(\S+)", text, re.MULTILINE)
        reachable = [address for address in found if not address.startswith("127.") and address != "::1"]
        if reachable:
            return reachable
    return []
