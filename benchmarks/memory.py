"""What `perezvon serve` holds in memory when things pile up: its database is held for long, or its portal is away.

`python -m benchmarks.memory [--calls 50000]`. A scripted PBX speaks AMI; each call rings a phone, is answered and ended.
What waits for the database is bounded (asterisk/connection.py: Limits); beyond that the connection is dropped, and what
happened is read out of the PBX's own log. What waits for the portal is on the disk. So the ratios should not grow with the
number of calls.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.service_process import ServiceProcess
from perezvon.sandbox.stand import is_ready
from perezvon.storage.database import SQLITE_FILE

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / "asterisk"), str(TESTS / "calls")]

from ami_script import Script  # noqa: E402  tests need not be installed to measure the rest
from scripted_ami import ScriptedPbx  # noqa: E402

SETTINGS = """
[[asterisk]]
name = "main"
ami = "tcp://perezvon:s3%3Acret@127.0.0.1:{port}"
recordings = "{folder}"
[[portal]]
name = "main"
webhook = "{webhook}"
events = "off"
rate_per_second = 1000
rate_burst = 100000
[recordings]
mode = "off"
"""

CHUNK = 200
KEPT = 4000
MARK = "73333333"
MB = 1024 * 1024


class Wire:
    """Calls as they come from a socket, made out of one that was written down."""

    def __init__(self) -> None:
        script = Script(at=0.0, number=int(MARK))
        caller = script.incoming(f"PJSIP/trunk-{MARK}", f"791{MARK}", "74951234567")
        phone = script.dial(caller, f"PJSIP/101-{MARK}", "101")
        script.ringing(phone)
        script.answer(phone)
        script.talk(caller, phone)
        script.hangup(caller, phone)
        self._frames: list[bytes] = []
        for event in script.events:
            fields = [("Event", event.name), ("Timestamp", "@"), *event.headers.items()]
            self._frames.append(("".join(f"{name}: {value}\r\n" for name, value in fields) + "\r\n").encode())
        self.events = len(self._frames)
        self._uids = sorted({chan.uid for chan in (caller, phone)})
        self._number = 0

    def call(self) -> bytes:
        self._number += 1
        now = time.time()
        text = b"".join(self._frames)
        text = text.replace(b"Timestamp: @", f"Timestamp: {now:.6f}".encode())
        for place, uid in enumerate(self._uids):
            text = text.replace(uid.encode(), f"1700000000.{self._number * 10 + place}".encode())
        return text.replace(MARK.encode(), f"{self._number:08}".encode())


class Bench:
    def __init__(self, service: ServiceProcess, pbx: ScriptedPbx) -> None:
        self.service = service
        self.pbx = pbx
        self.wire = Wire()

    def memory(self, *, most: bool = False) -> int:
        """Resident bytes of the service: now, or the most so far."""
        wanted = "VmHWM" if most else "VmRSS"
        for line in Path(f"/proc/{self.service.pid}/status").read_text().splitlines():
            if line.startswith(wanted):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"no {wanted}")

    def stored(self) -> int:
        with closing(sqlite3.connect(f"file:{self.service.data_dir / SQLITE_FILE}?mode=ro", uri=True)) as conn:
            return int(conn.execute("SELECT count(*) FROM call WHERE NOT live").fetchone()[0])

    async def feed(self, calls: int) -> None:
        """At the pace at which they are stored."""
        target = self.stored() + calls
        for start in range(0, calls, CHUNK):
            await self.pbx.send(*(self.wire.call() for _ in range(min(CHUNK, calls - start))))
            await self.until_stored(target - calls + start - CHUNK)
        await self.until_stored(target)

    async def until_stored(self, calls: int) -> None:
        while self.stored() < calls:  # noqa: ASYNC110  another process stores them
            await asyncio.sleep(0.02)

    async def flood(self, calls: int) -> int:
        """As fast as they are read, until the connection is dropped. Gives how many went out."""
        writer = self.pbx.writers[-1]
        for start in range(0, calls, CHUNK):
            if writer.is_closing():
                return start
            try:
                writer.write(b"".join(self.wire.call() for _ in range(CHUNK)))
                await writer.drain()
            except ConnectionError:
                return start
        return calls


@contextlib.contextmanager
def held(data_dir: Path) -> Iterator[None]:
    with closing(sqlite3.connect(data_dir / SQLITE_FILE, isolation_level=None)) as other:
        other.execute("PRAGMA busy_timeout=10000")
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def measure(calls: int, away: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        service = ServiceProcess(Path(folder))
        config = PortalConfig(rate=None, strict_app_context=False)
        async with PortalServer(config) as portal, ScriptedPbx() as pbx:
            port = pbx.address().port
            await service.configure(SETTINGS.format(port=port, folder=folder, webhook=portal.webhook_url))
            await service.start()
            try:
                await service.until(is_ready, "watches the PBX")
                bench = Bench(service, pbx)
                await bench.feed(500)
                base = bench.memory()
                print(f"  {'after 500 calls':<58} {base / MB:8.1f} MB")
                await kept(bench, base)
                await gone(bench, base, calls)
                portal.outage(3600)
                await asyncio.sleep(0.5)  # the listener is closed by then; nobody else tells
                before = bench.memory()
                began = time.perf_counter()
                await bench.feed(away)
                spent = time.perf_counter() - began
                after = bench.memory()
                print(f"  {f'portal away, {away} calls (at {away / spent:.0f} a second)':<58} {after / MB:8.1f} MB")
                print(f"  {'ratio to before':<58} {after / before:8.2f}")
            finally:
                await service.kill()


async def kept(bench: Bench, base: int) -> None:
    """Within the bound: all of it is stored afterwards."""
    before = bench.stored()
    with held(bench.service.data_dir):
        assert await bench.flood(KEPT) == KEPT
        waiting = bench.memory()
    began = time.perf_counter()
    await bench.until_stored(before + KEPT)
    what = f"database held, {KEPT} calls ({KEPT * bench.wire.events} events)"
    print(f"  {what:<58} {waiting / MB:8.1f} MB, {(waiting - base) / KEPT / 1024:.1f} KB a call")
    print(f"  {'stored afterwards, all of them, within':<58} {time.perf_counter() - began:8.1f} s")


async def gone(bench: Bench, base: int, calls: int) -> None:
    with held(bench.service.data_dir):
        sent = await bench.flood(calls)
        status = await bench.service.until(lambda now: now["pbxs"][0]["state"] != "live", "has dropped the connection")
        [pbx] = status["pbxs"]
        most = bench.memory(most=True)
    what = f"database held, {calls} calls: {sent} taken ({sent * bench.wire.events} events)"
    print(f"  {what:<58} {most / MB:8.1f} MB at most")
    print(f"  {'ratio to before':<58} {most / base:8.2f}")
    print(f"  {'the page says':<58} {pbx['state']}: {pbx['last_error'][:120]}")
    began = time.perf_counter()
    await bench.service.until(lambda now: now["pbxs"][0]["state"] == "live", "is live again", 120)
    print(f"  {'seconds until it is live again':<58} {time.perf_counter() - began:8.1f}")
    print(f"  {'memory then':<58} {bench.memory() / MB:8.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=50_000, help="while the database is held")
    parser.add_argument("--away", type=int, default=10_000, help="while the portal is away (they are stored: 100 a second)")
    chosen = parser.parse_args()
    asyncio.run(measure(chosen.calls, chosen.away))


if __name__ == "__main__":
    main()
