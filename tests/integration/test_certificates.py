"""Which servers TLS trusts: certificates good and bad, versions of TLS old and new.

The names of servers are resolved by nobody: a proxy, which the test is, leads to all of them.
"""

from __future__ import annotations

import base64
import itertools
import re
import ssl
from pathlib import Path
from typing import Callable, NamedTuple

import pytest

from bridge import Bridge
from certs import AUTHORITY, RSA_KEY, Authority, Certificate, server
from conftest import Start
from credentials import make_key, write_secret
from fakeserver import FakeServer, Peer
from origin import CHUNK, Service
from procs import Program
from proxies import FakeProxy
from test_cli import URL, check_failure
from wispclient import WispClient, connect_socket
from wispservers import TlsWispd

NAME = "wisp.example"
PAST = ("20200101000000Z", "20200201000000Z")
#: OpenSSL 3.6 says "or the system clock is incorrect", too.
FROM_TOMORROW = "not yet valid.*; .*clock"
FUTURE = ("20480101000000Z", "20490101000000Z")
WRONG_NAME = WRONG_ADDRESS = r"for .*, not [^;]+; (check the URL|.* another one)"
UNKNOWN_ISSUER = "issuer.*--cacert"

numbers = itertools.count()

Make = Callable[[Authority], Certificate]


class Case(NamedTuple):
    """A server's certificate, who is asked for, and what is SAID about it."""

    make: Make
    said: str = ""
    host: str = NAME


def fresh() -> str:
    return f"certificate-{next(numbers)}"


def named(names: str, said: str = "", host: str = NAME, **more: object) -> Case:
    return Case(lambda authority: authority.issue(fresh(), names, **more), said, host)


def nameless(common_name: str, said: str, host: str = NAME) -> Case:
    """Without a subjectAltName."""
    return Case(lambda authority: authority.issue(
        fresh(), name=common_name, extensions=("basicConstraints = CA:FALSE",)), said, host)


def extended(*extensions: str, said: str = "") -> Case:
    return Case(lambda authority: authority.issue(
        fresh(), extensions=server(f"DNS:{NAME}", *extensions)), said)


def below(*chain: tuple[str, ...], said: str = "", names: str = f"DNS:{NAME}", host: str = NAME,
          **more: object) -> Case:
    """Issued by the last of authorities with these extensions, each below the one before."""

    def make(authority: Authority) -> Certificate:
        for extensions in chain:
            authority = Authority(authority.folder / fresh(), authority, extensions, **more)
        return authority.issue(fresh(), names)

    return Case(make, said, host)


def leaf_alone(authority: Authority) -> Certificate:
    """The server forgets to send who issued its certificate."""
    middle = Authority(authority.folder / fresh(), authority)
    middle.chain = ""
    return middle.issue(fresh(), f"DNS:{NAME}")


def forged(authority: Authority) -> Certificate:
    """With a signature that is not the authority's."""
    made = authority.issue(fresh(), f"DNS:{NAME}")
    first, *lines, last = made.cert.read_text().strip().splitlines()
    der = bytearray(base64.b64decode("".join(lines)))
    der[-1] ^= 1
    made.cert.write_text("\n".join([first, base64.encodebytes(der).decode().strip(), last, ""]))
    return made


def with_nul(authority: Authority) -> Certificate:
    """For a name that ends at once for whoever takes a NUL for its end."""
    name = f"{NAME}\0.other.example".encode().hex()
    return authority.issue(fresh(), extensions=(
        "basicConstraints = CA:FALSE", "subjectAltName = ASN1:SEQUENCE:names",
        "[names]", f"name = IMPLICIT:2,FORMAT:HEX,OCTETSTRING:{name}"))


def signed_with(digest: str) -> Case:
    """By an authority with an RSA key, which any digest goes with."""
    return Case(lambda authority: Authority(
        authority.folder / fresh(), authority, key=RSA_KEY).issue(
            fresh(), f"DNS:{NAME}", digest=digest), "digest.*weak|md too weak")


def constrained(constraint: str) -> tuple[str, ...]:
    return *AUTHORITY, f"nameConstraints = critical,{constraint}"


