"""The system calls that the units for systemd allow are enough."""

from __future__ import annotations

import functools
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import packets
import socks
from bridge import Bridge
from certs import Authority, Certificate
from conftest import Start
from credentials import write_secret
from fakeserver import FakeServer
from machines import FAR, Cable, NearBridge
from origin import Origin
from procs import BUILD, GUARD, REPOSITORY
from wispclient import open_client
from wispservers import TlsWispd, Wispd

#: Installs a filter that ends the process with SIGSYS at any other system call than those whose
#: numbers it is given; then becomes the program.
FILTER = """
import ctypes, json, os, struct, sys
allowed = json.loads(sys.argv[1])
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
KILL, ALLOW = 0x80000000, 0x7fff0000
def instruction(code, value, true=0, false=0):
    return struct.pack("=HBBI", code, true, false, value)
program = instruction(LOAD, 0)
for number in allowed:
    program += instruction(JUMP_IF_EQUAL, number, 0, 1) + instruction(RETURN, ALLOW)
program += instruction(RETURN, KILL)
code = ctypes.create_string_buffer(program, len(program))
filter = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter, 0, 0) == 0
os.execv(sys.argv[2], sys.argv[2:])
"""


@functools.cache
def members(name: str) -> set[str]:
    """The system calls of a set of systemd's, or a system call itself."""
    if not name.startswith("@"):
        return {name}
    shown = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", name],
                           capture_output=True, text=True, timeout=GUARD, check=True).stdout
    words = [line.strip() for line in shown.splitlines()[1:]]
    return set().union(*(members(word) for word in words if word and not word.startswith("#")))


def permitted(unit: str) -> set[str]:
    """The system calls that a unit permits."""
    lines = re.findall("^SystemCallFilter=(.*)", (REPOSITORY / "systemd" / unit).read_text(),
                       re.MULTILINE)
    assert lines and not lines[0].startswith("~")
    calls: set[str] = members("@default")
    for line in lines:
        named = set().union(*map(members, line.removeprefix("~").split()))
        calls = calls - named if line.startswith("~") else calls | named
    return calls


def numbers() -> dict[str, int]:
    """The number of each system call that this machine has."""
    defined = subprocess.run(["cc", "-E", "-dM", "-x", "c", "-"], input="#include <asm/unistd.h>\n",
                             capture_output=True, text=True, timeout=GUARD, check=True).stdout
    found = re.findall(r"^#define __NR_(\w+) (\d+)$", defined, re.MULTILINE)
    assert len(found) > 200
    return {name: int(number) for name, number in found}


def filtered(unit: str) -> list[str]:
    """The prefix of a command that may do what the unit's may, and ends when it does more."""
    calls, known = permitted(unit), numbers()
    return [sys.executable, "-c", FILTER,
            json.dumps(sorted(known[name] for name in calls & known.keys()))]


#: LeakSanitizer traces the process, which no unit permits.
NO_LEAKS = {"ASAN_OPTIONS": "detect_leaks=0"}


@pytest.mark.parametrize("unit", ["system/wispsocks.service.in", "user/wispsocks.service.in"])
def test_wispsocks(start: Start, origin: Origin, tmp_path: Path, authority: Authority,
                   certificate: Certificate, unit: str) -> None:
    """Names, TLS, transfers, datagrams, both ends of data, new credentials, counters, the end."""
    server = start(TlsWispd(certificate))
    password = write_secret(tmp_path / "password", "one\n")
    bridge = start(Bridge(server.url, "-v", "--cacert", authority.cacert, "--user", "me",
                          "--password-file", password, "-l", f"unix:{tmp_path}/socket",
                          prefix=filtered(unit), env=NO_LEAKS))
    bridge.wait_connected()
    with socks.dial(f"{tmp_path}/socket", "127.0.0.1", origin.echo.port, b"data") as program:
        assert socks.recv_exactly(program, 4) == b"data"
    assert bridge.curl(origin.url("bytes/3000000/0")).code == 0
    association = bridge.associate()
    association.send("127.0.0.1", origin.udp.port, b"datagram")
    assert association.recv().data == b"datagram"
    write_secret(password, "two\n")
    since = bridge.mark()
    bridge.signal(signal.SIGHUP)
    bridge.wait_connected(since)
    bridge.signal(signal.SIGUSR1)
    bridge.wait_log("streams", since)
    assert bridge.terminate() == 0


@pytest.mark.parametrize("unit", ["system/wispsocks.service.in", "user/wispsocks.service.in"])
def test_network_that_changes(start: Start, tmp_path: Path, unit: str) -> None:
    """It is seen, and what became of the connection, within what the units allow."""
    families, = re.findall("^RestrictAddressFamilies=(.*)",
                           (REPOSITORY / "systemd" / unit).read_text(), re.MULTILINE)
    assert "AF_NETLINK" in families.split()
    cable = start(Cable())
    server = start(FakeServer(listener=cable.far.bind(FAR)))
    bridge = start(NearBridge(cable, server.url_at(FAR), tmp_path, prefix=filtered(unit),
                              env=NO_LEAKS))
    server.accept_open()
    bridge.wait_connected()
    cable.lose()
    cable.near.ip("address add 10.78.0.1/24 dev near0")
    bridge.wait_log("^disconnected from .* after the network changed")


def test_wispd(start: Start, origin: Origin, tmp_path: Path, certificate: Certificate) -> None:
    unit = "system/wispd.service.in"
    server = start(Wispd("-v", "--cert", certificate.cert, "--cert-key", certificate.key,
                         prefix=filtered(unit), env=NO_LEAKS))
    plain = start(Wispd("-v", "-l", f"unix:{tmp_path}/socket", prefix=filtered(unit),
                        env=NO_LEAKS))
    with open_client(plain.port) as client:
        for stream, host in enumerate(["127.0.0.1", "localhost", "::1"], 1):
            client.send(packets.connect(stream, host, origin.echo.port),
                        packets.data(stream, b"data"))
            assert client.recv_data(stream, 4) == b"data"
            client.send(packets.close(stream, packets.VOLUNTARY))
        client.send(packets.connect(9, "127.0.0.1", origin.udp.port, packets.UDP),
                    packets.data(9, b"datagram"))
        assert client.recv_data(9, 8) == b"datagram"
    bridge = start(Bridge(f"wss://localhost:{server.port}/", "--insecure"))
    assert bridge.curl(origin.url("bytes/3000000/0")).code == 0
    for process in (server, plain):
        process.signal(signal.SIGHUP)
        process.wait_log("^reading credentials")
        assert process.terminate() == 0


def test_filter_ends_what_does_more(start: Start, tmp_path: Path) -> None:
    """Without a system call that is needed, the program ends: the others would show it."""
    prefix = filtered("system/wispd.service.in")
    prefix[-1] = json.dumps(sorted(set(json.loads(prefix[-1])) - {numbers()["listen"]}))
    process = subprocess.run([*prefix, BUILD / "cmd/wispd/wispd", "-l", f"unix:{tmp_path}/socket"],
                             timeout=GUARD, check=False, stderr=subprocess.DEVNULL)
    assert process.returncode == -signal.SIGSYS


@pytest.mark.parametrize("unit", ["system/wispsocks.service.in", "user/wispsocks.service.in",
                                  "system/wispd.service.in"])
@pytest.mark.parametrize("call", ["ptrace", "mount", "setuid", "chroot", "io_uring_setup", "keyctl",
                                  "bpf", "kexec_load", "reboot", "userfaultfd", "setpriority"])
def test_what_is_not_needed(unit: str, call: str) -> None:
    assert call not in permitted(unit)
