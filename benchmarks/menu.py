"""How soon a caller of our voice menu hears something, and how soon his key rings somebody: beside a menu of the dialplan
alone, on the same Asterisk. Told by the packets themselves. Prints JSON, milliseconds.

Ours is the whole of it: our dialplan as `perezvon asterisk install` writes it (the sandbox has it), asking a process of its
own. The other is what somebody writes by hand: the same recording of the call, the same prompts, the same Dial; it asks
nobody and tells nobody.

`python -m benchmarks.menu [--calls 40]`, as root (it listens to the loopback interface). Both menus take their calls by
turns. A key counts from its end: Asterisk tells of it no sooner.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import struct
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks._packets import attach_filter, loudness

from perezvon.sandbox.pbx import PbxSandbox, sounds

E2E = Path(__file__).parents[1] / "tests/e2e"
sys.path.insert(0, str(E2E))

from menu_lines import line, plain_menu  # noqa: E402  neighbours of the tests, who use them too
from menu_process import OUTSIDE  # noqa: E402

TARGET = 1.2
PROMPTS = {"intro": 1100.0, "one": 1300.0, "two": 1500.0}
OURS, PLAIN = "70000000001", "74950000902"
SO_TIMESTAMPNS = 35
OUTGOING = 4
"""The kind of a packet's second sight on the loopback (packet(7))."""
VOICE = (0, 8)
"""Payload types of µ-law and a-law; another one is a key (RFC 4733)."""
LOUD = 200


@dataclass(frozen=True, slots=True)
class Packet:
    """`at`: seconds, the kernel's."""

    at: float
    source: str
    target: str
    data: bytes


class Listener(threading.Thread):
    """The PBX's UDP on the loopback interface, and what is no voice of all others."""

    def __init__(self, office: str) -> None:
        super().__init__(daemon=True, name="listener")
        self.packets: list[Packet] = []
        self.over = threading.Event()
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        attach_filter(self._socket, socket.inet_aton(office))
        self._socket.bind(("lo", 0))
        self._socket.settimeout(0.2)

    def run(self) -> None:
        while not self.over.is_set():
            try:
                data, about, _, address = self._socket.recvmsg(65535, 64)
            except TimeoutError:
                continue
            if address[2] == OUTGOING or data[23] != socket.IPPROTO_UDP:
                continue
            seconds, nanoseconds = struct.unpack("qq", about[0][2][:16])
            payload = 14 + (data[14] & 15) * 4 + 8
            self.packets.append(
                Packet(
                    seconds + nanoseconds / 1e9,
                    socket.inet_ntoa(data[26:30]),
                    socket.inet_ntoa(data[30:34]),
                    data[payload:],
                )
            )
        self._socket.close()


async def one_call(pbx: PbxSandbox, listener: Listener, number: str, key: str) -> tuple[float, float]:
    """Milliseconds from the INVITE to the first sound, and from the key's end to the INVITE that it causes."""
    listener.packets.clear()
    caller = await pbx.world.call(frm="79161234567", to=number)
    await caller.answered()
    await asyncio.sleep(0.35)  # some of the first prompt is heard
    await caller.press(key)
    await pbx.world.number(OUTSIDE).talking()
    await caller.hangup()
    await pbx.office.silence()
    await asyncio.sleep(0.1)  # the listener may be a little behind
    packets, office, carrier = list(listener.packets), pbx.addresses.office, pbx.addresses.carrier

    def first(fits: Callable[[Packet], bool], after: float = 0.0) -> float:
        return next(packet.at for packet in packets if packet.at > after and fits(packet))

    def is_voice(packet: Packet) -> bool:
        from_office = packet.source == office and packet.target == carrier and len(packet.data) > 12
        if not from_office or packet.data[0] >> 6 != 2 or packet.data[1] & 0x7F not in VOICE:
            return False
        return max(map(loudness, packet.data[12:]), default=0) > LOUD

    def is_end_of_key(packet: Packet) -> bool:
        from_carrier = packet.source == carrier and packet.target == office and len(packet.data) == 16
        return from_carrier and packet.data[1] & 0x7F not in VOICE and bool(packet.data[13] & 0x80)

    invited = first(lambda packet: packet.data.startswith(b"INVITE") and packet.source == carrier)
    heard = first(is_voice)
    pressed = first(is_end_of_key)
    rung = first(lambda packet: packet.data.startswith(b"INVITE") and packet.source == office, pressed)
    return (heard - invited) * 1000, (rung - pressed) * 1000


@asynccontextmanager
async def serving(folder: Path, bind: str) -> AsyncIterator[None]:
    script = await asyncio.create_subprocess_exec(
        *(sys.executable, str(E2E / "menu_process.py"), str(folder), bind),
        stdin=asyncio.subprocess.PIPE,  # it ends with that
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert script.stdin is not None
    assert script.stdout is not None
    await script.stdout.readline()
    try:
        yield
    finally:
        script.stdin.close()
        await script.wait()


async def measure(folder: Path, calls: int) -> dict[str, object]:
    for name, hertz in PROMPTS.items():
        sounds.write_tone(folder / f"{name}.wav", hertz, 2.0)
    times: dict[str, list[tuple[float, float]]] = {OURS: [], PLAIN: []}
    async with AsyncExitStack() as stack:
        pbx = await stack.enter_async_context(await PbxSandbox.start(folder / "pbx"))
        listener = Listener(pbx.addresses.office)
        listener.start()
        stack.callback(listener.over.set)
        await stack.enter_async_context(serving(folder, pbx.agi_bind))
        await pbx.world.number(OUTSIDE).answers(after=0.0)
        plain = plain_menu([str(folder / name) for name in PROMPTS], {"3": f"PJSIP/{OUTSIDE}@carrier"}, 2)
        await stack.enter_async_context(line(pbx, PLAIN, "plain-menu", plain))
        for turn in range(calls):
            for number in (OURS, PLAIN) if turn % 2 else (PLAIN, OURS):
                times[number].append(await one_call(pbx, listener, number, "3"))
    return {
        "calls": calls,
        "target_ratio": TARGET,
        "invite_to_first_audio": compared([one[0] for one in times[OURS]], [one[0] for one in times[PLAIN]]),
        "key_to_invite": compared([one[1] for one in times[OURS]], [one[1] for one in times[PLAIN]]),
    }


def compared(ours: list[float], plain: list[float]) -> dict[str, float]:
    medians = statistics.median(ours), statistics.median(plain)
    return {
        "median_ms": round(medians[0], 1),
        "dialplan_median_ms": round(medians[1], 1),
        "ratio": round(medians[0] / medians[1], 2),
        "ratio_p90": round(statistics.quantiles(ours, n=10)[-1] / statistics.quantiles(plain, n=10)[-1], 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=40, help="of each menu")
    calls = parser.parse_args().calls
    if os.geteuid() != 0:
        print("not measured: listening to packets needs root")
        return 0
    with tempfile.TemporaryDirectory(prefix="perezvon-menu-") as folder:
        print(json.dumps(asyncio.run(measure(Path(folder), calls)), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
