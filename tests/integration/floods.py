"""What costs its sender little and could cost its receiver much, as frames of either side."""

from __future__ import annotations

from typing import Callable

import frames
import packets

UNKNOWN = 0x7fffffff  #: the id of no stream
FRAMES = 100_000
#: How many frames go in one write; after each, others have to be served.
CHUNK = 10_000

#: A flood, made of the id of a stream that is open, as a client or a server sends it.
Flood = Callable[[int, bool], bytes]


def message(packet: packets.Packet, masked: bool) -> bytes:
    return frames.encode(frames.BINARY, packet.encode(), masked=masked)


def control(opcode: int, size: int) -> Flood:
    return lambda _, masked: frames.encode(opcode, bytes(size), masked=masked) * CHUNK


def repeated(make: Callable[[int], packets.Packet]) -> Flood:
    return lambda stream, masked: message(make(stream), masked) * CHUNK


def fragments(size: int, pings: bool = False) -> Flood:
    """A packet for a stream that is not there, in pieces of SIZE bytes, with or without PINGS."""

    def make(_: int, masked: bool) -> bytes:
        first = frames.encode(frames.BINARY, packets.data(UNKNOWN, b"").encode(), fin=False,
                              masked=masked)
        more = frames.encode(frames.CONTINUATION, bytes(size), fin=False, masked=masked)
        ping = frames.encode(frames.PING, masked=masked) if pings else b""
        last = frames.encode(frames.CONTINUATION, masked=masked)
        return first + (more + ping) * CHUNK + last

    return make


FLOODS: dict[str, Flood] = {
    "pings": control(frames.PING, 125),
    "pongs": control(frames.PONG, 125),
    "texts": control(frames.TEXT, 100),
    "empty data": repeated(lambda stream: packets.data(stream, b"")),
    "data for no stream": repeated(lambda _: packets.data(UNKNOWN, bytes(100))),
    "credit": repeated(lambda stream: packets.credit(stream, 0xffffffff)),
    "credit for no stream": repeated(lambda _: packets.credit(UNKNOWN, 0xffffffff)),
    "credit for the connection": repeated(lambda _: packets.credit(0, 0xffffffff)),
    "closes of no stream": repeated(lambda _: packets.close(UNKNOWN, packets.VOLUNTARY)),
    "fragments of a byte": fragments(1),
    "empty fragments": fragments(0),
    "pings between fragments": fragments(1, pings=True),
}
