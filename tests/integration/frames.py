"""WebSocket frames (RFC 6455) and Wisp packets, well-formed or not, as the test asks."""

from __future__ import annotations

import base64
import hashlib
import os
import struct
from typing import Callable, NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xa
PROTOCOL_ERROR = 1002

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_key(key: str) -> str:
    """The Sec-WebSocket-Accept that belongs to a Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


class Frame(NamedTuple):
    opcode: int
    payload: bytes
    fin: bool = True
    masked: bool = False
    reserved: int = 0

    @property
    def close_code(self) -> int | None:
        """The status code of a Close frame, if it has one."""
        return struct.unpack("!H", self.payload[:2])[0] if len(self.payload) >= 2 else None


def mask(data: bytes | memoryview, key: bytes) -> bytes:
    size = len(data)
    keys = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")


def encode(opcode: int, data: bytes | memoryview = b"", *, fin: bool = True, masked: bool = False,
           reserved: int = 0, length_bytes: int | None = None, length: int | None = None) -> bytes:
    """A frame. LENGTH_BYTES (0, 2, 8) forces a form of the length, LENGTH a wrong length."""
    size = len(data) if length is None else length
    if length_bytes is None:
        length_bytes = 0 if size < 126 else 2 if size < 1 << 16 else 8
    first = fin << 7 | reserved << 4 | opcode
    second = masked << 7 | {0: size, 2: 126, 8: 127}[length_bytes]
    header = bytes([first, second]) + (size.to_bytes(length_bytes, "big") if length_bytes else b"")
    if masked:
        key = os.urandom(4)
        return header + key + mask(data, key)
    return header + data


def close_frame(code: int, *, masked: bool = False) -> bytes:
    return encode(CLOSE, struct.pack("!H", code), masked=masked)


def read_frame(read: Callable[[int], bytes]) -> Frame:
    """The next frame; READ(n) gives exactly n bytes."""
    first, second = read(2)
    size = second & 0x7f
    if size == 126:
        (size,) = struct.unpack("!H", read(2))
    elif size == 127:
        (size,) = struct.unpack("!Q", read(8))
    masked = bool(second & 0x80)
    key = read(4) if masked else b""
    data = read(size) if size else b""
    return Frame(first & 0x0f, mask(data, key) if masked else data, bool(first & 0x80), masked,
                 first >> 4 & 7)
