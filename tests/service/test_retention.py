"""Recordings that are old enough go, and only those that have arrived."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.calls.call import Direction
from perezvon.delivery.kinds import FILE
from perezvon.rules.vocabulary import Kind, Priority, Reason, StepDraft
from perezvon.service.retention import Retention
from perezvon.settings.load import parse, settings_from
from perezvon.storage import Database, calls, lanes, recordings
from perezvon.storage.calls import StoredCall
from perezvon.storage.recordings import RecordingState
from perezvon.storage.steps import Settled, State

DAY = 86400.0
SETTINGS = """
[[asterisk]]
name = "office"
ami = "tcp://a:b@127.0.0.1:5038"
recordings = "{spool}"
[recordings]
keep_days = {days}
delete_at_pbx = {pbx}
"""


class House:
    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.ours = folder / "recordings"
        self.spool = folder / "spool"
        self.now = 1000 * DAY
        for place in (self.ours, self.spool, self.spool / "client", self.spool / "employee"):
            place.mkdir(parents=True)

    def retention(self, days: int = 30, pbx: bool = False) -> Retention:
        settings = settings_from(parse(SETTINGS.format(spool=self.spool, days=days, pbx=str(pbx).lower())))
        return Retention(self.database, lambda: settings, self.ours, lambda: self.now)

    async def recorded(
        self, call: str, age: float, *, step: State | None = State.DONE, state: RecordingState = RecordingState.READY
    ) -> Path:
        file = self.ours / f"{call}-1.mp3"
        for one in (file, *(self.spool / part / f"{call}.wav" for part in ("", "client", "employee"))):
            one.write_bytes(b"sound")
        created = self.now - age * DAY

        async def work(conn: AsyncConnection) -> None:
            await calls.save(conn, [StoredCall(call, "office", Direction.INCOMING, created, live=False)])
            await recordings.add(conn, pbx="office", portal="main", paths=[(call, f"{call}.wav")], now=created)
            (row,) = await recordings.of_call(conn, call)
            await recordings.settle(conn, row.id, state, file=str(file), seconds=5.0)
            if step is not None:
                params = {"CALL_ID": "x", FILE: str(file)}
                draft = StepDraft(f"{call}:record:1", Kind.ATTACH_RECORD, params, Priority.RECORD, Reason("because"))
                await lanes.append(conn, "main", call, [draft], created)
                (kept,) = (await lanes.load(conn, [call]))[call]
                await lanes.settle(conn, [Settled(kept.id, step)], created)

        await self.database.write(work)
        return file

    def at_pbx(self, call: str) -> int:
        return len(list(self.spool.rglob(f"{call}.wav")))


@pytest.fixture
async def house(place: str, tmp_path: Path) -> AsyncIterator[House]:
    async with await Database.open(place) as database:
        yield House(database, tmp_path / "house")


async def state(house: House, call: str) -> RecordingState:
    async with house.database.read() as conn:
        return (await recordings.of_call(conn, call))[0].state


@pytest.mark.slow
async def test_only_what_is_old_and_has_arrived(house: House) -> None:
    old, young = await house.recorded("old", 31), await house.recorded("young", 29)
    kept = {
        "waiting": await house.recorded("waiting", 90, step=State.NEW),
        "unsure": await house.recorded("unsure", 90, step=State.UNSURE),
        "dead": await house.recorded("dead", 90, step=State.DEAD),
        "unqueued": await house.recorded("unqueued", 90, step=None),
        "part": await house.recorded("part", 90, state=RecordingState.PART),
        "new": await house.recorded("new", 90, state=RecordingState.NEW),
    }
    assert await house.retention().sweep() == 1
    assert not old.exists()
    assert young.exists()
    assert {call for call, file in kept.items() if file.exists()} == set(kept)
    assert await state(house, "old") is RecordingState.ERASED
    assert house.at_pbx("old") == 3, "the PBX's files were not to be touched"
    assert await house.retention().sweep() == 0


async def test_what_is_held_for_a_hook_is_under_way(house: House) -> None:
    """The portal has an earlier form of it."""
    file = await house.recorded("joined", 90)
    params = {"CALL_ID": "x", FILE: str(file)}
    later = StepDraft("joined:record:1+2", Kind.ATTACH_RECORD, params, Priority.RECORD, Reason("because"), held=True)
    await house.database.write(lambda conn: lanes.append(conn, "main", "joined", [later], house.now))
    assert await house.retention().sweep() == 0
    assert file.exists()


async def test_the_pbxs_files_when_it_is_set(house: House) -> None:
    await house.recorded("old", 31)
    await house.recorded("young", 1)
    assert await house.retention(pbx=True).sweep() == 1
    assert (house.at_pbx("old"), house.at_pbx("young")) == (0, 3)


async def test_the_pbxs_files_where_a_hook_has_found_them(house: House) -> None:
    """And under the name that the PBX told, where there is one too; after a kill one side may be left alone."""
    await house.recorded("old", 31)
    for place in ("", "client", "employee"):
        (house.spool / "moved" / place).mkdir(exist_ok=True, parents=True)
        (house.spool / "moved" / place / "old.wav").write_bytes(b"sound")

    async def moved(conn: AsyncConnection) -> None:
        (row,) = await recordings.of_call(conn, "old")
        await recordings.found(conn, row.id, "moved/old.wav")

    await house.database.write(moved)
    (house.spool / "moved" / "client" / "old.wav").unlink()
    assert house.at_pbx("old") == 5
    assert await house.retention(pbx=True).sweep() == 1
    assert house.at_pbx("old") == 0


async def test_for_ever(house: House) -> None:
    file = await house.recorded("old", 9000)
    assert await house.retention(days=0).sweep() == 0
    assert file.exists()


@pytest.mark.slow
async def test_many_go_in_steps_and_nothing_outside_the_folder(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perezvon.service.retention.REST", 0.0)
    for number in range(120):
        await house.recorded(f"c{number}", 40)
    outside = house.ours.parent / "precious.mp3"
    outside.write_bytes(b"sound")

    async def elsewhere(conn: AsyncConnection) -> None:
        (row,) = await recordings.of_call(conn, "c7")
        await recordings.settle(conn, row.id, RecordingState.READY, file=str(outside), seconds=1.0)

    await house.database.write(elsewhere)
    assert await house.retention().sweep() == 120
    assert outside.exists()
    assert [file.name for file in house.ours.iterdir()] == ["c7-1.mp3"]
