"""Proxies: tinyproxy, microsocks, ssh -D, and proxies whose every answer the test gives."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import socks
from fakeserver import FakeServer, Peer
from procs import GUARD, Process, free_port

TINYPROXY = "/usr/bin/tinyproxy"
MICROSOCKS = "/usr/bin/microsocks"
SSH = "/usr/bin/ssh"


class Tinyproxy(Process):
    """Debian's; with CREDENTIALS ("user password") it asks for them. MORE is for its configuration.
    """

    CONFIG = """
Listen {host}
Port {port}
Timeout 600
LogLevel Connect
Allow {host}
{more}
"""

    def __init__(self, folder: Path, credentials: str | None = None, more: str = "",
                 host: str = "127.0.0.1") -> None:
        self.port = free_port()
        config = folder / "tinyproxy.conf"
        if credentials:
            more += f"\nBasicAuth {credentials}"
        config.write_text(self.CONFIG.format(host=host, port=self.port, more=more))
        super().__init__([TINYPROXY, "-d", "-c", config])
        self.wait_port(self.port, host)

    def url(self, userinfo: str = "") -> str:
        return f"http://{userinfo}{'@' if userinfo else ''}127.0.0.1:{self.port}"


class Microsocks(Process):
    """A SOCKS5 proxy; with CREDENTIALS (user, password) it asks for them."""

    def __init__(self, credentials: tuple[str, str] | None = None,
                 host: str = "127.0.0.1") -> None:
        self.port = free_port()
        login = ["-u", credentials[0], "-P", credentials[1]] if credentials else []
        super().__init__([MICROSOCKS, "-i", host, "-p", str(self.port), *login])
        self.wait_port(self.port, host)


#: Lets everybody in, and logs where to.
SSH_SERVER = """
import asyncio, asyncssh

class Server(asyncssh.SSHServer):
    def connection_requested(self, host, port, *origin):
        print("connect to", host, port, flush=True)
        return True

    def begin_auth(self, user):
        return False

async def serve():
    key = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.create_server(Server, "127.0.0.1", 0, server_host_keys=[key])
    print("listening on", server.get_port(), flush=True)
    await asyncio.Event().wait()

asyncio.run(serve())
"""


class SshServer(Process):
    """To which `SshDynamic` connects."""

    def __init__(self) -> None:
        super().__init__([sys.executable, "-c", SSH_SERVER])
        self.port = int(self.wait_log(r"^listening on (\d+)").group(1))


class SshDynamic(Process):
    """ssh -D: a proxy of SOCKS4, 4a and 5."""

    def __init__(self, server: SshServer) -> None:
        self.port = free_port()
        options = ["BatchMode=yes", "ExitOnForwardFailure=yes", "StrictHostKeyChecking=no",
                   "UserKnownHostsFile=/dev/null"]
        super().__init__([SSH, "-F", "/dev/null", "-N", "-D", f"127.0.0.1:{self.port}",
                          "-p", str(server.port),
                          *(word for option in options for word in ("-o", option)),
                          "somebody@127.0.0.1"])
        self.wait_port(self.port)


class FakeSocks:
    """A proxy whose every byte the test gives."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(GUARD)
        self.port = self._listener.getsockname()[1]
        self._socks: list[socket.socket] = []

    def accept(self) -> socket.socket:
        sock, _ = self._listener.accept()
        sock.settimeout(GUARD)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socks.append(sock)
        return sock

    def accept_asked(self, *exchanges: tuple[bytes, bytes]) -> socket.socket:
        """The next connection, on which each of these is asked, and then answered."""
        sock = self.accept()
        for asked, answer in exchanges:
            assert socks.recv_exactly(sock, len(asked)) == asked
            sock.sendall(answer)
        return sock

    def __enter__(self) -> FakeSocks:
        return self

    def __exit__(self, *exception: object) -> None:
        for sock in (self._listener, *self._socks):
            sock.close()


class FakeProxy(FakeServer):
    """`accept` gives a CONNECT request."""

    @property
    def proxy_url(self) -> str:
        return self.url.replace("ws", "http", 1)

    def accept_through(self) -> Peer:
        """Say that the way is open, and be the server behind it."""
        peer = self.accept()
        assert peer.request_line.startswith("CONNECT ")
        peer.send_raw(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return self.behind(peer)

    def behind(self, peer: Peer) -> Peer:
        """The request to the server behind the proxy, on the same connection."""
        server = Peer(peer.sock)
        self._peers.append(server)
        return server
