"""wispsocks under test."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Sequence

import socks
from curl import Result, finish_curl, start_curl
from procs import Program


class Bridge(Program):
    """A running wispsocks that listens on a free port of 127.0.0.1.

    The programs' connections made with it stay open, unless the test closes them, until it has
    been stopped.
    """

    def __init__(self, url: str, *options: str | Path, prefix: Sequence[str | Path] = (),
                 env: dict[str, str] | None = None, pass_fds: tuple[int, ...] = ()) -> None:
        self._programs: list[socket.socket | socks.Association] = []
        super().__init__("wispsocks", "--listen", "127.0.0.1:0", *options, url, prefix=prefix,
                         env=env, pass_fds=pass_fds)

    def wait_connected(self, since: int = 0) -> str:
        """Wait for a connection to the server; what the log says about it, in its parentheses."""
        return self.wait_log(r"^connected to \S+ \((.*)\)", since).group(1)

    def wait_lost(self, since: int = 0) -> str:
        """Wait for the end of a connection, or for an attempt at one that failed; the reason."""
        pattern = r"(?:disconnected from|cannot connect to) \S+: (.+); next try in \S+ s"
        return self.wait_log(pattern, since).group(1)

    def connect(self, sent: bytes = b"") -> socket.socket:
        """A program's connection that has SENT this much of its handshake."""
        program = socks.open_socket(self.port)
        self._programs.append(program)
        program.sendall(sent)
        return program

    def dial(self, host: str | bytes, port: int, data: bytes = b"", rcvbuf: int = 0,
             sndbuf: int = 0) -> socket.socket:
        """A program's connection to HOST:PORT."""
        program = socks.dial(self.port, host, port, data, rcvbuf, sndbuf)
        self._programs.append(program)
        return program

    def associate(self, where: socks.Where | None = None,
                  sock: socket.socket | None = None) -> socks.Association:
        """A program's UDP association; the port of SOCK, if it is given, is announced."""
        program = socks.open_socket(self.port if where is None else where)
        port = sock.getsockname()[1] if sock else 0
        program.sendall(socks.opening("0.0.0.0", port, socks.UDP_ASSOCIATE))
        association = socks.Association(program, sock)
        self._programs.append(association)
        return association

    def start_curl(self, *args: str | Path) -> subprocess.Popen[bytes]:
        return start_curl("--socks5-hostname", f"127.0.0.1:{self.port}", *args)

    def curl(self, *args: str | Path) -> Result:
        return finish_curl(self.start_curl(*args))

    def __exit__(self, *exception: object) -> None:
        try:
            super().__exit__(*exception)
        finally:
            for program in self._programs:
                program.close()
