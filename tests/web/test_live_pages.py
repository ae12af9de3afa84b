"""The live board's stream, deliveries, calling back, and what the page of a call tells beyond what is stored."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from pages_server import Pages, Visitor
from paper_switchroom import PaperRoom, row
from sqlalchemy.ext.asyncio import AsyncConnection
from stored_calls import CALL, CLIENT, store

from perezvon.calls.watching import Stage
from perezvon.rules import Decision, Reason
from perezvon.rules.missed import Missed
from perezvon.rules.vocabulary import Kind, Priority, StepDraft
from perezvon.storage import lanes, missed, pauses
from perezvon.storage.steps import Settled, State, Step
from perezvon.web import delivery_desk, live_pages
from perezvon.web.call_support import Mask
from perezvon.web.delivery_desk import about
from perezvon.web.live import MOST_WAITING, Board, Change, Watchers
from perezvon.web.people import Actor
from perezvon.web.rights import Role

NOW = 1_790_000_000.0


@pytest.fixture
def room() -> PaperRoom:
    return PaperRoom()


@pytest.fixture
async def visitor(served: Pages) -> AsyncIterator[Visitor]:
    await served.person("anna")
    async with Visitor(served.url) as visitor:
        await visitor.sign_in("anna")
        yield visitor


@pytest.fixture
async def observer(served: Pages, visitor: Visitor) -> AsyncIterator[Visitor]:
    await served.person("vera", Role.OBSERVER)
    async with Visitor(served.url) as other:
        await other.sign_in("vera")
        yield other


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    name = ""
    async for line in answer.content:
        text = line.decode().rstrip("\n")
        if text.startswith("event: "):
            name = text[7:]
        elif text.startswith("data: "):
            yield name, json.loads(text[6:])


async def test_the_stream_tells_everything_then_what_changes(room: PaperRoom, served: Pages, visitor: Visitor) -> None:
    room.show(row("main-1", started=NOW))
    async with asyncio.timeout(10), visitor.session.get(served.url + "/live/events?lang=en") as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        told = events(answer)
        name, state = await anext(told)
        assert (name, [one["id"] for one in state["rows"]]) == ("state", ["main-1"])
        assert "Anna" not in state["rows"][0]["html"] and "Анна Петрова" in state["rows"][0]["html"]
        hostile = row("main-2", started=NOW, client="<script>alert(1)</script>")
        room.show(row("main-1", Stage.TALK, started=NOW), hostile)
        name, change = await anext(told)
        assert (name, {one["id"] for one in change["rows"]}, change["gone"]) == ("change", {"main-1", "main-2"}, [])
        assert "<script" not in "".join(one["html"] for one in change["rows"])
        room.show(hostile)
        name, change = await anext(told)
        assert (name, change) == ("change", {"rows": [], "gone": ["main-1"]})
    room.show()
    async with asyncio.timeout(10), visitor.session.get(served.url + "/live/events") as answer:
        assert (await anext(events(answer)))[1]["rows"] == []
        assert len(room.looking) <= 2, "who has gone away is told nothing any more"


def test_a_lane_is_told_by_whose_it_is() -> None:
    told = [
        str(about(lane)) for lane in ("missed:main:+79161234567:1", "missed:main:+79161234567:1:late", "click:c1", "new:x")
    ]
    assert told == ["the missed client +79161234567"] * 2 + ["a click on a number", "new:x"]


async def test_who_is_slow_gets_the_newest_of_each_call_and_never_a_pile() -> None:
    rows = [row("main-1", started=NOW)]
    watchers = Watchers(lambda: Board(NOW, tuple(rows)))
    with watchers.watcher("anna") as watcher:
        assert isinstance(await watcher.next(1), Board)
        for stage in (Stage.TALK, Stage.HOLD, Stage.TALK, Stage.CONFERENCE):
            rows[:] = [row("main-1", stage, started=NOW)]
            watchers.refresh()
        change = await watcher.next(1)
        assert isinstance(change, Change) and [one.stage for one in change.rows] == [Stage.CONFERENCE]
        for number in range(MOST_WAITING + 1):
            rows[:] = [row(f"main-{number}", started=NOW)]
            watchers.refresh()
        assert isinstance(await watcher.next(1), Board)
        assert await watcher.next(0.01) is None
    assert len(watchers) == 0


async def test_many_streams_are_refused_and_the_api_tells_the_same(
    room: PaperRoom, served: Pages, visitor: Visitor
) -> None:
    room.show(row("main-1", Stage.HOLD))
    streams = [await visitor.session.get(served.url + "/live/events") for _ in range(10)]
    async with visitor.session.get(served.url + "/live/events") as answer:
        assert answer.status == 503
    for one in streams:
        one.close()
    async with visitor.session.get(served.url + "/api/live") as answer:
        [call] = (await answer.json())["calls"]
    assert (call["stage"], call["held_by"]["number"], call["line_name"]) == ("hold", "103", "Реклама на кольце")


async def test_whoever_may_not_look_on_any_more_is_told_so(room: PaperRoom, served: Pages, visitor: Visitor) -> None:
    assert (await visitor.get("/live")).status == 200
    async with Visitor(served.url) as stranger:
        assert (await stranger.get("/live", Accept="text/html")).url == "/login"
        async with stranger.session.get(served.url + "/live/events", headers={"Accept": "text/event-stream"}) as answer:
            assert answer.status == 401


async def test_busy_telephones_keep_nobody_looking_on_who_may_no_more(
    room: PaperRoom, served: Pages, observer: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = 0.0
    monkeypatch.setattr(live_pages, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + later))
    room.show(row("main-1", started=NOW))
    async with asyncio.timeout(5), observer.session.get(served.url + "/live/events") as answer:
        told = events(answer)
        assert (await anext(told))[0] == "state"
        vera = next(one for one in await served.people.everybody() if one.login == "vera")
        await served.people.change(vera.id, Actor("anna"), name="", role=Role.OBSERVER, active=False)
        later = live_pages.ALIVE
        room.show(row("main-1", Stage.TALK, started=NOW))
        assert await anext(told) == ("refused", {})


# ---- deliveries


async def steps(served: Pages) -> list[Step]:
    async with served.database.read() as conn:
        return (await lanes.load(conn, [CALL]))[CALL]


async def test_a_refused_step_is_sent_again_once_however_often_it_is_clicked(
    room: PaperRoom, served: Pages, visitor: Visitor, tmp_path: Path
) -> None:
    await store(served.database, tmp_path, NOW)
    dead = (await steps(served))[2]
    page = (await visitor.get("/deliveries?lang=en")).text
    assert "ACCESS_DENIED" in page and f"/deliveries/steps/{dead.id}/again" in page and "<script>alert" not in page
    first = await visitor.post(f"/deliveries/steps/{dead.id}/again", {"back": f"/calls/{CALL}"})
    assert (first.status, first.url, room.woken) == (200, f"/calls/{CALL}", ["main"])
    again = (await steps(served))[2]
    assert (again.state, again.attempts, again.error) == (State.NEW, 0, None)
    await visitor.get("/preferences?lang=en&back=/account")
    assert "Nothing was done" in (await visitor.post(f"/deliveries/steps/{dead.id}/again")).text
    done = [entry.action for entry in await served.people.entries(10)]
    assert done.count("step_sent_again") == 1
    assert (await visitor.post("/deliveries/steps/999999/again")).status == 404


async def test_a_step_that_is_left_out_stays_so_and_says_who_did_it(
    served: Pages, visitor: Visitor, tmp_path: Path
) -> None:
    await store(served.database, tmp_path, NOW)
    dead = (await steps(served))[2]
    await visitor.post(f"/deliveries/steps/{dead.id}/skip")
    left = (await steps(served))[2]
    assert (left.state, str(left.note)) == (State.SKIPPED, "left out by anna")
    await visitor.post(f"/deliveries/steps/{dead.id}/again")
    assert (await steps(served))[2].state is State.NEW


async def test_all_that_failed_is_sent_again_a_little_at_a_time(
    room: PaperRoom, served: Pages, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One write of five hundred would hold up the calls that ring meanwhile."""
    monkeypatch.setattr(delivery_desk, "IN_ONE_WRITE", 2)
    ids = [f"note:{number}" for number in range(5)]

    async def store_dead(conn: AsyncConnection) -> None:
        for lane in ids:
            await lanes.append(conn, "main", lane, [StepDraft(lane, Kind.DESCRIBE, {}, Priority.CRM, Reason("r"))], NOW)
            [step] = (await lanes.load(conn, [lane]))[lane]
            await lanes.settle(conn, [Settled(step.id, State.DEAD, {"error": "ACCESS_DENIED"}, "no")], NOW)

    await served.database.write(store_dead)
    await visitor.get("/deliveries")
    for _ in range(2):
        await visitor.post("/deliveries/main/again")
    async with served.database.read() as conn:
        found = await lanes.load(conn, ids)
    assert [step.state for lane in ids for step in found[lane]] == [State.NEW] * 5
    told = [entry.detail for entry in await served.people.entries(20) if entry.action == "step_sent_again"]
    assert sorted(told) == [f"all that failed: {count}" for count in (1, 2, 2)]


