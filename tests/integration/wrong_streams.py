"""Servers whose streams, or their credit, are wrong (see `wrong`)."""

from __future__ import annotations

import asyncio

import packets
from packets import Packet
from rightserver import CHUNK, Connection, DatagramStream, Stream
from wrong import wrong


# Streams


@wrong("streams/echo-1", spoils=("credit",))
class LosesData1(Stream):
    def received(self, data: bytes) -> None:
        super().received(b"" if len(data) == 1 else data)


@wrong("streams/echo-1")
class LosesAllData(Stream):
    """Connects, and that is all: what would show whether it works does not work."""

    def received(self, data: bytes) -> None:
        super().received(b"")


@wrong("streams/echo-1")
class FlipsBitsOfAllData(Stream):
    async def to_client(self, data: bytes) -> None:
        await super().to_client(bytes(byte ^ 1 for byte in data))


@wrong("streams/echo-125")
class LosesData125(Stream):
    def received(self, data: bytes) -> None:
        super().received(b"" if len(data) == 125 else data)


@wrong("streams/echo-126")
class LosesData126(Stream):
    def received(self, data: bytes) -> None:
        super().received(b"" if len(data) == 126 else data)


@wrong("streams/echo-65535")
class LosesData65535(Stream):
    def received(self, data: bytes) -> None:
        super().received(b"" if len(data) == 65535 else data)


@wrong("streams/echo-65536")
class LosesLargeData(Stream):
    """Cuts what is longer than 65,535 bytes."""

    def received(self, data: bytes) -> None:
        super().received(data[:0xffff])


@wrong("streams/echo-125", spoils=("credit", "errors"))
class FlipsBits(Stream):
    async def to_client(self, data: bytes) -> None:
        await super().to_client(data[:-1] + bytes([data[-1] ^ 1]) if len(data) > 100 else data)


@wrong("streams/echo-0")
class EndsOnEmptyData(Stream):
    def received(self, data: bytes) -> None:
        super().received(data)
        if not data:
            self.end(packets.VOLUNTARY)


@wrong("streams/echo-16m")
class LosesAfter10MB(Stream):
    total = 0

    def received(self, data: bytes) -> None:
        self.total += len(data)
        super().received(data if self.total < 10_000_000 else b"")


@wrong("streams/optimistic", spoils=("credit",))
class DropsEarlyData(Stream):
    """Keeps only one packet that comes before the destination is connected."""

    connected = False

    async def upload(self, writer: asyncio.StreamWriter) -> None:
        self.connected = True
        await super().upload(writer)

    def received(self, data: bytes) -> None:
        if self.connected or not self.waiting.qsize():
            super().received(data)


@wrong("streams/at-once-10")
class CrossesStreams(Stream):
    """Where there are many streams, what is for one of them goes to another."""

    async def to_client(self, data: bytes) -> None:
        numbers = sorted(self.connection.streams)
        number = numbers[0] if len(numbers) >= 4 and not self.closed else self.number
        self.connection.send(packets.data(number, data))
        await self.connection.drain()


@wrong("streams/at-once-1", spoils=("credit",))
class SwapsData(Stream):
    """The second packet leaves behind the third."""

    count = 0
    second = b""

    def received(self, data: bytes) -> None:
        self.count += 1
        if self.count == 2:
            self.second = data
            return
        super().received(data)
        if self.count == 3:
            super().received(self.second)


class AtMost(Connection):
    most = 100

    def objection(self, packet: Packet) -> int | None:
        return packets.BLOCKED if len(self.streams) >= self.most else super().objection(packet)


@wrong("streams/at-once-256")
class AtMost100Streams(AtMost):
    """There is room for 100 streams."""


@wrong("streams/at-once-10")
class AtMost5Streams(AtMost):
    most = 5


@wrong("streams/ids-random")
class SignedIds(Connection):
    """Takes ids for signed, and those below zero for wrong."""

    def objection(self, packet: Packet) -> int | None:
        return packets.INVALID if packet.stream >> 31 else super().objection(packet)


@wrong("streams/ids-sequential", spoils=("credit",))
class OddIdsOnly(Connection):
    """As it would be right for HTTP/2."""

    def objection(self, packet: Packet) -> int | None:
        if packet.stream < 100 and packet.stream % 2 == 0:
            return packets.INVALID
        return super().objection(packet)


@wrong("streams/ids-highest")
class NoLastId(Connection):
    """Has no stream 0xffffffff."""

    def objection(self, packet: Packet) -> int | None:
        return packets.INVALID if packet.stream == 0xffffffff else super().objection(packet)


@wrong("streams/ids-random")
class SequentialIdsOnly(Connection):
    """Wants ids that grow by one."""

    last = 0

    def objection(self, packet: Packet) -> int | None:
        if packet.stream < self.last:
            return packets.INVALID
        self.last = packet.stream
        return super().objection(packet)


@wrong("streams/id-after-close", "streams/id-after-end")
class NoIdTwice(Connection):
    """Does not let a client use an id again, after CLOSE."""

    def objection(self, packet: Packet) -> int | None:
        if any(stream.number == packet.stream for stream in self.every_stream):
            return packets.INVALID
        return super().objection(packet)