BAD = {
    "another name": named("DNS:other.example", WRONG_NAME),
    "a subdomain's": named(f"DNS:www.{NAME}", WRONG_NAME),
    "its parent's": named("DNS:example", WRONG_NAME),
    "a longer name": named(f"DNS:{NAME}.other.example", WRONG_NAME),
    "NUL in the name": Case(with_nul, WRONG_NAME),
    "common name alone": nameless(NAME, WRONG_NAME),
    "common name beside another": named("DNS:other.example", WRONG_NAME, name=NAME),
    "common name beside an address": named("IP:127.0.0.1", WRONG_NAME, name=NAME),
    "wildcard as common name": nameless("*.example.net", WRONG_NAME, "wisp.example.net"),

    "wildcard for two labels": named(f"DNS:*.{NAME}", WRONG_NAME, f"a.b.{NAME}"),
    "wildcard for the parent": named(f"DNS:*.{NAME}", WRONG_NAME),
    "wildcard for half a label": named("DNS:w*.example.net", WRONG_NAME, "wisp.example.net"),
    "wildcard for the other half": named("DNS:*p.example.net", WRONG_NAME, "wisp.example.net"),
    "wildcard in the middle": named(f"DNS:a.*.{NAME}", WRONG_NAME, f"a.b.{NAME}"),
    "two wildcards": named(f"DNS:*.*.{NAME}", WRONG_NAME, f"a.b.{NAME}"),
    "wildcard for a whole domain": named("DNS:*.example", WRONG_NAME),
    "wildcard for all": named("DNS:*", WRONG_NAME),
    "wildcard for all of one label": named("DNS:*", WRONG_NAME, "wisp"),

    "another address": named("IP:127.0.0.2", WRONG_ADDRESS, "127.0.0.1"),
    "a name for an address": named("DNS:localhost", WRONG_ADDRESS, "127.0.0.1"),
    "an address for a name": named("IP:127.0.0.1", WRONG_NAME, "localhost"),
    "address as a name": named("DNS:127.0.0.1", WRONG_ADDRESS, "127.0.0.1"),
    "IPv6 address as a name": named("DNS:::1", WRONG_ADDRESS, "[::1]"),
    "address as common name": nameless("127.0.0.1", WRONG_ADDRESS, "127.0.0.1"),
    "wildcard for addresses": named("DNS:*.0.0.1", WRONG_ADDRESS, "127.0.0.1"),
    "IPv4 for IPv6": named("IP:127.0.0.1", WRONG_ADDRESS, "[::ffff:127.0.0.1]"),

    "expired": named(f"DNS:{NAME}", "expired; .*clock", valid=PAST),
    "not yet valid": named(f"DNS:{NAME}", FROM_TOMORROW, valid=FUTURE),
    "expired issuer": below(AUTHORITY, said="expired; .*clock", valid=PAST),
    "issuer not yet valid": below(AUTHORITY, said=FROM_TOMORROW, valid=FUTURE),

    "self-signed": Case(lambda authority: authority.self_signed(f"DNS:{NAME}"),
                        "self[- ]signed.*--cacert"),
    "unknown issuer": Case(lambda authority: Authority(authority.folder / fresh()).issue(
        fresh(), f"DNS:{NAME}"), UNKNOWN_ISSUER),
    "issuer is missing": Case(leaf_alone, UNKNOWN_ISSUER),
    "issuer is no authority": below(("basicConstraints = critical,CA:FALSE",),
                                    said="invalid CA certificate; the server"),
    "issuer is a server": below(server(f"DNS:{NAME}"), said="invalid CA certificate"),
    "issuer does not say what it is": below(("subjectKeyIdentifier = hash",),
                                            said="invalid CA certificate"),
    "issuer may not sign": below(("basicConstraints = critical,CA:TRUE",
                                  "keyUsage = critical,digitalSignature"),
                                 said="invalid CA certificate|usage"),
    "chain is too long": below(("basicConstraints = critical,CA:TRUE,pathlen:0",), AUTHORITY,
                               said="path length constraint exceeded"),
    "signature is wrong": Case(forged, "signature failure"),

    "outside of its issuer's names": below(constrained("permitted;DNS:other.example"),
                                           said="permitted subtree violation"),
    "among the names its issuer may not use": below(constrained(f"excluded;DNS:{NAME}"),
                                                    said="excluded subtree violation"),
    "wildcard outside of its issuer's names": below(
        constrained("permitted;DNS:other.example.net"), said="permitted subtree violation",
        names="DNS:*.example.net", host="wisp.example.net"),
    "outside of its issuer's addresses": below(
        constrained("permitted;IP:10.0.0.0/255.0.0.0"), said="permitted subtree violation",
        names="IP:127.0.0.1", host="127.0.0.1"),

    "for clients": extended("extendedKeyUsage = clientAuth", said="certificate purpose"),
    "for signing code": extended("extendedKeyUsage = codeSigning", said="certificate purpose"),
    "for certificates only": extended("keyUsage = critical,keyCertSign",
                                      said="certificate purpose"),
    "unknown demand": extended("1.2.3.4 = critical,ASN1:NULL", said="unhandled critical ext"),
}

