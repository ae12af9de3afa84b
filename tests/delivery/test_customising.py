"""Steps that are held for a hook, and what hooks make of CRM objects and recordings: with the pretend portal, real hooks,
lost answers and kills in between."""

from __future__ import annotations

import asyncio
import textwrap
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from call_steps import finish, put, record, register, states, steps_of, stored
from direct_portal import KILL, DirectPortal
from missed_calls import missed_call, tasks
from missed_calls import rules as missed_rules
from recording_bench import Bench

from perezvon.bitrix24.errors import Ambiguous, NotFound
from perezvon.calls.call import Direction
from perezvon.calls.facts import Recorded
from perezvon.customisation import Customiser, Limits
from perezvon.delivery import Sender
from perezvon.delivery.customising import Customising
from perezvon.delivery.entity import GONE, NO_ENTITY
from perezvon.delivery.kinds import LINK
from perezvon.delivery.prepare import command
from perezvon.delivery.runs import Move, plan_run
from perezvon.recordings import Converted
from perezvon.rules.vocabulary import Kind, Priority, Reason, Ref, StepDraft
from perezvon.sandbox.portal.crm import Entity
from perezvon.service.missed import follow
from perezvon.storage import Database, calls, journal, lanes
from perezvon.storage.calls import StoredCall
from perezvon.storage.recordings import Recording, RecordingState
from perezvon.storage.steps import State

DONE, DEAD, SKIPPED, NEW, HELD, UNSURE = State.DONE, State.DEAD, State.SKIPPED, State.NEW, State.HELD, State.UNSURE
MP3 = Path(__file__).parent / "beep.mp3"
TITLE = "def customize_entity(data): return {'title': data['entity']['fields']['title'] + ' / ' + data['call']['line']}"

Start = Callable[..., Sender]


def entity(call: str = "c") -> StepDraft:
    params = {"id": Ref(Kind.FINISH, "CRM_ENTITY_ID", f"{call}:finish")}
    return StepDraft(f"{call}:finish:entity", Kind.ENTITY, params, Priority.CRM, Reason("because of the test"))


def call(**more: Any) -> list[StepDraft]:
    return [register("c", CRM_CREATE=1, **more), finish("c"), entity()]


async def keep(database: Database, name: str = "c") -> None:
    row = StoredCall(
        name, "office", Direction.INCOMING, 1.0, live=False, portal="main", state={"id": name, "line": "+7495"}
    )
    await database.write(lambda conn: calls.save(conn, [row]))


def lead_of(portal: DirectPortal) -> Entity:
    (made,) = portal.calls()
    lead = portal.state.crm.get("LEAD", made.crm_id)
    assert lead is not None
    return lead


async def told(database: Database, name: str = "c") -> list[str]:
    async with database.read() as conn:
        return [reason for _at, reason, _keys in await journal.decisions(conn, name)]


Hooked = Callable[[str], Awaitable[Customiser]]


@pytest.fixture
async def hooked(tmp_path: Path) -> AsyncIterator[Hooked]:
    opened: list[Customiser] = []
    folder = tmp_path / "hooks"
    folder.mkdir()

    async def make(source: str) -> Customiser:
        (folder / "hooks.py").write_text(textwrap.dedent(source), encoding="utf-8")
        customiser = Customiser(folder, Limits(ordinary=2.0, urgent=2.0))
        opened.append(customiser)
        await customiser.open()
        assert customiser.status().troubles == ()
        return customiser

    yield make
    for customiser in opened:
        await customiser.close()


@asynccontextmanager
async def asking(database: Database, customiser: Customiser, start: Start) -> AsyncIterator[tuple[Customising, Sender]]:
    """A sender, and whoever asks the hooks of its steps."""
    released: list[Sender] = []
    customising = Customising(database, customiser, ["main"], lambda _portal: released[0].notify())
    sender = start(told=customising.told)
    released.append(sender)
    running = asyncio.create_task(customising.run())
    try:
        yield customising, sender
    finally:
        running.cancel()
        await asyncio.wait([running])


async def until_states(database: Database, *wanted: State) -> None:
    async with asyncio.timeout(20):
        while await states(database, "c") != list(wanted):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_new_lead_is_changed_as_the_hook_wants(
    database: Database, portal: DirectPortal, start: Start, hooked: Hooked
) -> None:
    customiser = await hooked(
        """
        def customize_entity(data):
            entity = data["entity"]
            assert entity["type"] == "lead" and entity["is_new"] and entity["id"] == entity["fields"]["id"]
            return {"title": entity["fields"]["title"] + "!", "utmSource": data["call"]["line"], "assignedById": 1}
        """
    )
    await keep(database)
    await put(database, "c", *call())
    async with asking(database, customiser, start):
        await until_states(database, DONE, DONE, DONE)
    lead = lead_of(portal)
    assert lead.text("TITLE").endswith("!")
    assert lead.text("UTM_SOURCE") == "+7495"
    assert portal.executed()["update"] == 1
    (note,) = await told(database)
    assert note.startswith("customisation customize_entity: + title:")


