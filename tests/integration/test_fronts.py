"""wispd as an HTTP server: behind nginx and HAProxy, probed by them, and spoken to in the wrong way."""

from __future__ import annotations

import select
import socket
import ssl
from pathlib import Path

import pytest

import frames
import packets
from certs import Authority, Certificate
from conftest import Start
from curl import curl
from origin import Origin
from procs import Process, free_port
from wispclient import WispClient, connect_socket, http_status, recv_head, upgrade_headers
from wispservers import NGINX, TlsWispd, Wispd

HAPROXY = "/usr/sbin/haproxy"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
STREAM = 7
KIB = 1024
HEAD_MAX = 36 * KIB


def request(*headers: str, line: str = "GET / HTTP/1.1") -> bytes:
    return "\r\n".join([line, "Host: localhost", *headers, "", ""]).encode()


def request_of(size: int, *headers: str) -> bytes:
    """An upgrade of SIZE bytes, in header lines that every front lets pass."""
    headers = (*upgrade_headers(KEY, None), *headers)
    lines = []
    while (missing := size - len(request(*headers, *lines))) > 0:
        name = f"X-Filler-{len(lines)}: "
        lines.append(name + "x" * max(0, min(missing, 8000) - len(name) - 2))
    return request(*headers, *lines)


def answer(sock: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """An answer and its body, up to the end of the connection."""
    status, headers = recv_head(sock)
    body = bytearray()
    while part := sock.recv(4096):
        body += part
    return status, headers, bytes(body)


def ask(server: Wispd, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    with connect_socket(server.port) as sock:
        sock.sendall(sent)
        return answer(sock)


def upgrades(sock: socket.socket, sent: bytes, origin: Origin) -> bool:
    """Whether a request opens a WebSocket that works."""
    sock.sendall(sent)
    status, headers = recv_head(sock)
    if status != 101:
        return False
    assert headers["sec-websocket-accept"] == frames.accept_key(KEY)
    client = packets.Link(sock, masks=True)
    client.recv_type(packets.CONTINUE, 0)
    client.send(packets.connect(STREAM, "127.0.0.1", origin.echo.port),
                packets.data(STREAM, b"data"))
    return client.recv_data(STREAM, 4) == b"data"


# Large requests


@pytest.mark.parametrize("size", [1023, 1024, 1025, 4 * KIB, 8 * KIB + 1, 32 * KIB, HEAD_MAX])
def test_large_head(wispd: Wispd, origin: Origin, size: int) -> None:
    sent = request_of(size)
    assert abs(len(sent) - size) < 20
    with connect_socket(wispd.port) as sock:
        assert upgrades(sock, sent[:HEAD_MAX - 4] + b"\r\n\r\n" if size == HEAD_MAX else sent,
                        origin)


def test_head_in_small_pieces(wispd: Wispd, origin: Origin) -> None:
    sent = request_of(3000)
    with connect_socket(wispd.port) as sock:
        for place in range(len(sent) - 1):
            sock.sendall(sent[place:place + 1])
        assert upgrades(sock, sent[-1:], origin)


def test_head_that_is_too_large(wispd: Wispd) -> None:
    """The client can send all of it before it reads the answer: the connection is not reset."""
    sent = request_of(20 * HEAD_MAX)
    with connect_socket(wispd.port) as sock:
        sock.sendall(sent[:HEAD_MAX])
        select.select([sock], [], [])  # the answer is there
        for place in range(HEAD_MAX, len(sent), 8 * KIB):
            sock.sendall(sent[place:place + 8 * KIB])
        status, headers, body = answer(sock)
    assert status == 431
    assert len(body) == int(headers["content-length"])


def test_half_open_clients_cost_little(start: Start) -> None:
    """One that has said nothing takes hardly any memory, and what all heads may take is bounded.

    1,024 clients whose heads just lack their last byte: without a bound they would take 36 MiB.
    """
    server = start(Wispd())
    before = server.rss()
    clients = [start(connect_socket(server.port)) for _ in range(1000)]
    assert http_status(server.port, "/healthz") == 200
    assert server.rss() - before < 2 << 20
    sent = request_of(HEAD_MAX - 200)[:-1]
    for sock in clients:
        try:
            sock.sendall(sent)
        except ConnectionError:
            pass  # there is no memory for this one
    server.wait_log("refused with HTTP 503: .*memory")
    assert http_status(server.port, "/healthz") == 200
    assert server.rss() - before < 30 << 20
    with WispClient(server.port) as client:  # whose head is small
        assert client.open() > 0


# Forms of requests


@pytest.mark.parametrize("target", ["http://localhost/", "HTTPS://other.test:1/?query",
                                    "ws://localhost", "wss://localhost/"])
def test_absolute_form(wispd: Wispd, origin: Origin, target: str) -> None:
    sent = request(*upgrade_headers(KEY, None), line=f"GET {target} HTTP/1.1")
    with connect_socket(wispd.port) as sock:
        assert upgrades(sock, sent, origin)


def test_curl_asks_for_health(wispd: Wispd) -> None:
    """Plainly, in absolute form as of a proxy, by HEAD, and by HTTP/1.0."""
    url = f"http://127.0.0.1:{wispd.port}/healthz"
    for options in (["--noproxy", "*"], ["--proxy", f"http://127.0.0.1:{wispd.port}"],
                    ["--http1.0"], ["-X", "GET", "--http1.0"]):
        assert curl(*options, url).output == b"ok\n", options
    head = curl("--head", url).output.decode()
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert "\r\nContent-Length: 3\r\n" in head


@pytest.mark.parametrize("line, status, version", [
    ("GET /healthz HTTP/1.1", 200, "1.1"), ("HEAD /healthz HTTP/1.1", 200, "1.1"),
    ("GET /healthz HTTP/1.0", 200, "1.0"), ("HEAD /healthz HTTP/1.0", 200, "1.0"),
    ("GET / HTTP/1.0", 426, "1.0"), ("HEAD / HTTP/1.0", 426, "1.0"), ("HEAD / HTTP/1.1", 426, "1.1"),
    ("GET /other HTTP/1.0", 404, "1.0"), ("POST /healthz HTTP/1.1", 405, "1.1"),
    ("OPTIONS * HTTP/1.0", 204, "1.0"), ("OPTIONS / HTTP/1.1", 204, "1.1"),
])
def test_probes(wispd: Wispd, line: str, status: int, version: str) -> None:
    """Each gets a whole answer, in its own version, and the end of the connection."""
    with connect_socket(wispd.port) as sock:
        sock.sendall(f"{line}\r\n\r\n".encode())
        whole = bytearray()
        while part := sock.recv(4096):
            whole += part
    head, _, body = whole.decode().partition("\r\n\r\n")
    assert head.startswith(f"HTTP/{version} {status} ")
    headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:])
    assert headers["connection"].endswith("close")
    if status == 204:
        assert "content-length" not in headers and body == ""
    else:
        assert bool(body) != line.startswith("HEAD")
        assert len(body) in (0, int(headers["content-length"]))