GOOD = {
    "name": named(f"DNS:{NAME}"),
    "second name": named(f"DNS:other.example,DNS:{NAME}"),
    "uppercase in the URL": named(f"DNS:{NAME}", host=NAME.upper()),
    "uppercase in the certificate": named(f"DNS:{NAME.upper()}"),
    "final dot": named(f"DNS:{NAME}", host=f"{NAME}."),
    "wildcard": named(f"DNS:*.{NAME}", host=f"www.{NAME}"),
    "wildcard and final dot": named(f"DNS:*.{NAME}", host=f"www.{NAME}."),
    "wildcard for an encoded label": named(f"DNS:*.{NAME}", host=f"xn--bcher-kva.{NAME}"),
    "IPv4 address": named("IP:127.0.0.1", host="127.0.0.1"),
    "IPv6 address": named("IP:::1", host="[::1]"),
    "long form of an IPv6 address": named("IP:::1", host="[0:0:0:0:0:0:0:1]"),
    "chain": below(AUTHORITY),
    "long chain": below(AUTHORITY, AUTHORITY, AUTHORITY),
    "chain as long as it may be": below(("basicConstraints = critical,CA:TRUE,pathlen:1",),
                                        AUTHORITY),
    "among its issuer's names": below(constrained("permitted;DNS:example")),
    "for servers": extended("keyUsage = critical,digitalSignature",
                            "extendedKeyUsage = serverAuth,clientAuth"),
}


def table(cases: dict[str, Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases.values(), ids=cases.keys())


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> list[str | Path]:
    """All that a server could be shown."""
    folder = tmp_path_factory.mktemp("secrets")
    client = authority.issue("secret-client", "DNS:client.test")
    return ["--cert", client.cert, "--cert-key", client.key, "-H", "Cookie: s3cret",
            "-u", "user", "--password-file", write_secret(folder / "password", "s3cret\n"),
            "--key", make_key(folder, "key").private]


class Way:
    """To the server of any name, with a certificate, through a proxy."""

    def __init__(self, proxy: FakeProxy, case: Case, authority: Authority,
                 ciphers: str | None = None) -> None:
        self.proxy = proxy
        self.context = case.make(authority).context(ciphers)
        self.context.load_verify_locations(authority.cacert)
        self.context.verify_mode = ssl.CERT_OPTIONAL  # it asks for the client's
        self.context.sni_callback = lambda _, name, __: setattr(self, "asked_for", name)
        self.asked_for: str | None = None  #: the name in the client's first message
        self.options: list[str | Path] = ["--proxy", proxy.proxy_url,
                                          "--cacert", authority.cacert]
        self.url = f"wss://{case.host}/"

    def accept(self) -> Peer:
        """The request to the server."""
        peer = self.proxy.accept()
        peer.send_raw(b"HTTP/1.1 200 OK\r\n\r\n")
        peer.sock = self.context.wrap_socket(peer.sock, server_side=True)
        return self.proxy.behind(peer)

    def accept_refused(self) -> None:
        """The client breaks off TLS, and says why, before it shows anything."""
        with pytest.raises(ssl.SSLError) as refused:
            self.accept()
        assert "_ALERT_" in refused.value.reason


@pytest.fixture
def lead(start: Start, authority: Authority) -> Callable[..., Way]:
    return lambda case, **more: Way(start(FakeProxy()), case, authority, **more)


@table(BAD)
@pytest.mark.parametrize("program, code", [("wispsocks", 1), ("wispcheck", 3)],
                         ids=["wispsocks", "wispcheck"])
def test_bad_certificate(start: Start, lead: Callable[..., Way], secrets: list[str | Path],
                         case: Case, program: str, code: int) -> None:
    """One line says why and what to do, and the server gets to see nothing."""
    way = lead(case)
    listen = ["--listen", "127.0.0.1:0"] if program == "wispsocks" else []
    running = start(Program(program, *listen, *way.options, *secrets, way.url))
    way.accept_refused()
    assert running.wait_exit() == code
    (error,) = [line for line in running.lines if line.startswith("error: ")]
    assert re.search(f"certificate is (refused: .*)?({case.said})", error), error
    assert "s3cret" not in running.log


@table(GOOD)
def test_good_certificate(lead: Callable[..., Way], case: Case,
                          wispsocks: Callable[..., Bridge]) -> None:
    way = lead(case)
    bridge = wispsocks(way.url, *way.options)
    way.accept().open()
    bridge.wait_connected()
    assert not bridge.find_log("^warning:")
    is_address = re.fullmatch(r"[\d.]+|\[.*\]", case.host)
    assert way.asked_for == (None if is_address else case.host.rstrip("."))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3],
                         ids=lambda version: version.name)