async def test_an_answer_that_was_lost_changes_nothing_twice(
    database: Database, portal: DirectPortal, start: Start, hooked: Hooked
) -> None:
    """The hook adds to what is there: it must not see its own work."""
    customiser = await hooked(TITLE)
    await keep(database)
    await put(database, "c", *call()[:2])
    async with asking(database, customiser, start) as (_customising, sender):
        await until_states(database, DONE, DONE)
        portal.after.extend([None, lambda: Ambiguous("no answer")])
        await put(database, "c", call()[2])
        sender.notify()
        await until_states(database, DONE, DONE, DONE)
    lead = lead_of(portal)
    assert lead.text("TITLE").count(" / +7495") == 1
    assert portal.executed()["update"] == 2


async def test_killed_at_each_stage_it_goes_on_where_it_was(
    database: Database, portal: DirectPortal, start: Start, hooked: Hooked
) -> None:
    customiser = await hooked(TITLE)
    await keep(database)
    await put(database, "c", *call())
    portal.after.extend([None, KILL])  # it has read, and nobody is told
    async with asking(database, customiser, start) as (_customising, sender):
        await portal.killed.wait()
        await sender.stop(0.0)
    portal.killed.clear()
    sender = start()  # nobody asks the hooks
    await until_states(database, DONE, DONE, HELD)
    await sender.stop(0.0)
    portal.after.extend([KILL])
    async with asking(database, customiser, start) as (_customising, sender):
        await portal.killed.wait()
        await sender.stop(0.0)
    async with asking(database, customiser, start):
        await until_states(database, DONE, DONE, DONE)
    lead = lead_of(portal)
    assert lead.text("TITLE").count(" / +7495") == 1


@pytest.mark.parametrize(
    ("source", "note"),
    [
        ("def customize_entity(data): return None", "cancelled by customisation: customize_entity"),
        ("def customize_entity(data): return {}", "cancelled by customisation: customize_entity"),
        ("def customize_entity(data): 1/0", "ZeroDivisionError"),
        ("def customize_entity(data): return {'id': 7}", "id cannot be changed"),
        ("def post_registration(data): pass", "customize_entity is not asked any more"),
    ],
)
async def test_nothing_is_written_where_the_hook_does_not_want_it(
    database: Database, portal: DirectPortal, start: Start, hooked: Hooked, source: str, note: str
) -> None:
    customiser = await hooked(source)
    await keep(database)
    await put(database, "c", *call())
    async with asking(database, customiser, start):
        await until_states(database, DONE, DONE, SKIPPED)
    step = (await steps_of(database, "c"))[2]
    assert note in str(step.note)
    assert portal.executed()["update"] == 0


async def test_a_call_without_an_object_in_the_crm(database: Database, start: Start, hooked: Hooked) -> None:
    customiser = await hooked(TITLE)
    await keep(database)
    await put(database, "c", register("c"), finish("c"), entity())
    async with asking(database, customiser, start):
        await until_states(database, DONE, DONE, SKIPPED)
    assert (await steps_of(database, "c"))[2].note == NO_ENTITY


async def test_an_object_that_was_deleted_meanwhile(
    database: Database, portal: DirectPortal, start: Start, hooked: Hooked
) -> None:
    customiser = await hooked(TITLE)
    await keep(database)
    await put(database, "c", *call()[:2])
    async with asking(database, customiser, start) as (_customising, sender):
        await until_states(database, DONE, DONE)
        portal.inside.append(lambda: NotFound("Item not found"))
        portal.before.append(lambda: NotFound("Item not found"))
        await put(database, "c", call()[2])
        sender.notify()
        await until_states(database, DONE, DONE, SKIPPED)
    assert (await steps_of(database, "c"))[2].note == GONE


