"""What makes a server wrong on purpose: it differs from the right one in one thing.

A fault is a class that replaces a part of `rightserver`; the decorator `wrong` gives it its place
there. The modules wrong_* hold them, and `wrongservers` has all.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

from rightserver import Connection, DatagramStream, Gone, RightServer, Stream


class Fault(NamedTuple):
    checks: tuple[str, ...]  #: that have to find it; others of their groups may
    spoils: tuple[str, ...]  #: the other groups whose checks cannot do without what is wrong
    refused: str  #: why there is no connection at all
    deadly: bool  #: when it was found, the server is down
    connection: type[Connection]
    options: dict[str, Any]  #: of the server

    @property
    def groups(self) -> set[str]:
        """Those whose checks may find it."""
        return {check.partition("/")[0] for check in self.checks} | set(self.spoils)

    def server(self) -> RightServer:
        return RightServer(self.connection, **self.options)


FAULTS: dict[str, Fault] = {}
#: "user:password" for servers that ask for one.
PASSWORD = "tester:right"


def wrong(*checks: str, spoils: tuple[str, ...] = (), refused: str = "", deadly: bool = False,
          **options: Any) -> Callable[[type], type]:
    """What is decorated is a fault, as `Fault` has it, of a server with these OPTIONS."""

    def add(part: type) -> type:
        connection = part
        if issubclass(part, DatagramStream):
            connection = type(part.__name__, (Connection,), {"datagram_class": part})
        elif issubclass(part, Stream):
            connection = type(part.__name__, (Connection,), {"stream_class": part})
        FAULTS[part.__name__] = Fault(checks, spoils, refused, deadly, connection, options)
        return part

    return add


class Mortal(Connection):
    """A server of which a client can make an end: for everybody, as by an unhandled exception."""

    async def upgrade(self) -> None:
        if getattr(self.server, "dead", False):
            raise Gone
        await super().upgrade()

    def die(self) -> None:
        self.server.dead = True
        raise Gone
