"""--probe: the whole way to a destination, step by step, and where it ends."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

import packets
from certs import Authority, Certificate
from conftest import Start
from credentials import write_secret
from fakeserver import FakeServer
from origin import Origin, Service
from procs import BUILD, GUARD, clean_environment, in_background, refusing_port
from proxies import Tinyproxy
from wispservers import Nginx, Wispd, WispPython

LINE = re.compile(r"(name|TCP|proxy|TLS|upgrade|Wisp|stream|first byte|total) +(\d+\.\d) ms  (.+)")


class Probe:
    """wispsocks --probe, run to its end."""

    def __init__(self, target: str, *options: str | Path) -> None:
        done = subprocess.run([BUILD / "cmd/wispsocks/wispsocks", "--probe", target, *options],
                              capture_output=True, text=True, timeout=GUARD, check=False,
                              stdin=subprocess.DEVNULL, env=clean_environment())
        self.code, self.errors = done.returncode, done.stderr
        matches = [LINE.fullmatch(line) for line in done.stdout.splitlines()]
        assert all(matches), done.stdout
        self.steps = [match[1] for match in matches]
        self.said = {match[1]: match[3] for match in matches}
        times = [float(match[2]) for match in matches]
        assert self.steps[-1] == "total"
        assert abs(sum(times[:-1]) - times[-1]) < 10  # each is rounded, and printing takes some

    def check_good(self, *steps: str) -> None:
        assert (self.code, self.errors) == (0, ""), (self.said, self.errors)
        assert self.steps == [*steps, "total"]
        assert self.said["total"].startswith("reached ")

    def check_failed(self, step: str, said: str) -> None:
        """At this step, and an error says the same."""
        assert self.code == 1
        assert self.steps[-2:] == [step, "total"]
        assert self.said["total"].startswith("did not reach ")
        assert re.search(f"FAILED: .*{said}", self.said[step]), self.said
        (error,) = self.errors.splitlines()
        assert re.search(f"^error: .*{said}", error)


@pytest.fixture
def talker(start: Start) -> Iterator[Service]:
    """It speaks first."""

    def greet(conn: socket.socket) -> None:
        conn.sendall(b"220 mail.test\r\nmore")
        conn.recv(1)

    return start(Service(greet))


def url(server: Wispd | WispPython | FakeServer) -> str:
    return f"ws://localhost:{server.port}/"


PLAIN = ["name", "TCP", "upgrade", "Wisp", "stream", "first byte"]


def test_all_steps(start: Start, nginx: Nginx, wispd: Wispd, authority: Authority,
                   talker: Service, tmp_path: Path) -> None:
    """Through a proxy and TLS; and no listener is in the way."""
    proxy = start(Tinyproxy(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        probe = Probe(f"127.0.0.1:{talker.port}", nginx.url(wispd.port), "--cacert",
                      authority.cacert, "--proxy", proxy.url(), "--listen",
                      f"127.0.0.1:{taken.getsockname()[1]}")
    probe.check_good("name", "TCP", "proxy", "TLS", *PLAIN[2:])
    assert ", certificate verified" in probe.said["TLS"]
    assert "HTTP 101" in probe.said["upgrade"]
    assert "v2" in probe.said["Wisp"]
    assert '"220 mail.test"' in probe.said["first byte"]


def test_name_of_the_destination(wispd: Wispd, talker: Service) -> None:
    Probe(f"localhost:{talker.port}", url(wispd)).check_good(*PLAIN)


def test_destination_that_waits(wispd: Wispd, origin: Origin) -> None:
    """It does not speak first, as a web server."""
    probe = Probe(f"127.0.0.1:{origin.echo.port}", url(wispd))
    probe.check_good(*PLAIN)
    assert "nothing was said" in probe.said["first byte"]


def test_server_that_confirms_nothing(start: Start, talker: Service) -> None:
    probe = Probe(f"127.0.0.1:{talker.port}", url(start(WispPython())))
    probe.check_good(*PLAIN)
    assert "v1" in probe.said["Wisp"] and "does not say" in probe.said["stream"]


def test_destination_that_refuses(wispd: Wispd) -> None:
    with refusing_port() as port:
        Probe(f"127.0.0.1:{port}", url(wispd)).check_failed("stream", "connection refused")


def test_destination_that_closes(start: Start, wispd: Wispd) -> None:
    closing = start(Service(lambda conn: None))
    Probe(f"127.0.0.1:{closing.port}", url(wispd)).check_failed("first byte", "closed before")


def test_destination_that_does_not_answer(start: Start) -> None:
    fake = start(FakeServer())
    confirms = b"\x05\x00\x00\x00\x00"
    in_background(lambda: fake.accept_open(2, offered=confirms))
    Probe("example.test:80", url(fake), "--connect-timeout", "0.3").check_failed(
        "stream", r"not connected in 0\.3 s")


def test_server_that_goes(start: Start) -> None:
    fake = start(FakeServer())

    def go() -> None:
        server = fake.accept_open(2, offered=b"\x05\x00\x00\x00\x00")
        server.recv_type(packets.CONNECT)
        server.close()

    in_background(go)
    Probe("example.test:80", url(fake)).check_failed("stream", "connection to the server was lost")


def test_way_that_ends(start: Start, wispd: Wispd, certificate: Certificate, tmp_path: Path) -> None:
    """Each step can be the one that fails."""
    target = "127.0.0.1:1"
    Probe(target, "ws://no.such.invalid/").check_failed("name", "no.such.invalid")
    with refusing_port() as port:
        Probe(target, f"ws://127.0.0.1:{port}/").check_failed("TCP", "refused")
    proxy = start(Tinyproxy(tmp_path))
    with refusing_port() as port:
        Probe(target, f"ws://127.0.0.1:{port}/", "--proxy", proxy.url()).check_failed(
            "proxy", "HTTP 500|HTTP 502")
    fake = start(FakeServer(certificate.context()))
    in_background(fake.accept_refused_handshake)
    Probe(target, fake.url_at("localhost")).check_failed("TLS", "certificate")
    Probe(target, f"ws://127.0.0.1:{wispd.port}/else/").check_failed("upgrade", "HTTP 404")
    Probe(target, url(start(WispPython())), "--wisp", "2").check_failed("Wisp", "--wisp 2")


def test_server_after_server(wispd: Wispd, talker: Service) -> None:
    """The steps go on with the next one."""
    with refusing_port() as port:
        probe = Probe(f"127.0.0.1:{talker.port}", f"ws://127.0.0.1:{port}/", "--server",
                      url(wispd))
    probe.check_good("name", "TCP", *PLAIN)


def test_redirect(start: Start, wispd: Wispd, talker: Service) -> None:
    fake = start(FakeServer())
    in_background(lambda: fake.accept().answer("302 Found", f"Location: {url(wispd)}"))
    probe = Probe(f"127.0.0.1:{talker.port}", url(fake))
    probe.check_good("name", "TCP", "upgrade", *PLAIN)


def test_secrets_are_not_printed(start: Start, tmp_path: Path) -> None:
    wispd = start(Wispd("--user-file", write_secret(tmp_path / "users", "me:s3cret\n")))
    password = write_secret(tmp_path / "password", "s3cret\n")
    with refusing_port() as port:
        probe = Probe(f"127.0.0.1:{port}", url(wispd), "--user", "me", "--password-file", password,
                      "--unverified-credentials", "-H", "Cookie: s3cret")
    probe.check_failed("stream", "refused")
    proxied = Probe("127.0.0.1:1", url(wispd), "--proxy", "http://me:s3cret@127.0.0.1:1")
    proxied.check_failed("TCP", "127.0.0.1:1")
    assert "s3cret" not in str([probe.said, probe.errors, proxied.said, proxied.errors])


@pytest.mark.parametrize("target", ["", "host", "host:0", "host:70000", "::1:80", ":80",
                                    256 * "h" + ":80"])
def test_targets_that_make_no_sense(target: str) -> None:
    done = subprocess.run([BUILD / "cmd/wispsocks/wispsocks", "--probe", target, "ws://x/"],
                          capture_output=True, text=True, timeout=GUARD, check=False,
                          env=clean_environment())
    assert done.returncode == 2 and "--probe" in done.stderr