async def test_an_observer_looks_and_does_nothing(served: Pages, observer: Visitor, tmp_path: Path) -> None:
    await store(served.database, tmp_path, NOW)
    dead = (await steps(served))[2]
    page = (await observer.get("/deliveries")).text
    assert "ACCESS_DENIED" in page and "/again" not in page and "/pause" not in page
    await observer.get("/account")
    for path in (f"steps/{dead.id}/again", f"steps/{dead.id}/skip", "main/pause", "main/resume", "main/again"):
        assert (await observer.post(f"/deliveries/{path}")).status == 403, path
    assert (await observer.post("/missed/call-back", {"portal": "main", "client": CLIENT})).status == 403
    assert (await steps(served))[2].state is State.DEAD


async def test_a_portal_is_paused_and_goes_on(room: PaperRoom, served: Pages, visitor: Visitor) -> None:
    await visitor.get("/deliveries")
    await visitor.post("/deliveries/main/pause")
    async with served.database.read() as conn:
        kept = await pauses.read(conn)
    assert kept["main"].who == "anna" and room.sendings[0].pause == kept["main"]
    assert "anna" in (await visitor.get("/deliveries?lang=en")).text
    await visitor.post("/deliveries/main/resume")
    async with served.database.read() as conn:
        assert not await pauses.read(conn)
    assert room.sendings[0].pause is None
    assert {"portal_paused", "portal_resumed"} <= {entry.action for entry in await served.people.entries(10)}
    assert (await visitor.post("/deliveries/nowhere/pause")).status == 404


