"""Names, with name servers that are slow, broken or gone. getent(1) is the yardstick."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

import packets
from conftest import Start
from dnsnet import (A, AAAA, FORMERR, NOTIMP, NXDOMAIN, REFUSED, SERVERS, SERVFAIL, Network,
                    Question, Wispd, address, alias, answer)
from procs import Program, has_landlock, rest, wait_until

FIRST, SECOND, THIRD, _ = SERVERS
V4, V6 = "1.2.3.4", "2600::4"


def nameservers(*addresses: str) -> str:
    return "".join(f"nameserver {address}\n" for address in addresses)


@pytest.fixture
def net(start: Start, tmp_path: Path) -> Network:
    """One name server, which is well."""
    return start(Network(tmp_path, FIRST))


@pytest.fixture
def two(start: Start, tmp_path: Path) -> Network:
    """Two name servers, which are well."""
    return start(Network(tmp_path, FIRST, SECOND, resolv=nameservers(FIRST, SECOND)))


@pytest.fixture
def wispd(net: Network, start: Start) -> Wispd:
    return start(net.wispd())


# Servers that fail


@pytest.mark.parametrize("how", ["silent", "refusing", "gone", "SERVFAIL", "REFUSED", "NOTIMP"])
def test_first_server_fails(start: Start, tmp_path: Path, how: str) -> None:
    """The second one is asked, and is the first one to be asked from then on."""
    net = start(Network(tmp_path, *SERVERS[how == "gone":2], resolv=nameservers(FIRST, SECOND)))
    if how != "gone":
        first = net.server(FIRST)
        codes = {"SERVFAIL": SERVFAIL, "REFUSED": REFUSED, "NOTIMP": NOTIMP, "refusing": REFUSED}
        first.manner = lambda question: (
            None if how == "silent" else answer(question, rcode=codes[how]))
    second = net.server(SECOND)
    for i in range(15):
        second.add(f"{i}.test", V4)
    wispd = start(net.wispd())
    for i in range(15):
        assert wispd.reach(f"{i}.test") == V4
    if how != "gone":
        assert first.questions("0.test")
        # It is asked for a name only where this machine was so busy that the second one was late.
        assert sum(bool(first.questions(f"{i}.test")) for i in range(1, 15)) <= 3


def test_second_server_is_dead(start: Start, tmp_path: Path) -> None:
    """Nobody asks it when the first one answers."""
    net = start(Network(tmp_path, FIRST, SECOND, resolv=nameservers(FIRST, SECOND)))
    net.server(SECOND).manner = lambda question: None
    wispd = start(net.wispd())
    for i in range(5):
        net.server(FIRST).add(f"{i}.test", V4, V6)
        assert wispd.reach(f"{i}.test") == V6
    assert not net.server(SECOND).asked


@pytest.mark.parametrize("program", ["wispsocks", "wispcheck"])
def test_own_server_by_second_name_server(two: Network, start: Start, program: str) -> None:
    """Names of servers are looked up in the same way."""
    two.server(FIRST).manner = lambda question: None
    two.server(SECOND).add("wisp.test", V4)
    listen = ["--listen", "127.0.0.1:0"] if program == "wispsocks" else []
    running = two.program(program, *listen, f"ws://wisp.test:{two.port}/")
    with running if program == "wispsocks" else Ended(running):
        with two.tcp.accept()[0] as conn:
            assert conn.getsockname()[0] == f"::ffff:{V4}"


class Ended:
    """A program that is ended when it has shown what it does."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_exception: object) -> None:
        self._program.kill()
        Program.running.remove(self._program)


@pytest.mark.parametrize("lost", [(A,), (AAAA,), (A, AAAA)], ids=["A", "AAAA", "both"])
def test_lost_answer(net: Network, wispd: Wispd, lost: tuple[int, ...]) -> None:
    """It is asked for again."""
    server = net.server()
    server.add("name.test", V4)
    server.manner = lambda question: (
        None if question.kind in lost and len(server.questions("name.test", question.kind)) == 1
        else server.answer(question))
    assert wispd.reach("name.test") == V4
    assert len(server.questions("name.test", A)) == 1 + (A in lost)


