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
from rightserver import CHUNK, OPCODES, Connection, DatagramStream, Gone, Request, RightServer, Stream


class Fault(NamedTuple):
    checks: tuple[str, ...]  #: that have to find it; others of their groups may
    spoils: tuple[str, ...]  #: the other groups whose checks cannot do without what is wrong
    refused: str  #: why there is no connection at all
    deadly: bool  #: when it was found, the server is down
    connection: type[Connection]
    options: dict[str, Any]  #: of the server

    @property
    def groups(self) -> set[str]:
        """Those whose checks may find it."""
        return {check.partition("/")[0] for check in self.checks} | set(self.spoils)

    def server(self) -> RightServer:
        return RightServer(self.connection, **self.options)


FAULTS: dict[str, Fault] = {}


def wrong(*checks: str, spoils: tuple[str, ...] = (), refused: str = "", deadly: bool = False,
          **options: Any) -> Callable[[type], type]:
    """What is decorated is a fault, as `Fault` has it, of a server with these OPTIONS."""

    def add(part: type) -> type:
        connection = part
        if issubclass(part, DatagramStream):
            connection = type(part.__name__, (Connection,), {"datagram_class": part})
        elif issubclass(part, Stream):
            connection = type(part.__name__, (Connection,), {"stream_class": part})
        FAULTS[part.__name__] = Fault(checks, spoils, refused, deadly, connection, options)
        return part

    return add


class Mortal(Connection):
    """A server of which a client can make an end: for everybody, as by an unhandled exception."""

    async def upgrade(self) -> None:
        if getattr(self.server, "dead", False):
            raise Gone
        await super().upgrade()

    def die(self) -> None:
        self.server.dead = True
        raise Gone


# The upgrade


@wrong(refused="Sec-WebSocket-Accept")
class WrongAccept(Connection):
    def upgrade_headers(self, request: Request) -> list[str]:
        return super().upgrade_headers(
            request._replace(headers=request.headers | {"sec-websocket-key": "AAAA"}))


@wrong(refused="Sec-WebSocket-Accept")
class NoAccept(Connection):
    def upgrade_headers(self, request: Request) -> list[str]:
        return [line for line in super().upgrade_headers(request) if "Accept" not in line]


@wrong(refused="upgrades to")
class NoUpgradeHeader(Connection):
    def upgrade_headers(self, request: Request) -> list[str]:
        return super().upgrade_headers(request)[1:]


@wrong("handshake/upgrade")
class ProtocolUnasked(Connection):
    """Selects a subprotocol for clients that have offered none."""

    def upgrade_headers(self, request: Request) -> list[str]:
        return super().upgrade_headers(
            request._replace(headers={"sec-websocket-protocol": "wisp-v2"} | request.headers))


@wrong("handshake/subprotocol")
class OtherProtocol(Connection):
    """Selects a subprotocol that was not offered."""

    def upgrade_headers(self, request: Request) -> list[str]:
        return [line.replace("Protocol: wisp-v2", "Protocol: wisp-v3")
                for line in super().upgrade_headers(request)]


@wrong(refused="extension that was not offered")
class ExtensionUnasked(Connection):
    """Compresses, as it says, though nobody has offered that."""

    def upgrade_headers(self, request: Request) -> list[str]:
        return [*super().upgrade_headers(request), "Sec-WebSocket-Extensions: permessage-deflate"]


# The handshake


@wrong("handshake/v1-first-packet")
class AlwaysV2(Connection):
    """Sends INFO to clients that have not asked for version 2."""

    async def greet(self) -> None:
        self.version = 2
        await super().greet()


@wrong("handshake/v1-first-packet", "handshake/v2-order", "handshake/credit")
class NoInitialCredit(Connection):
    """Has nothing to say, in either version."""

    async def greet(self) -> None:
        if self.version == 2:
            self.send_info()
            await self.recv_info()


@wrong("handshake/v1-first-packet")
class InitialCreditInV2Only(Connection):
    async def greet(self) -> None:
        if self.version == 2:
            await super().greet()


@wrong("handshake/v1-first-packet")
class InitialCreditOnStreamOne(Connection):
    async def greet(self) -> None:
        if self.version == 2:
            await super().greet()
        else:
            self.send(packets.credit(1, self.initial_credit()))


@wrong("handshake/credit", spoils=("streams", "credit"))
class InitialCreditIsZero(Connection):
    def initial_credit(self) -> int:
        return 0


@wrong("handshake/v1-first-packet")
class InitialCreditIsShort(Connection):
    async def greet(self) -> None:
        if self.version == 2:
            await super().greet()
        else:
            self.send(Packet(packets.CONTINUE, 0, b"\x80"))


@wrong("handshake/v2-order")
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