# ---- calling back


async def test_a_missed_client_is_called_back_by_whom_one_chose(room: PaperRoom, served: Pages, visitor: Visitor) -> None:
    now = served.clock()
    one = Missed("main", CLIENT, 1, "lane", 3, now - 7200, now - 60, "17", "99")
    await served.database.write(lambda conn: missed.save(conn, one))
    page = (await visitor.get("/missed?lang=en")).text
    ticket = re.search(r'name="ticket" value="([^"]+)"', page)
    assert ticket is not None
    fields = {"portal": "main", "client": CLIENT, "ticket": ticket[1]}
    nobody = await visitor.post("/missed/call-back?lang=en", fields)
    assert "choose whose telephone" in nobody.text and not room.orders
    await visitor.get("/missed")
    await visitor.post("/missed/call-back", fields | {"telephone": "12"})
    [order] = room.orders
    assert (order.key, order.number, order.user) == (f"page:{ticket[1]}", CLIENT, "12")
    await visitor.get("/missed")
    stranger = await visitor.post("/missed/call-back", fields | {"client": "+79990000000", "telephone": "12"})
    assert stranger.status == 404
    room.refuses = Reason("this client is being called already")
    await visitor.get("/missed")
    refused = await visitor.post("/missed/call-back?lang=en", fields | {"telephone": "12"})
    assert "being called already" in refused.text
    old = await visitor.post("/missed/call-back?lang=en", fields | {"ticket": "0000000001:0123456789abcdef", "csrf": ""})
    assert old.status == 403
    assert [entry.subject for entry in await served.people.entries(20) if entry.action == "called_back"] == [CLIENT]


