"""How long names take, beside getent(1) on the same machine: a table of cases.

    tests/bench/names.py        (as root, or where every user may make namespaces; WISP_BUILD says where the build is)

Each case is a network of its own with name servers that fail in one way. wispd is asked for three names in turn, and so
is getent, each name for the first time. Ours is the time from the CONNECT to the connection that comes of it. A case is
good when ours took no longer than 1.5 times getent's time, or half a second.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from dnsnet import (A, AAAA, NXDOMAIN, REFUSED, SERVERS, SERVFAIL, NameServer, Network, address, alias,  # noqa: E402
                    answer)

FIRST, SECOND, _, _ = SERVERS
V4, V6 = "1.2.3.4", "2600::4"
NAMES = 3
Setup = Callable[[Network], None]


def fill(server: NameServer, *texts: str, domain: str = "test") -> None:
    for who in "ours", "getent":
        for i in range(NAMES):
            server.add(f"{i}.{who}.{domain}", *texts)


def both(net: Network) -> None:
    for server in net.servers.values():
        fill(server, V4, V6)


def silent(at: str) -> Setup:
    def setup(net: Network) -> None:
        both(net)
        net.server(at).manner = lambda question: None
    return setup


def failing(at: str, rcode: int) -> Setup:
    def setup(net: Network) -> None:
        both(net)
        net.server(at).manner = lambda question: answer(question, rcode=rcode)
    return setup


def losing(*kinds: int) -> Setup:
    def setup(net: Network) -> None:
        server = net.server()
        fill(server, V4)
        server.manner = lambda question: (
            None if question.kind in kinds and len(server.questions(question.name, question.kind)) == 1
            else server.answer(question))
    return setup


def without_ipv6(rcode: int | None) -> Setup:
    def setup(net: Network) -> None:
        server = net.server()
        fill(server, V4)
        server.manner = lambda question: (
            server.answer(question) if question.kind == A else None if rcode is None else answer(question, rcode=rcode))
    return setup


def large(net: Network) -> None:
    fill(net.server(), *(f"1.2.3.{i}" for i in range(1, 200)))


def aliases(net: Network) -> None:
    for name in list(f"{i}.{who}.test" for i in range(NAMES) for who in ("ours", "getent")):
        chain = [name, *(f"{i}.alias.test" for i in range(7))]
        net.server().zone[name] = [*(alias(*pair) for pair in zip(chain, chain[1:])), address(chain[-1], V4)]


def without_edns(net: Network) -> None:
    server = net.server()
    fill(server, V4)
    server.manner = lambda question: server.answer(question) if question.size is None else None


def searched(net: Network) -> None:
    net.write("resolv.conf", f"nameserver {FIRST}\nsearch one.test two.test\noptions ndots:3\n")
    fill(net.server(), V4, domain="test.two.test")


def hosts(net: Network) -> None:
    net.write("hosts", "".join(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255} {i}.hosts.test\n" for i in range(150_000)) +
              "".join(f"{V4} {i}.{who}.test\n" for i in range(NAMES) for who in ("ours", "getent")))


TWO = (FIRST, SECOND)
#: What fails, which servers listen, which are in resolv.conf, how they behave.
CASES: list[tuple[str, tuple[str, ...], tuple[str, ...], Setup]] = [
    ("all is well", (FIRST,), (FIRST,), both),
    ("first server silent", TWO, TWO, silent(FIRST)),
    ("nobody listens at the first server", (SECOND,), TWO, both),
    ("first server: SERVFAIL", TWO, TWO, failing(FIRST, SERVFAIL)),
    ("first server: REFUSED", TWO, TWO, failing(FIRST, REFUSED)),
    ("second server silent", TWO, TWO, silent(SECOND)),
    ("one answer lost: A", (FIRST,), (FIRST,), losing(A)),
    ("one answer lost: AAAA", (FIRST,), (FIRST,), losing(AAAA)),
    ("one answer lost: both", (FIRST,), (FIRST,), losing(A, AAAA)),
    ("AAAA: SERVFAIL", (FIRST,), (FIRST,), without_ipv6(SERVFAIL)),
    ("AAAA: NXDOMAIN", (FIRST,), (FIRST,), without_ipv6(NXDOMAIN)),
    ("AAAA: REFUSED", (FIRST,), (FIRST,), without_ipv6(REFUSED)),
    ("AAAA: no answer", (FIRST,), (FIRST,), without_ipv6(None)),
    ("200 addresses, by TCP", (FIRST,), (FIRST,), large),
    ("seven aliases", (FIRST,), (FIRST,), aliases),
    ("no answer with EDNS", (FIRST,), (FIRST,), without_edns),
    ("found by the second search domain", (FIRST,), (FIRST,), searched),
    ("last of 150,000 lines in /etc/hosts", (FIRST,), (FIRST,), hosts),
]


def timed(work: Callable[[], object]) -> tuple[float, bool]:
    """Milliseconds, and whether it found something."""
    began = time.monotonic()
    found = bool(work())
    return (time.monotonic() - began) * 1000, found


def measure(listening: tuple[str, ...], servers: tuple[str, ...], setup: Setup) -> tuple[list, list]:
    resolv = "".join(f"nameserver {server}\n" for server in servers)
    with tempfile.TemporaryDirectory() as folder, Network(Path(folder), *listening, resolv=resolv) as net:
        setup(net)
        with net.wispd() as wispd:
            ours = [timed(lambda i=i: wispd.reach(f"{i}.ours.test")) for i in range(NAMES)]
        return ours, [timed(lambda i=i: net.getent(f"{i}.getent.test")) for i in range(NAMES)]


def shown(times: list[tuple[float, bool]]) -> str:
    return ", ".join(f"{ms:.0f}" if found else "not found" for ms, found in times)


def main() -> int:
    print("| case | wispd, ms | getent, ms | |\n| --- | --- | --- | --- |")
    bad = 0
    for what, listening, servers, setup in CASES:
        ours, theirs = measure(listening, servers, setup)
        good = all((found or not their_found) and (not their_found or ms <= max(1.5 * their_ms, 500))
                   for (ms, found), (their_ms, their_found) in zip(ours, theirs))
        bad += not good
        print(f"| {what} | {shown(ours)} | {shown(theirs)} | {'' if good else 'slower'} |", flush=True)
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