@wrong("handshake/info-extensions")
class InfoCutOff(InfoOf):
    """The last extension is shorter than it says."""

    def info(self) -> Packet:
        return packets.info(packets.extension(packets.HAS_UDP)
                            + packets.extension(packets.MOTD, b"Hello", 50))


@wrong("handshake/info-extensions")
class InfoWithRest(InfoOf):
    """Three bytes follow the last extension."""

    def info(self) -> Packet:
        packet = super().info()
        return packet._replace(payload=packet.payload + b"\1\0\0")


@wrong("handshake/info-version")
class InfoOfVersion3(InfoOf):
    def info(self) -> Packet:
        return super().info()._replace(payload=b"\3\0" + super().info().payload[2:])


@wrong("handshake/v2-first-packet")
class InfoOnStream5(InfoOf):
    def info(self) -> Packet:
        return super().info()._replace(stream=5)


@wrong("handshake/v2-order")
class InfoTwice(InfoOf):
    def send_info(self) -> None:
        super().send_info()
        super().send_info()


@wrong("handshake/info-extensions")
class ExtensionTwice(InfoOf):
    def info(self) -> Packet:
        packet = super().info()
        return packet._replace(payload=packet.payload + packets.extension(packets.HAS_UDP))


class Offers(Connection):
    """Offers other things."""

    more: dict[int, bytes] = {}

    def offered(self) -> dict[int, bytes]:
        return super().offered() | self.more


@wrong("handshake/extension-udp")
class UdpWithPayload(Offers):
    more = {packets.HAS_UDP: b"\1"}


@wrong("handshake/extension-confirmation")
class ConfirmationWithPayload(Offers):
    more = {packets.CONFIRMATION: b"\1\1"}


@wrong("handshake/extension-motd")
class MotdIsNoText(Offers):
    more = {packets.MOTD: b"\xff\xfe\xfd"}


@wrong("handshake/extension-password")
class PasswordRequiredIsLong(Offers):
    more = {packets.PASSWORD: b"\0\0\0\0"}


@wrong("handshake/extension-password")
class PasswordRequiredIsTwo(Offers):
    more = {packets.PASSWORD: b"\2"}


@wrong("handshake/extension-key", "handshake/wrong-key")
class KeyWithoutChallenge(Offers):
    more = {packets.KEY: b"\0"}


@wrong("handshake/bad-info")
class TakesBadInfo(Connection):
    async def recv_info(self) -> None:
        await self.recv_message()


@wrong("handshake/unknown-extension")
class RefusesUnknownExtensions(Connection):
    async def recv_info(self) -> None:
        await super().recv_info()
        if not set(self.named) <= set(self.offered()):
            self.refuse(packets.INCOMPATIBLE)


@wrong("handshake/other-version", deadly=True)
class DiesOfOtherVersions(Mortal):
    def refuse(self, reason: int) -> None:
        self.die()


@wrong("handshake/bad-info", "handshake/other-version")
class SilentAboutBadInfo(Connection):
    """Waits for a better one."""

    async def recv_info(self) -> None:
        opcode, message = await self.recv_message()
        try:
            packets.extensions(packets.decode(message))
        except (AssertionError, struct.error):
            while True:
                await self.recv_frame()


@wrong("handshake/early-connect")
class StreamsBeforeHandshake(Connection):
    """Opens streams for a client that has not sent its INFO yet."""

    async def recv_info(self) -> None:
        opcode, message = await self.recv_message()
        while packets.decode(message).type != packets.INFO:
            await self.on_message(opcode, message)
            opcode, message = await self.recv_message()
        self.agreed = packets.extensions(packets.decode(message))


PASSWORD = "tester:right"


@wrong("handshake/wrong-password", password=PASSWORD)
class TakesEveryPassword(Connection):
    def check_password(self, shown: bytes | None) -> None:
        if not shown:
            super().check_password(shown)


@wrong("handshake/credentials-accepted", password=PASSWORD)
class TakesNoPassword(Connection):
    def check_password(self, shown: bytes | None) -> None:
        super().check_password(shown)
        self.refuse(packets.BAD_PASSWORD)


@wrong("handshake/credentials-missing", password=PASSWORD)
class TakesMissingPassword(Connection):
    def check_password(self, shown: bytes | None) -> None:
        if shown:
            super().check_password(shown)


@wrong("handshake/wrong-password", password=PASSWORD)
class WrongReasonForPassword(Connection):
    def refuse(self, reason: int) -> None:
        super().refuse(packets.BLOCKED if reason == packets.BAD_PASSWORD else reason)


@wrong("handshake/credentials-missing", password=PASSWORD)
class WrongReasonForMissingPassword(Connection):
    def refuse(self, reason: int) -> None:
        super().refuse(packets.BLOCKED if reason == packets.CREDENTIALS_REQUIRED else reason)


# Streams


