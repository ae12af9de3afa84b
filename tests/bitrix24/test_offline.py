"""The offline queue: what a crash, an outage or a second reader may not do is lose a click, or invent one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from perezvon.bitrix24 import Answer, Portal
from perezvon.bitrix24.binding import bind, bound
from perezvon.bitrix24.errors import Ambiguous, AppContextRequired, refusal
from perezvon.bitrix24.events import CallStartClick, PortalEvent, typed
from perezvon.bitrix24.offline import OfflineQueue
from perezvon.sandbox.portal.config import PortalConfig, Rate
from perezvon.sandbox.portal.server import PortalServer

NO_PLAN = PortalConfig(rate=None, features=frozenset())


@pytest.fixture
def config() -> PortalConfig:
    return PortalConfig(rate=None)


class Consumer:
    """Stores events; `failures` times it cannot. `stored` may be awaited event by event."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.tries = 0
        self.stored: asyncio.Queue[PortalEvent] = asyncio.Queue()

    async def __call__(self, events: list[PortalEvent]) -> None:
        self.tries += 1
        if self.failures:
            self.failures -= 1
            raise OSError("disk full")
        for event in events:
            self.stored.put_nowait(event)

    async def click(self) -> str:
        event = typed(await self.stored.get())
        assert isinstance(event, CallStartClick)
        return event.portal_call


@asynccontextmanager
async def running(queue: OfflineQueue) -> AsyncIterator[None]:
    task = asyncio.create_task(queue.run(), name="offline events")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled(), "the poller died"


async def cleared(server: PortalServer) -> None:
    """Awaits the portal's own news until the queue is empty."""
    async with asyncio.timeout(5):
        with server.state.feed.subscribed() as news:
            while server.state.events.rows:
                await anext(news)


async def test_clicks_come_without_an_open_port(server: PortalServer, app: Portal) -> None:
    made = await bind(app)
    assert (made.offline, made.online, made.problems) == ({"ONEXTERNALCALLSTART", "ONEXTERNALCALLBACKSTART"}, set(), ())
    assert await bind(app) == made == await bound(app)
    got = Consumer()
    async with running(OfflineQueue(app, got, interval=0.02)):
        calls = [server.click(11, "+79165550011"), server.click(12, "+79165550022")]
        assert {await got.click(), await got.click()} == {call.id for call in calls}
        later = server.click(13, "+79165550033")
        assert await got.click() == later.id
        await cleared(server)
    assert got.stored.empty()
    assert {entry.params["clear"] for entry in server.state.journal.of("event.offline.get")} == {"0"}


async def test_what_is_not_stored_is_not_cleared(server: PortalServer, app: Portal) -> None:
    await bind(app)
    got = Consumer(failures=1)
    call = server.click(11, "+79165550011")
    queue = OfflineQueue(app, got, interval=0.02)
    await queue.prepare()
    answers = await app.batch(queue.commands())
    with pytest.raises(OSError, match="disk full"):
        await queue.absorb(answers)
    await queue.absorb(await app.batch(queue.commands()))
    assert await got.click() == call.id
    assert server.state.journal.of("event.offline.clear") == []
    assert len(server.state.events.rows) == 1
    await queue.absorb(await app.batch(queue.commands()))
    assert server.state.events.rows == []


async def test_the_poller_survives_a_store_that_fails(server: PortalServer, app: Portal) -> None:
    await bind(app)
    got = Consumer(failures=3)
    call = server.click(11, "+79165550011")
    async with running(OfflineQueue(app, got, interval=0.005)):
        assert await got.click() == call.id
    assert got.tries == 4
    assert got.stored.empty()


async def test_a_crash_between_reading_and_storing_loses_nothing(server: PortalServer, app: Portal) -> None:
    await bind(app)
    call = server.click(11, "+79165550011")
    died = OfflineQueue(app, Consumer(), interval=0.02)
    await died.prepare()
    await app.batch(died.commands())  # the rows are reserved now, and the process is gone
    assert server.state.events.rows[0].process_id
    got = Consumer()
    async with running(OfflineQueue(app, got, interval=0.02)):
        assert await got.click() == call.id
        await cleared(server)
    assert got.stored.empty()


async def test_rows_that_others_marked_as_broken_are_left_alone(server: PortalServer, app: Portal) -> None:
    await bind(app)
    server.click(11, "+79165550011")
    got = await app.call("event.offline.get", {"clear": 0})
    await app.call("event.offline.error", {"process_id": got.result["process_id"]})
    consumer = Consumer()
    queue = OfflineQueue(app, consumer)
    await queue.prepare()
    await queue.hand_over()
    assert consumer.stored.empty()


@pytest.mark.parametrize("config", [NO_PLAN])
async def test_a_plan_without_confirmation_reads_and_deletes(server: PortalServer, app: Portal) -> None:
    await bind(app)
    got = Consumer(failures=1)
    queue = OfflineQueue(app, got, interval=0.005)
    async with running(queue):
        call = server.click(11, "+79165550011")
        assert await got.click() == call.id, "kept in memory while it could not be stored"
    assert queue.confirmed is False
    assert server.state.events.rows == []
    assert server.state.journal.of("event.offline.clear") == []


async def test_an_outage_is_told_once_and_survived(server: PortalServer, app: Portal) -> None:
    await bind(app)
    got = Consumer()
    queue = OfflineQueue(app, got, interval=0.01)
    server.state.faults.plan("500", method="event.offline.get", times=2)
    server.state.faults.plan("reset", method="batch", times=2)
    server.state.faults.plan("expired_token", method="event.offline.get", times=1)
    async with running(queue):
        call = server.click(11, "+79165550011")
        assert await got.click() == call.id
        assert queue.problem == ""
        assert queue.last_poll > 0
    assert got.stored.empty()


