"""What wispcheck --bench prints: its shape, not how fast anything is; and servers that stand still."""

from __future__ import annotations

import contextlib
import json
import re
from typing import Callable

import pytest

import packets
from conftest import Start
from fakeserver import FakeServer, Peer
from packets import Ended
from procs import in_background, refusing_port
from test_cli import run
from wispservers import Wispd

NO_CONNECTION = 3
#: Long enough for some of everything on a busy machine.
TIME = "0.2"

FIGURES = {
    "round_trip_median_us", "round_trip_p99_us", "new_streams_per_second",
    "down_1_mb_per_second", "down_10_mb_per_second", "down_10_fairness", "down_50_mb_per_second",
    "up_1_mb_per_second", "up_10_mb_per_second", "up_10_fairness", "up_50_mb_per_second",
    "beside_down_median_us", "beside_down_p99_us", "beside_up_median_us", "beside_up_p99_us",
}


@pytest.fixture(scope="module")
def urls(module_start: Start, wispd: Wispd) -> list[str]:
    """A server of each version."""
    other = module_start(Wispd("--wisp", "1"))
    return [f"ws://127.0.0.1:{server.port}/" for server in (wispd, other)]


def measure(*args: str, code: int = 0) -> dict:
    result = run("wispcheck", "--bench", "--bench-time", TIME, "--json", *args)
    assert result.returncode == code, result
    document = json.loads(result.stdout)
    assert document["schema"] == 1 and document["seconds"] == float(TIME)
    for server in document["servers"]:
        assert set(server) == {"url", "reached", "version", "credit", "figures", "notes"}
        assert set(server["figures"]) == FIGURES
    return document


def test_table(urls: list[str]) -> None:
    """A column for each server, and a number in each row."""
    result = run("wispcheck", "--bench", "--bench-time", TIME, *urls)
    assert result.returncode == 0 and result.stderr == "", result
    head, table = result.stdout.split("\n\n")
    assert head.splitlines() == [f"[1] {urls[0]}  Wisp v2, credit 128",
                                 f"[2] {urls[1]}  Wisp v1, credit 128"]
    labels, *rows = table.splitlines()
    assert labels.split() == ["[1]", "[2]"]
    assert len(rows) == len(FIGURES)
    assert all(re.fullmatch(r"\w.*\w\)?( +[\d.]+){2}", row) for row in rows), result.stdout
    assert len({len(line) for line in [labels, *rows]}) == 1


def test_json(urls: list[str]) -> None:
    servers = measure(*urls)["servers"]
    assert [(each["url"], each["reached"], each["version"], each["credit"], each["notes"])
            for each in servers] == [(urls[0], True, 2, 128, []), (urls[1], True, 1, 128, [])]
    for each in servers:
        figures = each["figures"]
        assert all(value > 0 for value in figures.values()), figures
        assert all(0.1 <= figures[name] <= 1 for name in figures if name.endswith("fairness"))
        assert figures["round_trip_median_us"] <= figures["round_trip_p99_us"]


def test_nobody(urls: list[str]) -> None:
    """A server that cannot be reached does not keep the other one from being measured."""
    with refusing_port() as port:
        nobody = f"ws://127.0.0.1:{port}/"
        gone, good = measure(nobody, urls[0])["servers"]
        assert not gone["reached"] and set(gone["figures"].values()) == {None}
        assert "refused" in gone["notes"][0]["text"]
        assert None not in good["figures"].values()
        measure(nobody, code=NO_CONNECTION)


def test_targets_out_of_reach(start: Start) -> None:
    """A server that lets nobody go to loopback."""
    server = start(Wispd(allow=()))
    result = run("wispcheck", "--bench", "--json", f"ws://127.0.0.1:{server.port}/")
    (measured,) = json.loads(result.stdout)["servers"]
    assert result.returncode == 1 and len(result.stderr.splitlines()) == 1
    assert measured["reached"] and "0x48" in measured["notes"][0]["text"]


# Servers that stand still: each lets the first connection's echo through, and then does this.


def be_silent(_: Peer) -> None:
    pass


def send_for_nobody(peer: Peer) -> None:
    while True:
        peer.send(packets.data(999, bytes(1000)))


def send_pings(peer: Peer) -> None:
    while True:
        peer.send_ping(b"")


def send_empty_fragments(peer: Peer) -> None:
    peer.send_raw(b"\x02\x00")
    while True:
        peer.send_raw(b"\x00\x00" * 1000)


def count_wrong(peer: Peer) -> None:
    """Whatever is asked, the answer is more than a sink can have read."""
    while True:
        packet = peer.recv()
        if packet.type == packets.DATA:
            peer.send(packets.data(packet.stream, b"\xff" * 8))


def close_all(peer: Peer) -> None:
    while True:
        packet = peer.recv()
        if packet.type == packets.CONNECT:
            peer.send(packets.close(packet.stream, 0x49))


def serve(fake: FakeServer, behave: Callable[[Peer], None]) -> None:
    first = fake.accept().open()
    first.recv_connect()
    first.send(packets.data(1, first.recv_data(1, 1)))
    with contextlib.suppress(OSError):
        while True:
            peer = fake.accept().open()
            with contextlib.suppress(OSError, Ended):
                behave(peer)


@pytest.mark.parametrize("behave", [be_silent, send_for_nobody, send_pings, send_empty_fragments,
                                    close_all])
def test_standing_still(fake: FakeServer, behave: Callable[[Peer], None]) -> None:
    """Every figure is missing, every measurement says why, and it ends."""
    in_background(lambda: serve(fake, behave))
    (server,) = measure("--timeout", "0.3", fake.url)["servers"]
    assert set(server["figures"].values()) == {None}
    assert len(server["notes"]) == 10 and all(note["text"] for note in server["notes"])


def test_wrong_counts(fake: FakeServer) -> None:
    """Nothing that a server says makes it look faster than what it was sent."""
    in_background(lambda: serve(fake, count_wrong))
    (server,) = measure("--timeout", "0.3", fake.url)["servers"]
    assert not any(value for name, value in server["figures"].items() if name.startswith("up_"))
