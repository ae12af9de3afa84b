"""Recordings that stay here: the address that the portal gets; pauses that are silence; names that nobody has told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from call_steps import steps_of
from recording_bench import Bench, states

from perezvon.calls.facts import Recorded, RecordingPaused
from perezvon.delivery import prepare
from perezvon.delivery.joining import subject_of
from perezvon.delivery.kinds import LINK
from perezvon.delivery.prepare import CannotPrepare
from perezvon.delivery.runs import Move, plan_run
from perezvon.recordings.errors import EmptyRecording, NotThere
from perezvon.rules.vocabulary import Kind, Reason, Ref, StepDraft
from perezvon.storage import lanes
from perezvon.storage.recordings import RecordingState
from perezvon.storage.steps import Settled, State, Step

Wait = Callable[..., Awaitable[None]]


async def ready(bench: Bench, until: Wait) -> Step:
    await until(lambda: states(bench, RecordingState.READY))
    return (await steps_of(bench.database, "c"))[-1]


async def test_the_address_is_made_when_it_is_sent(bench: Bench, run: Any, until: Wait) -> None:
    bench.answers["/a.wav"] = [12.4]
    await bench.end_call("/a.wav", mode="link")
    run(bench.worker())
    step = await ready(bench, until)
    (row,) = await bench.rows()
    assert step.kind is Kind.ATTACH_RECORD
    assert (step.params["FILENAME"], step.params[LINK]) == ("c-1.mp3", subject_of(row))
    register = Settled((await steps_of(bench.database, "c"))[0].id, State.DONE, {"CALL_ID": "externalCall.1"})
    await bench.database.write(lambda conn: lanes.settle(conn, [register], bench.now))
    steps = await steps_of(bench.database, "c")
    command = prepare.command(Move(steps[-1]), steps, (), lambda subject: f"https://pbx/recordings/{subject}.x")
    assert command.params == {
        "CALL_ID": "externalCall.1",
        "FILENAME": "c-1.mp3",
        "RECORD_URL": f"https://pbx/recordings/{subject_of(row)}.x",
    }
    assert not prepare.is_large(step, 0), "the file itself is not sent"
    with pytest.raises(CannotPrepare, match="public_url"):
        prepare.command(Move(steps[-1]), steps, ())


async def test_the_address_in_the_activity(bench: Bench, run: Any, until: Wait) -> None:
    bench.answers["/a.wav"] = [12.4]
    await bench.end_call("/a.wav", mode="link")
    run(bench.worker(link_text=lambda row: f"Recording: {subject_of(row)}"))
    step = await ready(bench, until)
    assert step.kind is Kind.DESCRIBE
    assert step.params["id"] == Ref(Kind.FINISH, "CRM_ACTIVITY_ID", "c:finish")
    assert step.params["fields"] == {"DESCRIPTION": f"Recording: {subject_of((await bench.rows())[0])}"}
    assert await bench.attached() == []


async def test_two_texts_are_written_into_an_activity_one_after_the_other(bench: Bench) -> None:
    """Each reads what stands there and adds to it: together the second would undo the first."""

    def told(number: int) -> StepDraft:
        params = {"id": Ref(Kind.FINISH, "CRM_ACTIVITY_ID", "c:finish"), "fields": {"DESCRIPTION": str(number)}}
        return StepDraft(f"c:describe:{number}", Kind.DESCRIBE, params, 20, Reason("because"))  # pyright: ignore[reportArgumentType]

    await bench.end_call()
    await bench.database.write(lambda conn: lanes.append(conn, "main", "c", [told(1), told(2)], bench.now))
    done = [
        Settled(step.id, State.DONE, {"CALL_ID": "x", "CRM_ACTIVITY_ID": 7})
        for step in (await steps_of(bench.database, "c"))[:2]
    ]
    await bench.database.write(lambda conn: lanes.settle(conn, done, bench.now))
    steps = await steps_of(bench.database, "c")
    planned = plan_run("c", steps, bench.now, paused={}, large=lambda _: False)
    assert [move.step.key for move in planned.moves] == ["c:describe:1"]


PAUSED = [
    Recorded("c", 10.0, "/a.wav"),
    RecordingPaused("c", 20.0, True, "101"),
    RecordingPaused("c", 27.5, False, "101"),
    Recorded("c", 27.6, "/b.wav"),
]


async def test_a_pause_is_a_gap(bench: Bench, run: Any, until: Wait) -> None:
    bench.answers |= {"/a.wav": [10.0], "/b.wav": [5.0]}
    await bench.end_call("/a.wav", "/b.wav", facts=PAUSED)
    run(bench.worker())
    await until(lambda: states(bench, RecordingState.JOINED, RecordingState.JOINED))
    assert bench.joined == [["/a.wav", "/b.wav"]]
    assert bench.gaps == [(0.0, 7.5)]


async def test_other_parts_have_no_gaps(bench: Bench, run: Any, until: Wait) -> None:
    bench.answers |= {"/a.wav": [10.0], "/b.wav": [5.0]}
    facts = [Recorded("c", 10.0, "/a.wav"), Recorded("c", 21.0, "/b.wav")]
    await bench.end_call("/a.wav", "/b.wav", facts=facts)
    run(bench.worker())
    await until(lambda: states(bench, RecordingState.JOINED, RecordingState.JOINED))
    assert bench.gaps == [()]


async def test_nothing_after_a_pause_is_no_trouble(bench: Bench, run: Any, until: Wait) -> None:
    """Hung up in the moment in which the recording went on."""
    bench.answers |= {"/a.wav": [10.0], "/b.wav": [EmptyRecording("/b.wav is empty")]}
    await bench.end_call("/a.wav", "/b.wav", facts=PAUSED)
    run(bench.worker())
    await until(lambda: states(bench, RecordingState.READY, RecordingState.SPARE))
    assert len(await bench.attached()) == 1


async def test_the_names_are_found_and_all_are_taken(bench: Bench, run: Any, until: Wait) -> None:
    bench.answers |= {"one.wav": [10.0], "two.wav": [5.0]}

    async def look(pbx: str, path: str) -> Sequence[str]:
        assert (pbx, path) == ("office", "layout:*1.2.*")
        return ["one.wav", "two.wav"]

    await bench.end_call("layout:*1.2.*")
    run(bench.worker(look=look))
    await until(lambda: states(bench, RecordingState.JOINED, RecordingState.JOINED))
    assert [row.path for row in await bench.rows()] == ["one.wav", "two.wav"]


async def test_a_call_that_was_not_recorded_is_no_trouble(bench: Bench, run: Any, until: Wait) -> None:
    async def look(pbx: str, path: str) -> Sequence[str]:
        raise NotThere("no recording of the call")

    await bench.end_call("layout:*1.2.*")
    worker = bench.worker(look=look)
    run(worker)

    async def tried() -> bool:
        return (await bench.rows())[0].attempts == 1

    await until(tried)
    bench.now += 1000
    worker.notify()
    await until(lambda: states(bench, RecordingState.SPARE))
    assert (await bench.rows())[0].error == ""
