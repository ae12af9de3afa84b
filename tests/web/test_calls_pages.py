"""The journal: what filters find, how fast, and what the page of a call tells, shows and hides."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import pytest
from pages_server import Pages, Visitor, pages
from sqlalchemy.ext.asyncio import AsyncConnection
from stored_calls import BEEP, CALL, HOSTILE, many, store, whole_call

from perezvon.calls.call import Direction
from perezvon.rules.missed import Missed
from perezvon.storage import calls, employees, journal, missed, search
from perezvon.storage.calls import StoredCall
from perezvon.storage.search import Filter
from perezvon.web.call_story import timeline
from perezvon.web.calls_pages import asked, digits
from perezvon.web.rights import Role

NOW = 1_790_000_000.0


@pytest.fixture
async def served(place: str, tmp_path: Path) -> AsyncIterator[Pages]:
    async with pages(place, tmp_path) as made:
        yield made


@pytest.fixture
async def visitor(served: Pages) -> AsyncIterator[Visitor]:
    await served.person("anna")
    async with Visitor(served.url) as visitor:
        await visitor.sign_in("anna")
        yield visitor


def listed(page: str) -> list[str]:
    return re.findall(r'href="/calls/([^"?]+)"><time', page)


async def test_page_after_page_shows_each_call_once_the_newest_first(served: Pages, visitor: Visitor) -> None:
    await many(served.database, 120, NOW)
    found: list[str] = []
    path = "/calls"
    while path:
        page = (await visitor.get(path)).text
        found += listed(page)
        further = re.search(r'<a class="btn" href="(/calls\?[^"]+)"', page)
        path = unescape(further[1]) if further else ""
    assert found == [f"main-{number:07}" for number in range(120)]


FOUND = [
    ("client=%2B79160000000", 1),
    ("client=8+(916)+000-00-00", 1),
    ("client=00-00", 1),
    ("client=%25", 40),
    ("line=812", 20),
    ("employee=101", 1),
    ("employee=10", 0),
    ("outcome=missed", 8),
    ("outcome=live", 0),
    ("outcome=nonsense&direction=nonsense&since=nonsense&until=9999-99-99", 40),
    ("direction=outgoing", 14),
    ("direction=outgoing&outcome=missed", 3),
    ("since=2026-09-21&until=2026-09-21", 40),
    ("since=2026-09-22", 0),
    ("until=2026-09-20", 0),
    ("after=nonsense", 40),
]


async def test_what_filters_find(served: Pages, visitor: Visitor) -> None:
    await many(served.database, 40, NOW)
    for query, count in FOUND:
        answer = await visitor.get(f"/calls?{query}")
        assert (answer.status, len(listed(answer.text))) == (200, count), query


@pytest.mark.parametrize("sign", ["%", "_", "\\", "/", "'"])
async def test_signs_of_patterns_are_taken_as_they_are(served: Pages, sign: str) -> None:
    """The page lets digits alone through; the search does not rely on that."""
    await many(served.database, 3, NOW)
    async with served.database.read() as conn:
        assert not await search.found(conn, Filter(client=sign), 10)
        assert not await search.found(conn, Filter(line=sign), 10)
        assert len(await search.found(conn, Filter(client="7916"), 10)) == 3


@pytest.mark.parametrize(
    ("written", "meant"),
    [("8 (916) 123-45-67", "9161234567"), ("+7 916 123", "7916123"), ("4567", "4567"), ("8916", "8916"), ("abc", "")],
)
def test_numbers_as_people_write_them(written: str, meant: str) -> None:
    assert digits(written) == meant


def test_a_day_is_a_day_of_this_machine() -> None:
    form = dict.fromkeys(("client", "line", "employee", "direction", "outcome"), "")
    wanted = asked(form | {"since": "2026-09-21", "until": "2026-09-21"}, "")
    assert wanted.since is not None and wanted.until is not None
    assert time.localtime(wanted.since)[:5] == (2026, 9, 21, 0, 0)
    assert time.localtime(wanted.until)[:5] == (2026, 9, 22, 0, 0)


async def test_what_was_found_as_a_file_for_who_has_the_right(served: Pages, visitor: Visitor) -> None:
    await many(served.database, 1203, NOW)
    people = [employees.Employee("11", "101", '=HYPERLINK("http://evil")')]
    await served.database.write(lambda conn: employees.replace(conn, "main", people, NOW))
    async with visitor.session.get(served.url + "/calls.csv?lang=en&line=8-12") as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
        told = (await answer.read()).decode("utf-8-sig")
    rows = list(csv.reader(told.splitlines(), delimiter=";"))
    assert rows[0][:4] == ["When", "PBX", "Direction", "Client"]
    assert len(rows) == 1 + 602
    assert len({row[3] for row in rows[1:]}) == 602 and all(row[4] == "+78120000000" for row in rows[1:])
    async with visitor.session.get(served.url + "/calls.csv?employee=101") as answer:
        assert "'=HYPERLINK" in (await answer.text())
    assert "exported" in {entry.action for entry in await served.people.entries(10)}
    await served.person("vera", Role.OBSERVER)
    async with Visitor(served.url) as observer:
        await observer.sign_in("vera")
        assert (await observer.get("/calls.csv")).status == 403
        assert "calls.csv" not in (await observer.get("/calls")).text


# The page of a call


async def test_the_page_of_a_call_tells_everything(served: Pages, visitor: Visitor, tmp_path: Path) -> None:
    await store(served.database, tmp_path, NOW)
    page = unescape((await visitor.get(f"/calls/{CALL}?lang=en")).text)
    for told in (
        "+79161234567", "1:21", "102 Борис", "101 Анна Петрова talks with the client", "the client presses 2",
        "101 Анна Петрова passes the client on to 102 Борис (attended)", "the call is over: answered",
        "talked with +79161234567: the task of his missed calls is closed", '"STATUS_CODE": "200"', "externalCall.1",
        "→ register.CALL_ID", "ACCESS_DENIED", f"/calls/{CALL}/recordings/",
    ):  # fmt: skip
        assert told in page, told
    russian = unescape((await visitor.get(f"/calls/{CALL}?lang=ru")).text)
    assert "101 Анна Петрова говорит с клиентом" in russian
    assert "с +79161234567 поговорили" in russian
    assert (await visitor.get("/calls/none")).status == 404


async def test_foreign_text_is_escaped_and_secrets_are_hidden(served: Pages, visitor: Visitor, tmp_path: Path) -> None:
    await store(served.database, tmp_path, NOW, secret="hunter2secret")
    page = (await visitor.get(f"/calls/{CALL}")).text
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page and "{{ 7*7 }}" in page
    assert "hunter2secret" not in page
    assert HOSTILE in unescape(page)


async def test_a_live_call_is_drawn_from_what_is_known_so_far(served: Pages, visitor: Visitor) -> None:
    _, facts = whole_call(time.time() - 30, "live-1")
    row = StoredCall("live-1", "main", Direction.INCOMING, facts[0].at, True, client="+79161234567", state={"x": 1})

    async def work(conn: AsyncConnection) -> None:
        await calls.save(conn, [row])
        await journal.append(conn, facts[:5])

    await served.database.write(work)
    page = (await visitor.get("/calls/live-1?lang=en")).text
    assert page.count('class="leg"') == 3 and 'class="talk"' in page and "under way" in page


def test_bars_lie_where_things_happened() -> None:
    record, facts = whole_call(1000.0)
    drawn = timeline(record.as_json(), facts, 1000.0, 1095.0, record.client)
    assert [bar.who for bar in drawn.bars] == ["+79161234567", "101", "102", "102"]
    ringing, talk = drawn.bars[1].stretches
    assert (ringing.kind, talk.kind) == ("ringing", "talk")
    assert ringing.left == pytest.approx(6 / 95 * 100, abs=0.01)
    assert talk.left == pytest.approx(14 / 95 * 100, abs=0.01)
    assert talk.left + talk.width == pytest.approx(52 / 95 * 100, abs=0.01)
    assert all(one.left >= 0 and one.left + one.width <= 100.3 for bar in drawn.bars for one in bar.stretches)
    assert [second for _, second in drawn.ticks] == [0, 15, 30, 45, 60, 75, 90]


async def test_recordings_are_for_who_has_the_right(served: Pages, visitor: Visitor, tmp_path: Path) -> None:
    mp3 = await store(served.database, tmp_path, NOW)
    found = re.search(rf"/calls/{re.escape(CALL)}/recordings/\d+", (await visitor.get(f"/calls/{CALL}")).text)
    assert found is not None
    async with visitor.session.get(served.url + found[0]) as answer:
        assert (answer.status, answer.headers["Content-Type"]) == (200, "audio/mpeg")
        assert await answer.read() == BEEP.read_bytes()
    async with visitor.session.get(served.url + found[0], headers={"Range": "bytes=10-19"}) as answer:
        assert (answer.status, len(await answer.read())) == (206, 10)
    await served.person("vera", Role.OBSERVER)
    async with Visitor(served.url) as observer:
        await observer.sign_in("vera")
        assert found[0] not in (await observer.get(f"/calls/{CALL}")).text
        assert (await observer.get(found[0])).status == 403
    assert (await visitor.get(f"/calls/main-other/recordings/{found[0].rpartition('/')[2]}")).status == 404
    assert (await visitor.get(f"/calls/{CALL}/recordings/..%2f..%2fetc%2fpasswd")).status == 404
    mp3.unlink()
    assert (await visitor.get(found[0])).status == 404
    assert found[0] not in (await visitor.get(f"/calls/{CALL}")).text


# Missed


async def test_who_waits_for_a_call_back(served: Pages, visitor: Visitor) -> None:
    now = served.clock()
    answer = await visitor.get("/missed?lang=en")
    assert "Nobody waits for a call back." in answer.text

    async def work(conn: AsyncConnection) -> None:
        await employees.replace(conn, "main", [employees.Employee("11", "101", "Анна Петрова")], now)
        for client, first, back, closed in (
            ("+79160000001", now - 7200, None, None),
            ("+79160000002", now - 90000, None, None),
            ("+79160000003", now - 3600, now - 60, now - 60),
            ("+79160000004", now - 8 * 86400, None, None),
            ("+79160000005", now - 3600, None, now - 60),
        ):
            row = Missed("main", client, 1, f"lane {client}", 3, first, first + 60, "17", "11", back, closed)
            await missed.save(conn, row)

    await served.database.write(work)
    page = (await visitor.get("/missed?lang=en")).text
    waiting, _, back = page.partition('id="back"')
    assert re.findall(r"<b>(.\d+)</b>", waiting) == ["+79160000002", "+79160000001"]
    assert "2 hours" in waiting and "Анна Петрова" in waiting and "№ 17" in waiting
    assert re.findall(r">(\+79\d+)</a>", back) == ["+79160000003"]
