"""How fast steps get through: appended, claimed, sent, settled. Beside it the yardstick: bare inserts by the same writer.

On SQLite, and on PostgreSQL where it is installed (a private server, as in the tests, which keeps nothing safe). The portal
answers at once and does nothing, so the figures are ours alone.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.bitrix24.answers import Answer
from perezvon.bitrix24.encoding import Command
from perezvon.bitrix24.limits import Bucket
from perezvon.delivery import Sender
from perezvon.rules.vocabulary import Kind, Priority, Reason, Ref, StepDraft
from perezvon.storage import Database, counters, lanes

CALLS = 2000
CALL_ID = Ref(Kind.REGISTER, "CALL_ID")


class InstantPortal:
    """Answers at once (or after `delay` seconds) that everything was done. `arrivals`: EXTERNAL_CALL_ID -> moment."""

    def __init__(self, delay: float = 0.0) -> None:
        self.bucket = Bucket(100_000, 1_000_000)
        self.delay = delay
        self.arrivals: dict[str, float] = {}
        self.requests = 0

    async def call(self, method: str, params: Mapping[str, Any]) -> Answer:
        return (await self._answer([Command("s", method, params)]))[0]

    async def batch(self, commands: Sequence[Command]) -> list[Answer]:
        return await self._answer(commands)

    async def upload(self, url: str, field: str, filename: str, content: bytes | Path) -> Answer:
        raise NotImplementedError

    async def _answer(self, commands: Sequence[Command]) -> list[Answer]:
        self.bucket.take()
        self.requests += 1
        now = time.perf_counter()
        answers: list[Answer] = []
        for command in commands:
            if command.method.endswith("register"):
                external = str(command.params["EXTERNAL_CALL_ID"])
                self.arrivals[external] = now
                answers.append(Answer({"CALL_ID": f"externalCall.{external}"}))
            else:
                answers.append(Answer({"CALL_ID": "x"} if command.method.endswith("finish") else True))
        if self.delay:
            await asyncio.sleep(self.delay)
        return answers


def card(call: str) -> list[StepDraft]:
    params = {"USER_ID": 1, "PHONE_NUMBER": "+79160000000", "TYPE": 2, "SHOW": 0, "EXTERNAL_CALL_ID": call, "CRM_CREATE": 1}
    why = Reason("benchmark")
    return [
        StepDraft(f"{call}:register", Kind.REGISTER, params, Priority.CARD, why),
        StepDraft(f"{call}:show", Kind.SHOW, {"CALL_ID": CALL_ID, "USER_ID": [1]}, Priority.CARD, why),
    ]


def end(call: str) -> list[StepDraft]:
    params = {"CALL_ID": CALL_ID, "USER_ID": 1, "DURATION": 5, "STATUS_CODE": "200"}
    return [StepDraft(f"{call}:finish", Kind.FINISH, params, Priority.FINISH, Reason("benchmark"))]


@dataclass
class Row:
    what: str
    figure: str


async def yardstick(database: Database) -> Row:
    """One insert a transaction's closure, as many at once as the writer likes."""
    began = time.perf_counter()
    await asyncio.gather(*(database.write(lambda conn, n=n: counters.bump(conn, f"y{n}", 1.0)) for n in range(CALLS)))
    spent = time.perf_counter() - began
    return Row("yardstick: bare inserts, group commit", f"{CALLS / spent:8.0f} rows/s")


async def lone_write(database: Database) -> Row:
    spent: list[float] = []
    for number in range(200):
        began = time.perf_counter()
        await database.write(lambda conn, number=number: counters.bump(conn, f"l{number}", 1.0))
        spent.append(time.perf_counter() - began)
    spent.sort()
    return Row("a lone write, p50 / p99", f"{spent[100] * 1e3:5.2f} / {spent[197] * 1e3:5.2f} ms")


@asynccontextmanager
async def sending(database: Database, portal: InstantPortal, name: str) -> AsyncIterator[Sender]:
    sender = Sender(name, portal, database)
    running = asyncio.create_task(sender.run())
    try:
        yield sender
    finally:
        await sender.stop()
        await running


async def empty(database: Database, name: str) -> None:
    while True:
        async with database.read() as conn:
            if not (await lanes.count_pending(conn, name))[0]:
                return
        await asyncio.sleep(0.01)


async def backlog(database: Database) -> Row:
    """Late calls: register and finish of each, the card is dropped."""

    async def pile(conn: AsyncConnection) -> None:
        for number in range(CALLS):
            await lanes.append(conn, "backlog", f"b{number}", [*card(f"b{number}"), *end(f"b{number}")], 1.0)

    await database.write(pile)
    portal = InstantPortal()
    began = time.perf_counter()
    async with sending(database, portal, "backlog"):
        await empty(database, "backlog")
    spent = time.perf_counter() - began
    return Row("backlog of 2 000 calls (6 000 steps)", f"{CALLS * 3 / spent:8.0f} steps/s, {portal.requests} requests")


async def latency(database: Database, rate: float, delay: float, count: int) -> Row:
    """From the append's beginning to the request's arrival; each call ends half a second later."""
    name = f"live{rate:g}-{delay:g}"
    portal = InstantPortal(delay)
    begun: dict[str, float] = {}

    async def speak(sender: Sender, number: int) -> None:
        call = f"{name}-{number}"
        await asyncio.sleep(number / rate)
        begun[call] = time.perf_counter()
        await database.write(lambda conn: lanes.append(conn, name, call, card(call), time.time()))
        sender.notify()
        await asyncio.sleep(0.5)
        await database.write(lambda conn: lanes.append(conn, name, call, end(call), time.time()))
        sender.notify()

    used = time.process_time()
    async with sending(database, portal, name) as sender:
        async with asyncio.TaskGroup() as calls:
            for number in range(count):
                calls.create_task(speak(sender, number))
        await empty(database, name)
    used = time.process_time() - used
    waits = sorted(portal.arrivals[call] - begun[call] for call in begun)
    p50, p99 = waits[len(waits) // 2], waits[int(len(waits) * 0.99)]
    return Row(
        f"card, {rate:g} calls/s, portal answers in {delay:g} s: p50 / p99",
        f"{p50 * 1e3:6.1f} / {p99 * 1e3:6.1f} ms, {used / count * 1e3:5.1f} ms CPU a call",
    )


async def measure(place: str) -> list[Row]:
    async with await Database.open(place) as database:
        return [
            await yardstick(database),
            await lone_write(database),
            await backlog(database),
            await latency(database, 2, 0.0, 20),
            await latency(database, 10, 0.2, 100),
            await latency(database, 30, 0.0, 300),
        ]


@contextmanager
def private_postgres() -> Iterator[str]:
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from postgres_fixtures import make_server  # noqa: PLC0415  # the tests need not be installed to measure SQLite

    server = make_server()
    try:
        server.start()
        yield server.url()
    finally:
        server.stop()
        shutil.rmtree(server.folder)


def report(name: str, place: str) -> None:
    print(name)
    for row in asyncio.run(measure(place)):
        print(f"  {row.what:<58} {row.figure}")


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as folder:
        report("SQLite (synchronous=FULL)", folder)
    try:
        with private_postgres() as url:
            report("PostgreSQL (fsync off)", url)
    except RuntimeError as error:
        print(f"PostgreSQL: {error}")


if __name__ == "__main__":
    main()
