"""How much of the programs one user, or all of them together, can take."""

from __future__ import annotations

import itertools
import os
import queue
import re
import resource
import signal
import socket
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

import pytest

import frames
import packets
import socks
from bridge import Bridge
from certs import Certificate
from conftest import Start
from elsewhere import Elsewhere
from hosts import with_hosts
from origin import Origin, Service as Destination, reset
from procs import GUARD, Program, in_background, is_probed, rest, wait_until
from service import Service
from socks import recv_to_end
from wispclient import WispClient, connect_socket, http_status, open_client, upgrade_headers
from wispservers import TlsWispd, Wispd

HELLO = socks.greeting(socks.NO_AUTHENTICATION)
HERE = "127.0.0.1"
HARD_LIMIT = 200
#: How wispsocks and wispd say how many they serve, and why no more.
ONLY = (r"^warning: only (\d+) (\w+) at once: (\d+) files are open already, (\d+) are kept for the "
        r"program itself, and the limit of open files \(ulimit -n\) is (\d+)$")
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
STREAM = 7


@pytest.fixture
def elsewhere(start: Start) -> Elsewhere:
    return start(Elsewhere())


@contextmanager
def descriptors(process: Program, more: int) -> Iterator[None]:
    """Let a program open only so many MORE descriptors."""
    soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (process.descriptors() + more, hard))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (soft, hard))


def cpu_seconds(process: Program) -> float:
    """The time that it has run."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_ended(sock: socket.socket) -> bool:
    """Whether the other side ends the connection without having said anything."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


# Descriptors


def limited(limit: str) -> tuple[str, str]:
    return "/usr/bin/prlimit", f"--nofile={limit}"


@pytest.mark.parametrize("program, more", [("wispsocks", ["ws://127.0.0.1:1/"]), ("wispd", [])],
                         ids=["wispsocks", "wispd"])
