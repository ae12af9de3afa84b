"""A caller who writes SIP by hand, and so may call himself whatever bytes allow: no PBX of ours would send them."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from perezvon.sandbox.pbx.loopback import SIP_PORT, Addresses

BLANK = b"\r\n\r\n"
SDP = "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"


class RawCaller(asyncio.DatagramProtocol):
    """One call, from INVITE to BYE or CANCEL. `user` and `display` go on the wire as they are. No sound is sent."""

    def __init__(self, addresses: Addresses, to: str, user: bytes, display: bytes) -> None:
        self.status = 0
        self._to = f"sip:{to}@{addresses.office_sip}".encode()
        self._user, self._display = user, display
        self._call_id = secrets.token_hex(8).encode()
        self._branch = b"z9hG4bK" + secrets.token_hex(8).encode()
        self._to_header = b"<" + self._to + b">"
        self._told: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._answers = asyncio.Event()
        self._over = asyncio.Event()

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport
        self._ip, self._port = transport.get_extra_info("sockname")[:2]
        body = SDP.format(ip=self._ip).encode()
        self._send(b"INVITE", 1, b"Content-Type: application/sdp\r\n", body)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._answers.set()
        first, _, _ = data.partition(b"\r\n")
        if not first.startswith(b"SIP/2.0"):
            if first.startswith(b"BYE"):
                self._over.set()
            if not first.startswith(b"ACK"):
                self._reply(data)
            return
        status = int(first.split()[1])
        cseq = _header(data, b"CSeq")
        if cseq.endswith(b"BYE"):
            self._over.set()
        if not cseq.endswith(b"INVITE") or status < 200:
            return
        self.status = status
        if status < 300:
            self._to_header = _header(data, b"To")
            self._branch = b"z9hG4bK" + secrets.token_hex(8).encode()
        else:
            self._over.set()
        self._send(b"ACK", 1, to=_header(data, b"To"))
        if not self._told.done():
            self._told.set_result(status)

    async def outcome(self, within: float = 10.0) -> int:
        """The final SIP status of the INVITE: 200 when answered."""
        async with asyncio.timeout(within):
            return await asyncio.shield(self._told)

    async def hangup(self) -> None:
        self._send(b"BYE", 2)
        async with asyncio.timeout(5):
            await self._over.wait()

    def _send(self, verb: bytes, cseq: int, more: bytes = b"", body: bytes = b"", to: bytes = b"") -> None:
        here = f"{self._ip}:{self._port}".encode()
        branch = self._branch if verb != b"BYE" else b"z9hG4bK" + secrets.token_hex(8).encode()
        self._transport.sendto(
            b"%s %s SIP/2.0\r\n" % (verb, self._to)
            + b"Via: SIP/2.0/UDP %s;rport;branch=%s\r\n" % (here, branch)
            + b"From: %s<sip:%s@%s>;tag=raw\r\n" % (self._display, self._user, here)
            + b"To: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\n" % (to or self._to_header, self._call_id, cseq, verb)
            + b"Contact: <sip:raw@%s>\r\nMax-Forwards: 70\r\n" % here
            + more
            + b"Content-Length: %d\r\n\r\n" % len(body)
            + body,
            self._office,
        )

    @property
    def _office(self) -> tuple[str, int]:
        host = self._to.decode().rpartition("@")[2].partition(":")[0]
        return host, SIP_PORT

    def _reply(self, request: bytes) -> None:
        kept = [line for line in request.split(BLANK)[0].split(b"\r\n")[1:] if _name(line) in _COPIED]
        self._transport.sendto(b"\r\n".join([b"SIP/2.0 200 OK", *kept, b"Content-Length: 0"]) + BLANK, self._office)


_COPIED = {b"via", b"from", b"to", b"call-id", b"cseq"}


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0].strip().lower()


def _header(data: bytes, name: bytes) -> bytes:
    found = re.search(rb"(?im)^" + name + rb"\s*:\s*(.*?)\r$", data)
    return found[1] if found else b""


@asynccontextmanager
async def raw_call(addresses: Addresses, to: str, user: bytes, display: bytes = b"") -> AsyncIterator[RawCaller]:
    """From the carrier's address, by a port of its own."""
    transport, caller = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: RawCaller(addresses, to, user, display), local_addr=(addresses.carrier, 0)
    )
    try:
        yield caller
    finally:
        transport.close()
