"""A network with name servers whose every answer, or silence, a test decides.

Programs run in a network namespace, with an /etc of the test's. All addresses belong to the machine and
lead to the test, but for those of name servers, where nobody may listen. Root is needed, or
namespaces that every user may make.
"""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Callable, NamedTuple

import packets
from island import plain
from procs import GUARD, Process, Program, in_background
from wispclient import WispClient, open_client

A, CNAME, SOA, AAAA, OPT = 1, 5, 6, 28, 41
FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 1, 2, 3, 4, 5

#: Where name servers are; somebody listens only where a test wants it.
SERVERS = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"]

#: What programs need of /etc besides what is about names.
ETC = ["passwd", "group", "ld.so.cache", "ssl", "services", "localtime"]

#: Makes the network, and holds it. Sockets for the test go through descriptor argv[1]; argv[3:]
#: are the addresses of name servers that listen.
HOLDER = """
import signal, socket, subprocess, sys
channel = socket.socket(fileno=int(sys.argv[1]))
for command in ("ip link set lo up", "ip route add local 0.0.0.0/0 dev lo",
                "ip -6 route add local ::/0 dev lo", f"mount --bind {sys.argv[2]} /etc"):
    subprocess.run(command.split(), check=True)
sockets = []
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    sock = socket.socket(socket.AF_INET6, kind)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::", 0))
    sockets.append(sock)
for address in sys.argv[3:]:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        sock = socket.socket(socket.AF_INET, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        sock.bind((address, 53))
        sockets.append(sock)
for sock in sockets[::2]:
    sock.listen(100)
socket.send_fds(channel, [b"x"], [sock.fileno() for sock in sockets])
channel.close()
signal.pause()
"""


class Question(NamedTuple):
    """What somebody asks."""

    id: bytes
    name: str
    kind: int
    size: int | None  #: that fits into an answer, as EDNS says; None without it
    tcp: bool
    port: int
    raw: bytes  #: as it was asked


class Record(NamedTuple):
    """What an answer consists of."""

    name: str
    kind: int
    data: bytes
    ttl: int = 0


def encode_name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label
                    ) + b"\0"


def address(name: str, text: str, ttl: int = 0) -> Record:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return Record(name, AAAA if ":" in text else A, socket.inet_pton(family, text), ttl)


def alias(name: str, target: str, ttl: int = 0) -> Record:
    return Record(name, CNAME, encode_name(target), ttl)


def parse_question(message: bytes, tcp: bool, port: int) -> Question:
    labels, at = [], 12
    while size := message[at]:
        labels.append(message[at + 1:at + 1 + size].decode())
        at += 1 + size
    kind, = struct.unpack_from(">H", message, at + 1)
    end = at + 5
    more, = struct.unpack_from(">H", message, 10)
    size = struct.unpack_from(">H", message, end + 3)[0] if more else None
    return Question(message[:2], ".".join(labels).lower(), kind, size, tcp, port, message[12:end])


def answer(question: Question, *records: Record, rcode: int = 0, truncated: bool = False) -> bytes:
    flags = 0x8180 | rcode | (0x0200 if truncated else 0)
    return (question.id + struct.pack(">HHHHH", flags, 1, len(records), 0, 0) + question.raw +
            b"".join(encode_name(record.name) +
                     struct.pack(">HHIH", record.kind, 1, record.ttl, len(record.data)) +
                     record.data for record in records))


#: Says what is answered: bytes, or None for silence.
Manner = Callable[[Question], bytes | None]


class NameServer:
    """Answers from its `zone`, as far as `manner` does not say otherwise, and notes what it was asked."""

    def __init__(self, tcp: socket.socket, udp: socket.socket) -> None:
        self.zone: dict[str, list[Record]] = {}
        self.manner: Manner = self.answer
        self.asked: list[Question] = []
        self._sockets = tcp, udp
        self._news = threading.Condition()
        in_background(self._serve_udp)
        in_background(self._serve_tcp)

    def add(self, name: str, *texts: str, ttl: int = 0) -> None:
        """Addresses of a name."""
        self.zone[name] = [address(name, text, ttl) for text in texts]

    def answer(self, question: Question) -> bytes:
        """As a server does that is well, and takes EDNS and TCP."""
        if question.name not in self.zone:
            return answer(question, rcode=NXDOMAIN)
        records = [record for record in self.zone[question.name]
                   if record.kind in (question.kind, CNAME)]
        full = answer(question, *records)
        if question.tcp or len(full) <= (question.size or 512):
            return full
        return answer(question, truncated=True)

    def questions(self, name: str, kind: int | None = None) -> list[Question]:
        """Those about a name so far."""
        return [question for question in list(self.asked)
                if question.name == name and kind in (None, question.kind)]

    def wait_asked(self, condition: Callable[[], bool], what: str) -> None:
        with self._news:
            assert self._news.wait_for(condition, GUARD), f"never asked: {what}"

    def _take(self, message: bytes, tcp: bool, port: int) -> bytes | None:
        question = parse_question(message, tcp, port)
        with self._news:
            self.asked.append(question)
            self._news.notify_all()
        return self.manner(question)

    def _serve_udp(self) -> None:
        udp = self._sockets[1]
        while True:
            try:
                message, where = udp.recvfrom(4096)
                if reply := self._take(message, False, where[1]):
                    udp.sendto(reply, where)
            except OSError:
                return

    def _serve_tcp(self) -> None:
        while True:
            try:
                conn, where = self._sockets[0].accept()
            except OSError:
                return
            in_background(lambda: self._serve_connection(conn, where[1]))

    def _serve_connection(self, conn: socket.socket, port: int) -> None:
        with conn:
            while len(head := conn.recv(2, socket.MSG_WAITALL)) == 2:
                message = conn.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
                if reply := self._take(message, True, port):
                    conn.sendall(len(reply).to_bytes(2, "big") + reply)

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()


