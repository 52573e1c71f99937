"""Wisp packets: their encoding, and a stream of them over a WebSocket connection."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections import deque
from typing import NamedTuple

import frames
from procs import GUARD

CONNECT, DATA, CONTINUE, CLOSE, INFO = 1, 2, 3, 4, 5
#: Of our own extension of that id.
END = 0xf1
NAMES = {CONNECT: "CONNECT", DATA: "DATA", CONTINUE: "CONTINUE", CLOSE: "CLOSE", INFO: "INFO",
         END: "END"}
TCP, UDP = 1, 2

UNKNOWN, VOLUNTARY, NETWORK_ERROR, INCOMPATIBLE = 0x01, 0x02, 0x03, 0x04
INVALID, UNREACHABLE, TIMED_OUT, REFUSED = 0x41, 0x42, 0x43, 0x44
BLOCKED, THROTTLED = 0x48, 0x49
CLIENT_OVERWHELMED = 0x81
BAD_PASSWORD, BAD_SIGNATURE, CREDENTIALS_REQUIRED = 0xc0, 0xc1, 0xc2

#: Extensions of INFO.
HAS_UDP, PASSWORD, KEY, MOTD, CONFIRMATION = 1, 2, 3, 4, 5
#: Our own.
END_OF_DATA = 0xf1

MAX_DATA = 1 << 16


class Packet(NamedTuple):
    type: int
    stream: int
    payload: bytes = b""

    def __repr__(self) -> str:
        name = NAMES.get(self.type, f"type {self.type}")
        rest = f"... {len(self.payload)} bytes" if len(self.payload) > 32 else ""
        return f"<{name} on {self.stream}: {self.payload[:32]!r}{rest}>"

    def encode(self) -> bytes:
        return struct.pack("<BI", self.type, self.stream) + self.payload

    @property
    def destination(self) -> tuple[int, int, bytes]:
        """A CONNECT's stream type, port and host."""
        assert self.type == CONNECT, self
        return (*struct.unpack("<BH", self.payload[:3]), self.payload[3:])

    @property
    def credit(self) -> int:
        """How many DATA packets a CONTINUE allows."""
        assert self.type == CONTINUE and len(self.payload) == 4, self
        return struct.unpack("<I", self.payload)[0]

    @property
    def reason(self) -> int:
        """Why a CLOSE closes."""
        assert self.type == CLOSE and len(self.payload) == 1, self
        return self.payload[0]


def decode(message: bytes) -> Packet:
    kind, stream = struct.unpack("<BI", message[:5])
    return Packet(kind, stream, message[5:])


def connect(stream: int, host: str, port: int, kind: int = TCP) -> Packet:
    return Packet(CONNECT, stream, struct.pack("<BH", kind, port) + host.encode())


def data(stream: int, payload: bytes | memoryview) -> Packet:
    return Packet(DATA, stream, bytes(payload))


def credit(stream: int, count: int) -> Packet:
    return Packet(CONTINUE, stream, struct.pack("<I", count))


def close(stream: int, reason: int) -> Packet:
    return Packet(CLOSE, stream, bytes([reason]))


def end(stream: int) -> Packet:
    """No more data comes from this side."""
    return Packet(END, stream)


def info(extensions: bytes = b"", major: int = 2, minor: int = 0) -> Packet:
    return Packet(INFO, 0, bytes([major, minor]) + extensions)


def extension(kind: int, payload: bytes = b"", size: int | None = None) -> bytes:
    """An extension of INFO; SIZE replaces the right length."""
    return struct.pack("<BI", kind, len(payload) if size is None else size) + payload


def extensions(packet: Packet) -> dict[int, bytes]:
    """The payloads of the extensions of an INFO, by their ids; it has to be whole."""
    assert packet.type == INFO and packet.payload[:2] == bytes([2, 0]), packet
    found, rest = {}, packet.payload[2:]
    while rest:
        kind, size = struct.unpack("<BI", rest[:5])
        assert len(rest) >= 5 + size and kind not in found, packet
        found[kind], rest = rest[5:5 + size], rest[5 + size:]
    return found


class Ended(Exception):
    """The connection is over, where the test wanted more from it."""


