"""Wisp servers that are wrong on purpose: each differs from the right one in one thing.

`FAULTS` names them all. A fault is a class that replaces a part of `rightserver`; `wrong` gives it
its place there.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Any, Callable, NamedTuple

import frames
import packets
from frames import Frame
from packets import Packet
from rightserver import CHUNK, Broken, Connection, DatagramStream, Gone, Request, RightServer, Stream


class Fault(NamedTuple):
    checks: tuple[str, ...]  #: those that have to fail
    may: tuple[str, ...]  #: those that may fail too
    connection: type[Connection]
    options: dict[str, Any]  #: of the server

    def server(self) -> RightServer:
        return RightServer(self.connection, **self.options)


FAULTS: dict[str, Fault] = {}


def wrong(*checks: str, may: tuple[str, ...] = (), **options: Any) -> Callable[[type], type]:
    """What is decorated is a fault that CHECKS must find, on a server with these OPTIONS."""

    def add(part: type) -> type:
        connection = part
        if issubclass(part, DatagramStream):
            connection = type(part.__name__, (Connection,), {"datagram_class": part})
        elif issubclass(part, Stream):
            connection = type(part.__name__, (Connection,), {"stream_class": part})
        FAULTS[part.__name__] = Fault(checks, may, connection, options)
        return part

    return add


# The upgrade


@wrong()
class WrongAccept(Connection):
    def upgrade_headers(self, request: Request) -> list[str]:
        return super().upgrade_headers(
            request._replace(headers=request.headers | {"sec-websocket-key": "AAAA"}))


@wrong()
class NoAccept(Connection):
    def upgrade_headers(self, request: Request) -> list[str]:
        return [line for line in super().upgrade_headers(request) if "Accept" not in line]


@wrong()
class NoUpgradeHeader(Connection):
    def upgrade_headers(self, request: Request) -> list[str]:
        return super().upgrade_headers(request)[1:]


@wrong()
class ProtocolUnasked(Connection):
    """Selects a subprotocol for clients that have offered none."""

    def upgrade_headers(self, request: Request) -> list[str]:
        return super().upgrade_headers(
            request._replace(headers={"sec-websocket-protocol": "wisp-v2"} | request.headers))


@wrong()
class OtherProtocol(Connection):
    """Selects a subprotocol that was not offered."""

    def upgrade_headers(self, request: Request) -> list[str]:
        return [line.replace("Protocol: wisp-v2", "Protocol: wisp-v3")
                for line in super().upgrade_headers(request)]


@wrong()
class ExtensionUnasked(Connection):
    """Compresses, as it says, though nobody has offered that."""

    def upgrade_headers(self, request: Request) -> list[str]:
        return [*super().upgrade_headers(request), "Sec-WebSocket-Extensions: permessage-deflate"]


@wrong()
class EveryPath(Connection):
    def refusal(self, request: Request) -> str | None:
        return super().refusal(request._replace(path="/"))


# The handshake


@wrong()
class AlwaysV2(Connection):
    """Sends INFO to clients that have not asked for version 2."""

    async def greet(self) -> None:
        self.version = 2
        await super().greet()


@wrong()
class NoInitialCredit(Connection):
    """Has nothing to say, in either version."""

    async def greet(self) -> None:
        if self.version == 2:
            self.send_info()
            await self.recv_info()


@wrong()
class InitialCreditInV2Only(Connection):
    async def greet(self) -> None:
        if self.version == 2:
            await super().greet()


@wrong()
class InitialCreditOnStreamOne(Connection):
    async def greet(self) -> None:
        if self.version == 2:
            await super().greet()
        else:
            self.send(packets.credit(1, self.initial_credit()))


@wrong()
class InitialCreditIsZero(Connection):
    def initial_credit(self) -> int:
        return 0


@wrong()
class InitialCreditIsShort(Connection):
    async def greet(self) -> None:
        if self.version == 2:
            await super().greet()
        else:
            self.send(Packet(packets.CONTINUE, 0, b"\x80"))


@wrong()
class CreditBeforeInfo(Connection):
    """In version 2 sends CONTINUE without waiting for the client's INFO."""

    def send_info(self) -> None:
        super().send_info()
        self.send(packets.credit(0, self.initial_credit()))