@pytest.mark.parametrize("lost", [(A,), (AAAA,), (A, AAAA)], ids=["A", "AAAA", "both"])
def test_lost_answer_beside_a_dead_server(two: Network, start: Start, lost: tuple[int, ...]
                                          ) -> None:
    server = two.server(FIRST)
    server.add("name.test", V4)
    server.manner = lambda question: (
        None if question.kind in lost and len(server.questions("name.test", question.kind)) == 1
        else server.answer(question))
    two.server(SECOND).manner = lambda question: None
    assert start(two.wispd()).reach("name.test") == V4


# Answers


FAILURES = {"SERVFAIL": SERVFAIL, "NXDOMAIN": NXDOMAIN, "REFUSED": REFUSED, "NOTIMP": NOTIMP,
            "FORMERR": FORMERR, "silence": None}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
def test_no_answer_for_ipv6(net: Network, wispd: Wispd, failure: int | None) -> None:
    """What there is of IPv4 is used, and the question is not asked a second time before."""
    server = net.server()
    server.add("name.test", V4)
    server.manner = lambda question: (
        server.answer(question) if question.kind == A else
        None if failure is None else answer(question, rcode=failure))
    assert wispd.reach("name.test") == V4
    if failure is None:
        assert len(server.questions("name.test", AAAA)) == 1


def test_only_ipv6(net: Network, wispd: Wispd) -> None:
    """It is waited for, also when the first answer for it is lost."""
    server = net.server()
    server.add("name.test", V6)
    server.manner = lambda question: (
        None if question.kind == AAAA and len(server.questions("name.test", AAAA)) == 1
        else server.answer(question))
    assert wispd.reach("name.test") == V6


def test_both_families_from_a_slow_server(net: Network, wispd: Wispd) -> None:
    """An answer that takes its time is no lost one."""
    server = net.server()
    server.add("name.test", V4)

    def slow(question: Question) -> bytes:
        if len(server.questions("name.test", question.kind)) == 1:
            rest(0.5)
        return server.answer(question)

    server.manner = slow
    assert wispd.reach("name.test") == V4


@pytest.mark.parametrize("count", [40, 60, 200])
def test_large_answer(net: Network, wispd: Wispd, count: int) -> None:
    """Over 512 bytes by EDNS, and over 1232 by TCP."""
    server = net.server()
    server.add("large.test", *(f"1.2.3.{i}" for i in range(1, count)))
    assert wispd.reach("large.test") == "1.2.3.1"
    questions = server.questions("large.test", A)
    assert questions[0].size == 1232
    assert [question.tcp for question in questions] == ([False] if count == 40 else [False, True])


@pytest.mark.parametrize("how", ["FORMERR", "silence"])
def test_server_without_edns(net: Network, wispd: Wispd, how: str) -> None:
    """It is asked without, and after a while only so; what is too large then comes by TCP."""
    server = net.server()
    server.manner = lambda question: (
        server.answer(question) if question.size is None else
        answer(question, rcode=FORMERR) if how == "FORMERR" else None)
    for i in range(4):
        server.add(f"{i}.test", V4)
        assert wispd.reach(f"{i}.test") == V4
    server.add("large.test", *(f"1.2.3.{i}" for i in range(1, 60)))
    assert wispd.reach("large.test") == "1.2.3.1"
    if how == "silence":
        assert len(server.questions("0.test", A)) == 2
        assert all(question.size is None for question in server.questions("3.test"))


def test_aliases(net: Network, wispd: Wispd) -> None:
    """Seven in a row."""
    chain = [f"{i}.alias.test" for i in range(8)]
    net.server().zone["0.alias.test"] = [
        *(alias(name, target) for name, target in itertools.pairwise(chain)),
        address(chain[-1], V4)]
    assert wispd.reach("0.alias.test") == V4


