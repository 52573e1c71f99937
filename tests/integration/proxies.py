"""HTTP proxies: tinyproxy, and a proxy whose every answer the test gives."""

from __future__ import annotations

from pathlib import Path

from fakeserver import FakeServer, Peer
from procs import Process, free_port

TINYPROXY = "/usr/bin/tinyproxy"


class Tinyproxy(Process):
    """Debian's; with CREDENTIALS ("user password") it asks for them. MORE is for its configuration.
    """

    CONFIG = """
Listen 127.0.0.1
Port {port}
Timeout 600
LogLevel Connect
Allow 127.0.0.1
{more}
"""

    def __init__(self, folder: Path, credentials: str | None = None, more: str = "") -> None:
        self.port = free_port()
        config = folder / "tinyproxy.conf"
        if credentials:
            more += f"\nBasicAuth {credentials}"
        config.write_text(self.CONFIG.format(port=self.port, more=more))
        super().__init__([TINYPROXY, "-d", "-c", config])
        self.wait_port(self.port)

    def url(self, userinfo: str = "") -> str:
        return f"http://{userinfo}{'@' if userinfo else ''}127.0.0.1:{self.port}"


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