class InfoOf(Connection):
    def info(self) -> Packet:
        return packets.info(b"".join(packets.extension(*each)
                                     for each in self.offered().items()))

    def send_info(self) -> None:
        self.send(self.info())


@wrong()
class InfoCutOff(InfoOf):
    """The last extension is shorter than it says."""

    def info(self) -> Packet:
        return packets.info(packets.extension(packets.HAS_UDP)
                            + packets.extension(packets.MOTD, b"Hello", 50))


@wrong()
class InfoWithRest(InfoOf):
    """Three bytes follow the last extension."""

    def info(self) -> Packet:
        packet = super().info()
        return packet._replace(payload=packet.payload + b"\1\0\0")


@wrong()
class InfoOfVersion3(InfoOf):
    def info(self) -> Packet:
        return super().info()._replace(payload=b"\3\0" + super().info().payload[2:])


@wrong()
class InfoOnStream5(InfoOf):
    def info(self) -> Packet:
        return super().info()._replace(stream=5)


@wrong()
class InfoTwice(InfoOf):
    def send_info(self) -> None:
        super().send_info()
        super().send_info()


@wrong()
class ExtensionTwice(InfoOf):
    def info(self) -> Packet:
        packet = super().info()
        return packet._replace(payload=packet.payload + packets.extension(packets.HAS_UDP))


class Offers(Connection):
    """Offers other things."""

    more: dict[int, bytes] = {}

    def offered(self) -> dict[int, bytes]:
        return super().offered() | self.more


@wrong()
class UdpWithPayload(Offers):
    more = {packets.HAS_UDP: b"\1"}


@wrong()
class ConfirmationWithPayload(Offers):
    more = {packets.CONFIRMATION: b"\1\1"}


@wrong()
class MotdIsNoText(Offers):
    more = {packets.MOTD: b"\xff\xfe\xfd"}


@wrong()
class PasswordRequiredIsLong(Offers):
    more = {packets.PASSWORD: b"\0\0\0\0"}


@wrong()
class PasswordRequiredIsTwo(Offers):
    more = {packets.PASSWORD: b"\2"}


@wrong()
class KeyWithoutChallenge(Offers):
    more = {packets.KEY: b"\0"}


@wrong()
class TakesBadInfo(Connection):
    async def recv_info(self) -> None:
        await self.recv_message()


@wrong()
class SilentAboutBadInfo(Connection):
    """Waits for a better one."""

    async def recv_info(self) -> None:
        opcode, message = await self.recv_message()
        try:
            packets.extensions(packets.decode(message))
        except (AssertionError, struct.error):
            while True:
                await self.recv_frame()


@wrong()
class StreamsBeforeHandshake(Connection):
    """Opens streams for a client that has not sent its INFO yet."""

    async def recv_info(self) -> None:
        opcode, message = await self.recv_message()
        while packets.decode(message).type != packets.INFO:
            await self.on_message(opcode, message)
            opcode, message = await self.recv_message()
        self.agreed = packets.extensions(packets.decode(message))


PASSWORD = "tester:right"


@wrong(password=PASSWORD)
class TakesEveryPassword(Connection):
    def check_password(self, shown: bytes | None) -> None:
        if not shown:
            super().check_password(shown)


@wrong(password=PASSWORD)
class TakesNoPassword(Connection):
    def check_password(self, shown: bytes | None) -> None:
        if shown:
            self.refuse(packets.BAD_PASSWORD)
        super().check_password(shown)


@wrong(password=PASSWORD)
class TakesMissingPassword(Connection):
    def check_password(self, shown: bytes | None) -> None:
        if shown:
            super().check_password(shown)


@wrong(password=PASSWORD)
class WrongReasonForPassword(Connection):
    def refuse(self, reason: int) -> None:
        super().refuse(packets.BLOCKED if reason == packets.BAD_PASSWORD else reason)