def test_source_ports(net: Network, wispd: Wispd) -> None:
    """Few questions come from one, and no two ids are alike for long."""
    server = net.server()
    for i in range(100):
        server.add(f"{i}.test", V4)
        wispd.reach(f"{i}.test")
    assert len({question.port for question in server.asked}) >= 40
    assert len({question.id for question in server.asked}) >= 190


def test_real_server(net: Network, start: Start, wispd: Wispd) -> None:
    """dnsmasq, with all that it answers."""
    many = [f"--host-record=many.test,1.2.3.{i}" for i in range(1, 150)]
    start(net.process("/usr/sbin/dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
                      "--no-resolv", "--no-hosts", "--bind-interfaces", f"--listen-address={THIRD}",
                      "--user=root", "--pid-file=", "--log-facility=-", "--cname=alias.test,both.test",
                      f"--host-record=both.test,{V4},{V6}", f"--host-record=four.test,{V4}",
                      f"--host-record=six.test,{V6}", "--local=/test/", *many)).wait_log("started")
    net.write("resolv.conf", nameservers(THIRD))
    for name, reached in (("both.test", V6), ("alias.test", V6), ("four.test", V4),
                          ("six.test", V6)):
        assert wispd.reach(name) == reached
        assert reached in net.getent(name)
    assert wispd.reach("many.test") in net.getent("many.test")
    assert wispd.refuse("none.test") == packets.UNREACHABLE


# The system's files


def test_hosts(net: Network, wispd: Wispd) -> None:
    """Each line that has the name, without regard to its case; changes count at once."""
    net.write("hosts", f"# {V6} name.test\n\n{V4}\tfirst.test name.test# more\n1.2.3.5 other\n"
                       f"{V6} Name.Test\nnonsense bad.test\n")
    assert wispd.reach("NAME.test") == V6
    assert wispd.reach("first.test") == V4
    assert wispd.reach("other") == "1.2.3.5"
    assert wispd.reach("other.") == "1.2.3.5"
    assert wispd.refuse("bad.test") == packets.UNREACHABLE
    net.write("hosts", "1.2.3.6 first.test\n")
    assert wispd.reach("first.test") == "1.2.3.6"
    (net.etc / "hosts").unlink()
    net.server().add("first.test", "1.2.3.7")
    assert wispd.reach("first.test") == "1.2.3.7"


def test_long_hosts_file(net: Network, wispd: Wispd) -> None:
    """150,000 lines; each name is found at once after they have been read."""
    net.write("hosts", "".join(f"10.{i >> 16}.{i >> 8 & 255}.{i & 255} {i}.hosts.test\n"
                               for i in range(150_000)))
    assert wispd.reach("149999.hosts.test") == "10.2.73.239"
    for i in range(0, 150_000, 7500):
        assert wispd.reach(f"{i}.hosts.test") == f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}"
    assert not net.server().asked


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "localhost.", "a.localhost"])
def test_localhost(net: Network, wispd: Wispd, name: str) -> None:
    """Nobody is asked, also when no file has it."""
    net.write("hosts", "")
    assert wispd.reach(name) == "::1"
    assert not net.server().asked