class Network:
    """The namespace; a context manager. Name servers listen at LISTENING alone.

    `tcp` is a socket to which all addresses lead.
    """

    def __init__(self, folder: Path, *listening: str, resolv: str = "nameserver 127.0.0.1\n",
                 hosts: str = "127.0.0.1 localhost\n", nsswitch: str = "hosts: files dns\n") -> None:
        self.etc = folder / "etc"
        self.etc.mkdir(parents=True)
        for name in ETC:
            source = Path("/etc") / name
            if source.is_dir():
                shutil.copytree(source, self.etc / name, symlinks=True,
                                ignore=shutil.ignore_patterns("private", "certs"))
            elif source.exists():
                shutil.copy(source, self.etc / name)
        for name, text in (("resolv.conf", resolv), ("hosts", hosts), ("nsswitch.conf", nsswitch)):
            self.write(name, text)
        self._folder = folder
        self._clients = itertools.count()
        ours, theirs = socket.socketpair()
        unshare = ["/usr/bin/unshare", "-nm" if os.getuid() == 0 else "-rnm"]
        with ours, theirs:
            self.holder = Process([*unshare, sys.executable, "-c", HOLDER, str(theirs.fileno()),
                                   self.etc, *listening], pass_fds=(theirs.fileno(),))
            theirs.close()
            ours.settimeout(GUARD)
            _, fds, _, _ = socket.recv_fds(ours, 1, 2 + 2 * len(listening))
        assert len(fds) == 2 + 2 * len(listening), self.holder.log
        self.tcp, self._udp, *rest = (socket.socket(fileno=fd) for fd in fds)
        self.tcp.settimeout(GUARD)
        self.servers = dict(zip(listening, itertools.starmap(NameServer, zip(*[iter(rest)] * 2))))

    @property
    def port(self) -> int:
        return self.tcp.getsockname()[1]

    def server(self, at: str = SERVERS[0]) -> NameServer:
        return self.servers[at]

    def write(self, name: str, text: str) -> None:
        """Replace a file in /etc, as its writers do: by rename."""
        new = self.etc / f"{name}.new"
        new.write_text(text)
        new.rename(self.etc / name)

    def inside(self) -> list[str]:
        """The command that executes another one there."""
        user = [] if os.getuid() == 0 else ["-U", "--preserve-credentials"]
        return ["/usr/bin/nsenter", "-t", str(self.holder.pid), "-n", "-m", *user]

    def program(self, name: str, *args: str | Path) -> Program:
        return Program(name, *args, prefix=self.inside())

    def process(self, *argv: str | Path) -> Process:
        return Process([*self.inside(), *argv])

    def getent(self, name: str) -> list[str]:
        """The addresses that the system finds there."""
        result = subprocess.run([*self.inside(), "getent", "ahosts", name], capture_output=True,
                                text=True, timeout=GUARD, check=False)
        return list(dict.fromkeys(line.split()[0] for line in result.stdout.splitlines()))

    def wispd(self, *options: str) -> Wispd:
        return Wispd(self, str(self._folder / f"wispd{next(self._clients)}"), *options)

    def __enter__(self) -> Network:
        self.holder.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.holder.__exit__(*exception)
        for closing in (self.tcp, self._udp, *self.servers.values()):
            closing.close()


class Wispd:
    """wispd in the network, and a client of it; a context manager."""

    def __init__(self, network: Network, path: str, *options: str) -> None:
        self.network = network
        self.path = path
        self.program = network.program("wispd", "--listen", f"unix:{path}", "--allow-loopback",
                                       "--allow-private", *options)
        self._streams = itertools.count(1)

    def client(self) -> WispClient:
        return open_client(self.path)

    def begin(self, name: str, client: WispClient | None = None) -> int:
        """Open a stream to a name."""
        stream = next(self._streams)
        (client or self.first).send(packets.connect(stream, name, self.network.port))
        return stream

    def reach(self, name: str, client: WispClient | None = None) -> str:
        """The address that a stream to a name reaches, by the connection that comes of it."""
        self.begin(name, client)
        with self.network.tcp.accept()[0] as conn:
            return plain(conn.getsockname()[0])

    def refuse(self, name: str, client: WispClient | None = None) -> int:
        """The reason why a stream to a name is refused."""
        stream = self.begin(name, client)
        return (client or self.first).recv_until(packets.CLOSE, stream)[0].reason

    def __enter__(self) -> Wispd:
        self.program.__enter__()
        self.program.addresses()
        self.first = self.client()
        return self

    def __exit__(self, *exception: object) -> None:
        self.first.close()
        self.program.__exit__(*exception)
