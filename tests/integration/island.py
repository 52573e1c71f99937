"""A network of its own, in which every address leads to the test.

The program is in one network, and all addresses that are not of that machine belong to another one,
behind a pair of interfaces. What must not be reached would be seen to be reached, here or there.
Names mean what the test says. It takes root, or namespaces that every user may make.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import threading
from pathlib import Path

from procs import GUARD, Program, in_background

A, AAAA = 1, 28
NO_SUCH_NAME = 3

#: What the program's machine has besides loopback: a public address, and a second one of its network.
OWN, OWN_TOO, OWN_6 = "5.6.7.8", "5.6.7.9", "2600:5::8"
#: What every router of its network listens to, and so that machine: its programs get datagrams there.
OWN_ANYCAST = "2600:5::"
#: Networks in which nobody is: nothing comes back from them.
DEAD, DEAD_6 = "1.2.66.0/24", "2600:dead::/32"
GATEWAY, GATEWAY_6 = "5.6.7.1", "2600:5::1"

#: Becomes the program, in the network; its sockets for the test go through descriptor argv[1].
LAUNCHER = f"""
import ctypes, os, socket, subprocess, sys
NEW_NETWORK = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
channel = socket.socket(fileno=int(sys.argv[1]))

def run(*commands):
    for command in commands:
        subprocess.run(command.split(), check=True)

def listen(port=0, dgram_port=0):
    # Both families come to sockets of IPv6.
    sockets = []
    for kind, option, at in ((socket.SOCK_STREAM, None, port),
                             (socket.SOCK_DGRAM, socket.IPV6_RECVPKTINFO, dgram_port)):
        sock = socket.socket(socket.AF_INET6, kind)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if option:
            sock.setsockopt(socket.IPPROTO_IPV6, option, 1)
        sock.bind(("::", at))
        sockets.append(sock)
    sockets[0].listen(100)
    return sockets

run(f"mount --bind {{sys.argv[2]}}/resolv.conf /etc/resolv.conf",
    f"mount --bind {{sys.argv[2]}}/hosts /etc/hosts", "ip link set lo up")
names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
names.bind(("127.0.0.1", 53))
here = os.open("/proc/self/ns/net", os.O_RDONLY)
assert libc.unshare(NEW_NETWORK) == 0
run("ip link set lo up", "ip route add local 0.0.0.0/0 dev lo",
    "ip -6 route add local ::/0 dev lo",
    f"ip link add name far type veth peer name near netns /proc/{{os.getpid()}}/fd/{{here}}",
    "ip link set far up", "ip addr add {GATEWAY}/24 dev far",
    "ip -6 addr add {GATEWAY_6}/64 dev far nodad",
    "ip route add 5.6.7.8/31 dev far table local",
    "ip -6 route add {OWN_6} dev far table local",
    "ip route add blackhole {DEAD} table local", "ip -6 route add blackhole {DEAD_6} table local")
there = listen()
alone = socket.socket()
alone.bind((sys.argv[3], 0))
alone.listen(100)
assert libc.setns(here, NEW_NETWORK) == 0
os.close(here)
with open("/proc/sys/net/ipv6/conf/all/forwarding", "w") as forwarding:
    forwarding.write("1")
run("ip link set near up", "ip addr add {OWN}/24 dev near", "ip addr add {OWN_TOO}/24 dev near",
    "ip -6 addr add {OWN_6}/64 dev near nodad", "ip route add default via {GATEWAY}",
    "ip -6 route add default via {GATEWAY_6}")
sockets = [names, alone, *there, *listen(*(sock.getsockname()[1] for sock in there))]
socket.send_fds(channel, [b"x"], [sock.fileno() for sock in sockets])
os.execv(sys.argv[4], sys.argv[4:])
"""

Rounds = list[list[str]]


class Names:
    """A name server. The answers to the first, second ... question for a name are rounds of
    addresses, the last of which is for all that follow; OTHERS are the addresses of all other
    names, or None: there are no others. Names that end in ".silent" get no answer, and those that
    end in ".held" none before `release` is set.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.answers: dict[str, Rounds] = {}
        self.others: list[str] | None = None
        self._asked: dict[tuple[str, int], int] = {}
        self._sock = sock
        self.release = threading.Event()
        in_background(self._serve)

    def _serve(self) -> None:
        while True:
            try:
                question, where = self._sock.recvfrom(512)
            except OSError:
                return
            if b"\x04held\0" in question:
                self.release.wait(GUARD)
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

    `tcp` and `udp` are sockets to which all other machines' addresses lead, `own_tcp` and `own_udp`
    those with the same ports for this machine's, and `alone` listens at one address.
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
            _, fds, _, _ = socket.recv_fds(ours, 1, 6)
        assert len(fds) == 6, self.server.log
        self._names_socket, *self._sockets = (socket.socket(fileno=fd) for fd in fds)
        self.alone, self.tcp, self.udp, self.own_tcp, self.own_udp = self._sockets
        for sock in self._sockets:
            sock.settimeout(GUARD)
        self.names = Names(self._names_socket)

    def reached(self, kind: int) -> str:
        """The address to which the next connection was made, or datagram sent."""
        sockets = ((self.tcp, self.own_tcp) if kind == socket.SOCK_STREAM
                   else (self.udp, self.own_udp))
        ready, _, _ = select.select(sockets, [], [], GUARD)
        assert ready, "nothing came"
        if kind == socket.SOCK_STREAM:
            with ready[0].accept()[0] as conn:
                return plain(conn.getsockname()[0])
        _, ancillary, _, _ = ready[0].recvmsg(100, 100)
        (_, _, info), = ancillary
        return plain(socket.inet_ntop(socket.AF_INET6, info[:16]))

    def is_quiet(self) -> bool:
        """Whether nothing has come that was not asked for."""
        return not select.select(self._sockets, [], [], 0)[0]

    def __enter__(self) -> Island:
        self.server.__enter__()
        self.server.addresses()
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self.server.__exit__(*exception)
        finally:
            for sock in (*self._sockets, self._names_socket):
                sock.close()


def plain(address: str) -> str:
    """An IPv4 address as it is usually written, when it is mapped to IPv6."""
    return address.removeprefix("::ffff:")