@pytest.mark.parametrize("name, asked, ndots", [
    ("host", ["host.one.test", "host.two.test", "host"], 1),
    ("a.host", ["a.host", "a.host.one.test", "a.host.two.test"], 1),
    ("a.host", ["a.host.one.test", "a.host.two.test", "a.host"], 2),
    ("host.", ["host"], 1),
    ("a.host.", ["a.host"], 2),
])
def test_search_list(net: Network, wispd: Wispd, name: str, asked: list[str], ndots: int) -> None:
    """Names are completed as by the system: each in turn, until one is known."""
    net.write("resolv.conf", f"{nameservers(FIRST)}search one.test two.test.\n"
                             f"options ndots:{ndots}\n")
    server = net.server()
    for known in range(len(asked), -1, -1):
        server.asked.clear()
        server.zone.clear()
        server.manner = lambda question: (  # so that nothing is kept
            server.answer(question) if question.name in server.zone else
            answer(question))
        if known < len(asked):
            server.add(asked[known], V4)
            assert wispd.reach(name) == V4
            assert V4 in net.getent(name)
        else:
            assert wispd.refuse(name) == packets.UNREACHABLE
            assert not net.getent(name)
        order = list(dict.fromkeys(question.name for question in list(server.asked)))
        assert order == asked[:known + 1]


@pytest.mark.parametrize("domain, failure", [("one.test", REFUSED), ("a..test", NXDOMAIN),
                                             ("x" * 64 + ".test", NXDOMAIN)])
def test_domain_that_is_of_no_use(net: Network, wispd: Wispd, domain: str, failure: int) -> None:
    """The name is asked for as it is, too, when it is refused with a domain, or there is none."""
    net.write("resolv.conf", f"{nameservers(FIRST)}search {domain}\noptions ndots:2\n")
    server = net.server()
    server.add("a.host", V4)
    server.manner = lambda question: (
        server.answer(question) if question.name == "a.host" else answer(question, rcode=failure))
    assert wispd.reach("a.host") == V4
    assert V4 in net.getent("a.host")


@pytest.mark.parametrize("text", [None, "", "# nothing\n", "nameserver nonsense\n"])
def test_no_settings(net: Network, wispd: Wispd, text: str | None) -> None:
    """The name server is that of this machine."""
    if text is None:
        (net.etc / "resolv.conf").unlink()
    else:
        net.write("resolv.conf", text)
    net.server().add("name.test", V4)
    assert wispd.reach("name.test") == V4
    assert V4 in net.getent("name.test")


@pytest.mark.parametrize("how", ["rename", "in place", "gone and back"])
def test_settings_that_change(two: Network, start: Start, how: str) -> None:
    """The new server is asked at once, also from the sandbox, while look-ups never stop."""
    two.write("resolv.conf", nameservers(FIRST))
    first, second = two.server(FIRST), two.server(SECOND)
    first.manner = lambda question: None
    wispd = start(two.wispd("-v"))
    sandbox = "Landlock" if has_landlock("wispd") else "no Landlock"
    wispd.program.wait_log(f"^debug: {sandbox}: ")
    for i in range(10):
        wispd.begin(f"{i}.silent")
    first.wait_asked(lambda: bool(first.questions("9.silent")), "a name")
    if how == "rename":
        two.write("resolv.conf", nameservers(SECOND))
    elif how == "in place":
        (two.etc / "resolv.conf").write_text(nameservers(SECOND))
    else:
        (two.etc / "resolv.conf").unlink()
        wispd.begin("10.silent")
        first.wait_asked(lambda: bool(first.questions("10.silent")), "a name")
        two.write("resolv.conf", nameservers(SECOND))
    second.add("name.test", V4)
    assert wispd.reach("name.test") == V4
    assert not first.questions("name.test")


def test_order_of_sources(net: Network, wispd: Wispd) -> None:
    """As nsswitch.conf says; a module that is not there is named once."""
    net.write("hosts", f"{V4} name.test\n1.2.3.5 file.test\n")
    net.server().add("name.test", "1.2.3.6")
    assert wispd.reach("name.test") == V4
    net.write("nsswitch.conf", "hosts: dns files\n")
    assert wispd.reach("name.test") == "1.2.3.6"
    assert wispd.reach("file.test") == "1.2.3.5"
    net.write("nsswitch.conf", "hosts: files mdns4_minimal [NOTFOUND=return] dns myhostname\n")
    assert wispd.reach("name.test") == V4
    net.server().add("other.test", V4)
    assert wispd.reach("other.test") == V4
    net.write("nsswitch.conf", "hosts: files [NOTFOUND=return] dns sss\n")
    assert wispd.refuse("another.test") == packets.UNREACHABLE
    assert not net.server().questions("another.test")
    told = [line for line in wispd.program.lines if "nsswitch.conf" in line]
    assert len(told) == 1
    assert "mdns4_minimal myhostname" in told[0]