@wrong(password=PASSWORD)
class WrongReasonForMissingPassword(Connection):
    def refuse(self, reason: int) -> None:
        super().refuse(packets.BLOCKED if reason == packets.CREDENTIALS_REQUIRED else reason)


# Streams


@wrong()
class LosesLargeData(Stream):
    """Cuts what is longer than 65,535 bytes."""

    def received(self, data: bytes) -> None:
        super().received(data[:0xffff])


@wrong()
class LosesLength126(Stream):
    """The extended length begins at 127 here."""

    def received(self, data: bytes) -> None:
        super().received(b"" if len(data) == 126 else data)


@wrong()
class FlipsBits(Stream):
    async def to_client(self, data: bytes) -> None:
        await super().to_client(data[:-1] + bytes([data[-1] ^ 1]) if len(data) > 100 else data)


@wrong()
class EndsOnEmptyData(Stream):
    def received(self, data: bytes) -> None:
        super().received(data)
        if not data:
            self.end(packets.VOLUNTARY)


@wrong()
class LosesAfter10MB(Stream):
    total = 0

    def received(self, data: bytes) -> None:
        self.total += len(data)
        super().received(data if self.total < 10_000_000 else b"")


@wrong()
class DropsEarlyData(Stream):
    """Keeps only one packet that comes before the destination is connected."""

    connected = False

    async def upload(self, writer: asyncio.StreamWriter) -> None:
        self.connected = True
        await super().upload(writer)

    def received(self, data: bytes) -> None:
        if self.connected or not self.waiting.qsize():
            super().received(data)


@wrong()
class CrossesStreams(Stream):
    """Where there are many streams, what is for one of them goes to another."""

    async def to_client(self, data: bytes) -> None:
        numbers = sorted(self.connection.streams)
        number = numbers[0] if len(numbers) >= 4 and not self.closed else self.number
        self.connection.send(packets.data(number, data))
        await self.connection.drain()


@wrong()
class ReversesEarlyData(Stream):
    """Early data leaves in the wrong order."""

    async def upload(self, writer: asyncio.StreamWriter) -> None:
        early = [self.waiting.get_nowait() for _ in range(self.waiting.qsize())]
        for data in sorted(early, key=lambda data: data is None or -early.index(data)):
            self.waiting.put_nowait(data)
        await super().upload(writer)


class AtMost(Connection):
    most = 100

    def objection(self, packet: Packet) -> int | None:
        return packets.BLOCKED if len(self.streams) >= self.most else super().objection(packet)


@wrong()
class AtMost100Streams(AtMost):
    """There is room for 100 streams."""


@wrong()
class AtMost5Streams(AtMost):
    most = 5


@wrong()
class SignedIds(Connection):
    """Takes ids for signed, and those below zero for wrong."""

    def objection(self, packet: Packet) -> int | None:
        return packets.INVALID if packet.stream >> 31 else super().objection(packet)


@wrong()
class NoLastId(Connection):
    """Has no stream 0xffffffff."""

    def objection(self, packet: Packet) -> int | None:
        return packets.INVALID if packet.stream == 0xffffffff else super().objection(packet)


@wrong()
class SequentialIdsOnly(Connection):
    """Wants ids that grow by one."""

    last = 0

    def objection(self, packet: Packet) -> int | None:
        if packet.stream < self.last:
            return packets.INVALID
        self.last = packet.stream
        return super().objection(packet)


@wrong()
class NoIdTwice(Connection):
    """Does not let a client use an id again, after CLOSE."""

    def objection(self, packet: Packet) -> int | None:
        if any(stream.number == packet.stream for stream in self.every_stream):
            return packets.INVALID
        return super().objection(packet)


@wrong()
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


@wrong()
class LosesLastBytes(Holds):
    async def finish(self) -> int:
        return packets.VOLUNTARY


@wrong()
class CloseBeforeData(Holds):
    """CLOSE overtakes the last of the data."""

    async def finish(self) -> int:
        if not self.closed:
            self.connection.send(packets.close(self.number, packets.VOLUNTARY))
            await self.let_go()
            self.forget()
        return packets.VOLUNTARY