def test_each_version(lead: Callable[..., Way], secrets: list[str | Path],
                      version: ssl.TLSVersion, wispsocks: Callable[..., Bridge]) -> None:
    """The certificate is refused before the client shows its own in both of them."""
    way = lead(BAD["another name"])
    way.context.minimum_version = way.context.maximum_version = version
    bridge = wispsocks(way.url, *way.options, *secrets)
    way.accept_refused()
    assert bridge.wait_exit() == 1
    bridge.wait_log(f"^error: .*{WRONG_NAME}")


@pytest.mark.parametrize("trusted", ["top", "middle", "server"])
def test_trusted_certificate(lead: Callable[..., Way], tmp_path: Path, trusted: str,
                             wispsocks: Callable[..., Bridge]) -> None:
    """--cacert may name any of the chain: the authority on top, one below, the server's own."""
    top = Authority(tmp_path / "top")
    middle = Authority(tmp_path / "middle", top)
    made = middle.issue("server", f"DNS:{NAME}")
    own = tmp_path / "own.pem"
    own.write_text(made.cert.read_text().removesuffix(middle.chain))
    way = lead(Case(lambda _: made))
    cacert = {"top": top.cacert, "middle": middle.cacert, "server": own}[trusted]
    bridge = wispsocks(way.url, *way.options, "--cacert", cacert)
    way.accept().open()
    bridge.wait_connected()


def test_trusted_self_signed_certificate(lead: Callable[..., Way], tmp_path: Path,
                                         wispsocks: Callable[..., Bridge]) -> None:
    made = Authority(tmp_path / "made").self_signed(f"DNS:{NAME}")
    way = lead(Case(lambda _: made))
    bridge = wispsocks(way.url, *way.options, "--cacert", made.cert)
    way.accept().open()
    bridge.wait_connected()


# The system's settings


def settings(folder: Path, security_level: int, least_version: str = "TLSv1.2") -> dict[str, str]:
    """The environment in which OpenSSL has these."""
    path = folder / "openssl.cnf"
    path.write_text(f"""
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = default
[default]
MinProtocol = {least_version}
CipherString = DEFAULT:@SECLEVEL={security_level}
""")
    return {"OPENSSL_CONF": str(path)}


WEAK = {
    "MD5": signed_with("md5"),
    "SHA-1": signed_with("sha1"),
    "short RSA key": named(f"DNS:{NAME}", "key too weak|key too small", key=("rsa:1024",)),
}


@table(WEAK)
def test_weak_certificate(lead: Callable[..., Way], tmp_path: Path, case: Case,
                          wispsocks: Callable[..., Bridge]) -> None:
    """What is too weak, the system decides."""
    way = lead(case, ciphers="DEFAULT:@SECLEVEL=0")
    bridge = wispsocks(way.url, *way.options, env=settings(tmp_path, 2))
    way.accept_refused()
    assert bridge.wait_exit() == 1
    bridge.wait_log(f"^error: .*certificate is refused: .*({case.said}); the server needs another")

    bridge = wispsocks(way.url, *way.options, env=settings(tmp_path, 0))
    way.accept().open()
    bridge.wait_connected()


