"""Servers that do not carry datagrams as they should (see `wrong`)."""

from __future__ import annotations

import packets
from packets import Packet
from rightserver import Connection, DatagramStream
from wrong import wrong


@wrong("udp/boundaries", spoils=("credit",))
class JoinsDatagrams(DatagramStream):
    """Two become one."""

    held = b""

    async def to_client(self, data: bytes) -> None:
        if data and not self.held:
            self.held = data
            return
        data, self.held = self.held + data, b""
        await super().to_client(data)


@wrong("udp/boundaries")
class SplitsDatagrams(DatagramStream):
    async def to_client(self, data: bytes) -> None:
        for at in range(0, max(len(data), 1), 1000):
            await super().to_client(data[at:at + 1000])


@wrong("udp/empty")
class LosesEmptyDatagrams(DatagramStream):
    async def to_client(self, data: bytes) -> None:
        if data:
            await super().to_client(data)


@wrong("udp/empty")
class EndsOnEmptyDatagrams(DatagramStream):
    """Takes an empty datagram for an end, having passed it on."""

    async def to_client(self, data: bytes) -> None:
        await super().to_client(data)
        if not data:
            self.end(packets.VOLUNTARY)


@wrong("udp/offered")
class RefusesDatagrams(Connection):
    """Offers UDP, and does not have it."""

    def objection(self, packet: Packet) -> int | None:
        if packet.payload[:1] == bytes([packets.UDP]):
            return packets.INVALID
        return super().objection(packet)


@wrong("udp/offered")
class IgnoresDatagrams(Connection):
    def on_connect(self, packet: Packet) -> None:
        if packet.payload[:1] != bytes([packets.UDP]):
            super().on_connect(packet)


@wrong("udp/large")
class LosesLargeDatagrams(DatagramStream):
    async def to_client(self, data: bytes) -> None:
        if len(data) < 10_000:
            await super().to_client(data)


@wrong("udp/two-streams")
class SharesDatagramSockets(DatagramStream):
    """Two streams to one destination are one."""

    async def to_client(self, data: bytes) -> None:
        first = next(each for each in self.connection.streams.values()
                     if isinstance(each, DatagramStream) and each.port == self.port)
        self.connection.send(packets.data(first.number, data))


@wrong("udp/echo")
class OtherDatagrams(DatagramStream):
    async def to_client(self, data: bytes) -> None:
        await super().to_client(data[::-1] if len(data) > 100 else data)


@wrong("udp/close")
class KeepsDatagramStreams(DatagramStream):
    """Goes on after the client's CLOSE."""

    def received_close(self) -> None:
        pass


@wrong("udp/unresolvable")
class WrongReasonForNoNameOfDatagrams(DatagramStream):
    def reason_for(self, error: OSError) -> int:
        return packets.VOLUNTARY


@wrong("udp/unresolvable")
class SilentAboutNoNameOfDatagrams(DatagramStream):
    def end(self, reason: int) -> None:
        self.forget()


@wrong("udp/not-agreed")
class DatagramsThatWereNotAgreed(Connection):
    has_udp = True