def test_probes_are_not_logged(start: Start) -> None:
    """Those that come each second would fill the log: connections without a word, and healthz."""
    server = start(Wispd())
    for _ in range(3):
        connect_socket(server.port).close()
        assert http_status(server.port, "/healthz") == 200
    assert http_status(server.port, "/other") == 404
    server.wait_log("refused with HTTP 404: there is nothing at this path")
    assert len([line for line in server.lines if line.startswith("127.0.0.1:")]) == 1


@pytest.mark.parametrize("header", ["Folded: x\r\n y", "Space : x", "Bare-CR: x\ry", "no colon",
                                    ": no name", "N\0l: x"])
def test_malformed_header(wispd: Wispd, header: str) -> None:
    """Another server in front may read it in another way: it is refused (RFC 9112)."""
    assert ask(wispd, request(header, *upgrade_headers(KEY, None)))[0] == 400
    assert ask(wispd, request(header, line="GET /healthz HTTP/1.1"))[0] == 400


@pytest.mark.parametrize("sent, says", [
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", r"505: .*must speak 1\.1"),
    (request(*upgrade_headers(KEY, None), line="GET / HTTP/1.0"), "426: .*proxy_http_version 1.1"),
    (request("Connection: close"), "426: .*must pass Upgrade and Connection on"),
], ids=["h2", "1.0", "no upgrade"])
def test_log_says_what_a_front_has_to_change(wispd: Wispd, sent: bytes, says: str) -> None:
    since = wispd.mark()
    ask(wispd, sent)
    wispd.wait_log(f"refused with HTTP {says}", since)


