"""What a PBX says to the carrier, caller by caller, told by the packets on the loopback interface (root only)."""

from __future__ import annotations

import ctypes
import socket
import struct
import threading
from dataclasses import dataclass, field

PACKET = 0.02
"""Seconds between two."""
VOICE_BYTES = 180
"""A UDP packet of 20 ms of a-law, with its header."""
A_LAW = 8
LOUD = 200
SO_ATTACH_FILTER, SO_TIMESTAMPNS = 26, 35


@dataclass(slots=True)
class Stream:
    """What the PBX sends to one caller: moments (seconds, the kernel's), sequence numbers, whether anything is heard."""

    at: list[float] = field(default_factory=list[float])
    numbers: list[int] = field(default_factory=list[int])
    loud: list[bool] = field(default_factory=list[bool])

    def between(self, since: float, until: float) -> Stream:
        chosen = [n for n, at in enumerate(self.at) if since <= at <= until]
        return Stream([self.at[n] for n in chosen], [self.numbers[n] for n in chosen], [self.loud[n] for n in chosen])

    def heard(self) -> Stream:
        """From the first sound to the last."""
        loud = [at for at, is_loud in zip(self.at, self.loud, strict=True) if is_loud]
        return self.between(loud[0], loud[-1]) if loud else Stream()

    @property
    def seconds(self) -> float:
        return self.at[-1] - self.at[0] + PACKET if self.at else 0.0

    def gaps(self) -> list[float]:
        return [max(0.0, later - before - PACKET) for before, later in zip(self.at, self.at[1:], strict=False)]

    def lost(self) -> int:
        steps = ((later - before) & 0xFFFF for before, later in zip(self.numbers, self.numbers[1:], strict=False))
        return sum(step - 1 for step in steps if 1 < step < 1000)


@dataclass(slots=True)
class Caller:
    """By his INVITE. `keys`: ends of keys; `rung`: INVITEs of the PBX in his name."""

    invited: float
    stream: Stream = field(default_factory=Stream)
    keys: list[float] = field(default_factory=list[float])
    rung: list[float] = field(default_factory=list[float])


class Listener(threading.Thread):
    """What the PBX says to the carrier, and of the other direction all but the voices. `callers`: by number."""

    def __init__(self, office: str, carrier: str) -> None:
        super().__init__(daemon=True, name="listener")
        self.callers: dict[str, Caller] = {}
        self.over = threading.Event()
        self._ports: dict[int, Caller] = {}
        self._office, self._carrier = socket.inet_aton(office), socket.inet_aton(carrier)
        self._quiet = bytes(0 if loudness(code) <= LOUD else 1 for code in range(256))
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 25)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        attach_filter(self._socket, self._office)
        self._socket.bind(("lo", 0))
        self._socket.settimeout(0.2)

    def run(self) -> None:
        while not self.over.is_set():
            try:
                data, about, _, _ = self._socket.recvmsg(65535, 64)
            except TimeoutError:
                continue
            seconds, nanoseconds = struct.unpack("qq", about[0][2][:16])
            self._take(seconds + nanoseconds / 1e9, data)
        self._socket.close()

    def _take(self, at: float, data: bytes) -> None:
        source, target = data[26:30], data[30:34]
        from_port, to_port = struct.unpack("!HH", data[34:38])
        payload = data[42:]
        if payload.startswith(b"INVITE"):
            number = user_of(payload)
            if source == self._carrier and b"m=audio " in payload:
                port = int(payload.partition(b"m=audio ")[2].split()[0])
                self._ports[port] = self.callers[number] = Caller(at)
            elif source == self._office and number in self.callers:
                self.callers[number].rung.append(at)
        elif source == self._office and target == self._carrier and to_port in self._ports and is_voice(payload):
            stream = self._ports[to_port].stream
            stream.at.append(at)
            stream.numbers.append(payload[2] << 8 | payload[3])
            stream.loud.append(1 in payload[12:].translate(self._quiet))
        elif source == self._carrier and from_port in self._ports and len(payload) == 16 and payload[13] & 0x80:
            self._ports[from_port].keys.append(at)


def is_voice(payload: bytes) -> bool:
    """RTP, a-law."""
    return len(payload) > 12 and payload[0] >> 6 == 2 and payload[1] & 0x7F == A_LAW


def user_of(invite: bytes) -> str:
    """The caller's number in From."""
    return invite.partition(b"\r\nFrom:")[2].partition(b"sip:")[2].partition(b"@")[0].decode(errors="replace")


def loudness(code: int) -> int:
    """Of an a-law sample (G.711)."""
    code ^= 0x55
    segment, mantissa = code >> 4 & 7, (code & 15) << 4
    return mantissa + 8 if not segment else (mantissa + 0x108) << (segment - 1)


def attach_filter(sock: socket.socket, office: bytes) -> None:
    """The kernel keeps from us what is not UDP, what is seen a second time, and voices that are not the PBX's (bpf(4))."""
    load_word, load_half, load_byte, equals, give = 0x20, 0x28, 0x30, 0x15, 0x06
    kind_of_packet, outgoing, everything = 0xFFFFF004, 4, 0xFFFF
    program = (
        (load_half, 0, 0, 12),
        (equals, 0, 8, 0x0800),
        (load_byte, 0, 0, 23),
        (equals, 0, 6, socket.IPPROTO_UDP),
        (load_word, 0, 0, kind_of_packet),
        (equals, 4, 0, outgoing),
        (load_word, 0, 0, 26),
        (equals, 3, 0, int.from_bytes(office, "big")),
        (load_half, 0, 0, 38),
        (equals, 0, 1, VOICE_BYTES),
        (give, 0, 0, 0),
        (give, 0, 0, everything),
    )
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(program), ctypes.addressof(code)))
