"""Which packages of Docker Engine a host has, and which images."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import QuoteString, StringCommand

from citadelle.facts.base import Fact


@dataclass(frozen=True)
class Daemon:
    """`server` is the version that answers ("" for none); `enabled`: it starts at boot."""

    server: str = ""
    enabled: bool = False


class DockerDaemon(Fact[Daemon]):
    """Docker's daemon as it answers: a file on the disk proves nothing."""

    default = Daemon

    def command(self) -> str:
        return (
            'echo "server $(docker version --format "{{.Server.Version}}" 2>/dev/null)";'
            'echo "unit $(systemctl is-enabled docker 2>/dev/null)"'
        )

    def parse(self, output: list[str]) -> Daemon:
        values = dict(line.partition(" ")[::2] for line in output)
        return Daemon(values["server"].strip(), values["unit"].strip() == "enabled")


class PackagesInstalled(Fact[dict[str, str]]):
    """Version of each given Debian package that is installed."""

    default = dict

    def command(self, packages: list[str]) -> StringCommand:
        quoted = [QuoteString(package) for package in packages]
        show = "dpkg-query -W -f '${db:Status-Abbrev}\\t${Package}\\t${Version}\\n'"
        # dpkg-query exits 1 when one of the names is unknown: that is an answer here, not an error.
        return StringCommand(show, *quoted, "2>/dev/null || test $? -eq 1")

    def parse(self, output: list[str]) -> dict[str, str]:
        rows = (line.split("\t") for line in output)
        return {name: version for status, name, version in rows if status.startswith("ii")}


class ImagesPresent(Fact[set[str]]):
    """Which of the given image references (`name:tag@sha256:digest`) the host's image store holds."""

    default = set

    def command(self, references: list[str]) -> StringCommand:
        quoted = [QuoteString(reference) for reference in references]
        # Each start of the client costs 50 ms of the host's processor: they are asked for one by one only when one is missing.
        inspect = "docker image inspect --format ok"
        one_by_one = f'do {inspect} "$i" >/dev/null 2>&1 && echo "$i"; done; true; fi'
        return StringCommand(
            *("if", inspect, *quoted, ">/dev/null 2>&1; then printf '%s\\n'", *quoted),
            *("; else for i in", *quoted, ";", one_by_one),
        )

    def parse(self, output: list[str]) -> set[str]:
        return set(output)


@dataclass(frozen=True)
class Cdi:
    """`devices` that CDI specifications of a host describe, as `nvidia.com/gpu=all`; `drivers`: versions of NVIDIA's driver there."""

    devices: tuple[str, ...] = ()
    drivers: tuple[str, ...] = ()


class CdiDevices(Fact[Cdi]):
    """What CDI describes here. Its files name libraries with their version: after a new driver they lead nowhere."""

    default = Cdi

    def command(self) -> str:
        names = "grep -ho 'libcuda\\.so\\.[0-9]*\\.[0-9.]*' /etc/cdi/*.yaml /var/run/cdi/*.yaml 2>/dev/null | sort -u"
        return f"nvidia-ctk cdi list 2>/dev/null; {names}; true"

    def parse(self, output: list[str]) -> Cdi:
        words = [line.strip() for line in output]
        drivers = (word.removeprefix("libcuda.so.") for word in words if word.startswith("libcuda.so."))
        return Cdi(tuple(word for word in words if "=" in word), tuple(drivers))
