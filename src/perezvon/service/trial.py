"""What a hook would have been asked about a stored call: for `perezvon customisation test`, and later the call's page.

The call is planned anew from its journal, with the settings and employees of now, and nothing is asked or stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from perezvon.calls import Fact
from perezvon.calls.call import Call, Direction
from perezvon.calls.facts import Answered, CallEnded, CallStarted, Ringing
from perezvon.customisation import POINTS, Answer, Customiser, Fate, Limits, Point
from perezvon.delivery.customising import subject_of, told_of
from perezvon.delivery.entity import ReadEntity, entity_of
from perezvon.ivr.source import ScenarioSource
from perezvon.rules import Kind, People, PlanState, Policy
from perezvon.service.dialling import dialling
from perezvon.service.dialplan_hooks import scenario_data
from perezvon.service.hooks import OF_CALLS, CallHooks
from perezvon.settings.model import Settings
from perezvon.storage import calls, journal, lanes, recordings
from perezvon.storage.calls import StoredCall
from perezvon.storage.database import Database
from perezvon.storage.steps import Step

Questions = list[dict[str, Any]]


async def questions(
    database: Database, settings: Settings, policy: Policy, people: People, point: Point, call: str
) -> Questions | None:
    """In the order in which they would have been asked; None for a call that is not stored. `policy`, `people`: of its
    portal."""
    async with database.read() as conn:
        row = await calls.find(conn, call)
        if row is None:
            return None
        facts = await journal.read(conn, call)
        steps = (await lanes.load(conn, [call])).get(call, [])
        paths = [(one.pbx, one.path) for one in await recordings.of_call(conn, call)]
    if point in OF_CALLS and point is not Point.CUSTOMIZE_ENTITY:
        return await _planned(row, facts, policy, people, point)
    told = told_of(row)
    match point:
        case Point.PROCESS_RECORD_FILE_PATH:
            return [{"call": told, "pbx": pbx, "path": path} for pbx, path in paths]
        case Point.CUSTOMIZE_ATTACH_RECORD_URL:
            return [{"call": told, **subject_of(step)} for step in steps if step.kind is Kind.ATTACH_RECORD]
        case Point.POST_REGISTRATION:
            return [{"call": told, **one} for one in _registered(steps)]
        case Point.CUSTOMIZE_ENTITY:
            return [{"call": told, "entity": one} for one in _entities(steps)]
        case Point.PROCESS_ORIGINATE_PARAMS:
            return [_click(row, facts, settings)] if row.direction is Direction.OUTGOING else []
        case Point.CUSTOMIZE_MENU:
            return [await _menu(database, settings, row)]
        case _:
            sample = {**POINTS[point].sample}
            return [{**sample, "call": told} if "call" in sample else sample]


class _Listener(Customiser):
    """Stands in for the hooks: takes down what it is asked at one point, and answers what would be without them."""

    def __init__(self, point: Point) -> None:
        super().__init__(None, Limits())
        self._only = point
        self.heard: Questions = []

    def wants(self, point: Point) -> bool:
        return point is self._only

    async def ask(
        self,
        point: Point,
        data: Mapping[str, Any],
        *,
        call: str = "",
        deadline: float | None = None,
        patience: float | None = None,
    ) -> Answer:
        if point is self._only:
            self.heard.append(dict(data))
        return Answer(Fate.UNCHANGED, POINTS[point].default(data))


async def _planned(row: StoredCall, facts: Sequence[Fact], policy: Policy, people: People, point: Point) -> Questions:
    listener = _Listener(point)
    hooks = CallHooks(row.pbx, listener)
    state = PlanState(portal_call=str(row.plan.get("portal_call", "")))
    seen: list[Fact] = []
    for fact in facts:
        seen.append(fact)
        state, _decisions = await hooks.plan(state, [fact], policy, people, _as_of(seen))
    return listener.heard


def _as_of(facts: Iterable[Fact]) -> Call | None:
    """The call as its facts up to now tell it."""
    started: CallStarted | None = None
    rung: dict[str, None] = {}
    talkers: dict[str, None] = {}
    answered: float | None = None
    for fact in facts:
        match fact:
            case CallStarted():
                started = fact
            case CallEnded(record=record):
                return record
            case Ringing(extension=extension):
                rung[extension] = None
            case Answered(extension=extension, at=at):
                talkers[extension] = None
                answered = at if answered is None else answered
            case _:
                pass
    if started is None:
        return None
    blank = _blank(started)
    return replace(
        blank, rung=tuple(rung), talkers=tuple(talkers), last_talker=next(reversed(talkers), ""), answered=answered
    )


def _blank(started: CallStarted) -> Call:
    return Call(
        id=started.call,
        direction=started.direction,
        client=started.client,
        client_raw=started.client_raw,
        client_name=started.client_name,
        line=started.line,
        line_raw=started.line_raw,
        trunk=started.trunk,
        started=started.at,
    )


def _registered(steps: Sequence[Step]) -> Questions:
    done = [step for step in steps if step.kind is Kind.REGISTER and step.result]
    return [{**subject_of(step), "registration": step.result} for step in done]


def _entities(steps: Sequence[Step]) -> Questions:
    """What the object's fields were is not kept."""
    found: Questions = []
    for step in steps:
        entity = entity_of(step, step) if step.kind is Kind.FINISH else None
        if isinstance(entity, ReadEntity):
            found.append({"type": entity.type.lower(), "id": entity.id, "is_new": False, "fields": {}})
    return found


def _click(row: StoredCall, facts: Sequence[Fact], settings: Settings) -> dict[str, Any]:
    started = next((fact for fact in facts if isinstance(fact, CallStarted)), None)
    extension = started.extension if started is not None else ""
    pbx = next((entry for entry in settings.asterisk if entry.name == row.pbx), None)
    sample = POINTS[Point.PROCESS_ORIGINATE_PARAMS].sample
    params = sample["params"] if pbx is None else dialling(pbx, extension, row.client, row.client.lstrip("+"))
    return {"click": {"user_id": "", "extension": extension, "number": row.client, "line": row.line}, "params": params}


async def _menu(database: Database, settings: Settings, row: StoredCall) -> dict[str, Any]:
    source = ScenarioSource(database, settings, remember=False)
    try:
        found = await source.find(row.line)
    finally:
        await source.close()
    return {"line": row.line, "caller": row.client, "scenario": scenario_data(found.scenario)}
