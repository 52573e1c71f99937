"""A network of its own, in which every address belongs to this machine and leads to the test.

What must not be reached would be seen to be reached here. Names mean what the test says. It takes
root, or namespaces that every user may make.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from pathlib import Path

from procs import GUARD, Program, in_background

A, AAAA = 1, 28
NO_SUCH_NAME = 3

#: Becomes the program, in the network; its sockets for the test go through descriptor argv[1].
LAUNCHER = """
import os, socket, subprocess, sys
channel = socket.socket(fileno=int(sys.argv[1]))
for command in ("ip link set lo up", "ip route add local 0.0.0.0/0 dev lo",
                "ip -6 route add local ::/0 dev lo",
                f"mount --bind {sys.argv[2]}/resolv.conf /etc/resolv.conf",
                f"mount --bind {sys.argv[2]}/hosts /etc/hosts"):
    subprocess.run(command.split(), check=True)
# The name server, and what all addresses lead to: both families come to sockets of IPv6.
names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names.bind(("127.0.0.1", 53))
sockets = [names]
for kind, option in ((socket.SOCK_STREAM, None), (socket.SOCK_DGRAM, socket.IPV6_RECVPKTINFO)):
    sock = socket.socket(socket.AF_INET6, kind)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    if option:
        sock.setsockopt(socket.IPPROTO_IPV6, option, 1)
    sock.bind(("::", 0))
    sockets.append(sock)
alone = socket.socket()
alone.bind((sys.argv[3], 0))
sockets.append(alone)
for sock in sockets[1::2]:
    sock.listen(100)
socket.send_fds(channel, [b"x"], [sock.fileno() for sock in sockets])
os.execv(sys.argv[4], sys.argv[4:])
"""

Rounds = list[list[str]]


class Names:
    """A name server. The answers to the first, second ... question for a name are rounds of
    addresses, the last of which is for all that follow; OTHERS are the addresses of all other
    names, or None: there are no others. Names that end in ".silent" get no answer.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.answers: dict[str, Rounds] = {}
        self.others: list[str] | None = None
        self._asked: dict[tuple[str, int], int] = {}
        self._sock = sock
        in_background(self._serve)

    def _serve(self) -> None:
        while True:
            try:
                question, where = self._sock.recvfrom(512)
            except OSError:
                return
            if b"\x06silent\0" not in question:
                self._sock.sendto(self._answer(question), where)

    def _answer(self, question: bytes) -> bytes:
        labels, at = [], 12
        while size := question[at]:
            labels.append(question[at + 1:at + 1 + size].decode())
            at += 1 + size
        end = at + 5
        kind, = struct.unpack_from(">H", question, at + 1)
        addresses = self._next(".".join(labels).lower(), kind)
        found = [] if addresses is None else [
            packed for address in addresses if (packed := self._pack(address, kind))]
        flags = 0x8180 | (NO_SUCH_NAME if addresses is None else 0)
        return (question[:2] + struct.pack(">HHHHH", flags, 1, len(found), 0, 0) +
                question[12:end] + b"".join(
                    b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(packed)) + packed
                    for packed in found))

    def _next(self, name: str, kind: int) -> list[str] | None:
        if name not in self.answers:
            return self.others
        rounds = self.answers[name]
        turn = self._asked.get((name, kind), 0)
        self._asked[name, kind] = turn + 1
        return rounds[min(turn, len(rounds) - 1)]

    @staticmethod
    def _pack(address: str, kind: int) -> bytes | None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        if kind != (AAAA if family == socket.AF_INET6 else A):
            return None
        return socket.inet_pton(family, address)


class Island:
    """wispd in such a network; clients come to its Unix socket at `path`.

    `tcp` and `udp` are sockets to which all addresses lead, and `alone` listens at one address.
    """

    def __init__(self, folder: Path, *options: str, alone: str) -> None:
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        (folder / "hosts").write_text("127.0.0.1 localhost\n")
        self.path = str(folder / "wispd")
        ours, theirs = socket.socketpair()
        unshare = ["/usr/bin/unshare", "-nm" if os.getuid() == 0 else "-rnm"]
        with ours, theirs:
            self.server = Program(
                "wispd", "--listen", f"unix:{self.path}", *options, pass_fds=(theirs.fileno(),),
                prefix=[*unshare, sys.executable, "-c", LAUNCHER, str(theirs.fileno()), folder,
                        alone])
            theirs.close()
            ours.settimeout(GUARD)
            _, fds, _, _ = socket.recv_fds(ours, 1, 4)
        assert len(fds) == 4, self.server.log
        names, self.tcp, self.udp, self.alone = (socket.socket(fileno=fd) for fd in fds)
        for sock in (self.tcp, self.udp, self.alone):
            sock.settimeout(GUARD)
        self.names = Names(names)
        self._names_socket = names

    def reached(self, kind: int) -> str:
        """The address to which the next connection was made, or datagram sent."""
        if kind == socket.SOCK_STREAM:
            with self.tcp.accept()[0] as conn:
                return plain(conn.getsockname()[0])
        _, ancillary, _, _ = self.udp.recvmsg(100, 100)
        (_, _, info), = ancillary
        return plain(socket.inet_ntop(socket.AF_INET6, info[:16]))

    def is_quiet(self) -> bool:
        """Whether nothing has come that was not asked for."""
        for sock, take in ((self.tcp, socket.socket.accept), (self.alone, socket.socket.accept),
                           (self.udp, lambda sock: sock.recv(1))):
            sock.setblocking(False)
            try:
                take(sock)
                return False
            except BlockingIOError:
                sock.settimeout(GUARD)
        return True

    def __enter__(self) -> Island:
        self.server.__enter__()
        self.server.addresses()
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self.server.__exit__(*exception)
        finally:
            for sock in (self.tcp, self.udp, self.alone, self._names_socket):
                sock.close()


def plain(address: str) -> str:
    """An IPv4 address as it is usually written, when it is mapped to IPv6."""
    return address.removeprefix("::ffff:")
