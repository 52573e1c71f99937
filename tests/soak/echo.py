"""The far end that sends back what comes: the origin of the benchmarks' load, which is one process in C."""

from __future__ import annotations

from origin import PAYLOAD_SIZE, payload
from procs import BUILD, Process


class EchoOrigin(Process):
    def __init__(self) -> None:
        super().__init__([BUILD / "tests/bench/load", "origin"])
        self.port = int(self.wait_log(r"^listening on \S+:(\d+)$").group(1))


def head(count: int = 0) -> bytes:
    """What the origin wants first: it ends the connection after COUNT bytes, or never."""
    return b"E" + count.to_bytes(8, "little")


def pattern(at: int, size: int) -> bytes:
    """SIZE bytes, or less, from AT on of a pattern without end."""
    at %= PAYLOAD_SIZE
    return bytes(payload(min(size, PAYLOAD_SIZE - at), at))


def first_wrong(data: bytes, at: int) -> int | None:
    """Where DATA, which came from AT on, is not as the pattern; None when it is."""
    done = 0
    while done < len(data):
        wanted = pattern(at + done, len(data) - done)
        if data[done:done + len(wanted)] != wanted:
            return at + next(i for i in range(done, len(data)) if data[i] != pattern(at + i, 1)[0])
        done += len(wanted)
    return None
