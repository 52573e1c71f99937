"""Connections from other machines' addresses, in a network of their own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from procs import GUARD

#: Runs in that network. Its loopback interface also has addresses that do not count as loopback: it
#: listens on all of them, and connects from the one that it is told to. Descriptors are passed on.
NETWORK = """
import fcntl, socket, struct, sys
SIOCSIFADDR, SIOCSIFFLAGS, UP, INDEX = 0x8916, 0x8914, 1, 1
with socket.socket() as v4, socket.socket(socket.AF_INET6) as v6:
    fcntl.ioctl(v4, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", UP))
    for i, v4_address in enumerate(["192.0.2.1", "192.0.2.2"], 1):
        fcntl.ioctl(v4, SIOCSIFADDR, struct.pack("16sHH4s16x", b"lo:%d" % i, socket.AF_INET, 0,
                                                 socket.inet_aton(v4_address)))
    for v6_address in ["2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:2::1"]:
        fcntl.ioctl(v6, SIOCSIFADDR, struct.pack("16sIi", socket.inet_pton(
            socket.AF_INET6, v6_address), 128, INDEX))
control = socket.socket(fileno=int(sys.argv[1]))
listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
port = listener.getsockname()[1]
socket.send_fds(control, [b"l"], [listener.fileno()])
while address := control.recv(100):
    source = address.decode()
    with socket.create_connection((source, port), source_address=(source, 0)) as made:
        socket.send_fds(control, [b"c"], [made.fileno()])
"""


class Elsewhere:
    """The network. LISTENER is for the program under test; a context manager."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(GUARD)
        with theirs:
            self._process = subprocess.Popen(
                ["/usr/bin/unshare", "-n" if os.getuid() == 0 else "-rn", sys.executable, "-c",
                 NETWORK, str(theirs.fileno())], pass_fds=(theirs.fileno(),))
        self.listener = self._receive()
        self._made: list[socket.socket] = []

    def _receive(self) -> socket.socket:
        _, (descriptor,), _, _ = socket.recv_fds(self._control, 1, 1)
        sock = socket.socket(fileno=descriptor)
        sock.settimeout(GUARD)
        return sock

    def connect(self, source: str) -> socket.socket:
        """A connection from that address."""
        self._control.send(source.encode())
        self._made.append(self._receive())
        return self._made[-1]

    @property
    def connections(self) -> Path:
        """The kernel's table of that network's connections."""
        return Path(f"/proc/{self._process.pid}/net/tcp6")

    def __enter__(self) -> Elsewhere:
        return self

    def __exit__(self, *exception: object) -> None:
        for sock in (*self._made, self.listener, self._control):
            sock.close()
        self._process.wait(GUARD)
