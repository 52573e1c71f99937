"""Conversations that end after each of their bytes, with a FIN and with a RST.

With TLS, these are the bytes on the wire. The first conversation says how many there are: as
signatures differ in length, one of the last cuts may come when all has been said already.
"""

from __future__ import annotations

import itertools
import re
import socket
import ssl
from pathlib import Path
from typing import Iterator

import pytest

import frames
import packets
import socks
from badserver import Retrying
from certs import Authority, Certificate
from conftest import Start
from cutter import LEAVES, Cutter
from origin import Origin
from vitals import Vitals
from wispclient import WispClient, connect_socket, upgrade_headers
from wispservers import TlsWispd, Wispd


def each_cut(said: bytes) -> Iterator[tuple[int, str]]:
    """After how many bytes to end a conversation, and how."""
    return itertools.product(range(len(said) + 1), LEAVES)


# The server's part


BROKEN_OFF = (r"the server closed the connection|before there was an answer"
              r" \((it was broken off|the TLS handshake failed)\); check")

#: What wispsocks says of a connection that has ended.
ENDED = {"FIN": BROKEN_OFF, "RST": rf"Connection reset by peer|the connection broke|{BROKEN_OFF}"}


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_server_that_is_cut_off(start: Start, tmp_path: Path, authority: Authority, tls: bool,
                                certificate: Certificate, origin: Origin) -> None:
    """wispsocks says so, and its next connection works. wispd, at the other end, forgets it."""
    server = start(TlsWispd(certificate) if tls else Wispd())
    cutter = start(Cutter(server.port))
    url = f"{'wss' if tls else 'ws'}://127.0.0.1:{cutter.port}/"
    bridge = start(Retrying(url, tmp_path, authority))
    carried = cutter.carry()
    bridge.wait_connected()
    vitals = [Vitals(bridge), Vitals(server)]
    carried.lose()
    bridge.wait_lost()
    for limit, kind in each_cut(carried.answered):
        since = bridge.retry()
        cutter.cut(limit, LEAVES[kind], lambda: bridge.find_log("^connected", since))
        reason = bridge.wait_lost(since)
        assert re.search(ENDED[kind], reason), (limit, kind, reason)
    since = bridge.retry()
    cutter.carry()
    bridge.wait_connected(since)
    for each in vitals:
        each.check()
    program = bridge.dial("127.0.0.1", origin.echo.port, b"echo")
    assert socks.recv_exactly(program, 4) == b"echo"


# The client's part


KEY = "dGhlIHNhbXBsZSBub25jZQ=="
STREAM = 7


def conversation(origin: Origin) -> bytes:
    """All that a v2 client says which opens a stream and uses it, without waiting for answers."""
    request = ["GET / HTTP/1.1", "Host: localhost", *upgrade_headers(KEY, "wisp-v2"), "", ""]
    said = [packets.info(packets.extension(packets.HAS_UDP)),
            packets.connect(STREAM, "127.0.0.1", origin.echo.port), packets.data(STREAM, b"echo")]
    return "\r\n".join(request).encode() + b"".join(
        frames.encode(frames.BINARY, packet.encode(), masked=True) for packet in said)


def echo(client: WispClient, origin: Origin) -> None:
    """A stream works."""
    client.send(packets.connect(STREAM, "127.0.0.1", origin.echo.port),
                packets.data(STREAM, b"echo"))
    assert client.recv_until(packets.DATA, STREAM)[0].payload == b"echo"
    client.send(packets.close(STREAM, packets.VOLUNTARY))


def say(sock: socket.socket, said: bytes, limit: int | None = None) -> bytes:
    """Send SAID, up to LIMIT bytes; what was sent."""
    sock.sendall(said[:limit])
    return said[:limit]


def say_by_tls(sock: socket.socket, said: bytes, context: ssl.SSLContext,
               limit: int | None = None) -> bytes:
    """The same behind a handshake of TLS, which is a part of what is sent."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    sent, shaking = bytearray(), True
    while shaking and (limit is None or len(sent) < limit):
        if sent:
            incoming.write(sock.recv(1 << 16))
        try:
            tls.do_handshake()
            tls.write(said)
            shaking = False
        except ssl.SSLWantReadError:
            pass
        raw = outgoing.read()
        sent += say(sock, raw, None if limit is None else limit - len(sent))
    return bytes(sent)


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_client_that_is_cut_off(start: Start, authority: Authority, tls: bool,
                                certificate: Certificate, origin: Origin) -> None:
    """wispd forgets it, and the others notice nothing."""
    server = start(TlsWispd(certificate) if tls else Wispd())
    context = authority.trusted() if tls else None
    said = conversation(origin)

    def speak(sock: socket.socket, limit: int | None = None) -> bytes:
        return say_by_tls(sock, said, context, limit) if context else say(sock, said, limit)

    with WispClient(server.port, context=context) as client:
        client.open()
        echo(client, origin)
        vitals = Vitals(server)
        with connect_socket(server.port) as sock:
            whole = speak(sock)
            assert sock.recv(1)
        for limit, kind in each_cut(whole):
            sock = connect_socket(server.port)
            speak(sock, limit)
            LEAVES[kind](sock)
        vitals.check()
        echo(client, origin)
