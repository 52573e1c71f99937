"""Figure 10: what an idle stream takes of memory, and what all takes at the most when nobody reads."""

import contextlib
import pathlib
import random
import re
import resource
import selectors
import signal
import socket
import time
from collections.abc import Iterator

from rig import Process, Result, connect_by_socks, rig

MIB = 1 << 20
# Streams that are open before anything is counted: tables and buffers that all share are there then.
FIRST = 100
# Of received data, in all; the default of wispsocks, and what wispd has for each client.
BUFFER_LIMIT = 64 * MIB
# What may come on top of it.
SLACK = 16 * MIB
# An echo and a source as tests/bench/load.c has them, the source for more than anybody is going to take.
ECHO = b"E" + bytes(8)
SOURCE = b"G" + (1 << 40).to_bytes(8, "little")


def status_bytes(process: Process, name: str) -> int:
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)[1]) * 1024


def forget_peak(process: Process) -> None:
    """Let VmHWM begin again at what is resident now."""
    pathlib.Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def own_bytes(process: Process) -> int:
    """Memory that is the process's alone: its heap and stack, not the libraries."""
    text = pathlib.Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    return sum(int(kib) for kib in re.findall(r"^Private_\w+:\s+(\d+) kB", text, re.MULTILINE)) * 1024


def raise_limit(connections: int) -> None:
    """Room for so many connections in this process, and in those that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < connections + 500:
        raise RuntimeError(f"{connections} connections need more than {hard} open files; see ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def open_idle(stack: contextlib.ExitStack, bridge: Process, origin: Process, count: int) -> None:
    """Streams that have carried a byte each way, so that what a stream needs only once is behind them."""
    for _ in range(count):
        conn = stack.enter_context(connect_by_socks(bridge.port, origin.port))
        conn.sendall(ECHO + b"x")
        if conn.recv(1) != b"x":
            raise RuntimeError("no echo")


def idle(options) -> Iterator[Result]:
    count = 1000 if options.quick else 10_000
    raise_limit(count + FIRST)
    with rig(options.build) as r, contextlib.ExitStack() as stack:
        origin, server = r.origin(), r.wispd()
        bridge = r.wispsocks(r.url(server.port))
        open_idle(stack, bridge, origin, FIRST)
        before = {process.name: own_bytes(process) for process in (bridge, server)}
        open_idle(stack, bridge, origin, count)
        for process in bridge, server:
            base = before[process.name]
            grown = own_bytes(process) - base
            yield Result(10, f"idle stream, {process.name}", grown / count, "bytes", 1024,
                         raw={"streams": count, "base": base, "grown": grown},
                         shown=f"{count} of them take {grown / MIB:.1f} MiB, on {base / MIB:.1f} MiB")


def waiting_bytes(bridge: Process, reports: int) -> int:
    """What the bridge's counters say: this makes it log them once more, when `reports` times were before."""
    bridge.popen.send_signal(signal.SIGUSR1)
    text = bridge.wait_for(rf"(?s)(?:counters:.*?){{{reports}}}counters:[^\n]*? (\d+) waiting[^\n]*\n")
    return int(text[1])


def settled_bytes(bridge: Process) -> int:
    """What waits in the bridge when it takes nothing more: two reports in a row say the same."""
    last = -1
    for reports in range(1000):
        now = waiting_bytes(bridge, reports)
        if now == last:
            return now
        last = now
    raise RuntimeError(f"{bridge.name}: what waits never comes to rest")


def read_here_and_there(conns: list[socket.socket], count: int) -> None:
    """Read so much in all, from one at a time: what waits comes and goes in another order than it came in."""
    choice = random.Random(1)
    with selectors.DefaultSelector() as selector:
        for conn in conns:
            selector.register(conn, selectors.EVENT_READ)
        while count > 0:
            ready = selector.select(timeout=60)
            if not ready:
                raise RuntimeError("nothing comes any more")
            for key, _ in choice.sample(ready, min(len(ready), 8)):
                count -= len(key.fileobj.recv(choice.choice((1024, 64 * 1024))))


def settled_peak(process: Process) -> int:
    """The peak when it does not grow any more, though what comes next is waiting."""
    last = -1
    while (now := status_bytes(process, "VmHWM")) != last:
        last = now
        time.sleep(0.1)
    return now


def peak(name: str, process: Process, base: int, programs: int, more: str, **raw: int) -> Result:
    grown = settled_peak(process) - base
    return Result(10, f"peak, {name}", grown / MIB, "MiB", (BUFFER_LIMIT + SLACK) / MIB,
                  raw={"base": base, "programs": programs} | raw,
                  shown=f"{programs} programs, over {base / MIB:.1f} MiB at rest; {more}")


def deaf_programs(options) -> Iterator[Result]:
    """Programs that ask for far more than they read, which is nothing."""
    programs = 100 if options.quick else 1000
    raise_limit(2 * programs)
    with rig(options.build) as r, contextlib.ExitStack() as stack:
        origin, server = r.origin(), r.wispd()
        # Nobody is to be given up while this lasts.
        bridge = r.wispsocks(r.url(server.port), "--stall-timeout", 600, "-v")
        base = status_bytes(bridge, "VmRSS")
        forget_peak(bridge)
        conns = []
        for _ in range(programs):
            conns.append(stack.enter_context(connect_by_socks(bridge.port, origin.port)))
            conns[-1].sendall(SOURCE)
        bridge.wait_for("the tunnel is not read", timeout=120)
        waiting = settled_bytes(bridge)
        yield peak("programs that do not read", bridge, base, programs, f"{waiting / MIB:.1f} MiB wait",
                   waiting=waiting)
        forget_peak(bridge)
        read_here_and_there(conns, BUFFER_LIMIT if options.quick else 8 * BUFFER_LIMIT)
        yield peak("programs that read slowly", bridge, base, programs, "at random, and no faster than it comes")


def send_until(process: Process, pattern: str, conns: list[socket.socket]) -> None:
    """Send on all connections, as much as they take, until a line of the log matches."""
    data = bytes(64 * 1024)
    with selectors.DefaultSelector() as selector:
        for conn in conns:
            conn.setblocking(False)
            selector.register(conn, selectors.EVENT_WRITE)
        end = time.monotonic() + 120
        while not re.search(pattern, process.log.read_text(errors="replace")):
            if time.monotonic() > end:
                raise RuntimeError(f"{process.name}: no '{pattern}' in its log, whatever is sent")
            for key, _ in selector.select(timeout=0.1):
                with contextlib.suppress(BlockingIOError):
                    key.fileobj.send(data)


def deaf_destinations(options) -> Iterator[Result]:
    """Programs that send to a destination which takes nothing: the kernel's connections, that nobody accepts."""
    programs = 100 if options.quick else 1000
    raise_limit(2 * programs)
    with rig(options.build) as r, contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=2 * programs))
        server = r.wispd("-v")
        bridge = r.wispsocks(r.url(server.port))
        base = status_bytes(server, "VmRSS")
        forget_peak(server)
        port = listener.getsockname()[1]
        conns = [stack.enter_context(connect_by_socks(bridge.port, port)) for _ in range(programs)]
        send_until(server, "not read: ", conns)
        waiting = int(server.wait_for(r"not read: (\d+) bytes")[1])
        yield peak("destinations that do not read", server, base, programs, f"wispd; {waiting / MIB:.1f} MiB wait",
                   waiting=waiting)


def measure(options) -> Iterator[Result]:
    yield from idle(options)
    yield from deaf_programs(options)
    yield from deaf_destinations(options)