ANCIENT = [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1]
ANY_CIPHER = "ALL:@SECLEVEL=0"
OUTDATED = r"^error: .*neither TLS 1\.2 nor 1\.3"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", ANCIENT, ids=lambda version: version.name)
def test_ancient_server(start: Start, certificate: Certificate, authority: Authority,
                        tmp_path: Path, version: ssl.TLSVersion,
                        wispsocks: Callable[..., Bridge]) -> None:
    """TLS 1.2 is the least, also where the system allows what is older."""
    context = certificate.context(ANY_CIPHER)
    context.minimum_version = context.maximum_version = version
    fake = start(FakeServer(context))
    bridge = wispsocks(fake.url_at("localhost"), "--cacert", authority.cacert,
                       env=settings(tmp_path, 0, "TLSv1"))
    fake.accept_refused_handshake()
    assert bridge.wait_exit() == 1
    bridge.wait_log(OUTDATED)


def test_server_that_insists_on_an_ancient_version(start: Start, tmp_path: Path,
                                                   wispsocks: Callable[..., Bridge]) -> None:
    """It answers with TLS 1.1 what does not offer that: it is we who end it."""
    ended: list[bytes] = []

    def insist(conn: ssl.SSLSocket) -> None:
        conn.recv(CHUNK)
        hello = b"\x03\x02" + bytes(32) + b"\0" + b"\xc0\x13" + b"\0"
        hello = b"\x02" + len(hello).to_bytes(3, "big") + hello
        conn.sendall(b"\x16\x03\x02" + len(hello).to_bytes(2, "big") + hello)
        ended.append(conn.recv(CHUNK))

    port = start(Service(insist)).port
    bridge = wispsocks(f"wss://localhost:{port}/", env=settings(tmp_path, 0, "TLSv1"))
    assert bridge.wait_exit() == 1
    bridge.wait_log(OUTDATED)
    alert, protocol_version = 0x15, 70
    assert (ended[0][0], ended[0][-1]) == (alert, protocol_version)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_ancient_client(start: Start, certificate: Certificate, tmp_path: Path,
                        authority: Authority) -> None:
    """wispd does not speak its language, and serves others."""
    server = start(TlsWispd(certificate, env=settings(tmp_path, 0, "TLSv1")))
    for version in (*ANCIENT, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = authority.trusted()
        context.set_ciphers(ANY_CIPHER)
        context.minimum_version = context.maximum_version = version
        if version in ANCIENT:
            with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
                connect_socket(server.port, context)
        else:
            with WispClient(server.port, context=context) as client:
                client.open()


# What is trusted


def test_unknown_authority(start: Start, certificate: Certificate,
                           wispsocks: Callable[..., Bridge]) -> None:
    """Without --cacert the system's certificates count, and the log names the option."""
    fake = start(FakeServer(certificate.context()))
    bridge = wispsocks(fake.url_at("localhost"))
    fake.accept_refused_handshake()
    assert bridge.wait_exit() == 1
    bridge.wait_log(r"^error: .*--cacert")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_cacert(start: Start, authority: Authority, certificate: Certificate, host: str,
                wispsocks: Callable[..., Bridge]) -> None:
    fake = start(FakeServer(certificate.context()))
    bridge = wispsocks(fake.url_at(host), "--cacert", authority.cacert)
    server = fake.accept_open()
    bridge.wait_connected()
    assert not bridge.find_log("^warning:")
    bridge.dial("example.test", 80)
    server.recv_connect()


@pytest.mark.parametrize("kind", ["self-signed", "another name", "expired", "not yet valid"])
def test_insecure(lead: Callable[..., Way], kind: str, wispsocks: Callable[..., Bridge]) -> None:
    """It takes any certificate, and warns."""
    way = lead(BAD[kind])
    bridge = wispsocks(way.url, *way.options, "--insecure")
    way.accept().open()
    bridge.wait_connected()
    bridge.wait_log(r"^warning: .*(?i:insecure|verif)")


@pytest.mark.parametrize("content", [None, "no certificate\n"], ids=["missing", "malformed"])
def test_cacert_that_cannot_be_used(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    check_failure(str(path), "wispsocks", "--listen", "127.0.0.1:0", "--cacert", path, URL)


def test_key_of_wispd_that_everybody_can_read(start: Start, authority: Authority) -> None:
    """It is used, as it is where nobody else is on the machine, but there is a warning."""
    made = authority.issue(fresh())
    made.key.chmod(0o644)
    server = start(TlsWispd(made))
    server.wait_log(rf"^warning: .*{made.key}")
    with WispClient(server.port, context=authority.trusted()) as client:
        client.open()
