"""Networks as Windows' firewall writes them: addresses, prefixes, masks, ranges; its keywords (`Any`, `LocalSubnet`) name none."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network


def is_named(text: str) -> bool:
    """A network, a range or an address, but not all of them."""
    try:
        if "-" in text:
            first, last = (ip_address(one.strip()) for one in text.split("-"))
            return not (int(first) == 0 and int(last) == 2**last.max_prefixlen - 1)
        return ip_network(text.strip(), strict=False).prefixlen > 0
    except ValueError:
        return False


def plain(text: str) -> str:
    """Windows writes 10.0.0.0/255.0.0.0 for what was set as 10.0.0.0/8."""
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        return text


def within(text: str, nets: Iterable[str]) -> bool:
    """Whether all that is meant lies in one of these networks; a keyword lies in none."""
    try:
        ends = [ip_network(one.strip(), strict=False) for one in text.split("-")]
    except ValueError:
        return False
    return any(all(_lies_in(end, ip_network(net)) for end in ends) for net in nets)


def _lies_in(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    if isinstance(inner, IPv4Network) and isinstance(outer, IPv4Network):
        return inner.subnet_of(outer)
    return isinstance(inner, IPv6Network) and isinstance(outer, IPv6Network) and inner.subnet_of(outer)