@wrong()
class NoClose(Stream):
    """Does not say that the destination has closed."""

    async def download(self, reader: asyncio.StreamReader) -> int:
        await super().download(reader)
        self.forget()
        return packets.VOLUNTARY


@wrong()
class WrongReasonAtTheEnd(Stream):
    async def download(self, reader: asyncio.StreamReader) -> int:
        await super().download(reader)
        return packets.NETWORK_ERROR


@wrong()
class KeepsDestination(Stream):
    """Does not close the destination's connection on the client's CLOSE."""

    async def close_destination(self, writer: asyncio.StreamWriter) -> None:
        await asyncio.get_running_loop().create_future()


# Credit


@wrong()
class NeverContinues(Stream):
    def refresh(self) -> None:
        pass


@wrong()
class ContinuesLate(Stream):
    """Gives new credit only when more was sent than there was."""

    def refresh(self) -> None:
        if self.credit < 0 and not self.closed:
            self.send_credit()


@wrong()
class ContinuesOverBuffer(Stream):
    """Gives more than was announced."""

    def send_credit(self) -> None:
        self.credit = self.room
        self.connection.send(packets.credit(self.number, self.room + 1000))


@wrong()
class AlwaysContinues(Stream):
    """Gives credit for what came, and not for what the destination took."""

    def received(self, data: bytes) -> None:
        super().received(data)
        if self.credit <= self.connection.server.buffer // 2:
            self.credit = self.connection.server.buffer
            self.connection.send(packets.credit(self.number, self.credit))


@wrong()
class StallsEverything(Connection):
    """Reads nothing while a destination does not take what it was sent."""

    async def on_message(self, opcode: int, message: bytes) -> None:
        await super().on_message(opcode, message)
        while any(stream.waiting.qsize() > 100 for stream in self.streams.values()):
            await asyncio.sleep(0.01)


@wrong()
class DiesOfOverdraft(Connection):
    """Ends the connection when a client sends more than its credit."""

    def on_packet(self, packet: Packet) -> None:
        stream = self.streams.get(packet.stream)
        if packet.type == packets.DATA and stream and type(stream) is Stream and stream.credit < 1:
            raise Gone
        super().on_packet(packet)


@wrong()
class CreditForDatagrams(DatagramStream):
    def received(self, data: bytes) -> None:
        super().received(data)
        self.connection.send(packets.credit(self.number, 100))


@wrong()
class DatagramsTakeCredit(DatagramStream):
    """Closes a datagram stream that has sent as many as a TCP stream may."""

    def received(self, data: bytes) -> None:
        super().received(data)
        if self.credit <= 0:
            self.end(packets.VOLUNTARY)


@wrong()
class ConfirmsEverything(Stream):
    """Confirms streams though the client has not asked for it."""

    def __init__(self, connection: Connection, number: int, host: str, port: int) -> None:
        super().__init__(connection, number, host, port)
        self.send_credit()


@wrong()
class NoConfirmation(Connection):
    """Offers to confirm streams, and does not."""

    confirms = False


# Errors


class Reasons(Stream):
    """Other reasons for what does not work."""

    other: dict[int, int] = {}

    def reason_for(self, error: OSError) -> int:
        reason = super().reason_for(error)
        return self.other.get(reason, reason)


@wrong()
class WrongReasonForRefused(Reasons):
    other = {packets.REFUSED: packets.VOLUNTARY}


@wrong()
class WrongReasonForNoName(Reasons):
    other = {packets.UNREACHABLE: packets.VOLUNTARY}


@wrong()
class WrongReasonForBlocked(Reasons):
    other = {packets.BLOCKED: packets.VOLUNTARY}


@wrong()
class SilentAboutRefused(Stream):
    """Forgets a stream that could not be opened."""

    def end(self, reason: int) -> None:
        if reason == packets.REFUSED:
            self.forget()
        super().end(reason)


@wrong()
class SilentAboutNoName(Stream):
    def end(self, reason: int) -> None:
        if reason == packets.UNREACHABLE:
            self.forget()
        super().end(reason)