@pytest.mark.parametrize("fault", ["dropped_answer", "malformed"])
async def test_a_lost_answer_loses_no_click(server: PortalServer, app: Portal, fault: str) -> None:
    """The portal has reserved the click under a name that we never learned."""
    await bind(app)
    got = Consumer()
    queue = OfflineQueue(app, got, interval=0.01)
    await queue.prepare()
    call = server.click(11, "+79165550011")
    server.state.faults.plan(fault, method="event.offline.get")
    async with running(queue):
        assert await got.click() == call.id
        await cleared(server)
    assert got.stored.empty()


@pytest.mark.parametrize(("code", "status", "again"), [("ERROR_CORE", 400, False), ("INTERNAL_SERVER_ERROR", 500, True)])
async def test_clearing_that_fails_is_repeated_unless_it_is_hopeless(
    app: Portal, code: str, status: int, again: bool
) -> None:
    queue = OfflineQueue(app, Consumer())
    queue.confirmed = True
    queue.commands()
    await queue.absorb([Answer({"process_id": "p1", "events": [{"EVENT_NAME": "ONX", "EVENT_DATA": False}]})])
    assert [c.method for c in queue.commands()] == ["event.offline.clear", "event.offline.get"]
    refused = refusal(code=code, description="", status=status, method="event.offline.clear")
    await queue.absorb([refused, Answer({"process_id": None, "events": []})])
    assert [c.method for c in queue.commands()] == ["event.offline.clear"] * again + ["event.offline.get"]


async def test_a_plan_that_changes_is_asked_about_again(app: Portal) -> None:
    queue = OfflineQueue(app, Consumer())
    await queue.prepare()
    assert queue.confirmed is True
    queue.commands()
    await queue.absorb(
        [refusal(code="ACCESS_DENIED", description="Access denied!", status=403, method="event.offline.get")]
    )
    assert queue.confirmed is None
    assert "access denied" in str(queue.problem)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ({"code": "ERROR_EVENT_NOT_FOUND", "http": 400}, "does not know it"),
        ({"code": "ACCESS_DENIED", "http": 403}, "does not let us bind it"),
        ({"code": "ERROR_ARGUMENT", "http": 400}, "ERROR_ARGUMENT"),
    ],
)
async def test_what_cannot_be_bound_is_told(server: PortalServer, app: Portal, fault: dict[str, Any], text: str) -> None:
    server.state.faults.plan("error", method="event.bind", **fault)
    made = await bind(app)
    assert made.offline == {"ONEXTERNALCALLBACKSTART"}
    assert len(made.problems) == 1
    assert str(made.problems[0]).startswith("ONEXTERNALCALLSTART: ")
    assert text in str(made.problems[0])


async def test_binding_that_may_work_later_is_the_callers_to_repeat(server: PortalServer, app: Portal) -> None:
    server.state.faults.plan("500", method="event.bind")
    with pytest.raises(Ambiguous):
        await bind(app)
    assert (await bind(app)).problems == ()


async def test_a_full_queue_is_read_without_waiting(server: PortalServer, app: Portal) -> None:
    await bind(app)
    calls = {server.click(11, f"+7916555{number:04}").id for number in range(120)}
    got = Consumer()
    async with running(OfflineQueue(app, got, interval=60)):
        assert {await got.click() for _ in range(120)} == calls


async def test_a_poll_rides_in_somebody_elses_batch(server: PortalServer, app: Portal) -> None:
    ticks = [100.0]
    got = Consumer()
    await bind(app)
    queue = OfflineQueue(app, got, interval=2.5, ticks=lambda: ticks[0])
    assert not queue.due(), "the plan is not asked yet"
    await queue.prepare()
    assert queue.due()
    poll = queue.commands()
    assert not queue.due(), "one poll at a time"
    server.click(11, "+79165550011")
    await queue.absorb(await app.batch(poll))
    assert await got.click()
    assert not queue.due()
    ticks[0] += 2.5
    assert queue.due()
    queue.failed(AppContextRequired("x"))
    assert not queue.due(), "an error makes a pause"
    ticks[0] += 5.1
    assert queue.due()
    assert [c.method for c in queue.commands()] == ["event.offline.clear", "event.offline.get"]


async def test_a_webhook_is_told_that_it_cannot(server: PortalServer, hook: Portal) -> None:
    made = await bind(hook)
    assert not made.offline
    assert "local application" in str(made.problems[0])


async def test_an_application_without_an_administrator_is_told_so(server: PortalServer, app: Portal) -> None:
    server.state.people.users[1].admin = False
    made = await bind(app)
    assert made.offline == set()
    assert len(made.problems) == 2
    assert "administrator" in str(made.problems[0])


@pytest.mark.parametrize("config", [PortalConfig(rate=Rate(2, 50))])
async def test_polling_costs_no_more_than_its_share(server: PortalServer, app: Portal) -> None:
    """Ten polls are ten requests: clearing rides along."""
    await bind(app)
    queue = OfflineQueue(app, Consumer(), interval=0.0)
    await queue.prepare()
    before = server.state.journal.http_requests
    for number in range(10):
        server.click(11, f"+7916555{number:04}")
        await queue.absorb(await app.batch(queue.commands()))
    assert server.state.journal.http_requests == before + 10
    assert len(server.state.events.rows) == 1, "only the last one waits for its clearing"
