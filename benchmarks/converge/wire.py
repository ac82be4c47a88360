"""Round trips as the wire sees them, the same for every tool: how often a PC's answer followed something sent to it.

A packet socket on the lab's bridge (needs root, as the lab does). Packets without data (acknowledgements) do not count.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import Counter

ALL, IPV4 = 0x0003, 0x0800  # packets that this machine sends are shown to listeners of all kinds only
TCP = 6
PORT = 22
SNAP = 128  # bytes: the headers
WAIT = 0.2  # seconds


class Wire:
    """`with Wire(bridge) as wire: ...; wire.turns` is address -> round trips over SSH; `wire.lost` packets were not seen."""

    def __init__(self, bridge: str) -> None:
        self.turns: Counter[str] = Counter()
        self.lost = 0
        self._asked: set[tuple[str, int]] = set()
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 20)
        self._socket.bind((bridge, ALL))
        self._socket.settimeout(WAIT)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Wire:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        statistics = self._socket.getsockopt(263, 6, 8)  # SOL_PACKET, PACKET_STATISTICS: received, dropped
        self.lost = struct.unpack("II", statistics)[1]
        self._socket.close()

    def _listen(self) -> None:
        while not self._done.is_set():
            try:
                packet, (_, kind, *_) = self._socket.recvfrom(SNAP)
            except TimeoutError:
                continue
            if kind == IPV4:
                self.see(packet)

    def see(self, packet: bytes) -> None:
        """Take one IPv4 packet into account."""
        header = (packet[0] & 15) * 4
        if packet[9] != TCP or len(packet) < header + 20:
            return
        source, target = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
        ports = struct.unpack_from("!HH", packet, header)
        if struct.unpack_from("!H", packet, 2)[0] <= header + (packet[header + 12] >> 4) * 4:
            return  # no data
        if ports[1] == PORT:
            self._asked.add((target, ports[0]))
        elif ports[0] == PORT and (source, ports[1]) in self._asked:
            self._asked.remove((source, ports[1]))
            self.turns[source] += 1
