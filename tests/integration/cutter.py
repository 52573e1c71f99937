"""A TCP relay that carries a connection up to a byte that the test chooses, and then fails."""

from __future__ import annotations

import select
import socket
from contextlib import ExitStack
from typing import Callable

from origin import reset
from procs import GUARD, in_background
from wispclient import connect_socket

CHUNK = 1 << 16

#: How a connection ends.
Leave = Callable[[socket.socket], None]


def hang_up(sock: socket.socket) -> None:
    """End our data with a FIN, and wait for the other side to do the same."""
    try:
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(CHUNK):
            pass
    except OSError as error:
        assert not isinstance(error, socket.timeout), "the other side did not hang up"
    sock.close()


LEAVES: dict[str, Leave] = {"FIN": hang_up, "RST": reset}


class Carried:
    """A client's connection and ours to the server, and what the server has said so far."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.answered = bytearray()
        self._swallows = False

    def carry(self, limit: int | None = None, until: Callable[[], object] = lambda: False) -> bool:
        """Carry up to LIMIT bytes of the server's; whether they came before an end, and UNTIL."""
        while limit is None or len(self.answered) < limit:
            if until():
                return False
            for sock in select.select([self.client, self.server], [], [], 0.05)[0]:
                try:
                    data = sock.recv(CHUNK)
                except ConnectionError:
                    return False
                if not data:
                    return False
                if self._swallows:
                    continue
                if sock is self.client:
                    self.server.sendall(data)
                    continue
                if limit is not None:
                    data = data[:limit - len(self.answered)]
                self.answered += data
                self.client.sendall(data)
        return True

    def swallow(self) -> None:
        """Take everything from now on, and pass nothing on."""
        self._swallows = True

    def lose(self) -> None:
        """End the client's part of a connection that is carried in the background."""
        self.client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.client.close()
        self.server.close()


class Cutter:
    """Listens in front of the server on PORT."""

    def __init__(self, port: int) -> None:
        self._backend = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(GUARD)
        self._carried = ExitStack()

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]

    def accept(self) -> Carried:
        client, _ = self._listener.accept()
        client.settimeout(GUARD)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        carried = Carried(client, connect_socket(self._backend))
        self._carried.callback(carried.close)
        return carried

    def cut(self, limit: int, leave: Leave, until: Callable[[], object]) -> None:
        """Carry LIMIT bytes of the server's, less if UNTIL comes true before, and leave."""
        carried = self.accept()
        # A client may give up a connection and begin another one for reasons of its own.
        while not carried.carry(limit, until) and not until():
            carried.close()
            carried = self.accept()
        leave(carried.client)
        carried.close()

    def carry(self) -> Carried:
        """The next connection, carried to its end in the background."""
        carried = self.accept()
        in_background(lambda: (carried.carry(), carried.close()))
        return carried

    def __enter__(self) -> Cutter:
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.close()
        self._carried.close()