def test_as_many_descriptors_as_there_may_be(start: Start, program: str, more: list[str]) -> None:
    """What is open is counted, and streams have as many as clients."""
    process = start(Program(program, "-l", f"{HERE}:0", *more,
                            prefix=limited(f"100:{HARD_LIMIT}")))
    process.addresses()
    assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (HARD_LIMIT, HARD_LIMIT)
    count, _, opened, kept, limit = process.wait_log(ONLY).groups()
    assert int(limit) == HARD_LIMIT
    assert 5 < int(opened) <= 40
    left = HARD_LIMIT - int(opened) - int(kept)
    assert int(count) == (left // 2 if program == "wispd" else left)


def test_programs_of_a_low_limit(start: Start, wispd: Wispd, origin: Origin) -> None:
    """With 64 descriptors, wispsocks serves as many programs as it says, each with a stream."""
    bridge = start(Bridge(f"ws://{HERE}:{wispd.port}/", prefix=limited("64")))
    bridge.wait_connected()
    count = int(bridge.wait_log(ONLY).group(1))
    assert count >= 24
    programs = [bridge.dial(HERE, origin.echo.port, b"data") for _ in range(count)]
    assert all(socks.recv_exactly(program, 4) == b"data" for program in programs)
    bridge.wait_log(f"^warning: {count} programs are connected")
    assert "cannot accept" not in bridge.log


def test_clients_of_a_low_limit(start: Start, origin: Origin) -> None:
    """With 64 descriptors, wispd serves as many clients as it says, each with a stream."""
    server = start(Wispd(prefix=limited("64")))
    count = int(server.wait_log(ONLY).group(1))
    assert count >= 12
    for client in [start(open_client(server.port)) for _ in range(count)]:
        client.send(packets.connect(1, HERE, origin.echo.port), packets.data(1, b"data"))
        assert client.recv_data(1, 4) == b"data"
    server.wait_log(f"^warning: {count} clients are connected")
    assert "cannot accept" not in server.log


@pytest.mark.parametrize("limit", ["20", "24"])
def test_hardly_any_descriptors(start: Start, origin: Origin, limit: str) -> None:
    """There is always somebody who is served."""
    server = start(Wispd(prefix=limited(limit)))
    bridge = start(Bridge(f"ws://{HERE}:{server.port}/", prefix=limited(limit)))
    bridge.wait_connected()
    program = bridge.dial(HERE, origin.echo.port, b"data")
    assert socks.recv_exactly(program, 4) == b"data"


@pytest.mark.parametrize("program", ["wispsocks", "wispd"])
def test_nothing_is_done_without_descriptors(start: Start, program: str) -> None:
    """New connections wait, which is said once, and takes no time; later they are served."""
    server = start(Wispd())
    process = server
    if program == "wispsocks":
        process = bridge = start(Bridge(f"ws://{HERE}:{server.port}/"))
        bridge.wait_connected()
    with descriptors(process, 1):
        first, *others = [start(connect_socket(process.port)) for _ in range(5)]
        process.wait_log("^warning: cannot accept a connection: .*files")
        before = cpu_seconds(process)
        rest(1)
        assert cpu_seconds(process) - before < 0.2
        reset(first)
        for sock in others[:-1]:
            sock.settimeout(10)
    for sock in others:
        if program == "wispd":
            assert http_status(sock) == 426
        else:
            sock.sendall(HELLO)
            assert socks.recv_method(sock) == socks.NO_AUTHENTICATION
    assert process.log.count("cannot accept") == 1


def test_streams_without_descriptors(start: Start, origin: Origin) -> None:
    """They are refused, each for itself; those that stand go on."""
    server = start(Wispd())
    with open_client(server.port) as client:
        client.send(packets.connect(1, HERE, origin.echo.port), packets.data(1, b"one"))
        assert client.recv_data(1, 3) == b"one"
        with descriptors(server, 0):
            for stream, kind in ((2, packets.TCP), (3, packets.UDP)):
                client.send(packets.connect(stream, HERE, origin.echo.port, kind=kind))
                assert client.recv_type(packets.CLOSE, stream).reason == packets.THROTTLED
        client.send(packets.data(1, b"more"))
        assert client.recv_data(1, 4) == b"more"
        client.send(packets.connect(4, HERE, origin.echo.port), packets.data(4, b"four"))
        assert client.recv_data(4, 4) == b"four"


def test_names_without_descriptors(start: Start, origin: Origin, tmp_path: Path) -> None:
    """The resolver is not the worse for it when there are some again."""
    server = start(Wispd(prefix=with_hosts(tmp_path, f"{HERE} name.test\n")))
    with open_client(server.port) as client:
        with descriptors(server, 0):
            client.send(packets.connect(1, "name.test", origin.echo.port))
            client.recv_type(packets.CLOSE, 1)
        client.send(packets.connect(2, "name.test", origin.echo.port), packets.data(2, b"two"))
        assert client.recv_data(2, 3) == b"two"


def test_association_without_descriptors(start: Start, wispd: Wispd, origin: Origin,
                                         wispsocks: Callable[..., Bridge]) -> None:
    bridge = wispsocks(f"ws://{HERE}:{wispd.port}/")
    bridge.wait_connected()
    program = bridge.connect(HELLO)
    assert socks.recv_method(program) == socks.NO_AUTHENTICATION
    with descriptors(bridge, 0):
        program.sendall(socks.request("0.0.0.0", 0, socks.UDP_ASSOCIATE))
        assert socks.recv_reply(program).code == socks.GENERAL_FAILURE
    assert bridge.dial(HERE, origin.echo.port)


def test_streams_leave_descriptors_for_clients(start: Start, origin: Origin) -> None:
    """One client takes all the streams there are; others can still come, and have their turn."""
    server = start(Wispd(prefix=limited(str(HARD_LIMIT))))
    count, _, opened, kept, limit = server.wait_log(ONLY).groups()
    places = int(limit) - int(opened) - int(kept) - int(count)
    with open_client(server.port) as greedy, open_client(server.port) as modest:
        streams = range(1, places + 2)
        for stream in streams:
            greedy.send(packets.connect(stream, HERE, origin.echo.port))
        greedy.send(packets.data(streams[-1], b"echo"))  # an answer if it is not refused
        assert greedy.recv_type(packets.CLOSE, streams[-1]).reason == packets.THROTTLED
        modest.send(packets.connect(1, HERE, origin.echo.port), packets.data(1, b"echo"))
        assert modest.recv_type(packets.CLOSE, 1).reason == packets.THROTTLED
        for _ in range(10):
            start(open_client(server.port))
        greedy.send(packets.close(1, packets.VOLUNTARY))
        stream = itertools.count(2)
        wait_until(lambda: is_opened(modest, next(stream), origin), "there is a place again")


def is_opened(client: WispClient, stream: int, origin: Origin) -> bool:
    """Whether the server opens a stream rather than to refuse it."""
    client.send(packets.connect(stream, HERE, origin.echo.port), packets.data(stream, b"echo"))
    while (packet := client.recv()).stream != stream:
        pass
    return packet.type == packets.DATA


# Clients and their streams


def test_max_clients_of_wispd(start: Start) -> None:
    """More wait until others end; it is said once."""
    server = start(Wispd("--max-clients", "2"))
    first, second = (open_client(server.port) for _ in range(2))
    waiting = [start(connect_socket(server.port)) for _ in range(2)]
    for sock in waiting:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    server.wait_log("^warning: 2 clients are connected, .*--max-clients")
    assert not any(map(socks.readable, waiting))
    first.close()
    wait_until(lambda: any(map(socks.readable, waiting)), "one more is served")
    second.close()
    wait_until(lambda: all(map(socks.readable, waiting)), "all are served")
    assert server.log.count("--max-clients") == 1


def test_max_streams(start: Start, origin: Origin) -> None:
    """Those of one client: another has its own."""
    server = start(Wispd("--max-streams", "2"))
    with open_client(server.port) as client, open_client(server.port) as other:
        for stream in range(1, 40):
            client.send(packets.connect(stream, HERE, origin.echo.port))
        client.send(packets.data(3, b"echo"))  # an answer if it is not refused
        for stream in range(3, 40):
            assert client.recv_type(packets.CLOSE, stream).reason == packets.THROTTLED
        client.send(packets.data(1, b"one"), packets.data(2, b"two"))
        answers: dict[int, bytes] = {}
        while len(answers) < 2:  # in any order
            packet = client.recv()
            if packet.type == packets.DATA:
                answers[packet.stream] = packet.payload
        assert answers == {1: b"one", 2: b"two"}
        other.send(packets.connect(1, HERE, origin.echo.port), packets.data(1, b"other"))
        assert other.recv_data(1, 5) == b"other"
        client.send(packets.close(1, packets.VOLUNTARY))
        client.send(packets.connect(50, HERE, origin.echo.port), packets.data(50, b"x"))
        assert client.recv_data(50, 1) == b"x"


# Addresses


@pytest.mark.parametrize("sources", [["192.0.2.1"] * 3, ["2001:db8:0:1::1", "2001:db8:0:1::2"] * 2],
                         ids=["IPv4", "IPv6"])
def test_max_per_address_of_wispsocks(start: Start, elsewhere: Elsewhere, sources: list[str]
                                      ) -> None:
    """More are closed at once, which is said once; other addresses and later ones are served."""
    process = start(Service("wispsocks", "--open-to-all", "--max-per-address", "2", "-l",
                            f"{HERE}:0", "ws://127.0.0.1:1/", sockets=(elsewhere.listener,)))
    process.addresses(2)

    def is_served(sock: socket.socket) -> bool:
        sock.sendall(HELLO)
        return socks.recv_method(sock) == socks.NO_AUTHENTICATION

    served = [elsewhere.connect(source) for source in sources[:2]]
    assert all(map(is_served, served))
    assert all(is_ended(elsewhere.connect(source)) for source in sources[2:] * 3)
    assert is_served(elsewhere.connect("192.0.2.2"))
    assert is_served(elsewhere.connect("2001:db8:0:2::1"))
    port = int(process.addresses(2)[1].rpartition(":")[2])
    for _ in range(4):
        assert is_served(start(connect_socket(port)))

    served.pop().close()

    def is_let_in() -> bool:
        sock = elsewhere.connect(sources[0])
        try:
            return is_served(sock)
        except (AssertionError, ConnectionError, ValueError):
            return False

    wait_until(is_let_in, "there is a place again")
    assert len(re.findall(r"^warning: too many .*--max-per-address", process.log,
                          re.MULTILINE)) == 1


def test_no_limit_per_address(start: Start, elsewhere: Elsewhere) -> None:
    process = start(Service("wispsocks", "--open-to-all", "--max-per-address", "0",
                            "ws://127.0.0.1:1/", sockets=(elsewhere.listener,)))
    process.addresses()
    for _ in range(5):
        sock = elsewhere.connect("192.0.2.1")
        sock.sendall(HELLO)
        assert socks.recv_method(sock) == socks.NO_AUTHENTICATION


def test_max_per_address_of_wispd(start: Start, elsewhere: Elsewhere) -> None:
    """More are answered 429, as long as there are few of them, and closed."""
    server = start(Service("wispd", "--max-per-address", "2", sockets=(elsewhere.listener,)))
    server.addresses()
    clients = [WispClient(elsewhere.connect("192.0.2.1")) for _ in range(2)]
    refused = elsewhere.connect("192.0.2.1")
    assert http_status(refused, "/", *upgrade_headers(KEY, None)) == 429
    told = [elsewhere.connect("192.0.2.1") for _ in range(8)]
    assert is_ended(elsewhere.connect("192.0.2.1"))
    assert not any(map(socks.readable, told))
    other = WispClient(elsewhere.connect("192.0.2.2"))
    assert other.open() > 0

    for sock in told:
        sock.close()
    clients.pop().close()

    def is_let_in() -> bool:
        sock = elsewhere.connect("192.0.2.1")
        try:
            status = http_status(sock, "/", *upgrade_headers(KEY, None))
        except (AssertionError, ConnectionError):
            return False
        return status == 101

    wait_until(is_let_in, "there is a place again")
    assert clients[0].open() > 0
    assert len(re.findall("--max-per-address", server.log)) == 1


# Those that have gone without a word


def test_programs_elsewhere_are_probed(start: Start, elsewhere: Elsewhere) -> None:
    """A machine that is gone does not keep its places."""
    process = start(Service("wispsocks", "--open-to-all", "ws://127.0.0.1:1/",
                            sockets=(elsewhere.listener,)))
    process.addresses()
    sock = elsewhere.connect("192.0.2.1")
    sock.sendall(HELLO)
    assert socks.recv_method(sock) == socks.NO_AUTHENTICATION
    here, there = sock.getpeername()[1], sock.getsockname()[1]
    wait_until(lambda: is_probed(elsewhere.connections, here, there), "it is probed")


def test_destinations_are_probed(start: Start, wispd: Wispd) -> None:
    ports: queue.Queue[int] = queue.Queue()
    done = threading.Event()
    service = start(Destination(lambda conn: (ports.put(conn.getpeername()[1]), done.wait(GUARD))))
    with open_client(wispd.port) as client:
        client.send(packets.connect(STREAM, HERE, service.port))
        port = ports.get(timeout=GUARD)
        wait_until(lambda: is_probed(Path("/proc/net/tcp"), port, service.port), "it is probed")
        done.set()


def test_clients_that_do_not_answer(start: Start) -> None:
    """When two pings have brought nothing at all, their streams end; one that answers stays."""
    received: queue.Queue[tuple[bytes, bytes]] = queue.Queue()
    service = start(Destination(lambda conn: received.put((conn.recv(1), recv_to_end(conn).data))))
    server = start(Wispd("--ping-interval", "0.2"))
    here, gone = [start(open_client(server.port)) for _ in range(2)]
    in_background(here.answer_pings)
    for client, name in (here, b"h"), (gone, b"g"):
        client.send(packets.connect(STREAM, HERE, service.port), packets.data(STREAM, name))
    assert received.get(timeout=GUARD) == (b"g", b"")
    server.wait_log("gone without a word")
    here.send(packets.data(STREAM, b"!"), packets.close(STREAM, packets.VOLUNTARY))
    assert received.get(timeout=GUARD) == (b"h", b"!")


def test_server_stopped_and_continued(start: Start) -> None:
    """Its own silence says nothing about its clients."""
    server = start(Wispd("--ping-interval", "0.5"))
    client = start(open_client(server.port))
    assert client.recv_frame().opcode == frames.PING
    server.signal(signal.SIGSTOP)
    rest(2)  # longer than the silence that ends a client
    server.signal(signal.SIGCONT)
    assert client.recv_frame().opcode == frames.PING


def test_clients_that_ask_for_nothing(start: Start, wispd: Wispd, certificate: Certificate) -> None:
    """They are let go after ten seconds, before and within TLS and the request."""
    tls = start(TlsWispd(certificate))
    silent = [start(connect_socket(port)) for port in 2 * [wispd.port, tls.port]]
    silent[2].sendall(b"GET / HTTP/1.1\r\n")
    silent[3].sendall(b"\x16\x03\x01")
    assert all(map(is_ended, silent))
