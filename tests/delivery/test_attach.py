"""Recordings on their way to the portal: waited for, tried again, attached once; several of a call are joined."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from call_steps import finish, steps_of
from recording_bench import Bench, states

from perezvon.delivery.kinds import FILE
from perezvon.recordings.errors import EmptyRecording, NotAudio, NotThere
from perezvon.rules.vocabulary import Kind, Ref
from perezvon.storage import recordings
from perezvon.storage.recordings import Recording, RecordingState

Wait = Callable[..., Awaitable[None]]


async def test_a_recording_is_converted_and_queued_in_the_calls_lane(bench: Bench, run: Any, until: Wait) -> None:
    bench.answers["/a.wav"] = [12.4]
    worker = bench.worker()
    run(worker)
    await bench.end_call("/a.wav")
    worker.notify()
    await until(lambda: states(bench, RecordingState.READY))
    step = (await steps_of(bench.database, "c"))[-1]
    assert step.kind is Kind.ATTACH_RECORD
    assert step.params["CALL_ID"] == Ref(Kind.REGISTER, "CALL_ID")
    assert step.params["FILENAME"] == "c-1.mp3"
    assert step.params[FILE] == str(bench.folder / "1970/01/01/c-1.mp3")
    assert str(step.reason) == "the PBX recorded the call: 12 s"
    assert bench.asked == [("office", "/a.wav")]
    assert bench.queued == ["main"]


async def test_a_click_on_a_number_keeps_the_portals_id(bench: Bench, run: Any, until: Wait) -> None:
    bench.answers["/a.wav"] = [1.0]
    await bench.end_call("/a.wav", drafts=(finish("c", call_id="externalCall.9"),))
    run(bench.worker())
    await until(lambda: states(bench, RecordingState.READY))
    assert (await steps_of(bench.database, "c"))[-1].params["CALL_ID"] == "externalCall.9"


async def test_what_is_not_there_yet_is_tried_again_and_told(bench: Bench, run: Any, until: Wait) -> None:
    bench.answers["/a.wav"] = [NotThere("no /a.wav in /spool"), NotThere("no /a.wav in /spool"), 3.0]
    worker = bench.worker(first_pause=5.0)
    await bench.end_call("/a.wav")
    run(worker)

    async def postponed(attempts: int) -> bool:
        return (await bench.rows())[0].attempts == attempts

    await until(lambda: postponed(1))
    (row,) = await bench.rows()
    assert (row.state, row.error, row.not_before) == (RecordingState.NEW, "no /a.wav in /spool", 105.0)
    bench.now = 106.0
    worker.notify()
    await until(lambda: postponed(2))
    assert (await bench.rows())[0].not_before == 116.0
    bench.now = 116.0
    worker.notify()
    await until(lambda: states(bench, RecordingState.READY))
    assert (await bench.rows())[0].error == ""


@pytest.mark.parametrize(
    ("error", "later", "state"),
    [
        (NotThere("no such file"), 3600.0, RecordingState.MISSING),
        (NotAudio("it is a text"), 0.0, RecordingState.FAILED),
        (ValueError("a defect"), 3600.0, RecordingState.MISSING),
    ],
)
async def test_what_never_comes_is_given_up_visibly(
    bench: Bench, run: Any, until: Wait, error: Exception, later: float, state: RecordingState
) -> None:
    bench.answers["/a.wav"] = [error]
    await bench.end_call("/a.wav")
    bench.now += later
    run(bench.worker(patience=3600.0))
    await until(lambda: states(bench, state))
    (row,) = await bench.rows()
    assert str(error) in row.error
    assert [step.kind for step in await steps_of(bench.database, "c")] == [Kind.REGISTER, Kind.FINISH]
    assert bench.queued == []


async def test_a_defect_with_one_is_told_and_the_next_goes_on(bench: Bench, run: Any, until: Wait) -> None:
    def link_text(recording: Recording) -> str:
        if recording.call == "c":
            raise ValueError("a defect")
        return "here"

    bench.answers = {"/a.wav": [3.0], "/b.wav": [3.0]}
    await bench.end_call("/a.wav", mode="link")
    worker = bench.worker(patience=3600.0, link_text=link_text)
    run(worker)
    await until(lambda: told(bench))
    assert (await bench.rows())[0].state is RecordingState.NEW
    await bench.end_call("/b.wav", call="d", mode="link")
    worker.notify()
    await until(lambda: ready(bench, "d"))
    assert len(await bench.attached()) == 0


async def told(bench: Bench) -> bool:
    return any("a defect" in row.error for row in await bench.rows())


async def ready(bench: Bench, call: str) -> bool:
    return [row.state for row in await bench.rows(call)] == [RecordingState.READY]


@pytest.mark.parametrize(("talk", "state"), [(1.2, RecordingState.SPARE), (12.0, RecordingState.FAILED)])
async def test_nothing_recorded_of_a_word_or_two_is_no_trouble(
    bench: Bench, run: Any, until: Wait, talk: float, state: RecordingState
) -> None:
    bench.answers["/a.wav"] = [EmptyRecording("/a.wav has 0.00 s of sound")]
    bench.answers["/b.wav"] = [3.0]
    await bench.end_call("/a.wav", "/b.wav", talk=talk)
    run(bench.worker())
    await until(lambda: states(bench, state, RecordingState.READY))
    assert (await bench.rows())[0].error == "/a.wav has 0.00 s of sound"
    assert len(await bench.attached()) == 1


async def test_a_call_that_was_not_reported_keeps_its_recording_here(bench: Bench, run: Any, until: Wait) -> None:
    bench.answers["/a.wav"] = [3.0]
    await bench.end_call("/a.wav", drafts=())
    run(bench.worker())
    await until(lambda: states(bench, RecordingState.SPARE))
    assert (await bench.rows())[0].error == "the call was not reported to the portal"


async def test_many_at_once_are_bounded_and_all_done(bench: Bench, run: Any, until: Wait) -> None:
    for number in range(80):
        bench.answers[f"/{number}.wav"] = [1.0]
        await bench.end_call(f"/{number}.wav", call=f"c{number}")
    run(bench.worker())

    async def all_ready() -> bool:
        async with bench.database.read() as conn:
            return await recordings.count(conn) == {RecordingState.READY: 80}

    await until(all_ready)
    assert len(bench.asked) == 80
    assert bench.most_at_once <= 32
