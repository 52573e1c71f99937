"""Servers that begin a connection in a wrong way (see `wrong`)."""

from __future__ import annotations

import struct

import packets
from packets import Packet
from rightserver import Connection, Gone, Request
from wrong import PASSWORD, Mortal, wrong


# The upgrade


@wrong(refused="Sec-WebSocket-Accept")
class WrongAccept(Connection):
    def upgrade_headers(self, request: Request) -> list[str]:
        return super().upgrade_headers(
            request._replace(headers=request.headers | {"sec-websocket-key": "AAAA"}))


@wrong(refused="Sec-WebSocket-Accept")
class NoAccept(Connection):
    def upgrade_headers(self, request: Request) -> list[str]:
        return [line for line in super().upgrade_headers(request) if "Accept" not in line]


@wrong(refused="upgrades to")
class NoUpgradeHeader(Connection):
    def upgrade_headers(self, request: Request) -> list[str]:
        return super().upgrade_headers(request)[1:]


@wrong(refused="Connection header")
class NoConnectionHeader(Connection):
    def upgrade_headers(self, request: Request) -> list[str]:
        return [line for line in super().upgrade_headers(request)
                if not line.startswith("Connection:")]


@wrong(refused="Connection header")
class OtherConnectionHeader(Connection):
    """It names other things, and something that only begins like an upgrade."""

    def upgrade_headers(self, request: Request) -> list[str]:
        return [line.replace("Connection: Upgrade", "Connection: keep-alive, Upgrades")
                for line in super().upgrade_headers(request)]


@wrong("handshake/upgrade")
class ProtocolUnasked(Connection):
    """Selects a subprotocol for clients that have offered none."""

    def upgrade_headers(self, request: Request) -> list[str]:
        return super().upgrade_headers(
            request._replace(headers={"sec-websocket-protocol": "wisp-v2"} | request.headers))


@wrong("handshake/subprotocol")
class OtherProtocol(Connection):
    """Selects a subprotocol that was not offered."""

    def upgrade_headers(self, request: Request) -> list[str]:
        return [line.replace("Protocol: wisp-v2", "Protocol: wisp-v3")
                for line in super().upgrade_headers(request)]


@wrong(refused="extension that was not offered")
class ExtensionUnasked(Connection):
    """Compresses, as it says, though nobody has offered that."""

    def upgrade_headers(self, request: Request) -> list[str]:
        return [*super().upgrade_headers(request), "Sec-WebSocket-Extensions: permessage-deflate"]


class PlainRequests(Connection):
    """Does something else with requests for no WebSocket."""

    def refusal(self, request: Request) -> str | None:
        if request.path == "/" and "upgrade" not in request.headers:
            return self.plain()
        return super().refusal(request)

    def plain(self) -> str | None:
        raise NotImplementedError


@wrong("handshake/plain-request")
class UpgradesPlainRequests(PlainRequests):
    def plain(self) -> str | None:
        return "101 Switching Protocols"


@wrong("handshake/plain-request")
class HangsUpOnPlainRequests(PlainRequests):
    def plain(self) -> str | None:
        raise Gone


# The handshake


@wrong("handshake/v1-first-packet")
class AlwaysV2(Connection):
    """Sends INFO to clients that have not asked for version 2."""

    async def greet(self) -> None:
        self.version = 2
        await super().greet()


@wrong("handshake/v1-first-packet", "handshake/v2-order", "handshake/credit")
class NoInitialCredit(Connection):
    """Has nothing to say, in either version."""

    async def greet(self) -> None:
        if self.version == 2:
            self.send_info()
            await self.recv_info()


@wrong("handshake/v1-first-packet")
class InitialCreditInV2Only(Connection):
    async def greet(self) -> None:
        if self.version == 2:
            await super().greet()


@wrong("handshake/v1-first-packet")
class InitialCreditOnStreamOne(Connection):
    async def greet(self) -> None:
        if self.version == 2:
            await super().greet()
        else:
            self.send(packets.credit(1, self.initial_credit()))


@wrong("handshake/credit", spoils=("streams", "credit"))
class InitialCreditIsZero(Connection):
    def initial_credit(self) -> int:
        return 0


@wrong("handshake/v1-first-packet")
class InitialCreditIsShort(Connection):
    async def greet(self) -> None:
        if self.version == 2:
            await super().greet()
        else:
            self.send(Packet(packets.CONTINUE, 0, b"\x80"))


@wrong("handshake/v2-order")
class CreditBeforeInfo(Connection):
    """In version 2 sends CONTINUE without waiting for the client's INFO."""

    def send_info(self) -> None:
        super().send_info()
        self.send(packets.credit(0, self.initial_credit()))


class InfoOf(Connection):
    def info(self) -> Packet:
        return packets.info(b"".join(packets.extension(*each)
                                     for each in self.offered().items()))

    def send_info(self) -> None:
        self.send(self.info())


