"""Wisp servers: the real ones of others, this project's, and nginx with TLS in front."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Sequence

from certs import Certificate
from procs import GUARD, TOOLS, Process, Program, clean_environment, free_port

NGINX = "/usr/sbin/nginx"
HAPROXY = "/usr/sbin/haproxy"


class Nginx(Process):
    """TLS in front of every server at once: wss://localhost:PORT/N/ is port N of 127.0.0.1.

    MORE is for the block `server` of its configuration. CONNECTION is what it says of the
    connection to the servers.
    """

    CONFIG = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {cert};
        ssl_certificate_key {key};
        {more}
        location ~ ^/(\\d+)(/.*)$ {{
            proxy_pass http://127.0.0.1:$1$2;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection {connection};
            proxy_set_header Host $host;
            proxy_buffer_size 64k;
            proxy_buffers 4 64k;
            proxy_read_timeout 1h;
            proxy_send_timeout 1h;
        }}
    }}
}}
"""

    def __init__(self, folder: Path, certificate: Certificate, more: str = "",
                 connection: str = "upgrade") -> None:
        self.port = free_port()
        config = folder / "nginx.conf"
        config.write_text(self.CONFIG.format(folder=folder, port=self.port, cert=certificate.cert,
                                             key=certificate.key, more=more,
                                             connection=connection))
        super().__init__([NGINX, "-p", folder, "-c", config])
        self.wait_port(self.port)

    def url(self, backend: int) -> str:
        return f"wss://localhost:{self.port}/{backend}/"


class Haproxy(Process):
    """TLS in front of one server: wss://localhost:PORT/."""

    CONFIG = """
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
frontend front
    bind 127.0.0.1:{port} ssl crt {pem} alpn h2,http/1.1
    default_backend servers
backend servers
    server one 127.0.0.1:{backend}
"""

    def __init__(self, folder: Path, certificate: Certificate, backend: int) -> None:
        self.port = free_port()
        pem = folder / "haproxy.pem"
        pem.write_text(certificate.cert.read_text() + certificate.key.read_text())
        config = folder / "haproxy.cfg"
        config.write_text(self.CONFIG.format(port=self.port, pem=pem, backend=backend))
        super().__init__([HAPROXY, "-db", "-f", config])
        self.wait_port(self.port)

    @property
    def url(self) -> str:
        return f"wss://localhost:{self.port}/"


class WispJs(Process):
    """wisp-js, which speaks v1 only or, with clients that ask for it, v2."""

    def __init__(self, version: int, port: int | None = None, **more: object) -> None:
        self.port = port or free_port()
        options = {"wisp_version": version, "allow_loopback_ips": True, "allow_private_ips": True,
                   **more}
        super().__init__([TOOLS / "node_modules/.bin/wisp-js-server", "--host", "127.0.0.1",
                          "--port", str(self.port), "--logging", "WARN",
                          "--options", json.dumps(options)])
        self.wait_port(self.port)


class WispPython(Process):
    """wisp-python, which speaks v1."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        super().__init__([TOOLS / "venv/bin/python", "-m", "wisp.server", "--host", "127.0.0.1",
                          "--port", str(self.port), "--threads", "1", "--log-level", "warning",
                          "--allow-loopback", "--allow-private"])
        self.wait_port(self.port)


class Wispd(Program):
    """This project's server, which may reach the origins on loopback unless told otherwise."""

    def __init__(self, *options: str | Path, port: int = 0,
                 allow: tuple[str, ...] = ("--allow-loopback", "--allow-private"),
                 prefix: Sequence[str | Path] = (), env: dict[str, str] | None = None) -> None:
        super().__init__("wispd", "--listen", f"127.0.0.1:{port}", *allow, *options,
                         prefix=prefix, env=env)
        self.addresses()


class TlsWispd(Wispd):
    """The same with a certificate for localhost."""

    def __init__(self, certificate: Certificate, *options: str | Path, port: int = 0,
                 env: dict[str, str] | None = None) -> None:
        super().__init__("--cert", certificate.cert, "--cert-key", certificate.key, *options,
                         port=port, env=env)

    @property
    def url(self) -> str:
        return f"wss://localhost:{self.port}/"


class WispMux(Process):
    """The server on wisp-mux in tests/interop, which speaks v2."""

    def __init__(self, *options: str | Path) -> None:
        super().__init__([TOOLS / "interop/release/wisp-mux-server", "--listen", "127.0.0.1:0",
                          *options])
        self.port = int(self.wait_log(r"^listening on \S+:(\d+)$").group(1))

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"


class InteropServer(Process):
    """One of the servers behind others' WebSockets in tests/interop, which speak v1."""

    def __init__(self, name: str) -> None:
        super().__init__([TOOLS / f"interop/release/{name}-server", "--listen", "127.0.0.1:0"])
        self.port = int(self.wait_log(r"^listening on \S+:(\d+)$").group(1))


def wisp_mux_client(*args: str | Path, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run the client on wisp-mux in tests/interop, with DATA for its standard input."""
    program = TOOLS / "interop/release/wisp-mux-client"
    assert program.exists(), f"{program} is missing: build it, or set WISP_TOOLS"
    return subprocess.run([program, *args], input=data, capture_output=True, timeout=GUARD,
                          env=clean_environment(), check=False)


def start_server(kind: str, port: int | None = None) -> Process:
    """A server by the name that the tests' parameters use; PORT to come back on the same one."""
    if kind == "wisp-python":
        return WispPython(port)
    name, version = kind.split("-v")
    if name == "wisp-js":
        return WispJs(int(version), port)
    return Wispd("--wisp", version, port=port or 0)


#: Each kind of server, and the version that a client which speaks both gets from it.
VERSIONS = {"wisp-js-v1": 1, "wisp-js-v2": 2, "wisp-python": 1, "wispd-v1": 1, "wispd-v2": 2}
