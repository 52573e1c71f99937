"""wispd and clients that do not read what they are told of their streams."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache

import packets
import socks
from conftest import Start
from floods import message
from origin import Origin
from procs import in_background
from vitals import MIB, Vitals
from wispclient import WispClient, open_client
from wispservers import Wispd

CLIENTS = 4
#: What wispd may hold of each: 512 streams' CLOSEs, and what it has read at once.
HELD = MIB // 2


@lru_cache(None)
def connects(count: int) -> bytes:
    """Streams to where none can lead."""
    return b"".join(message(packets.connect(stream, "h", 0), True)
                    for stream in range(1, count + 1))


def open_lazy(server: Wispd) -> WispClient:
    """A client for which the kernel keeps little of what it does not read."""
    return open_client(socks.open_socket(server.port, rcvbuf=32 * 1024))


def flood(lazy: list[WispClient]) -> None:
    with suppress(OSError):
        socks.send_until_blocked([client.sock for client in lazy],
                                 memoryview(connects(100_000) * 10))


def test_refusals_pile_up_in_small_number(start: Start) -> None:
    """However many streams are asked for: the client is not read."""
    server = start(Wispd())
    with open_lazy(server) as first:  # what is kept for later is there
        flood([first])
    vitals = Vitals(server)
    lazy = [open_lazy(server) for _ in range(CLIENTS)]
    flood(lazy)
    vitals.check_growth(CLIENTS * HELD)
    for client in lazy:
        client.close()
    vitals.check()


def test_refusals_are_read_late(start: Start, origin: Origin) -> None:
    """Nothing of what such a client has sent is lost: it is read again as soon as it reads."""
    count = 200_000
    server = start(Wispd("-v"))
    with open_lazy(server) as lazy:
        sender = in_background(lambda: lazy.send_raw(connects(count)))
        server.wait_log("not read: it does not read the ends")
        refused = [lazy.recv_type(packets.CLOSE).stream for _ in range(count)]
        assert refused == list(range(1, count + 1))
        sender.join()
        lazy.send(packets.connect(count + 1, "127.0.0.1", origin.echo.port),
                  packets.data(count + 1, b"echo"))
        assert lazy.recv_until(packets.DATA, count + 1)[0].payload == b"echo"


def test_refusals_are_never_read(start: Start) -> None:
    """A client that takes nothing for some pings is gone."""
    connects(100_000)  # which takes its time
    server = start(Wispd("--ping-interval", "1"))
    with open_lazy(server) as lazy:
        flood([lazy])
        server.wait_log("does not read its answers")
