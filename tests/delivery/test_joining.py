"""Several recordings of one call become one at the portal: waited for, joined once, joined anew only for one that came late;
parts are kept until the portal has the whole; a kill repeats at most a joining."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from call_steps import steps_of
from recording_bench import Bench, states

from perezvon.calls.call import Call, Direction, Outcome
from perezvon.calls.facts import Answered, CallEnded, CallStarted, Fact, LeftTalk, Recorded
from perezvon.delivery.joining import name_of
from perezvon.delivery.kinds import FILE
from perezvon.recordings.errors import ConverterBroken, NoSpace, NotAudio, NotThere, TooSlow
from perezvon.rules.vocabulary import Kind, Ref
from perezvon.storage import recordings
from perezvon.storage.recordings import RecordingState
from perezvon.storage.steps import State

pytestmark = pytest.mark.slow

Wait = Callable[..., Awaitable[None]]

NEW, PART, JOINED = RecordingState.NEW, RecordingState.PART, RecordingState.JOINED
READY, SPARE, MISSING = RecordingState.READY, RecordingState.SPARE, RecordingState.MISSING

RECORD = Call(
    id="c",
    direction=Direction.INCOMING,
    client="+79161234567",
    client_raw="79161234567",
    client_name="",
    line="",
    line_raw="",
    trunk="",
    started=0.0,
    answered=5.0,
    ended=35.0,
    outcome=Outcome.ANSWERED,
    duration=30.0,
    talkers=("101", "102"),
    last_talker="102",
)


def story(*recorded: tuple[str, float]) -> list[Fact]:
    """101 talks until the 15th second, 102 from the 16th, the call ends in the 35th. `recorded`: file and moment."""
    return [
        CallStarted("c", 0.0, Direction.INCOMING, "+79161234567", "79161234567", "", "", "", "", "", ""),
        *(Recorded("c", at, path) for path, at in recorded),
        Answered("c", 5.0, "101", "PJSIP/101-1"),
        LeftTalk("c", 15.0, "101"),
        Answered("c", 16.0, "102", "PJSIP/102-1"),
        CallEnded("c", 35.0, replace(RECORD, recordings=tuple(path for path, _ in recorded))),
    ]


TRANSFERRED = story(("/b.wav", 15.5), ("/a.wav", 5.0))


async def test_the_parts_of_a_call_are_joined_in_the_order_in_which_they_began(bench: Bench, run: Any, until: Wait) -> None:
    bench.answers |= {"/a.wav": [10.0], "/b.wav": [19.0]}
    await bench.end_call("/b.wav", "/a.wav", facts=TRANSFERRED)
    worker = bench.worker()
    run(worker)
    await until(lambda: states(bench, JOINED, JOINED))
    assert bench.joined == [["/a.wav", "/b.wav"]]
    (step,) = await bench.attached()
    assert step.params["CALL_ID"] == Ref(Kind.REGISTER, "CALL_ID")
    assert (step.key, step.params["FILENAME"]) == ("c:record:2+1", "c-2+1.mp3")
    assert str(step.reason) == "the PBX recorded the call in 2 parts, joined here: 20 s"
    second, first = await bench.rows()
    assert first.joined == second.joined == step.params[FILE]
    assert (first.mark, first.began, first.talkers) == (0.0, 5.0, ("101",))
    assert (second.mark, second.began, second.talkers) == (10.0, 15.5, ("102",))
    assert set(bench.queued) == {"main"}

    assert bench.files() == {"c-1.mp3", "c-2.mp3", "c-2+1.mp3"}
    await look_again(bench, worker, until)
    assert bench.files() == {"c-1.mp3", "c-2.mp3", "c-2+1.mp3"}, "the portal does not have it yet"
    await bench.portal_has(step)
    bench.now += 3600.0
    worker.notify()
    await until(lambda: states(bench, READY, READY))
    assert bench.files() == {"c-2+1.mp3"}
    assert [(row.file, row.joined) for row in await bench.rows()] == [("", str(step.params[FILE]))] * 2


async def look_again(bench: Bench, worker: Any, until: Wait) -> None:
    before = [row.attempts for row in await bench.rows()]

    async def looked() -> bool:
        return [row.attempts for row in await bench.rows()] > before

    bench.now += 3600.0
    worker.notify()
    await until(looked)


async def test_a_part_under_way_is_waited_for_however_long_it_takes(bench: Bench, run: Any, until: Wait) -> None:
    converted = asyncio.Event()
    bench.answers |= {"/a.wav": [10.0], "/b.wav": [converted, 19.0]}
    await bench.end_call("/b.wav", "/a.wav", facts=TRANSFERRED)
    worker = bench.worker()
    run(worker)

    async def held(until: float) -> bool:
        return [row.not_before for row in await bench.rows()][1] == until

    await until(lambda: held(160.0))
    bench.now = 161.0
    worker.notify()
    await until(lambda: held(221.0))
    assert await states(bench, NEW, PART)
    converted.set()
    await until(lambda: states(bench, JOINED, JOINED))
    assert len(await bench.attached()) == 1


async def test_what_is_late_is_joined_anew_and_nothing_is_cleared_before(bench: Bench, run: Any, until: Wait) -> None:
    bench.answers |= {"/a.wav": [10.0], "/b.wav": [NotThere("not yet"), NotThere("not yet"), 19.0], "/c.wav": [5.0]}
    await bench.end_call("/b.wav", "/a.wav", "/c.wav", facts=story(("/b.wav", 25.0), ("/a.wav", 5.0), ("/c.wav", 15.5)))
    worker = bench.worker(first_pause=100.0)
    run(worker)

    async def waits() -> bool:
        return [(row.state, row.not_before) for row in await bench.rows()] == [(NEW, 200.0), (PART, 160.0), (PART, 160.0)]

    await until(waits)
    bench.now = 160.0
    worker.notify()
    await until(lambda: states(bench, NEW, JOINED, JOINED))
    (first,) = await bench.attached()
    await bench.portal_has(first)
    bench.now = 199.0
    assert await states(bench, NEW, JOINED, JOINED)
    await look_again(bench, worker, until)  # /b.wav is not there at the second try either
    await until(lambda: states(bench, NEW, JOINED, JOINED))
    bench.now += 3600.0
    worker.notify()
    await until(lambda: states(bench, JOINED, JOINED, JOINED))
    assert bench.joined == [["/a.wav", "/c.wav"], ["/a.wav", "/c.wav", "/b.wav"]]
    first, second = await bench.attached()
    assert second.params["FILENAME"] == "c-2+3+1.mp3"
    await bench.portal_has(second)
    bench.now += 3600.0
    worker.notify()
    await until(lambda: states(bench, READY, READY, READY))
    assert bench.files() == {"c-2+3+1.mp3"}


async def test_what_never_comes_leaves_the_other_alone(bench: Bench, run: Any, until: Wait) -> None:
    bench.answers |= {"/a.wav": [10.0], "/b.wav": [NotThere("no such file")]}
    await bench.end_call("/b.wav", "/a.wav", facts=TRANSFERRED)
    worker = bench.worker(patience=3600.0)
    run(worker)

    async def tried() -> bool:
        return await states(bench, NEW, PART) and (await bench.rows())[0].attempts > 0

    await until(tried)
    bench.now += 61.0
    worker.notify()
    await until(lambda: states(bench, NEW, READY))
    bench.now += 3600.0
    worker.notify()
    await until(lambda: states(bench, MISSING, READY))
    (step,) = await bench.attached()
    assert (step.key, step.params["FILENAME"]) == ("c:record:2", "c-2.mp3")
    assert str(step.reason) == "the PBX recorded the call: 10 s"
    assert bench.joined == []


async def test_what_cannot_be_read_is_not_waited_for(bench: Bench, run: Any, until: Wait) -> None:
    bench.answers |= {"/a.wav": [10.0], "/b.wav": [NotAudio("a text")]}
    await bench.end_call("/a.wav", "/b.wav", facts=TRANSFERRED)
    run(bench.worker())
    await until(lambda: states(bench, READY, RecordingState.FAILED))
    assert [step.key for step in await bench.attached()] == ["c:record:1"]


async def test_of_the_same_talk_the_longer_is_attached_and_nothing_joined(bench: Bench, run: Any, until: Wait) -> None:
    """Both legs' monitors; the shorter was all there was for a while."""
    bench.answers |= {"/a.wav": [29.0], "/b.wav": [NotThere("not yet"), 30.0]}
    await bench.end_call("/a.wav", "/b.wav", facts=story(("/a.wav", 5.0), ("/b.wav", 5.2)))
    worker = bench.worker(first_pause=100.0)
    run(worker)
    await until(lambda: tried_once(bench))
    bench.now = 161.0
    worker.notify()
    await until(lambda: states(bench, READY, NEW))
    bench.now += 3600.0
    worker.notify()
    await until(lambda: states(bench, SPARE, READY))
    assert [step.params["FILENAME"] for step in await bench.attached()] == ["c-1.mp3", "c-2.mp3"]
    assert bench.joined == []
    assert [row.error for row in await bench.rows()] == ["", ""]


