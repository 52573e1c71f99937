"""Connections that lead through the same programs again and again."""

from __future__ import annotations

import socket
import struct

import pytest

import socks
from bridge import Bridge
from conftest import Start
from counters import counters
from procs import GUARD, wait_until
from wispservers import Wispd

LEVELS = 100
ON_RESET = struct.pack("ii", 1, 0)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ON_RESET)
    sock.close()


@pytest.mark.parametrize("end", [socket.socket.close, reset], ids=["end", "reset"])
@pytest.mark.parametrize("side", ["program", "destination"])
def test_loops_unwind(start: Start, side: str, end: object) -> None:
    """The end of the innermost or the outermost connection is all others' at once: each level would
    take seconds, did it have to find out by itself."""
    server = start(Wispd("--allow-loopback"))
    bridge = start(Bridge(f"ws://127.0.0.1:{server.port}/"))
    bridge.wait_connected()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(GUARD)
        program = bridge.dial("127.0.0.1", bridge.port)
        for _ in range(LEVELS):
            program.sendall(socks.opening("127.0.0.1", bridge.port))
            assert socks.recv_opening(program).code == socks.SUCCEEDED
        program.sendall(socks.opening("127.0.0.1", listener.getsockname()[1]) + b"there")
        assert socks.recv_opening(program).code == socks.SUCCEEDED
        with listener.accept()[0] as conn, program:
            conn.settimeout(GUARD)
            assert socks.recv_exactly(conn, 5) == b"there"
            first, second = (program, conn) if side == "program" else (conn, program)
            end(first)
            socks.recv_to_end(second)
            second.close()
            wait_until(lambda: counters(bridge).programs == 0, "all levels have unwound")
