"""`perezvon backfill` on the stand: calls that nobody saw come out of the real Asterisk's log to the portal, each once."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from perezvon.sandbox import stories
from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.seed import IVANOV
from perezvon.sandbox.service_process import ServiceProcess
from perezvon.sandbox.stand import Stand, stand
from perezvon.sandbox.stories import INCOMING, OUTGOING, Spoken, differences

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]

MODULE = "cel_sqlite3_custom.so"


async def passed_on(whole: Stand) -> Spoken:
    """An outgoing call that goes on to a colleague, where the PBX records it anew: on the client's channel."""
    world = whole.pbx.world
    await world.reset()
    desk = await world.phone("104").dial("79161320002")
    await desk.talking()
    began = time.monotonic()
    await desk.talks(2.4)
    callee = world.number("79161320002").leg
    await desk.press("##611")
    second = await world.phone("101").talking()
    await callee.talking(to=second)
    await callee.talks(2.4)
    await callee.hangup()
    talked = time.monotonic() - began
    return Spoken("+79161320002", OUTGOING, "+74951234567", IVANOV, "200", talked, frozenset())


UNSEEN = (stories.answered, stories.missed, stories.outgoing, passed_on)


@pytest.fixture
async def whole(pbx_session: PbxSandbox, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    """Its Asterisk writes the log into SQLite too."""
    await pbx_session.world.reset()
    await pbx_session.office.ask("ModuleLoad", ("Module", MODULE), ("LoadType", "load"))
    try:
        async with (
            PortalServer(PortalConfig(rate=None, one_card_per_user=False)) as portal,
            stand(pbx_session, portal, tmp_path_factory.mktemp("backfill")) as whole,
        ):
            yield whole
    finally:
        await pbx_session.office.ask("ModuleLoad", ("Module", MODULE), ("LoadType", "unload"))
        await pbx_session.world.reset()


class Commands:
    """`perezvon backfill` beside the service, of what began since now."""

    def __init__(self, whole: Stand) -> None:
        self.since = datetime.fromtimestamp(time.time(), UTC).isoformat()
        self._whole = whole

    async def run(self, *options: str, language: str = "C.UTF-8") -> str:
        data_dir = self._whole.service.data_dir
        spoken = ServiceProcess(data_dir, environment={"LC_ALL": language})
        return await spoken.command("backfill", "--from", self.since, *options, "--data-dir", str(data_dir))

    async def json(self, *options: str) -> dict[str, Any]:
        return json.loads(await self.run("--json", *options))

    async def logs(self, place: str) -> None:
        """Saves the setting `cel`, and returns when the running service has taken it."""
        service = self._whole.service
        before = (await service.status())["settings"]
        await service.configure(without_log(self._whole).replace("contexts =", f'cel = "{place}"\ncontexts ='))
        await service.until(lambda status: status["settings"] > before, "has noticed the new settings")
        await self._whole.ready()


def without_log(whole: Stand) -> str:
    return re.sub(r"(?m)^cel = .*\n", "", whole.settings())


def stored(whole: Stand, ids: set[str]) -> dict[str, int]:
    """How many rows there are of these calls."""
    columns = {"call": "id", "fact": "call", "step": "lane", "recording": "call"}
    marks = ", ".join("?" * len(ids))
    with closing(sqlite3.connect(whole.service.data_dir / "perezvon.sqlite3")) as database:
        queries = {
            table: f'SELECT count(*) FROM "{table}" WHERE "{column}" IN ({marks})' for table, column in columns.items()
        }
        return {table: database.execute(query, sorted(ids)).fetchone()[0] for table, query in queries.items()}


def by_state(told: dict[str, Any]) -> Counter[str]:
    return Counter(call["state"] for call in told["calls"])


async def test_calls_that_nobody_saw(whole: Stand) -> None:
    commands = Commands(whole)
    known = await stories.busy(whole)
    await whole.call_of(known.client)
    await whole.service.stop()
    spoken = [await speak(whole) for speak in UNSEEN]
    await whole.service.configure(without_log(whole))
    await whole.service.start()
    await whole.ready()
    await commands.logs(str(whole.pbx.cel))
    live = await whole.pbx.world.call(frm="79161320001", to="74950000101")
    await live.talking()
    began = time.monotonic()
    await whole.until(lambda: len(whole.portal.calls()) == 2 or None, "the portal has the call that goes on")
    assert [call.phone for call in whole.portal.calls()] == [known.client, "+79161320001"], "nothing is missing"

    dry = await commands.json("--dry-run")
    assert by_state(dry) == {"missing": len(UNSEEN), "there": 2}, "the service knows one that is over and one that goes on"
    assert dry["summary"] == {"calls": 6, "missing": 4, "queued": 0, "there": 2, "running": 0}
    words = await commands.run("--dry-run", language="ru_RU.UTF-8")
    assert "Звонков: 6; будет отправлено: 4, уже есть: 2, ещё идут: 0." in words
    assert "Ничего не записано (--dry-run)." in words
    for one in spoken:
        assert re.search(rf"(?m)^.*{re.escape(one.client)}.*: будет отправлено: ", words), words
    await commands.logs(f"sqlite:///{whole.pbx.cel_database}")
    assert (await commands.json("--dry-run"))["calls"] == dry["calls"], "SQLite tells otherwise than the file"
    ids = {call["id"] for call in dry["calls"] if call["state"] == "missing"}
    assert set(stored(whole, ids).values()) == {0}, "a dry run has written something"
    assert len(whole.portal.calls()) == 2

    done = await commands.json()
    assert by_state(done) == {"queued": len(UNSEEN), "there": 2}
    assert ids == {call["id"] for call in done["calls"] if call["state"] == "queued"}
    wrong: list[str] = []
    for one in spoken:
        call = await whole.call_of(one.client, recorded=one.recorded)
        wrong += differences(replace(one, cards=frozenset()), call)
    assert wrong == []
    await live.hangup()
    talked = time.monotonic() - began
    cards = frozenset({IVANOV})
    last = Spoken("+79161320001", INCOMING, "+74950000101", IVANOV, "200", talked, cards)
    assert differences(last, await whole.call_of(last.client, recorded=True)) == []

    await commands.logs(str(whole.pbx.cel))
    rows = stored(whole, ids)
    assert rows["call"] == len(UNSEEN)
    assert rows["recording"] == sum(one.recorded for one in spoken) + 1, "one has two parts"
    again = await commands.json()
    assert by_state(again) == {"there": 6}
    assert stored(whole, ids) == rows, "the second run has written something"
    assert len(whole.portal.calls()) == len({call.phone for call in whole.portal.calls()}) == 6