class Fragile(Connection):
    """Ends the connection over CONNECTs that it does not like."""

    def is_deadly(self, kind: int, port: int, host: bytes) -> bool:
        raise NotImplementedError

    def on_connect(self, packet: Packet) -> None:
        if len(packet.payload) >= 3 and self.is_deadly(*packet.destination):
            raise Gone
        super().on_connect(packet)


@wrong()
class DiesOfPort0(Fragile):
    def is_deadly(self, kind: int, port: int, host: bytes) -> bool:
        return port == 0


@wrong()
class DiesOfEmptyHost(Fragile):
    def is_deadly(self, kind: int, port: int, host: bytes) -> bool:
        return not host


@wrong()
class DiesOfLongHost(Fragile):
    def is_deadly(self, kind: int, port: int, host: bytes) -> bool:
        return len(host) > 200


@wrong()
class DiesOfBadUtf8(Fragile):
    def is_deadly(self, kind: int, port: int, host: bytes) -> bool:
        return host != host.decode("utf-8", "replace").encode()


@wrong()
class DiesOfStreamType(Fragile):
    def is_deadly(self, kind: int, port: int, host: bytes) -> bool:
        return kind not in (packets.TCP, packets.UDP)


@wrong()
class TakesStreamTypes(Connection):
    """Takes an unknown stream type for TCP."""

    def objection(self, packet: Packet) -> int | None:
        return super().objection(packet._replace(payload=b"\1" + packet.payload[1:]))

    def on_connect(self, packet: Packet) -> None:
        if len(packet.payload) >= 3 and packet.payload[0] > packets.UDP:
            packet = packet._replace(payload=b"\1" + packet.payload[1:])
        super().on_connect(packet)


@wrong()
class SilentAboutBadConnects(Connection):
    def on_connect(self, packet: Packet) -> None:
        if self.objection(packet) is None:
            super().on_connect(packet)


@wrong()
class DiesOfShortPackets(Connection):
    def on_short_packet(self, message: bytes) -> None:
        raise Gone


@wrong()
class DiesOfEmptyMessages(Connection):
    def on_short_packet(self, message: bytes) -> None:
        if not message:
            raise Gone


@wrong()
class DiesOfUnknownTypes(Connection):
    def on_unknown_type(self, packet: Packet) -> None:
        raise Gone


@wrong()
class DiesOfUnknownStreams(Connection):
    def on_unknown_stream(self, packet: Packet) -> None:
        raise Gone


@wrong()
class AnswersUnknownStreams(Connection):
    """With CLOSE, for what has crossed one."""

    def on_unknown_stream(self, packet: Packet) -> None:
        self.send(packets.close(packet.stream, packets.UNKNOWN))


@wrong()
class DiesOfText(Connection):
    def on_text(self, message: bytes) -> None:
        raise Gone


@wrong()
class TakesTextForPackets(Connection):
    def on_text(self, message: bytes) -> None:
        if len(message) >= 5:
            self.on_packet(packets.decode(message))


class Fragments(Connection):
    async def recv_message(self) -> tuple[int, bytes]:
        frame = await self.recv_frame()
        while frame.opcode & 8:
            self.on_control(frame, False)
            frame = await self.recv_frame()
        if not frame.fin:
            return await self.recv_fragments(frame)
        return frame.opcode, frame.payload

    async def recv_fragments(self, first: Frame) -> tuple[int, bytes]:
        raise Gone


@wrong()
class DiesOfFragments(Fragments):
    """Has never heard of fragments."""


@wrong()
class TakesFragmentsForMessages(Fragments):
    async def recv_fragments(self, first: Frame) -> tuple[int, bytes]:
        return first.opcode, first.payload


@wrong()
class IgnoresPingsWithinMessages(Connection):
    def on_control(self, frame: Frame, within_message: bool) -> None:
        if not within_message:
            super().on_control(frame, within_message)


@wrong()
class IgnoresPings(Connection):
    def on_control(self, frame: Frame, within_message: bool) -> None:
        if frame.opcode != frames.PING:
            super().on_control(frame, within_message)


@wrong()
class AnswersPingsWithNothing(Connection):
    """Pongs do not hold what the ping did."""

    def on_control(self, frame: Frame, within_message: bool) -> None:
        super().on_control(frame._replace(payload=b"") if frame.opcode == frames.PING else frame,
                           within_message)


