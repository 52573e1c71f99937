"""Two machines of our own with a cable between them, as network namespaces with a pair of devices.

They take root, or namespaces that every user may make. What a test does to their addresses, routes
and devices concerns nobody else.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Sequence

import socks
from bridge import Bridge
from procs import GUARD, Process

NEAR, FAR = "10.77.0.1", "10.77.0.2"

#: Stays in the network, so that it does, and makes the sockets that the test asks for there.
HOLDER = """
import json, socket, subprocess, sys
channel = socket.socket(fileno=int(sys.argv[1]))
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
print("ready", flush=True)
while where := channel.recv(100):
    sock = socket.socket()
    sock.bind(tuple(json.loads(where)))
    socket.send_fds(channel, [b"x"], [sock.fileno()])
    sock.close()
"""


class Machine:
    """A network namespace; INSIDE another one's users, where we are not root."""

    def __init__(self, inside: Machine | None = None) -> None:
        self._channel, theirs = socket.socketpair()
        self._channel.settimeout(GUARD)
        unshare = ["/usr/bin/unshare", "-n" if inside or os.getuid() == 0 else "-rn"]
        with theirs:
            self._holder = Process([*(inside.prefix if inside else []), *unshare, sys.executable,
                                    "-c", HOLDER, str(theirs.fileno())],
                                   pass_fds=(theirs.fileno(),))
        self._holder.wait_log("^ready$")

    @property
    def pid(self) -> int:
        return self._holder.pid

    @property
    def prefix(self) -> list[str]:
        """What makes a command one of this machine's."""
        users = [] if os.getuid() == 0 else ["-U", "--preserve-credentials"]
        return ["/usr/bin/nsenter", "-t", str(self.pid), "-n", *users]

    def ip(self, command: str) -> None:
        """Run ip(8)."""
        subprocess.run([*self.prefix, "ip", *command.split()], check=True, timeout=GUARD)

    def bind(self, host: str, port: int = 0) -> socket.socket:
        """A TCP socket of this machine."""
        self._channel.sendall(f'["{host}", {port}]'.encode())
        _, (fd,), _, _ = socket.recv_fds(self._channel, 1, 1)
        return socket.socket(fileno=fd)

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *exception: object) -> None:
        self._channel.close()
        self._holder.__exit__(*exception)


class Cable:
    """Two machines and the cable between them: `near`'s end is "near0", `far`'s "far0"."""

    def __init__(self) -> None:
        self.near = Machine()
        self.far = Machine(self.near)
        self.near.ip(f"link add near0 type veth peer name far0 netns {self.far.pid}")
        self.near.ip(f"address add {NEAR}/24 dev near0")
        self.far.ip(f"address add {FAR}/24 dev far0")
        self.near.ip("link set near0 up")
        self.far.ip("link set far0 up")

    def listen(self, port: int = 0) -> socket.socket:
        """A socket on the far machine that near ones can connect to."""
        sock = self.far.bind(FAR, port)
        sock.settimeout(GUARD)
        sock.listen()
        return sock

    def lose(self) -> None:
        """Whatever `far` sends gets lost from now on: it is gone, without a word."""
        self.far.ip(f"route add blackhole {NEAR}/32")

    def find(self) -> None:
        self.far.ip(f"route delete blackhole {NEAR}/32")

    def __enter__(self) -> Cable:
        return self

    def __exit__(self, *exception: object) -> None:
        for machine in (self.far, self.near):
            machine.__exit__(*exception)


class NearBridge(Bridge):
    """wispsocks on the near machine, which programs reach by a Unix socket in FOLDER.

    Pings of its own come too late to have a part in anything.
    """

    def __init__(self, cable: Cable, url: str, folder: Path, *options: str | Path,
                 prefix: Sequence[str] = (), env: dict[str, str] | None = None) -> None:
        self.path = f"{folder}/bridge"
        super().__init__(url, "-l", f"unix:{self.path}", "--ping-interval", "3600", *options,
                         prefix=[*cable.near.prefix, *prefix], env=env)

    def dial_far(self, port: int, data: bytes = b"") -> socket.socket:
        """A program's connection to a port of the far machine."""
        self.addresses(2)
        program = socks.dial(self.path, FAR, port, data)
        self._programs.append(program)
        return program