# TLS or not


def test_tls_to_a_plain_port(start: Start, wispd: Wispd, origin: Origin) -> None:
    """It is closed at once, not after the time for a request; the log says what to change."""
    since = wispd.mark()
    assert curl("--insecure", f"https://127.0.0.1:{wispd.port}/").code == 35  # no TLS connection
    name = wispd.wait_log(r"^(\S+): turned away: it speaks TLS, .* connect with ws://", since)
    with connect_socket(wispd.port) as sock:
        sock.sendall(b"\x16")
        assert sock.recv(1) == b""
    with pytest.raises(ssl.SSLError):
        connect_socket(wispd.port, ssl.create_default_context())
    assert name.group(1).startswith("127.0.0.1:")
    with connect_socket(wispd.port) as sock:
        assert upgrades(sock, request(*upgrade_headers(KEY, None)), origin)


@pytest.mark.parametrize("size", [0, 20 * KIB, 200 * KIB])
def test_plain_http_to_a_tls_port(start: Start, certificate: Certificate, authority: Authority,
                                  size: int) -> None:
    server = start(TlsWispd(certificate))
    with connect_socket(server.port) as sock:
        sock.sendall(request_of(size))
        status, headers, body = answer(sock)
    assert status == 400
    assert b"wss://" in body and len(body) == int(headers["content-length"])
    server.wait_log(r"turned away: it speaks plain HTTP, .* connect with wss://")
    assert curl(f"http://127.0.0.1:{server.port}/healthz").code == 22  # an answer of 400
    assert curl("--cacert", authority.cacert,
                f"https://localhost:{server.port}/healthz").output == b"ok\n"


def test_garbage_to_a_tls_port(start: Start, certificate: Certificate) -> None:
    server = start(TlsWispd(certificate))
    with connect_socket(server.port) as sock:
        sock.sendall(b"\0" * 100)
        try:
            sock.recv(1)
        except ConnectionError:
            pass
    server.wait_log("turned away: it does not speak TLS")


def test_refusal_over_tls_is_whole(start: Start, certificate: Certificate,
                                   authority: Authority) -> None:
    """TLS is closed as it should be, so that nobody takes the answer for a cut one."""
    server = start(TlsWispd(certificate))
    with connect_socket(server.port, authority.trusted()) as sock:
        sock.suppress_ragged_eofs = False
        sock.sendall(request_of(HEAD_MAX + 100))
        assert answer(sock)[0] == 431


# nginx and HAProxy in front


class PlainNginx(Process):
    """nginx in front of one server, with its usual limits for requests. MORE is for the location."""

    CONFIG = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        large_client_header_buffers 4 8k;
        location / {{
            proxy_pass {backend};
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            {more}
        }}
    }}
}}
"""
    UPGRADE = """
        proxy_http_version 1.1;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection upgrade;
    """

    def __init__(self, folder: Path, backend: str, more: str = UPGRADE) -> None:
        self.port = free_port()
        config = folder / "plain-nginx.conf"
        config.write_text(self.CONFIG.format(folder=folder, port=self.port, backend=backend,
                                             more=more))
        super().__init__([NGINX, "-p", folder, "-c", config])
        self.wait_port(self.port)


class Haproxy(Process):
    """HAProxy in front of one server, which it probes every 100 ms. MORE is for the backend."""

    CONFIG = """
global
    tune.bufsize 65536
    log stderr format raw local0
defaults
    mode http
    log global
    timeout connect 10s
    timeout client 60s
    timeout server 60s
    timeout tunnel 60s
frontend front
    bind 127.0.0.1:{port}
    default_backend wisp
backend wisp
    {more}
    server one 127.0.0.1:{backend} check inter 100 fall 1 rise 1