def test_while_it_is_held_nothing_of_it_is_sent_and_others_are() -> None:
    held = {"type": "LEAD", "id": 5, "is_new": True, "found": {}}
    finished = (DONE, {"CRM_ENTITY_TYPE": "LEAD", "CRM_ENTITY_ID": 5, "CALL_ID": "x"})
    steps = stored([*call(), record("c", MP3)], (DONE, {"CALL_ID": "x"}), finished, (HELD, held), NEW)
    run = plan_run("c", steps, 1000.0, paused={}, large=lambda step: False)
    assert [move.step.kind for move in run.moves] == [Kind.ATTACH_RECORD]
    known = [*steps[:2], replace(steps[2], state=UNSURE, result={**held, "fields": {"title": "t"}}), steps[3]]
    run = plan_run("c", known, 1000.0, paused={}, large=lambda step: False)
    assert [move.method for move in run.moves] == ["crm.item.update", "telephony.externalCall.attachRecord"]


async def test_the_hook_after_a_registration_is_asked_once(
    database: Database, start: Start, hooked: Hooked, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    customiser = await hooked(
        f"""
        def post_registration(data):
            with open({str(seen)!r}, "a") as file:
                print(data["registration"]["CALL_ID"], data["params"]["PHONE_NUMBER"], data["call"]["id"], file=file)
        """
    )
    await keep(database)
    await put(database, "c", register("c"), finish("c"))
    async with asking(database, customiser, start):
        await until_states(database, DONE, DONE)
        async with asyncio.timeout(10):
            while not seen.exists() or not seen.read_text().endswith("\n"):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    (line,) = seen.read_text().splitlines()
    assert line.startswith("externalCall.")
    assert line.endswith(" c")


# ---- recordings


@pytest.mark.parametrize(
    ("source", "name", "state"),
    [
        ("def customize_attach_record_url(data): return data['params'] | {'FILENAME': 'talk.mp3'}", "talk.mp3", DONE),
        ("def customize_attach_record_url(data): return None", None, SKIPPED),
        ("def customize_attach_record_url(data): return {'FILENAME': '../../etc/passwd'}", "c.mp3", DONE),
        ("def customize_attach_record_url(data): return data['params'] | {'@file': '/etc/passwd', 'CALL_ID': 'x'}", "c.mp3", DONE),
    ],
)  # fmt: skip
async def test_a_recording_is_attached_as_the_hook_wants(
    database: Database, portal: DirectPortal, start: Start, hooked: Hooked, source: str, name: str | None, state: State
) -> None:
    customiser = await hooked(source)
    await keep(database)
    async with asking(database, customiser, start) as (customising, sender):
        draft = customising.hold(record("c", MP3))
        assert draft.held
        await put(database, "c", register("c"), finish("c"), draft)
        customising.notify()
        sender.notify()
        await until_states(database, DONE, DONE, state)
    recording = portal.calls()[0].recording
    assert (recording.name if recording else None) == name
    assert recording is None or recording.decodes


@pytest.mark.parametrize(
    ("source", "sent"),
    [
        ("return data['params'] | {'FILENAME': 'talk.mp3'}", ("talk.mp3", "https://here/5.ab?anew")),
        ("return data['params'] | {'RECORD_URL': 'https://archive/' + data['call']['id']}", ("c.mp3", "https://archive/c")),
        ("return data['params'] | {'RECORD_URL': 'file:///etc/passwd'}", ("c.mp3", "https://here/5.ab?anew")),
    ],
)
async def test_a_recording_is_linked_as_the_hook_wants(
    database: Database, hooked: Hooked, source: str, sent: tuple[str, str]
) -> None:
    """What the portal gets of the address that it is given: ours is made when it is sent."""
    customiser = await hooked(f"def customize_attach_record_url(data): {source}")
    await keep(database)
    customising = Customising(database, customiser, ["main"], lambda _portal: None, link="https://here/{}".format)
    plain = record("c", MP3, call_id="x")
    await put(database, "c", customising.hold(replace(plain, params={**plain.params, LINK: "5.ab"})))
    running = asyncio.create_task(customising.run())
    await until_states(database, NEW)
    running.cancel()
    await asyncio.wait([running])
    (step,) = await steps_of(database, "c")
    params = command(Move(step), [step], (), "https://here/{}?anew".format).params
    assert (params["FILENAME"], params["RECORD_URL"]) == sent
    assert set(params) == {"CALL_ID", "FILENAME", "RECORD_URL"}


async def test_what_was_held_goes_out_when_the_hook_is_gone(
    database: Database, portal: DirectPortal, start: Start, hooked: Hooked
) -> None:
    await keep(database)
    await put(database, "c", register("c"), finish("c"), replace(record("c", MP3), held=True))
    customiser = await hooked("def need_registration(data): return True")
    async with asking(database, customiser, start):
        await until_states(database, DONE, DONE, DONE)
    assert portal.calls()[0].recording is not None


@pytest.mark.parametrize(
    ("source", "asked", "state"),
    [
        ("def process_record_file_path(data): return 'moved/' + data['path']", "moved/a.wav", RecordingState.READY),
        ("def process_record_file_path(data): return None", None, RecordingState.SPARE),
        ("def process_record_file_path(data): 1/0", "a.wav", RecordingState.READY),
    ],
)
async def test_where_a_recording_is(
    bench: Bench, run: Callable[..., None], hooked: Hooked, source: str, asked: str | None, state: RecordingState
) -> None:
    customiser = await hooked(source)
    hooks = Customising(bench.database, customiser, ["main"], lambda _portal: None)
    bench.answers = {"moved/a.wav": [5.0], "a.wav": [5.0]}
    await bench.end_call("a.wav")
    run(bench.worker(hooks=hooks))
    async with asyncio.timeout(10):
        while [row.state for row in await bench.rows()] != [state]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert [path for _pbx, path in bench.asked] == ([asked] if asked else [])
    (row,) = await bench.rows()
    assert (row.path, row.name) == ("a.wav", asked or "a.wav"), "it is deleted under both names one day"
    assert any("process_record_file_path" in reason for reason in await told(bench.database))


async def test_the_same_file_for_two_recordings(bench: Bench, run: Callable[..., None], hooked: Hooked) -> None:
    """Each is known by its own name still: by that they are put in order."""
    customiser = await hooked("def process_record_file_path(data): return 'whole.wav'")
    hooks = Customising(bench.database, customiser, ["main"], lambda _portal: None)
    elsewhere = bench.folder.parent / "pbx" / "whole.wav"

    async def as_it_is(recording: Recording, _target: Path, _outgoing: bool) -> Converted:
        return Converted(elsewhere, 5.0, 1000)

    facts = [Recorded("c", 2.0, "b.wav"), Recorded("c", 9.0, "a.wav")]
    await bench.end_call("a.wav", "b.wav", mode="link", facts=facts)
    bench.convert = as_it_is  # type: ignore[method-assign]
    run(bench.worker(hooks=hooks))
    async with asyncio.timeout(10):
        while not bench.joined:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        while not all(row.joined for row in await bench.rows()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert bench.joined == [["whole.wav", "whole.wav"]]
    told = [(row.path, row.name, row.mark) for row in await bench.rows()]
    assert told == [("a.wav", "whole.wav", 10.0), ("b.wav", "whole.wav", 0.0)]


async def test_a_recording_whose_name_was_looked_for(bench: Bench, run: Callable[..., None], hooked: Hooked) -> None:
    """The hook is told the name that was found."""
    customiser = await hooked("def process_record_file_path(data): return 'moved/' + data['path']")
    hooks = Customising(bench.database, customiser, ["main"], lambda _portal: None)
    bench.answers = {"moved/one.wav": [5.0]}

    async def look(pbx: str, path: str) -> list[str]:
        return ["one.wav"]

    await bench.end_call("layout:*1.2.*")
    run(bench.worker(hooks=hooks, look=look))
    async with asyncio.timeout(10):
        while [row.state for row in await bench.rows()] != [RecordingState.READY]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert bench.asked == [("office", "moved/one.wav")]


# ---- the task of a missed call


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def process_task_creation_params(data): return data['fields'] | {'TITLE': 'Call ' + data['call']['id']}", ("Call c1", 11)),
        ("def process_task_creation_params(data): return {'TITLE': 'T', 'RESPONSIBLE_ID': 12}", ("T", 12)),
        ("def process_task_creation_params(data): return None", None),
        ("def process_task_creation_params(data): return {'DESCRIPTION': 'no title'}", ("", 11)),
    ],
)  # fmt: skip
async def test_the_task_of_a_missed_call(
    database: Database, portal: DirectPortal, start: Start, hooked: Hooked, source: str, expected: tuple[str, int] | None
) -> None:
    customiser = await hooked(source)
    await keep(database, "c1")
    call = missed_call(1, time.time())
    async with asking(database, customiser, start) as (customising, sender):

        async def work(conn: Any) -> str:
            (done,) = await follow(conn, missed_rules(), [call])
            await lanes.append(
                conn, "main", done.lane, [customising.hold(step) for step in done.decision.steps], time.time()
            )
            return done.lane

        lane = await database.write(work)
        customising.notify()
        sender.notify()
        async with asyncio.timeout(20):
            while [step.state for step in await steps_of(database, lane)] != [DONE if expected else SKIPPED]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    made = tasks(portal.state)
    assert len(made) == (1 if expected else 0)
    if expected:
        title, user = expected
        assert made[0].title == title or not title
        assert made[0].responsible == user
        assert "Perezvon" in made[0].description
    assert any("process_task_creation_params" in reason for reason in await told(database, "c1"))
