"""Servers that cannot cope with what is wrong, or unusual (see `wrong`)."""

from __future__ import annotations

import frames
import packets
from frames import Frame
from packets import Packet
from rightserver import OPCODES, Connection, DatagramStream, Gone, Request, Stream
from wrong import Mortal, wrong


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


@wrong("errors/timed-out")
class WrongReasonForTimedOut(Reasons):
    other = {packets.TIMED_OUT: packets.VOLUNTARY}


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


@wrong("errors/unknown-stream")
class AnswersCloseOfUnknownStreams(Connection):
    def on_unknown_stream(self, packet: Packet) -> None:
        if packet.type == packets.CLOSE:
            self.send(packets.close(packet.stream, packets.INVALID))


@wrong("errors/text")
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