async def tried_once(bench: Bench) -> bool:
    rows = await bench.rows()
    return rows[0].state is PART and rows[1].attempts == 1


@pytest.mark.parametrize(
    ("errors", "tries"),
    [
        ([NotAudio("two kinds of mp3")], 1),
        ([TooSlow("hung")] * 3, 3),
        ([ConverterBroken("died"), ValueError("a defect"), TooSlow("hung")], 3),
    ],
)
async def test_when_they_cannot_be_joined_the_longest_is_attached_and_it_is_said_why(
    bench: Bench, run: Any, until: Wait, errors: list[Exception], tries: int
) -> None:
    bench.answers |= {"/a.wav": [10.0], "/b.wav": [19.0]}
    bench.joins += errors
    await bench.end_call("/b.wav", "/a.wav", facts=TRANSFERRED)
    worker = bench.worker(first_pause=0.0)
    run(worker)
    await until(lambda: states(bench, READY, SPARE))
    longest, rest = await bench.rows()
    assert (longest.error, rest.error) == ("", f"not joined with the other recordings of the call: {errors[-1]}")
    assert [step.key for step in await bench.attached()] == ["c:record:1"]
    assert len(bench.joined) == tries
    assert bench.files() == {"c-1.mp3", "c-2.mp3"}


async def test_a_full_disk_is_waited_out(bench: Bench, run: Any, until: Wait) -> None:
    bench.answers |= {"/a.wav": [10.0], "/b.wav": [19.0]}
    bench.joins += [NoSpace("no room")] * 4
    await bench.end_call("/b.wav", "/a.wav", facts=TRANSFERRED)
    run(bench.worker(first_pause=0.0))
    await until(lambda: states(bench, JOINED, JOINED))
    assert len(bench.joined) == 5
    assert [row.error for row in await bench.rows()] == ["", ""]