@wrong("streams/echo-1", spoils=("credit",))
class LosesData1(Stream):
    def received(self, data: bytes) -> None:
        super().received(b"" if len(data) == 1 else data)


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
class HalfClosesDestination(Stream):
    """On the client's CLOSE only ends what it sends, and passes on what still comes."""

    async def close_destination(self, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()

    async def download(self, reader: asyncio.StreamReader) -> int:
        while data := await reader.read(CHUNK):
            await self.to_client(data)
        return packets.VOLUNTARY


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


# Errors


@wrong("credit/overdrawn", deadly=True)
class DiesOfOverdraft(Mortal):
    def on_packet(self, packet: Packet) -> None:
        super().on_packet(packet)
        stream = self.streams.get(packet.stream)
        if type(stream) is Stream and stream.waiting.qsize() > 2 * self.server.buffer:
            self.die()


@wrong("streams/id-zero", deadly=True)
class DiesOfStreamZero(Mortal):
    def on_packet(self, packet: Packet) -> None:
        if packet.stream == 0 and packet.type == packets.DATA:
            self.die()
        super().on_packet(packet)


@wrong("errors/short-packet", deadly=True)
class DiesOfShortPackets(Mortal):
    def on_short_packet(self, message: bytes) -> None:
        if message:
            self.die()


@wrong("errors/empty-message", deadly=True)
class DiesOfEmptyMessages(Mortal):
    def on_short_packet(self, message: bytes) -> None:
        if not message:
            self.die()


@wrong("errors/short-payload", deadly=True)
class DiesOfShortPayloads(Mortal):
    def on_packet(self, packet: Packet) -> None:
        if packet.type == packets.CONNECT and len(packet.payload) < 3:
            self.die()
        super().on_packet(packet)


@wrong("errors/unknown-type", deadly=True)
class DiesOfUnknownTypes(Mortal):
    def on_unknown_type(self, packet: Packet) -> None:
        self.die()


@wrong("errors/client-continue", deadly=True)
class DiesOfContinue(Mortal):
    def on_packet(self, packet: Packet) -> None:
        if packet.type == packets.CONTINUE:
            self.die()
        super().on_packet(packet)


@wrong("errors/second-info", deadly=True)
class DiesOfInfo(Mortal):
    def on_packet(self, packet: Packet) -> None:
        if packet.type == packets.INFO:
            self.die()
        super().on_packet(packet)


@wrong("errors/text", deadly=True)
class DiesOfText(Mortal):
    def on_text(self, message: bytes) -> None:
        self.die()


@wrong("handshake/path", deadly=True)
class DiesOfOtherPaths(Mortal):
    def refusal(self, request: Request) -> str | None:
        return super().refusal(request) and self.die()


@wrong("udp/too-large", deadly=True)
class DiesOfLargeDatagrams(Mortal):
    def on_packet(self, packet: Packet) -> None:
        if type(self.streams.get(packet.stream)) is DatagramStream and len(packet.payload) > 65507:
            self.die()
        super().on_packet(packet)


class Reasons(Stream):
    """Other reasons for what does not work."""

    other: dict[int, int] = {}

    def reason_for(self, error: OSError) -> int:
        reason = super().reason_for(error)
        return self.other.get(reason, reason)


@wrong("errors/refused")
class WrongReasonForRefused(Reasons):
    other = {packets.REFUSED: packets.VOLUNTARY}


@wrong("errors/unresolvable")
class WrongReasonForNoName(Reasons):
    other = {packets.UNREACHABLE: packets.VOLUNTARY}


@wrong("errors/refused")
class SilentAboutRefused(Stream):
    """Forgets a stream that could not be opened."""

    def end(self, reason: int) -> None:
        if reason == packets.REFUSED:
            self.forget()
        super().end(reason)


@wrong("errors/unresolvable")
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


@wrong("errors/port-zero")
class DiesOfPort0(Fragile):
    def is_deadly(self, kind: int, port: int, host: bytes) -> bool:
        return port == 0


@wrong("errors/empty-host")
class DiesOfEmptyHost(Fragile):
    def is_deadly(self, kind: int, port: int, host: bytes) -> bool:
        return not host


@wrong("errors/long-host")
class DiesOfLongHost(Fragile):
    def is_deadly(self, kind: int, port: int, host: bytes) -> bool:
        return len(host) > 200


@wrong("errors/host-not-utf8")
class DiesOfBadUtf8(Fragile):
    def is_deadly(self, kind: int, port: int, host: bytes) -> bool:
        return host != host.decode("utf-8", "replace").encode()


@wrong("errors/stream-type")
class DiesOfStreamType(Fragile):
    def is_deadly(self, kind: int, port: int, host: bytes) -> bool:
        return kind not in (packets.TCP, packets.UDP)


@wrong("errors/stream-type")
class TakesStreamTypes(Connection):
    """Takes an unknown stream type for TCP."""

    def objection(self, packet: Packet) -> int | None:
        return super().objection(packet._replace(payload=b"\1" + packet.payload[1:]))

    def on_connect(self, packet: Packet) -> None:
        if len(packet.payload) >= 3 and packet.payload[0] > packets.UDP:
            packet = packet._replace(payload=b"\1" + packet.payload[1:])
        super().on_connect(packet)


@wrong("errors/port-zero", "errors/empty-host", "errors/host-not-utf8", "errors/stream-type")
class SilentAboutBadConnects(Connection):
    def on_connect(self, packet: Packet) -> None:
        if self.objection(packet) is None:
            super().on_connect(packet)


@wrong("errors/unknown-stream")
class DiesOfUnknownStreams(Connection):
    def on_unknown_stream(self, packet: Packet) -> None:
        raise Gone


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
        raise NotImplementedError


@wrong("errors/fragments")
class HasNoFragments(Fragments):
    """Ends the connection."""

    async def recv_fragments(self, first: Frame) -> tuple[int, bytes]:
        raise Gone


@wrong("errors/fragments")
class TakesFragmentsForMessages(Fragments):
    async def recv_fragments(self, first: Frame) -> tuple[int, bytes]:
        return first.opcode, first.payload


@wrong("errors/ping")
class IgnoresPingsWithinMessages(Connection):
    def on_control(self, frame: Frame, within_message: bool) -> None:
        if not within_message:
            super().on_control(frame, within_message)


@wrong("errors/ping")
class IgnoresPings(Connection):
    def on_control(self, frame: Frame, within_message: bool) -> None:
        if frame.opcode != frames.PING:
            super().on_control(frame, within_message)


@wrong("errors/ping")
class AnswersPingsWithNothing(Connection):
    """Pongs do not hold what the ping did."""

    def on_control(self, frame: Frame, within_message: bool) -> None:
        super().on_control(frame._replace(payload=b"") if frame.opcode == frames.PING else frame,
                           within_message)


@wrong("errors/big-packet")
class DropsLargeMessages(Connection):
    async def on_message(self, opcode: int, message: bytes) -> None:
        if len(message) <= 1 << 18:
            await super().on_message(opcode, message)


@wrong("streams/echo-125", spoils=("credit", "errors"))
class SendsReservedBits(Stream):
    """Sets a reserved bit in long messages, as if they were compressed."""

    async def to_client(self, data: bytes) -> None:
        self.connection.write(frames.encode(
            frames.BINARY, packets.data(self.number, data).encode(),
            reserved=4 if len(data) > 100 else 0))
        await self.connection.drain()


@wrong("streams/echo-125", spoils=("credit", "errors"))
class SendsLongMessages(Stream):
    """Answers with messages of 8 MiB."""

    async def to_client(self, data: bytes) -> None:
        await super().to_client(data + bytes(8 << 20) if len(data) > 100 else data)


class Tolerant(Connection):
    """Lets frames pass that RFC 6455 forbids."""

    def repair(self, first: int, second: int) -> tuple[int, int]:
        raise NotImplementedError

    async def recv_head(self) -> tuple[int, int]:
        return self.repair(*await super().recv_head())


@wrong("errors/reserved-bits")
class TakesReservedBits(Tolerant):
    def repair(self, first: int, second: int) -> tuple[int, int]:
        return first & 0x8f, second


@wrong("errors/unknown-opcode")
class TakesUnknownOpcodes(Tolerant):
    """Takes them for pongs."""

    def repair(self, first: int, second: int) -> tuple[int, int]:
        return first if first & 0xf in OPCODES else 0x80 | frames.PONG, second


@wrong("errors/unmasked-frame")
class TakesUnmaskedFrames(Connection):
    async def recv_mask(self, second: int) -> bytes:
        return await super().recv_mask(second) if second & 0x80 else bytes(4)


@wrong("errors/long-control-frame")
class AnswersLongPings(Connection):
    def on_control(self, frame: Frame, within_message: bool) -> None:
        if frame.opcode == frames.PING:
            self.write(frames.encode(frames.PONG, frame.payload))
        else:
            super().on_control(frame, within_message)


@wrong("handshake/v1-first-packet")
class MasksItsFrames(Connection):
    def send_message(self, message: bytes) -> None:
        self.write(frames.encode(frames.BINARY, message, masked=True))


@wrong("handshake/v1-first-packet")
class SendsTextMessages(Connection):
    def send_message(self, message: bytes) -> None:
        self.write(frames.encode(frames.TEXT, message))


@wrong("errors/close-frame")
class NoCloseFrame(Connection):
    """Answers a Close frame with the end of the connection alone."""

    def on_control(self, frame: Frame, within_message: bool) -> None:
        if frame.opcode == frames.CLOSE:
            raise Gone
        super().on_control(frame, within_message)


# UDP


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
