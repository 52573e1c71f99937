"""The service manager's part: what systemd gives to a service, and what a service tells it."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

from procs import GUARD, Program

#: Becomes the program, with sockets from descriptor 3 on, and standard error as the journal's.
LAUNCHER = """
import fcntl, json, os, sys
spec = json.loads(sys.argv[1])
high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in spec["fds"]]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
if high or spec["number"] is not None:
    os.environ["LISTEN_FDS"] = str(len(high)) if spec["number"] is None else spec["number"]
    os.environ["LISTEN_PID"] = str(os.getpid() + spec["pid_offset"])
if spec["journal"]:
    stream = os.fstat(2)
    os.environ["JOURNAL_STREAM"] = f"{stream.st_dev}:{stream.st_ino + spec['inode_offset']}"
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """Where services send their state. PATH begins with "@" when it is an abstract name."""

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(GUARD)
        self._socket.bind(self.path.replace("@", "\0", 1) if self.path[0] == "@" else self.path)
        self.received: list[dict[str, str]] = []

    def wait(self, **wanted: str) -> dict[str, str]:
        """Wait for a message with these assignments."""
        while True:
            text = self._socket.recv(4096).decode()
            message = dict(line.split("=", 1) for line in text.splitlines())
            self.received.append(message)
            if wanted.items() <= message.items():
                return message

    def wait_status(self, beginning: str) -> str:
        while True:
            status = self.wait().get("STATUS", "")
            if status.startswith(beginning):
                return status

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()


class Service(Program):
    """A program as systemd starts it."""

    def __init__(self, program: str, *args: str | Path, manager: Manager | str | None = None,
                 sockets: tuple[socket.socket, ...] = (), number: str | None = None,
                 pid_offset: int = 0, journal: bool = False, inode_offset: int = 0,
                 env: dict[str, str] | None = None) -> None:
        fds = tuple(sock.fileno() for sock in sockets)
        spec = {"fds": fds, "number": number, "pid_offset": pid_offset, "journal": journal,
                "inode_offset": inode_offset}
        path = manager.path if isinstance(manager, Manager) else manager
        super().__init__(program, *args, prefix=(sys.executable, "-c", LAUNCHER,
                                                   json.dumps(spec)),
                         env=(env or {}) | ({} if path is None else {"NOTIFY_SOCKET": path}),
                         pass_fds=fds)
