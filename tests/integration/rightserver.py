"""A small Wisp server that does everything right, in parts that `wrongservers` replaces one by one.

It runs on asyncio, in a thread of its own, and reaches loopback alone: no name is looked up, and
nothing leaves the machine.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import struct
import threading
from typing import NamedTuple

import frames
import packets
from frames import Frame
from packets import Packet
from procs import GUARD

#: The longest message that is taken, and what is read from a destination at once.
MESSAGE_MAX = 1 << 24
CHUNK = 1 << 16
#: Seconds after which a destination that does not answer is given up.
CONNECT_SECONDS = 1

OPCODES = (frames.CONTINUATION, frames.TEXT, frames.BINARY, frames.CLOSE, frames.PING, frames.PONG)


class Gone(Exception):
    """The client has gone, or has been told to."""


class Broken(Exception):
    """The client broke RFC 6455."""


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]


class Stream:
    """A TCP connection to a destination."""

    def __init__(self, connection: Connection, number: int, host: str, port: int) -> None:
        self.connection = connection
        self.number = number
        self.host, self.port = host, port
        self.credit = connection.initial_credit()  #: what the client has left
        self.waiting: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.closed = False  #: for the client
        self.task = asyncio.create_task(self.run())

    @property
    def room(self) -> int:
        return max(self.connection.server.buffer - self.waiting.qsize(), 0)

    async def run(self) -> None:
        try:
            self.check_allowed()
            reader, writer = await asyncio.wait_for(
                asyncio.open_connection(self.host, self.port, limit=CHUNK), CONNECT_SECONDS)
        except OSError as error:
            self.end(self.reason_for(error))
            return
        if self.connection.confirms:
            self.send_credit()
        upload = asyncio.create_task(self.upload(writer))
        try:
            self.end(await self.download(reader))
            await upload
        finally:
            upload.cancel()
            writer.transport.abort()

    def check_allowed(self) -> None:
        """Only loopback may be reached, and only its own names are known."""
        host = "127.0.0.1" if self.host == "localhost" else self.host
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            raise socket.gaierror(socket.EAI_NONAME, "no such name") from None
        if not address.is_loopback:
            raise PermissionError(errno.EPERM, "not allowed")

    def reason_for(self, error: OSError) -> int:
        if isinstance(error, socket.gaierror):
            return packets.UNREACHABLE
        if isinstance(error, TimeoutError):
            return packets.TIMED_OUT
        return {errno.ECONNREFUSED: packets.REFUSED, errno.EPERM: packets.BLOCKED}.get(
            error.errno, packets.NETWORK_ERROR)

    async def upload(self, writer: asyncio.StreamWriter) -> None:
        try:
            while (data := await self.waiting.get()) is not None:
                writer.write(self.to_destination(data))
                await writer.drain()
                self.refresh()
            await self.close_destination(writer)
        except OSError:
            pass  # the download sees it too

    def to_destination(self, data: bytes) -> bytes:
        return data

    async def close_destination(self, writer: asyncio.StreamWriter) -> None:
        """The client has closed the stream, and all that it had sent before has left."""
        writer.close()

    def refresh(self) -> None:
        """Give new credit when it makes a difference of a quarter of the buffer."""
        if not self.closed and self.room - self.credit >= self.connection.server.buffer // 4:
            self.send_credit()

    def send_credit(self) -> None:
        self.credit = self.room
        self.connection.send(packets.credit(self.number, self.room))

    async def download(self, reader: asyncio.StreamReader) -> int:
        """Pass on what the destination sends, to its end; the reason of the CLOSE."""
        try:
            while data := await reader.read(CHUNK):
                if not self.closed:
                    await self.to_client(data)
        except OSError:
            return packets.NETWORK_ERROR
        return packets.VOLUNTARY

    async def to_client(self, data: bytes) -> None:
        self.connection.send(packets.data(self.number, data))
        await self.connection.drain()

    def end(self, reason: int) -> None:
        """Tell the client that there is no more."""
        if not self.closed:
            self.connection.send(packets.close(self.number, reason))
            self.forget()

    def forget(self) -> None:
        self.closed = True
        if self.connection.streams.get(self.number) is self:
            del self.connection.streams[self.number]
        self.waiting.put_nowait(None)

    def received(self, data: bytes) -> None:
        self.credit -= 1
        self.waiting.put_nowait(data)

    def received_close(self) -> None:
        self.forget()


class DatagramStream(Stream):
    """A UDP socket that is connected to a destination."""

    async def run(self) -> None:
        try:
            self.check_allowed()
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.connect((self.host, self.port))
                download = asyncio.create_task(self.download_datagrams(sock))
                try:
                    while (data := await self.waiting.get()) is not None:
                        self.send_datagram(sock, data)
                finally:
                    # The loop has to forget the socket before the next one gets its number.
                    download.cancel()
                    await asyncio.wait([download])
                    asyncio.get_running_loop().remove_reader(sock)
        except OSError as error:
            self.end(self.reason_for(error))

    def send_datagram(self, sock: socket.socket, data: bytes) -> None:
        try:
            sock.send(data)
        except OSError:
            pass  # lost, as datagrams may be

    async def download_datagrams(self, sock: socket.socket) -> None:
        while True:
            try:
                data = await asyncio.get_running_loop().sock_recv(sock, CHUNK)
            except OSError:
                continue  # somebody's answer to what was sent before
            if not self.closed:
                await self.to_client(data)

    def refresh(self) -> None:
        pass  # datagrams have no credit


class Connection:
    """One WebSocket."""

    stream_class: type[Stream] = Stream
    datagram_class: type[DatagramStream] = DatagramStream

    def __init__(self, server: RightServer, reader: asyncio.StreamReader,
                 writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.reader, self.writer = reader, writer
        self.version = 1
        self.named: dict[int, bytes] = {}  #: the client's extensions
        self.agreed: dict[int, bytes] = {}  #: those of them that are the server's too
        self.streams: dict[int, Stream] = {}
        self.every_stream: list[Stream] = []

    async def run(self) -> None:
        try:
            await self.upgrade()
            await self.greet()
            while True:
                await self.on_message(*await self.recv_message())
        except Broken:
            self.write(frames.close_frame(frames.PROTOCOL_ERROR))
        except (Gone, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            for stream in self.every_stream:
                stream.task.cancel()
            self.writer.close()

    # HTTP

    async def upgrade(self) -> None:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip()
        first, *lines = head.split("\r\n")
        method, path, _ = first.split()
        pairs = (line.partition(":") for line in lines)
        request = Request(method, path,
                          {name.strip().lower(): value.strip() for name, _, value in pairs})
        if (status := self.refusal(request)) is not None:
            self.respond(status, "Content-Length: 0", "Connection: close")
            raise Gone
        if "sec-websocket-protocol" in request.headers:
            self.version = self.server.version
        self.respond(self.status(), *self.upgrade_headers(request))

    def respond(self, status: str, *headers: str) -> None:
        self.write("\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode())

    def refusal(self, request: Request) -> str | None:
        if request.path != "/":
            return "404 Not Found"
        if (request.headers.get("upgrade", "").lower() != "websocket"
                or "sec-websocket-key" not in request.headers):
            return "400 Bad Request"
        return None

    def status(self) -> str:
        return "101 Switching Protocols"

    def upgrade_headers(self, request: Request) -> list[str]:
        accept = frames.accept_key(request.headers["sec-websocket-key"])
        headers = ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}"]
        if protocol := request.headers.get("sec-websocket-protocol"):
            headers.append(f"Sec-WebSocket-Protocol: {protocol.split(',')[0].strip()}")
        return headers

    # frames

    def write(self, raw: bytes) -> None:
        if not self.writer.is_closing():
            self.writer.write(raw)

    async def drain(self) -> None:
        await self.writer.drain()

    def send(self, packet: Packet) -> None:
        self.send_message(packet.encode())

    def send_message(self, message: bytes) -> None:
        self.write(frames.encode(frames.BINARY, message))

    async def recv_frame(self) -> Frame:
        read = self.reader.readexactly
        first, second = await self.recv_head()
        size = second & 0x7f
        if size == 126:
            (size,) = struct.unpack("!H", await read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await read(8))
        if first & 0x70 or first & 0xf not in OPCODES or size > MESSAGE_MAX:
            raise Broken
        key = await self.recv_mask(second)
        return Frame(first & 0x0f, frames.mask(await read(size), key) if size else b"",
                     bool(first & 0x80), True)

    async def recv_head(self) -> tuple[int, int]:
        first, second = await self.reader.readexactly(2)
        return first, second

    async def recv_mask(self, second: int) -> bytes:
        if not second & 0x80:
            raise Broken
        return await self.reader.readexactly(4)

    async def recv_message(self) -> tuple[int, bytes]:
        """The next message, text or binary, and what is to be done for control frames before."""
        opcode, message = None, bytearray()
        while True:
            frame = await self.recv_frame()
            if frame.opcode & 0x8:
                self.on_control(frame, opcode is not None)
                continue
            if (frame.opcode == frames.CONTINUATION) != (opcode is not None):
                raise Broken
            opcode = frame.opcode if opcode is None else opcode
            message += frame.payload
            if len(message) > MESSAGE_MAX:
                raise Broken
            if frame.fin:
                return opcode, bytes(message)

    def on_control(self, frame: Frame, within_message: bool) -> None:
        if len(frame.payload) > 125 or not frame.fin:
            raise Broken
        if frame.opcode == frames.PING:
            self.write(frames.encode(frames.PONG, frame.payload))
        elif frame.opcode == frames.CLOSE:
            self.write(frames.close_frame(frame.close_code or 1000))
            raise Gone

    # the handshake

    async def greet(self) -> None:
        if self.version == 2:
            self.send_info()
            await self.recv_info()
        self.send(packets.credit(0, self.initial_credit()))

    def initial_credit(self) -> int:
        return self.server.buffer

    def send_info(self) -> None:
        self.send(packets.info(b"".join(packets.extension(*each)
                                        for each in self.offered().items())))

    def offered(self) -> dict[int, bytes]:
        offered = {packets.HAS_UDP: b"", packets.MOTD: "Right, here.".encode()}
        if self.server.confirms:
            offered[packets.CONFIRMATION] = b""
        if self.server.password:
            offered[packets.PASSWORD] = b"\1"
        return offered

    async def recv_info(self) -> None:
        opcode, message = await self.recv_message()
        while opcode == frames.TEXT:
            opcode, message = await self.recv_message()
        try:
            packet = packets.decode(message)
            if packet.type == packets.CLOSE:
                raise Gone
            self.named = packets.extensions(packet)
        except (AssertionError, struct.error):
            self.refuse(packets.INCOMPATIBLE)
        self.agreed = {kind: payload for kind, payload in self.named.items()
                       if kind in self.offered()}
        if self.server.password:
            self.check_password(self.named.get(packets.PASSWORD))

    def check_password(self, shown: bytes | None) -> None:
        if not shown:
            self.refuse(packets.CREDENTIALS_REQUIRED)
        user = shown[1:1 + shown[0]].decode("utf-8", "replace")
        password = shown[1 + shown[0]:].decode("utf-8", "replace")
        if f"{user}:{password}" != self.server.password:
            self.refuse(packets.BAD_PASSWORD)

    def refuse(self, reason: int) -> None:
        """End the connection, with a CLOSE of stream 0 that says why."""
        self.send(packets.close(0, reason))
        self.write(frames.close_frame(1000))
        raise Gone

    @property
    def confirms(self) -> bool:
        return packets.CONFIRMATION in self.agreed

    @property
    def has_udp(self) -> bool:
        return self.version == 1 or packets.HAS_UDP in self.agreed

    # packets

    async def on_message(self, opcode: int, message: bytes) -> None:
        if opcode == frames.TEXT:
            self.on_text(message)
        elif len(message) < 5:
            self.on_short_packet(message)
        else:
            self.on_packet(packets.decode(message))

    def on_text(self, message: bytes) -> None:
        """It is not Wisp."""

    def on_short_packet(self, message: bytes) -> None:
        """It is ignored."""

    def on_packet(self, packet: Packet) -> None:
        stream = self.streams.get(packet.stream)
        if packet.type == packets.CONNECT:
            self.on_connect(packet)
        elif packet.type not in packets.NAMES:
            self.on_unknown_type(packet)
        elif stream is None:
            self.on_unknown_stream(packet)
        elif packet.type == packets.DATA:
            stream.received(packet.payload)
        elif packet.type == packets.CLOSE:
            stream.received_close()

    def on_unknown_type(self, packet: Packet) -> None:
        """It is ignored."""

    def on_unknown_stream(self, packet: Packet) -> None:
        """It crossed a CLOSE, and is ignored."""

    def on_connect(self, packet: Packet) -> None:
        if packet.stream in self.streams:
            self.on_id_in_use(packet)
            return
        if (reason := self.objection(packet)) is not None:
            self.send(packets.close(packet.stream, reason))
            return
        kind, port, host = packet.destination
        made = self.stream_class if kind == packets.TCP else self.datagram_class
        stream = made(self, packet.stream, host.decode(), port)
        self.streams[packet.stream] = stream
        self.every_stream.append(stream)

    def on_id_in_use(self, packet: Packet) -> None:
        """The stream that has it goes on."""

    def objection(self, packet: Packet) -> int | None:
        """The reason not to open a stream."""
        if len(packet.payload) < 3 or packet.stream == 0:
            return packets.INVALID
        kind, port, host = packet.destination
        if kind not in (packets.TCP, packets.UDP) or not port or not host:
            return packets.INVALID
        if kind == packets.UDP and not self.has_udp:
            return packets.INVALID
        try:
            name = host.decode()
        except UnicodeDecodeError:
            return packets.INVALID
        return packets.INVALID if "\0" in name else None


class RightServer:
    """Listens on a free port of 127.0.0.1 while it is a context; each of its connections is a
    CONNECTION."""

    def __init__(self, connection: type[Connection] = Connection, version: int = 2,
                 buffer: int = 128, confirms: bool = True, password: str = "") -> None:
        self.connection = connection
        self.version = version
        self.buffer = buffer
        self.confirms = confirms
        self.password = password  #: "user:password", when one is asked for
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self.connection(self, reader, writer).run()
        finally:
            self._tasks.discard(asyncio.current_task())

    async def _listen(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=128)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await server.serve_forever()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(lambda loop, context: None)
        self._main = self._loop.create_task(self._listen())
        try:
            self._loop.run_until_complete(self._main)
        except asyncio.CancelledError:
            pass
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    def __enter__(self) -> RightServer:
        self._thread.start()
        assert self._started.wait(GUARD), "the server did not start"
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join(GUARD)