"""

    def __init__(self, folder: Path, backend: int, *more: str) -> None:
        self.port = free_port()
        config = folder / "haproxy.cfg"
        config.write_text(self.CONFIG.format(port=self.port, backend=backend,
                                             more="\n    ".join(more)))
        super().__init__([HAPROXY, "-db", "-f", config])
        self.wait_port(self.port)


def test_large_heads_through_nginx(start: Start, wispd: Wispd, origin: Origin,
                                   tmp_path: Path) -> None:
    """All that nginx lets pass: four times 8 KiB, what it adds itself, and a first buffer more."""
    front = start(PlainNginx(tmp_path, f"http://127.0.0.1:{wispd.port}"))
    passed = 0
    for size in range(30 * KIB, 36 * KIB, KIB):
        with connect_socket(front.port) as sock:
            sent = request_of(size)
            if upgrades(sock, sent, origin):
                passed = size
                continue
        assert http_status(front.port, "/", *sent.decode().split("\r\n")[2:-2]) == 400, (
            "nginx refuses larger ones, not wispd behind it")
    assert passed >= 31 * KIB


def test_nginx_without_an_upgrade(start: Start, wispd: Wispd, tmp_path: Path) -> None:
    """What its user forgot stands in wispd's log."""
    front = start(PlainNginx(tmp_path, f"http://127.0.0.1:{wispd.port}", more=""))
    since = wispd.mark()
    assert http_status(front.port, "/", *upgrade_headers(KEY, None)) == 426
    wispd.wait_log("refused with HTTP 426: .*proxy_http_version 1.1", since)


def test_nginx_that_speaks_plainly_to_tls(start: Start, certificate: Certificate,
                                          tmp_path: Path) -> None:
    server = start(TlsWispd(certificate))
    front = start(PlainNginx(tmp_path, f"http://127.0.0.1:{server.port}"))
    assert http_status(front.port, "/", *upgrade_headers(KEY, None)) == 400
    server.wait_log(r"turned away: it speaks plain HTTP, .*proxy in front: https://")


def test_nginx_that_speaks_tls_to_a_plain_port(start: Start, wispd: Wispd,
                                               tmp_path: Path) -> None:
    front = start(PlainNginx(tmp_path, f"https://127.0.0.1:{wispd.port}"))
    since = wispd.mark()
    assert http_status(front.port, "/", *upgrade_headers(KEY, None)) == 502
    wispd.wait_log(r"turned away: it speaks TLS, .*proxy in front: http://", since)


@pytest.mark.parametrize("probe", [
    "option httpchk",
    "option httpchk GET /healthz",
    "option httpchk HEAD /healthz",
    "option httpchk HEAD /healthz HTTP/1.0",
    "option httpchk HEAD /healthz HTTP/1.1\r\n    http-check send hdr Host wisp.test",
    "option httpchk GET /\r\n    http-check expect status 426",
    "option httpchk HEAD / HTTP/1.1\r\n    http-check expect status 426",
    "option tcp-check",
], ids=lambda probe: " ".join(probe.split()[1:]))
def test_probes_of_haproxy(start: Start, origin: Origin, tmp_path: Path, probe: str) -> None:
    """The server is up for HAProxy; it notices when it goes, and when it comes back."""
    server = start(Wispd())
    front = start(Haproxy(tmp_path, server.port, *probe.split("\r\n")))
    with connect_socket(front.port) as sock:
        assert upgrades(sock, request(*upgrade_headers(KEY, None)), origin)
    port = server.port
    server.terminate()
    front.wait_log("Server wisp/one is DOWN")
    start(Wispd(port=port))
    front.wait_log("Server wisp/one is UP")
    with connect_socket(front.port) as sock:
        assert upgrades(sock, request(*upgrade_headers(KEY, None)), origin)


def test_haproxy_sees_what_is_no_server(start: Start, wispd: Wispd, tmp_path: Path) -> None:
    front = start(Haproxy(tmp_path, wispd.port, "option httpchk GET /other"))
    front.wait_log("Server wisp/one is DOWN.*404")


def test_large_heads_through_haproxy(start: Start, wispd: Wispd, origin: Origin,
                                     tmp_path: Path) -> None:
    front = start(Haproxy(tmp_path, wispd.port, "option forwardfor"))
    with connect_socket(front.port) as sock:
        assert upgrades(sock, request_of(32 * KIB), origin)