@wrong("handshake/info-extensions")
class InfoCutOff(InfoOf):
    """The last extension is shorter than it says."""

    def info(self) -> Packet:
        return packets.info(packets.extension(packets.HAS_UDP)
                            + packets.extension(packets.MOTD, b"Hello", 50))


@wrong("handshake/info-extensions")
class InfoWithRest(InfoOf):
    """Three bytes follow the last extension."""

    def info(self) -> Packet:
        packet = super().info()
        return packet._replace(payload=packet.payload + b"\1\0\0")


@wrong("handshake/info-version")
class InfoOfVersion3(InfoOf):
    def info(self) -> Packet:
        return super().info()._replace(payload=b"\3\0" + super().info().payload[2:])


@wrong("handshake/v2-first-packet")
class InfoOnStream5(InfoOf):
    def info(self) -> Packet:
        return super().info()._replace(stream=5)


@wrong("handshake/v2-order")
class InfoTwice(InfoOf):
    def send_info(self) -> None:
        super().send_info()
        super().send_info()


@wrong("handshake/info-extensions")
class ExtensionTwice(InfoOf):
    def info(self) -> Packet:
        packet = super().info()
        return packet._replace(payload=packet.payload + packets.extension(packets.HAS_UDP))


class Offers(Connection):
    """Offers other things."""

    more: dict[int, bytes] = {}

    def offered(self) -> dict[int, bytes]:
        return super().offered() | self.more


@wrong("handshake/extension-udp")
class UdpWithPayload(Offers):
    more = {packets.HAS_UDP: b"\1"}


@wrong("handshake/extension-confirmation")
class ConfirmationWithPayload(Offers):
    more = {packets.CONFIRMATION: b"\1\1"}


@wrong("handshake/extension-motd")
class MotdIsNoText(Offers):
    more = {packets.MOTD: b"\xff\xfe\xfd"}


@wrong("handshake/extension-password")
class PasswordRequiredIsLong(Offers):
    more = {packets.PASSWORD: b"\0\0\0\0"}


@wrong("handshake/extension-password")
class PasswordRequiredIsTwo(Offers):
    more = {packets.PASSWORD: b"\2"}


@wrong("handshake/extension-key", "handshake/wrong-key")
class KeyWithoutChallenge(Offers):
    more = {packets.KEY: b"\0"}


@wrong("handshake/bad-info")
class TakesBadInfo(Connection):
    async def recv_info(self) -> None:
        await self.recv_message()
        self.agreed = self.offered()


@wrong("handshake/unknown-extension")
class RefusesUnknownExtensions(Connection):
    async def recv_info(self) -> None:
        await super().recv_info()
        if not set(self.named) <= set(self.offered()):
            self.refuse(packets.INCOMPATIBLE)


@wrong("handshake/other-version", deadly=True)
class DiesOfOtherVersions(Mortal):
    def refuse(self, reason: int) -> None:
        self.die()


@wrong("handshake/bad-info", "handshake/other-version")
class SilentAboutBadInfo(Connection):
    """Waits for a better one."""

    async def recv_info(self) -> None:
        opcode, message = await self.recv_message()
        try:
            self.agreed = packets.extensions(packets.decode(message))
        except (AssertionError, struct.error):
            while True:
                await self.recv_frame()


@wrong("handshake/early-connect")
class StreamsBeforeHandshake(Connection):
    """Opens streams for a client that has not sent its INFO yet."""

    async def recv_info(self) -> None:
        opcode, message = await self.recv_message()
        while packets.decode(message).type != packets.INFO:
            await self.on_message(opcode, message)
            opcode, message = await self.recv_message()
        self.agreed = packets.extensions(packets.decode(message))


@wrong("handshake/wrong-password", password=PASSWORD)
class TakesEveryPassword(Connection):
    def check_password(self, shown: bytes | None) -> None:
        if not shown:
            super().check_password(shown)


@wrong("handshake/credentials-accepted", password=PASSWORD)
class TakesNoPassword(Connection):
    def check_password(self, shown: bytes | None) -> None:
        super().check_password(shown)
        self.refuse(packets.BAD_PASSWORD)


@wrong("handshake/credentials-missing", password=PASSWORD)
class TakesMissingPassword(Connection):
    def check_password(self, shown: bytes | None) -> None:
        if shown:
            super().check_password(shown)


@wrong("handshake/wrong-password", password=PASSWORD)
class WrongReasonForPassword(Connection):
    def refuse(self, reason: int) -> None:
        super().refuse(packets.BLOCKED if reason == packets.BAD_PASSWORD else reason)


@wrong("handshake/credentials-missing", password=PASSWORD)
class WrongReasonForMissingPassword(Connection):
    def refuse(self, reason: int) -> None:
        super().refuse(packets.BLOCKED if reason == packets.CREDENTIALS_REQUIRED else reason)