class Link:
    """Packets over an upgraded connection, from either side of it.

    A client's link masks what it sends; each checks that the other side does as its role demands,
    and answers pings when a packet is waited for.
    """

    def __init__(self, sock: socket.socket, masks: bool) -> None:
        self.sock = sock
        self.masks = masks
        self._sending = threading.Lock()
        self._buffer = bytearray()
        self._held: deque[Packet] = deque()
        sock.settimeout(GUARD)

    def _read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            try:
                chunk = self.sock.recv(max(size - len(self._buffer), 1 << 16))
            except (ConnectionError, socket.timeout) as error:
                raise Ended(f"{type(error).__name__} instead of a frame") from error
            if not chunk:
                raise Ended("the end of the connection instead of a frame")
            self._buffer += chunk
        taken = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        return taken

    def send_raw(self, raw: bytes) -> None:
        with self._sending:
            self.sock.sendall(raw)

    def encode(self, packet: Packet) -> bytes:
        return frames.encode(frames.BINARY, packet.encode(), masked=self.masks)

    def send(self, *packets: Packet) -> None:
        """Send PACKETS, all in one write."""
        self.send_raw(b"".join(map(self.encode, packets)))

    def send_ping(self, payload: bytes) -> None:
        self.send_raw(frames.encode(frames.PING, payload, masked=self.masks))

    def recv_frame(self) -> frames.Frame:
        frame = frames.read_frame(self._read)
        assert frame.masked != self.masks, f"masked is {frame.masked} in {frame}"
        assert frame.reserved == 0, frame
        return frame

    def _recv_event(self) -> Packet | bytes:
        """The next packet, or the payload of a pong that came before it."""
        while True:
            frame = self.recv_frame()
            if frame.opcode == frames.PING:
                self.send_raw(frames.encode(frames.PONG, frame.payload, masked=self.masks))
            elif frame.opcode == frames.PONG:
                return frame.payload
            elif frame.opcode == frames.CLOSE:
                raise Ended(f"a Close frame, code {frame.close_code}")
            else:
                assert frame.opcode == frames.BINARY and frame.fin, frame
                return decode(frame.payload)

    def recv(self) -> Packet:
        """The next packet."""
        if self._held:
            return self._held.popleft()
        while not isinstance(event := self._recv_event(), Packet):
            pass
        return event

    def answer_pings(self) -> None:
        """In a thread of its own: keep the connection alive and drop every packet."""
        try:
            while True:
                self.recv()
        except (Ended, OSError):
            pass

    def recv_type(self, kind: int, stream: int | None = None) -> Packet:
        """The next packet, which has to be of this type (and stream)."""
        packet = self.recv()
        assert packet.type == kind and stream in (None, packet.stream), packet
        return packet

    def recv_until(self, kind: int, stream: int) -> tuple[Packet, list[Packet]]:
        """The next packet of this type and stream, and all that came before it."""
        before = []
        while (packet := self.recv())[:2] != (kind, stream):
            before.append(packet)
        return packet, before

    def recv_data(self, stream: int, size: int) -> bytes:
        """The next SIZE bytes of this stream, on which nothing else may come."""
        received = bytearray()
        while len(received) < size:
            received += self.recv_type(DATA, stream).payload
        return bytes(received)

    def barrier(self) -> list[Packet]:
        """What the other side sends before it has answered two pings, one after the other.

        Frames are read in order. A pong may overtake the packets that the frames before its ping
        give rise to, but these then leave before the next ping is looked at: a packet that is not
        in this list was not caused by anything sent up to now. `recv` gives the packets again.
        """
        for _ in range(2):
            token = os.urandom(8)
            self.send_ping(token)
            while (event := self._recv_event()) != token:
                if isinstance(event, Packet):
                    self._held.append(event)
        return list(self._held)

    def recv_end(self) -> int | None:
        """Read to the end of the connection; the code of the Close frame before it, if any."""
        code = None
        try:
            while True:
                frame = self.recv_frame()
                if frame.opcode == frames.CLOSE:
                    code = frame.close_code
        except Ended as end:
            assert not isinstance(end.__cause__, socket.timeout), "the connection is still there"
            return code

    def close(self) -> None:
        self.sock.close()