# Many look-ups


def test_answers_are_kept(net: Network, wispd: Wispd) -> None:
    """For as long as they say; failures for some seconds."""
    server = net.server()
    server.add("kept.test", V4, V6, ttl=300)
    server.add("brief.test", V4, ttl=1)
    server.add("never.test", V4)
    for _ in range(3):
        assert wispd.reach("kept.test") == V6
        assert wispd.reach("never.test") == V4
        assert wispd.refuse("none.test") == packets.UNREACHABLE
    assert [len(server.questions(name, A)) for name in ("kept.test", "never.test", "none.test")
            ] == [1, 3, 1]
    assert wispd.reach("brief.test") == V4
    server.add("brief.test", "1.2.3.5", ttl=1)
    rest(1.1)
    assert wispd.reach("brief.test") == "1.2.3.5"


def test_greedy_client(net: Network, wispd: Wispd) -> None:
    """Names that nobody answers for keep another client's not waiting, nor are they all asked."""
    server = net.server()
    server.manner = lambda question: (
        None if question.name.endswith(".silent") else server.answer(question))
    with wispd.client() as modest:
        for i in range(4000):
            wispd.begin(f"{i}.silent")
        server.wait_asked(lambda: bool(server.questions("20.silent")), "a name")
        for i in range(20):
            server.add(f"{i}.test", V4)
            assert wispd.reach(f"{i}.test", modest) == V4
    assert len({question.name for question in list(server.asked)}) < 1000


def test_many_greedy_clients(net: Network, wispd: Wispd) -> None:
    """Each client has its share, whatever all the others do."""
    server = net.server()
    server.manner = lambda question: (
        None if question.name.endswith(".silent") else server.answer(question))
    clients = [wispd.client() for _ in range(20)]
    try:
        for number, client in enumerate(clients):
            for i in range(100):
                wispd.begin(f"{i}.{number}.silent", client)
        server.wait_asked(lambda: bool(server.questions("3.19.silent")), "a name")
        server.add("name.test", V4)
        with wispd.client() as modest:
            assert wispd.reach("name.test", modest) == V4
        # None of the others had been given up by then: the first ones are asked six times before.
        assert len(server.questions("0.0.silent", A)) < 6
    finally:
        for client in clients:
            client.close()


@pytest.mark.parametrize("leaving", [False, True], ids=["client stays", "client is gone"])
def test_end_amid_lookups(net: Network, start: Start, leaving: bool) -> None:
    """With thousands that wait and run, TERM ends wispd at once, and nothing is left over."""
    server = net.server()
    server.manner = lambda question: None
    wispd = start(net.wispd())
    with wispd.client() as client:
        for i in range(4000):
            wispd.begin(f"{i}.silent", client)
        server.wait_asked(lambda: bool(server.questions("10.silent")), "a name")
        if not leaving:
            assert wispd.program.terminate() == 0
    if leaving:
        wispd.program.wait_log("disconnected")
        assert wispd.program.terminate() == 0


def test_descriptors_are_bounded(net: Network, wispd: Wispd) -> None:
    """However many look-ups are under way."""
    server = net.server()
    server.manner = lambda question: None
    before = wispd.program.descriptors()
    with wispd.client() as client:
        for i in range(1000):
            wispd.begin(f"{i}.silent", client)
        server.wait_asked(lambda: bool(server.questions("63.silent")), "a name")
        assert wispd.program.descriptors() <= before + 1 + 17
    server.manner = server.answer
    wait_until(lambda: wispd.program.descriptors() <= before, "no sockets of look-ups")
