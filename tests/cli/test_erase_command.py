"""`perezvon erase`: nothing of the client is left here, in no form; and it says what is left elsewhere."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from typer.testing import CliRunner, Result

from perezvon.calls.call import Direction, Party
from perezvon.calls.facts import CallStarted, JoinedConference
from perezvon.cli import app
from perezvon.cli.exits import Exit
from perezvon.delivery.kinds import FILE
from perezvon.rules.vocabulary import Kind, Priority, Reason, StepDraft
from perezvon.storage import Database, calls, clicks, counters, journal, lanes, menus, recordings
from perezvon.storage.calls import StoredCall
from perezvon.storage.clicks import Click
from perezvon.storage.recordings import RecordingState
from perezvon.storage.schema import call, fact, lane, recording, step
from perezvon.storage.steps import Settled, State

pytestmark = pytest.mark.slow

CLIENT, OTHER = "+79161234567", "+79169999999"
DIGITS = "9161234567"


def perezvon(*arguments: object, stdin: str = "") -> Result:
    return CliRunner(env={"LC_ALL": "C.UTF-8"}).invoke(app, [str(argument) for argument in arguments], input=stdin)


class House:
    """An installation with two calls of the client and one of another, in which the client was the third person."""

    def __init__(self, folder: Path) -> None:
        self.data, self.spool = folder / "data", folder / "spool"
        self.ours = self.data / "recordings" / "2026/11/21"
        settings = f"""
            [[asterisk]]
            name = "office"
            ami = "tcp://perezvon:hunter2@127.0.0.1:9"
            recordings = "{self.spool}"
            [[portal]]
            name = "main"
            webhook = "http://127.0.0.1:9/rest/7/hunter3/"
            """
        assert perezvon("config", "apply", "-", "--data-dir", self.data, stdin=settings).exit_code == Exit.OK
        for place in (self.ours, self.spool):
            place.mkdir(parents=True)
        asyncio.run(self._fill())

    async def _fill(self) -> None:
        async with await Database.open(self.data) as database:
            await database.write(self._rows)

    async def _rows(self, conn: AsyncConnection) -> None:
        for name, client in (("one", CLIENT), ("two", CLIENT), ("three", OTHER)):
            digits = client.removeprefix("+")
            pbx_name = f"in-74950000101-{digits}-{name}.wav"
            state: dict[str, Any] = {"client": client, "recordings": [pbx_name], "third_parties": [CLIENT]}
            row = StoredCall(name, "office", Direction.INCOMING, 1.0, False, "main", client, state=state)
            await calls.save(conn, [row])
            told: list[Any] = [
                CallStarted(name, 1.0, Direction.INCOMING, client, digits, "Иванов", "", "", "", "", ""),
                JoinedConference(name, 2.0, "1.2", Party.THIRD_PARTY, CLIENT, f"PJSIP/carrier-{digits}"),
            ]
            await journal.append(
                conn, told, 1.0, [(name, Reason("client {client} in the conference", {"client": CLIENT}), [])]
            )
            mp3 = self.ours / f"{name}-1.mp3"
            for file in (mp3, self.spool / pbx_name, self.spool / f"private-1-{digits}-{name}.wav"):
                file.write_bytes(b"sound")
            await recordings.add(conn, pbx="office", portal="main", paths=[(name, pbx_name)], now=1.0)
            (kept,) = await recordings.of_call(conn, name)
            await recordings.settle(conn, kept.id, RecordingState.READY, file=str(mp3), seconds=3.0)
            drafts = [
                StepDraft(f"{name}:register", Kind.REGISTER, {"PHONE_NUMBER": client}, Priority.CARD, Reason("because")),
                StepDraft(f"{name}:finish", Kind.FINISH, {"CALL_ID": f"ext.{name}"}, Priority.FINISH, Reason("because")),
                StepDraft(f"{name}:record:1", Kind.ATTACH_RECORD, {FILE: str(mp3)}, Priority.RECORD, Reason("because")),
            ]
            await lanes.append(conn, "main", name, drafts, 1.0)
            results = [{"CALL_ID": f"ext.{name}"}, {"CALL_ID": f"ext.{name}", "CRM_ACTIVITY_ID": 77}, {"FILE_ID": 99}]
            for made, result in zip((await lanes.load(conn, [name]))[name], results, strict=True):
                await lanes.settle(conn, [Settled(made.id, State.DONE, result)], 1.0)
        await clicks.take(conn, Click("main", "ext.click", "1", CLIENT, 1.0))
        await counters.bump(conn, f"unmapped:main:7{DIGITS}", 1.0)
        await menus.replace_codes(conn, {"15": CLIENT, "16": OTHER}, 1.0)

    def leftovers(self) -> list[str]:
        """Files of the data directory in which the number stands, in any form."""
        found = [file for file in self.data.rglob("*") if file.is_file() and DIGITS.encode() in file.read_bytes()]
        return [str(file.relative_to(self.data)) for file in found]

    def rows(self) -> dict[str, int]:
        async def look() -> dict[str, int]:
            async with await Database.open(self.data, own=False) as database, database.read() as conn:
                tables = (call, fact, step, lane, recording)
                return {
                    one.name: (await conn.execute(select(func.count()).select_from(one))).scalar_one() for one in tables
                }

        return asyncio.run(look())


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_dry_run_changes_nothing_and_tells_all(house: House) -> None:
    before, files = house.rows(), len(list(house.spool.iterdir()))
    done = perezvon("erase", "--client", "8 (916) 123-45-67", "--dry-run", "--json", "--data-dir", house.data)
    assert done.exit_code == Exit.OK, done.output
    told = json.loads(done.stdout)
    assert (told["client"], told["erased"], sorted(told["calls"])) == (CLIENT, False, ["one", "two"])
    assert [Path(file).name for file in told["files"]] == ["one-1.mp3", "two-1.mp3"]
    assert len(told["pbx_files"]) == 4
    assert told["entries"]["click"] == 1
    assert told["portal"][0] == {"portal": "main", "call": "ext.one", "activity": "77", "entity": "", "file": "99"}
    assert (house.rows(), len(list(house.spool.iterdir()))) == (before, files)


def test_nothing_is_left_here(house: House) -> None:
    assert house.leftovers()
    done = perezvon("erase", "--client", CLIENT, "--yes", "--pbx-files", "--data-dir", house.data)
    assert done.exit_code == Exit.OK, done.output
    assert "activity 77" in done.stdout
    assert "journalctl" in done.stdout
    assert house.leftovers() == []
    assert house.rows() == {"call": 1, "fact": 3, "step": 3, "lane": 1, "recording": 1}
    assert [file.name for file in house.ours.iterdir()] == ["three-1.mp3"]
    assert sorted(file.name for file in house.spool.iterdir()) == [
        "in-74950000101-79169999999-three.wav",
        "private-1-79169999999-three.wav",
    ]
    again = perezvon("erase", "--client", CLIENT, "--yes", "--json", "--data-dir", house.data)
    assert json.loads(again.stdout)["calls"] == []


def test_what_a_hook_has_found_elsewhere_goes_with_both_sides(house: House) -> None:
    """Files whose names do not tell his number."""

    async def moved(conn: AsyncConnection) -> None:
        await recordings.add(conn, pbx="office", portal="main", paths=[("one", "1795251052.12.wav")], now=1.0)
        kept = (await recordings.of_call(conn, "one"))[-1]
        await recordings.found(conn, kept.id, "moved/talk.wav")
        await recordings.settle(conn, kept.id, RecordingState.READY)

    async def more() -> None:
        async with await Database.open(house.data) as database:
            await database.write(moved)

    asyncio.run(more())
    for name in ("talk.wav", "client/talk.wav", "employee/talk.wav", "of-another.wav"):
        file = house.spool / "moved" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"sound")
    done = perezvon("erase", "--client", CLIENT, "--yes", "--pbx-files", "--data-dir", house.data)
    assert done.exit_code == Exit.OK, done.output
    assert [file.name for file in (house.spool / "moved").rglob("*.wav")] == ["of-another.wav"]


def test_the_pbxs_files_stay_unless_wanted(house: House) -> None:
    done = perezvon("erase", "--client", CLIENT, "--yes", "--data-dir", house.data)
    assert "4 recordings on the PBX (--pbx-files)" in done.stdout
    assert len(list(house.spool.iterdir())) == 6
    assert house.leftovers() == []


def test_whoever_says_no_keeps_all(house: House) -> None:
    before = house.rows()
    done = CliRunner().invoke(app, ["erase", "--client", CLIENT, "--data-dir", str(house.data)], input="n\n")
    assert done.exit_code == Exit.OK, done.output
    assert house.rows() == before


@pytest.mark.parametrize("held", [False, True])
def test_what_is_on_its_way_is_left_and_told(house: House, held: bool) -> None:
    """`held`: for a hook."""

    async def more() -> None:
        async with await Database.open(house.data) as database:
            late = StepDraft("two:late", Kind.ATTACH_RECORD, {"CALL_ID": "x"}, Priority.RECORD, Reason("because"))
            late = replace(late, held=held)
            await database.write(lambda conn: lanes.append(conn, "main", "two", [late], 1.0))

    asyncio.run(more())
    done = perezvon("erase", "--client", CLIENT, "--yes", "--json", "--data-dir", house.data)
    assert done.exit_code == Exit.PROBLEM
    told = json.loads(done.stdout)
    assert (told["calls"], told["waiting"]) == (["one"], ["two"])
    done = perezvon("erase", "--client", CLIENT, "--yes", "--force", "--data-dir", house.data)
    assert done.exit_code == Exit.OK, done.output
    assert house.leftovers() == []


@pytest.mark.parametrize("number", ["", "101", "%", "abc", "12345"])
def test_no_number_of_a_client(house: House, number: str) -> None:
    done = perezvon("erase", "--client", number, "--yes", "--data-dir", house.data)
    assert done.exit_code == Exit.USAGE
    assert house.rows()["call"] == 3