async def test_what_is_joined_already_stays_when_it_cannot_be_joined_with_a_late_part(
    bench: Bench, run: Any, until: Wait
) -> None:
    bench.answers |= {"/a.wav": [10.0], "/b.wav": [NotThere("not yet"), 19.0], "/c.wav": [5.0]}
    await bench.end_call("/b.wav", "/a.wav", "/c.wav", facts=story(("/b.wav", 25.0), ("/a.wav", 5.0), ("/c.wav", 15.5)))
    worker = bench.worker()
    run(worker)
    await until(lambda: states(bench, NEW, PART, PART))
    bench.now += 61.0
    bench.joins += [10.0, NotAudio("odd")]
    bench.answers["/b.wav"].insert(0, NotThere("not yet"))
    worker.notify()
    await until(lambda: states(bench, NEW, JOINED, JOINED))
    bench.now += 3600.0
    worker.notify()
    await until(lambda: states(bench, SPARE, JOINED, JOINED))
    assert len(await bench.attached()) == 1
    assert "odd" in (await bench.rows())[0].error


async def test_one_that_comes_while_the_others_are_joined_is_joined_with_them(bench: Bench, run: Any, until: Wait) -> None:
    bench.answers |= {"/a.wav": [10.0], "/b.wav": [NotThere("not yet"), 19.0], "/c.wav": [5.0]}
    await bench.end_call("/b.wav", "/a.wav", "/c.wav", facts=story(("/b.wav", 25.0), ("/a.wav", 5.0), ("/c.wav", 15.5)))
    worker = bench.worker(first_pause=100.0)
    run(worker)
    await until(lambda: states(bench, NEW, PART, PART))
    joining = asyncio.Event()
    bench.joins.append(joining)
    bench.now = 161.0
    worker.notify()

    async def under_way() -> bool:
        return len(bench.joined) == 1

    await until(under_way)
    bench.now = 201.0
    worker.notify()
    await until(lambda: states(bench, PART, PART, PART))
    joining.set()
    await until(lambda: states(bench, JOINED, JOINED, JOINED))
    assert [step.params["FILENAME"] for step in await bench.attached()] == ["c-2+3+1.mp3"]
    assert "c-2+3.mp3" not in bench.files()


