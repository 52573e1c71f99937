"""Datagrams to an echo and back; many at once through something that may lose some of them."""

from __future__ import annotations

import select
import time
from collections import Counter
from typing import NamedTuple

from origin import PAYLOAD_SIZE, payload
from procs import GUARD
from socks import Association, destination

#: What IPv4 carries in a datagram, without the header that a relay needs before it.
LARGEST = 65507
#: How much may be under way: a few of the largest fit into a socket's buffer.
BYTES_UNDER_WAY = 100_000
COUNT_UNDER_WAY = 32
#: Seconds without any answer after which those under way count as lost.
SILENCE = 0.5


def header_size(host: str) -> int:
    return 3 + len(destination(host, 0))


def spread(count: int, largest: int) -> list[memoryview]:
    """COUNT datagrams of sizes from 0 to LARGEST, the small ones closer together."""
    sizes = [round(largest * (number / (count - 1)) ** 3) for number in range(count)]
    step = (PAYLOAD_SIZE - largest) // count
    return [payload(size, number * step) for number, size in enumerate(sizes)]


def answers(association: Association, port: int, data: bytes = b"still there?",
            host: str = "127.0.0.1") -> bool:
    """Whether the echo at HOST:PORT answers, and as it was addressed."""
    association.send(host, port, data)
    return association.recv() == (destination(host, port), data)


class Datagram(NamedTuple):
    """To an echo service, which answers it with the same: with its destination as its source."""

    destination: bytes
    data: bytes


def for_echo(host: str, port: int, datas: list[memoryview]) -> list[Datagram]:
    return [Datagram(destination(host, port), bytes(data)) for data in datas]


class Exchange:
    """Sends an association's datagrams and takes the answers."""

    def __init__(self, association: Association, datagrams: list[Datagram]) -> None:
        self.association = association
        self._left = list(reversed(datagrams))
        self._under_way: Counter[Datagram] = Counter()
        self._sent: set[Datagram] = set()

    @property
    def done(self) -> bool:
        return not self._left and not self._under_way

    def _has_room(self, data: bytes) -> bool:
        size = sum(len(datagram.data) for datagram in self._under_way)
        return not self._under_way or (self._under_way.total() < COUNT_UNDER_WAY
                                       and size + len(data) <= BYTES_UNDER_WAY)

    def _send(self, datagram: Datagram) -> None:
        self.association.sock.send(bytes(3) + datagram.destination + datagram.data)

    def send(self) -> None:
        """As much as may be under way."""
        while self._left and self._has_room(self._left[-1].data):
            datagram = self._left.pop()
            self._under_way[datagram] += 1
            self._sent.add(datagram)
            self._send(datagram)

    def send_again(self) -> None:
        for datagram in self._under_way.elements():
            self._send(datagram)

    def take(self) -> None:
        """Take an answer. What was sent twice may come twice."""
        answer = Datagram(*self.association.recv())
        assert answer in self._sent, f"{len(answer.data)} bytes that were never sent"
        self._under_way -= Counter([answer])


def run(*exchanges: Exchange) -> None:
    """Until every datagram of each, which all have an association of their own, is answered."""
    by_socket = {exchange.association.sock: exchange for exchange in exchanges}
    deadline = time.monotonic() + GUARD
    while active := [sock for sock, exchange in by_socket.items() if not exchange.done]:
        assert time.monotonic() < deadline, "some datagrams are never answered"
        for sock in active:
            by_socket[sock].send()
        readable = select.select(active, [], [], SILENCE)[0]
        for sock in readable:
            by_socket[sock].take()
        if not readable:
            for sock in active:
                by_socket[sock].send_again()