@wrong("streams/id-twice")
class IdInUseReplaces(Connection):
    """A second CONNECT takes the id, and the first stream is lost without a word."""

    def on_id_in_use(self, packet: Packet) -> None:
        self.streams.pop(packet.stream).closed = True
        self.on_connect(packet)


class Holds(Stream):
    """Holds back the last bytes, until more comes or nothing does for a moment."""

    held = b""

    async def download(self, reader: asyncio.StreamReader) -> int:
        reading = asyncio.create_task(reader.read(CHUNK))
        while True:
            await asyncio.wait([reading], timeout=0.02)
            if not reading.done() or (data := reading.result()):
                await self.let_go()
            if not reading.done():
                await asyncio.wait([reading])
            if not (data := reading.result()):
                return await self.finish()
            reading = asyncio.create_task(reader.read(CHUNK))
            self.held = data

    async def let_go(self) -> None:
        data, self.held = self.held, b""
        if data and not self.closed:
            await self.to_client(data)

    async def finish(self) -> int:
        raise NotImplementedError


@wrong("streams/far-end-closes", "streams/far-end-closes-slow-reader")
class LosesLastBytes(Holds):
    async def finish(self) -> int:
        return packets.VOLUNTARY


@wrong("streams/far-end-closes", "streams/far-end-closes-slow-reader")
class CloseBeforeData(Holds):
    """CLOSE overtakes the last of the data."""

    async def finish(self) -> int:
        if not self.closed:
            self.connection.send(packets.close(self.number, packets.VOLUNTARY))
            await self.let_go()
            self.forget()
        return packets.VOLUNTARY


@wrong("streams/far-end-closes")
class NoClose(Stream):
    """Does not say that the destination has closed."""

    async def download(self, reader: asyncio.StreamReader) -> int:
        await super().download(reader)
        self.forget()
        return packets.VOLUNTARY


@wrong("streams/far-end-closes")
class WrongReasonAtTheEnd(Stream):
    async def download(self, reader: asyncio.StreamReader) -> int:
        await super().download(reader)
        return packets.NETWORK_ERROR


@wrong("streams/close-stops-far-end")
class TalksAfterClose(Stream):
    """Passes on what the destination sends after the client's CLOSE."""

    async def close_destination(self, writer: asyncio.StreamWriter) -> None:
        if writer.can_write_eof():
            writer.write_eof()

    async def download(self, reader: asyncio.StreamReader) -> int:
        while data := await reader.read(CHUNK):
            await self.to_client(data)
        return packets.VOLUNTARY


@wrong("streams/close-unanswered")
class AnswersClose(Stream):
    def received_close(self) -> None:
        self.connection.send(packets.close(self.number, packets.VOLUNTARY))
        super().received_close()


@wrong("streams/close-reaches-far-end")
class KeepsDestination(Stream):
    """Does not close the destination's connection on the client's CLOSE."""

    async def close_destination(self, writer: asyncio.StreamWriter) -> None:
        await asyncio.get_running_loop().create_future()


# Credit


@wrong("credit/comes-early")
class ContinuesLate(Stream):
    """Gives new credit when all has been used."""

    def refresh(self) -> None:
        if self.credit <= 0 and not self.waiting.qsize():
            super().refresh()


@wrong("credit/comes-in-time", spoils=("streams",))
class NeverContinues(Stream):
    def refresh(self) -> None:
        pass


@wrong("credit/within-announced")
class ContinuesOverBuffer(Stream):
    """Gives more than was announced."""

    def send_credit(self) -> None:
        self.credit = self.room
        self.connection.send(packets.credit(self.number, self.room + 1000))


@wrong("credit/stops")
class AlwaysContinues(Stream):
    """Gives credit for what came, and not for what the destination took."""

    def received(self, data: bytes) -> None:
        super().received(data)
        if self.credit <= self.connection.server.buffer // 2:
            self.credit = self.connection.server.buffer
            self.connection.send(packets.credit(self.number, self.credit))


@wrong("credit/stalled-beside")
class StallsEverything(Connection):
    """Reads nothing while a destination does not take what it was sent."""

    async def on_message(self, opcode: int, message: bytes) -> None:
        await super().on_message(opcode, message)
        while any(stream.waiting.qsize() > 100 for stream in self.streams.values()):
            await asyncio.sleep(0.01)


@wrong("credit/none-for-udp", "udp/no-continue")
class CreditForDatagrams(DatagramStream):
    def received(self, data: bytes) -> None:
        super().received(data)
        self.connection.send(packets.credit(self.number, 100))


@wrong("udp/no-continue")
class DatagramsTakeCredit(DatagramStream):
    """Closes a datagram stream that has sent as many as a TCP stream may."""

    def received(self, data: bytes) -> None:
        super().received(data)
        if self.credit <= 0:
            self.end(packets.VOLUNTARY)


@wrong("handshake/extension-confirmation")
class NoConfirmation(Connection):
    """Offers to confirm streams, and does not."""

    confirms = False