async def test_a_killed_joining_is_done_again_and_queued_once(bench: Bench, until: Wait) -> None:
    bench.answers |= {"/a.wav": [10.0], "/b.wav": [19.0]}
    bench.joins.append(asyncio.Event())
    await bench.end_call("/b.wav", "/a.wav", facts=TRANSFERRED)
    killed = asyncio.create_task(bench.worker().run())

    async def under_way() -> bool:
        return len(bench.joined) == 1

    await until(under_way)
    killed.cancel()
    await asyncio.wait([killed])
    assert await states(bench, PART, PART)
    again = asyncio.create_task(bench.worker().run())
    await until(lambda: states(bench, JOINED, JOINED))
    again.cancel()
    await asyncio.wait([again])
    assert len(await bench.attached()) == 1
    assert len(bench.asked) == 2


async def test_parts_stay_when_the_portal_refuses_the_whole(bench: Bench, run: Any, until: Wait) -> None:
    bench.answers |= {"/a.wav": [10.0], "/b.wav": [19.0]}
    await bench.end_call("/b.wav", "/a.wav", facts=TRANSFERRED)
    worker = bench.worker()
    run(worker)
    await until(lambda: states(bench, JOINED, JOINED))
    await bench.portal_has((await bench.attached())[0], State.DEAD)
    bench.now += 60.0
    worker.notify()
    await until(lambda: states(bench, READY, READY))
    assert bench.files() == {"c-1.mp3", "c-2.mp3", "c-2+1.mp3"}


async def test_a_call_without_a_journal_loses_nothing(bench: Bench, run: Any, until: Wait) -> None:
    bench.answers |= {"/a.wav": [10.0], "/b.wav": [19.0]}
    await bench.end_call("/b.wav", "/a.wav")
    run(bench.worker())
    await until(lambda: states(bench, JOINED, JOINED))
    assert bench.joined == [["/b.wav", "/a.wav"]]


async def test_parts_of_a_call_that_was_not_reported_stay_here(bench: Bench, run: Any, until: Wait) -> None:
    bench.answers |= {"/a.wav": [10.0], "/b.wav": [19.0]}
    await bench.end_call("/b.wav", "/a.wav", drafts=(), facts=TRANSFERRED)
    run(bench.worker())
    await until(lambda: states(bench, SPARE, SPARE))
    assert await steps_of(bench.database, "c") == []


async def test_names_stay_short_and_tell_different_recordings_apart(bench: Bench) -> None:
    await bench.end_call(*(f"/{number}.wav" for number in range(60)))
    rows = await bench.rows()
    assert name_of(rows[:3]) == "1+2+3"
    assert len(name_of(rows)) < 30
    assert name_of(rows) != name_of(rows[:-1]) != name_of(list(reversed(rows)))
    async with bench.database.read() as conn:
        assert len(await recordings.due(conn, bench.now, 100)) == 60
