"""How long each page takes the server, with 100 000 stored calls, on SQLite and on PostgreSQL: median and p99 beside the
page where one signs in, which reads nothing. Milliseconds from the request to the last byte, over loopback; "work": what
the service's own process has computed for one page, which other load of the machine hardly changes.

The service is the real one; its pages are found by walking over its routes, as an administrator sees them.
`python -m benchmarks.pages [--calls 100000] [--times 60]`
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "web")]

from stored_calls import many  # noqa: E402  neighbours of the tests, who use them too
from test_every_page_browser import LISTEN, SETTINGS, Service, Walk, crawl, seeded  # noqa: E402

from perezvon.settings.place import database_place  # noqa: E402
from perezvon.settings.secrets import SecretBox  # noqa: E402
from perezvon.storage import Database  # noqa: E402
from perezvon.storage.missed_report import shares  # noqa: E402
from perezvon.web.embed_report import grouped  # noqa: E402

TARGET = 50.0
EMPTY = "/login"
FILTERED = (
    *("/calls?client=9160", "/calls?employee=101&outcome=answered", "/calls?outcome=missed", "/calls?line=7812"),
    *("/calls?client=999999999", "/calls?employee=999", "/calls?outcome=failed"),
    *("/calls?line=812&outcome=missed&direction=outgoing", "/calls?since=2026-08-01&until=2026-08-01"),
)
"""The journal as people search in it, also for what is not there."""


async def measure(settings: str, calls: int, times: int) -> bool:
    """Prints the figures; whether all pages are within the target."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        routes = folder / "routes.json"
        service = Service(folder / "data", first=LISTEN.format(file=str(routes)))
        service.data_dir.mkdir()
        await service.configure(SETTINGS + settings)
        place = database_place(service.data_dir, SecretBox.open(service.data_dir))
        async with await Database.open(place, own=False) as database:
            await many(database, calls, time.time() - 7200, first=1_000_000)
            await vacuumed(database)
            within = await summed_up(database)
        cookie, welcome = await seeded(service.data_dir, folder)
        await service.start()
        try:
            found = [path for method, path in json.loads(routes.read_text()) if method == "GET"]
            walk = Walk(service.url, cookie, welcome, list(dict.fromkeys(found)))
            await crawl(walk)
            return within & await report(walk, times, service.pid)
        finally:
            await service.stop()


async def report(walk: Walk, times: int, pid: int) -> bool:
    paths = [EMPTY, *sorted(path for path in walk.pages if path not in walk.closed), *FILTERED]
    within = True
    headers = {"Accept": "text/html", "Accept-Language": "ru"}
    async with (
        aiohttp.ClientSession(headers=headers, cookies={"perezvon_session": walk.cookie}) as inside,
        aiohttp.ClientSession(headers=headers) as outside,
    ):
        for path in paths:
            before = worked(pid)
            took = await timed(outside if path == EMPTY else inside, walk.url + path, times)
            work = (worked(pid) - before) / (times + 3)
            middle, worst = statistics.median(took), took[int(len(took) * 0.99)]
            within &= middle < TARGET
            shown = path + (" (the yardstick: reads nothing)" if path == EMPTY else "")
            slow = "" if middle < TARGET else "   TOO SLOW"
            print(f"  {shown:<48} median {middle:6.1f}   p99 {worst:6.1f}   work {work:5.1f}{slow}")
    return within


async def vacuumed(database: Database) -> None:
    """What PostgreSQL's autovacuum does within a minute: until then an index does not stand for its table."""
    if database.url.get_backend_name() != "postgresql":
        return
    engine = create_async_engine(database.url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as conn:
        await conn.execute(text("VACUUM ANALYZE call"))
    await engine.dispose()


async def summed_up(database: Database) -> bool:
    """The report inside a portal, which wants the portal's own word who looks: what is computed for it."""
    took: list[float] = []
    now = time.time()
    for _ in range(10):
        began = time.perf_counter()
        async with database.read() as conn:
            found = await shares(conn, "main", [now - day * 86400 for day in range(7, 0, -1)], now)
        grouped(found, lambda one: one.line)
        took.append((time.perf_counter() - began) * 1000)
    middle = statistics.median(took)
    print(f"  {'the report of a week, inside a portal':<48} median {middle:6.1f}   worst {max(took):6.1f}")
    return middle < TARGET


def worked(pid: int) -> float:
    """Milliseconds that the process has computed so far; of pages alone, when no call goes on."""
    told = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) * 1000 / os.sysconf("SC_CLK_TCK")


async def timed(session: aiohttp.ClientSession, url: str, times: int) -> list[float]:
    took: list[float] = []
    for _ in range(times + 3):
        began = time.perf_counter()
        async with session.get(url) as answer:
            await answer.read()
            assert answer.status == 200, (url, answer.status)
        took.append((time.perf_counter() - began) * 1000)
    return sorted(took[3:])


@contextmanager
def postgres() -> Iterator[str]:
    from postgres_fixtures import make_server  # noqa: PLC0415  SQLite can be measured without it

    server = make_server()
    try:
        server.start()
        yield server.url()
    finally:
        server.stop()
        shutil.rmtree(server.folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=60)
    told = parser.parse_args()
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"SQLite, {told.calls} calls (ms; target: median < {TARGET:g})")
    within = asyncio.run(measure("", told.calls, told.times))
    try:
        with postgres() as url:
            print(f"PostgreSQL, {told.calls} calls")
            within &= asyncio.run(measure(f'[database]\nurl = "{url}"\n', told.calls, told.times))
    except RuntimeError as error:
        print(f"PostgreSQL: {error}")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