@wrong()
class DiesOfLargeMessages(Connection):
    """Takes no more than 256 KiB."""

    async def on_message(self, opcode: int, message: bytes) -> None:
        if len(message) > 1 << 18:
            raise Broken
        await super().on_message(opcode, message)


@wrong()
class DropsLargeMessages(Connection):
    async def on_message(self, opcode: int, message: bytes) -> None:
        if len(message) <= 1 << 18:
            await super().on_message(opcode, message)


class Messages(Connection):
    """What is sent differs from the second on; the handshake's first is as it should be."""

    count = 0

    def send_message(self, message: bytes) -> None:
        self.count += 1
        if self.count > 2:
            self.send_wrong(message)
        else:
            super().send_message(message)

    def send_wrong(self, message: bytes) -> None:
        raise NotImplementedError


@wrong()
class MasksItsFrames(Connection):
    def send_message(self, message: bytes) -> None:
        self.write(frames.encode(frames.BINARY, message, masked=True))


@wrong()
class SendsTextMessages(Connection):
    def send_message(self, message: bytes) -> None:
        self.write(frames.encode(frames.TEXT, message))


@wrong()
class SendsReservedBits(Messages):
    def send_wrong(self, message: bytes) -> None:
        self.write(frames.encode(frames.BINARY, message, reserved=4))


@wrong()
class SendsLongMessages(Stream):
    """Answers with messages of 8 MiB."""

    async def to_client(self, data: bytes) -> None:
        await super().to_client(data + bytes(8 << 20))


@wrong()
class TakesUnmaskedFrames(Connection):
    async def recv_frame(self) -> Frame:
        read = self.reader.readexactly
        first, second = await read(2)
        size = second & 0x7f
        if size == 126:
            (size,) = struct.unpack("!H", await read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await read(8))
        key = await read(4) if second & 0x80 else bytes(4)
        payload = await read(size)
        return Frame(first & 0x0f, frames.mask(payload, key) if size else b"",
                     bool(first & 0x80), True)


@wrong()
class NoCloseFrame(Connection):
    """Answers a Close frame with the end of the connection alone."""

    def on_control(self, frame: Frame, within_message: bool) -> None:
        if frame.opcode == frames.CLOSE:
            raise Gone
        super().on_control(frame, within_message)


# UDP


@wrong()
class JoinsDatagrams(DatagramStream):
    """Two become one."""

    held = b""

    async def to_client(self, data: bytes) -> None:
        if data and not self.held:
            self.held = data
            return
        data, self.held = self.held + data, b""
        await super().to_client(data)


@wrong()
class SplitsDatagrams(DatagramStream):
    async def to_client(self, data: bytes) -> None:
        for at in range(0, max(len(data), 1), 1000):
            await super().to_client(data[at:at + 1000])


@wrong()
class LosesEmptyDatagrams(DatagramStream):
    async def to_client(self, data: bytes) -> None:
        if data:
            await super().to_client(data)


@wrong()
class EndsOnEmptyDatagrams(DatagramStream):
    async def to_client(self, data: bytes) -> None:
        await super().to_client(data)
        if not data:
            self.end(packets.VOLUNTARY)


@wrong()
class LosesLargeDatagrams(DatagramStream):
    async def to_client(self, data: bytes) -> None:
        if len(data) < 10_000:
            await super().to_client(data)


@wrong()
class SharesDatagramSockets(DatagramStream):
    """Two streams to one destination are one."""

    async def to_client(self, data: bytes) -> None:
        first = next(each for each in self.connection.streams.values()
                     if isinstance(each, DatagramStream) and each.port == self.port)
        self.connection.send(packets.data(first.number, data))


@wrong()
class NoDatagramsAgreed(Connection):
    """Offers UDP, and refuses it."""

    @property
    def has_udp(self) -> bool:
        return self.version == 1


@wrong()
class OtherDatagrams(DatagramStream):
    async def to_client(self, data: bytes) -> None:
        await super().to_client(data[::-1])