# ---- the page of a call


async def test_the_page_tells_of_hooks_raw_events_and_the_present_settings(
    room: PaperRoom, served: Pages, visitor: Visitor, tmp_path: Path
) -> None:
    await store(served.database, tmp_path, NOW)
    page = (await visitor.get(f"/calls/{CALL}?lang=en")).text
    for told in ("ZeroDivisionError", "printed &lt;b&gt;this", "Event: Newchannel", "support.json"):
        assert told in page, told
    room.printed = "asked https://x.bitrix24.ru/rest/1/s3cretofhook/crm.lead.get?auth=s3cretofapp"
    page = (await visitor.get(f"/calls/{CALL}?lang=en")).text
    assert "asked https://x.bitrix24.ru/rest/1/***" in page and "s3cret" not in page
    assert "s3cretof" not in (await visitor.get(f"/calls/{CALL}/support.json")).text
    assert "No portal is set" in (await visitor.get(f"/calls/{CALL}/what-if?lang=en")).text
    room.foretold = [Decision(Reason("{x}", {"x": "everything is different"}))]
    told = (await visitor.get(f"/calls/{CALL}/what-if?lang=en")).text
    assert "everything is different" in told and "Decided then, but not now" in told


async def test_the_file_for_support_has_no_secret_and_no_number_when_masked(
    served: Pages, visitor: Visitor, tmp_path: Path
) -> None:
    await store(served.database, tmp_path, NOW, secret="s3cret-of-upload")
    whole = (await visitor.get(f"/calls/{CALL}/support.json")).text
    assert CLIENT in whole and "s3cret-of-upload" not in whole
    masked = (await visitor.get(f"/calls/{CALL}/support.json?masked=1")).text
    assert "9161234567" not in masked and "4951234567" not in masked and "***67" in masked and CALL in masked
    assert json.loads(masked)["facts"][0]["fact"] == "CallStarted"


@pytest.mark.parametrize(
    "told",
    [
        "8 (916) 123-45-67",
        "+7 916 123 45 67",
        "tel:+79161234567;ext=1",
        "9161234567",
        79161234567,
        "rec-20260102-150405-79161234567-1700000000.12.wav",
        "(495) 123-45-67",
        {"LAST_NAME": "+79161234567"},
    ],
)
def test_a_number_is_masked_however_it_is_written(told: object) -> None:
    """As hooks return it, as the portal and the PBX write it."""
    masked = json.dumps(Mask(["+79161234567", "+74951234567", "101"]).whole({"printed": told, "calls": 123, "user": "101"}))
    plain = re.sub(r"[\s()\-]", "", masked)
    assert "9161234" not in plain and "4951234" not in plain and "***" in masked
    assert '"calls": 123, "user": "101"' in masked


def test_ids_and_times_stay_in_the_file_for_support() -> None:
    told = {"uniqueid": "1790000000.12", "at": 1790000000.5, "live": True, "id": 42, "call": "main-1790000000.12-7"}
    assert Mask(["+79161234567"]).whole(told) == told


async def test_the_sound_as_a_picture(served: Pages, visitor: Visitor, tmp_path: Path) -> None:
    mp3 = await store(served.database, tmp_path, NOW)
    page = (await visitor.get(f"/calls/{CALL}")).text
    found = re.search(r'data-peaks="([^"]+)"', page)
    assert found is not None
    peaks = json.loads((await visitor.get(found[1])).text)
    assert len(peaks) > 10 and max(peaks) <= 100 and min(peaks) == 0
    mp3.write_bytes(b"no sound at all" * 100)
    assert json.loads((await visitor.get(found[1])).text) == []
