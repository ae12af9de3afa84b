"""The integrator's hooks on steps that are held for them, and after a registration. Nothing else waits for these hooks.

A step that is `held` is stored, and sent only when its hook was asked: so that nothing is lost, whatever the hook does, and
a kill costs at most that it is asked again. Where its hook is switched off meanwhile, the default stands.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.bitrix24.values import mapping, rows, text
from perezvon.calls.call import iso
from perezvon.customisation import Answer, Customiser, Fate, Point
from perezvon.delivery.kinds import FILE, LINK
from perezvon.delivery.prepare import CannotPrepare, no_links
from perezvon.rules.vocabulary import Kind, Reason, Ref, StepDraft
from perezvon.storage import calls, journal, lanes
from perezvon.storage.calls import StoredCall
from perezvon.storage.database import Database
from perezvon.storage.insist import insist
from perezvon.storage.recordings import Recording
from perezvon.storage.steps import Settled, State, Step

T = TypeVar("T")

log = structlog.get_logger(__name__)

AT_ONCE = 50
LOOK = 60.0
"""Seconds after which it is looked for held steps though nobody told of any."""
PATIENCE = 600.0
"""Seconds for which these hooks wait for their turn: nobody waits for them."""
MOST_REGISTERED = 1000
"""Registrations whose hook has not been asked yet; more are let go."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What a held step's hook is given: under which name, and which parameter of the step; empty for all of them."""

    point: Point
    name: str = "params"
    inside: str = ""


GATES = {
    Kind.ATTACH_RECORD: Gate(Point.CUSTOMIZE_ATTACH_RECORD_URL),
    Kind.ENTITY: Gate(Point.CUSTOMIZE_ENTITY),
    Kind.MISSED_TASK: Gate(Point.PROCESS_TASK_CREATION_PARAMS, "fields", "task"),
}
"""Steps that may be held. Those of CRM objects hold themselves, once they are read (entity.py)."""

UNCHANGED = Reason("not sent: there was nothing to change")
LEFT_OUT = Reason("not sent: customisation {point} is not asked any more")


@dataclass(frozen=True, slots=True)
class _Registered:
    step: Step
    answer: Any


class Customising:
    """`released(portal)`: called when steps may be sent. `link(subject)`: the address of a recording. Its owner runs
    `run`."""

    def __init__(
        self,
        database: Database,
        customiser: Customiser,
        portals: Sequence[str],
        released: Callable[[str], None],
        *,
        link: Callable[[str], str] = no_links,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._link = link
        self._database = database
        self._customiser = customiser
        self._portals = portals
        self._released = released
        self._clock = clock
        self._wake = asyncio.Event()
        self._wake.set()
        self._registered: asyncio.Queue[_Registered] = asyncio.Queue(MOST_REGISTERED)

    def notify(self) -> None:
        """Held steps have been stored."""
        self._wake.set()

    def told(self, step: Step, settled: Settled) -> None:
        """What became of a step at the portal (for the sender)."""
        if settled.state is State.HELD:
            self._wake.set()
        elif (
            step.kind is Kind.REGISTER
            and settled.state is State.DONE
            and self._customiser.wants(Point.POST_REGISTRATION)
            and not self._registered.full()
        ):
            self._registered.put_nowait(_Registered(step, settled.result))

    def hold(self, step: StepDraft) -> StepDraft:
        """The step, held for its hook if there is one. Tell of it when it is stored (`notify`)."""
        gate = GATES.get(step.kind)
        return replace(step, held=True) if gate is not None and self._customiser.wants(gate.point) else step

    async def path(self, recording: Recording) -> tuple[str | None, str]:
        """Where a recording is, as the PBX names it; None where it is to be left out, with the reason."""
        point = Point.PROCESS_RECORD_FILE_PATH
        call = await self._call(recording.call) if self._customiser.wants(point) else None
        if call is None:
            return recording.path, ""
        data = {"call": told_of(call), "pbx": recording.pbx, "path": recording.path}
        answer = await self._customiser.ask(point, data, call=call.id, patience=PATIENCE)
        if answer.note is not None and not recording.attempts:  # it is asked at each try
            await self._note(call.id, answer.note)
        return answer.value, "" if answer.note is None else str(answer.note)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._after_registrations(), name="hooks: post_registration")
            while True:
                self._wake.clear()
                while await self._some():
                    pass
                try:
                    async with asyncio.timeout(LOOK):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def _some(self) -> bool:
        """Whether there may be more."""

        async def look() -> list[Step]:
            async with self._database.glance() as conn:
                return await lanes.held(conn, self._portals, AT_ONCE)

        held = await insist(look, "customisation")
        for step in held:
            await self._handle(step)
        return bool(held)

    async def _handle(self, step: Step) -> None:
        call = await self._call(call_of(step))
        gate = GATES.get(step.kind)
        params = step.params
        if call is None or gate is None:
            settled, answer = Settled(step.id, State.NEW, step.result, note=step.note), None
        else:
            subject = subject_of(step, self._address(step))
            answer = await self._customiser.ask(
                gate.point, {"call": told_of(call), **subject}, call=call.id, patience=PATIENCE
            )
            settled = _settled(step, gate.point, answer)
            if answer.fate is Fate.CHANGED and step.kind is not Kind.ENTITY:
                params = _changed(step, gate, answer.value, mapping(subject[gate.name]))
        now = self._clock()

        async def work(conn: AsyncConnection) -> None:
            await lanes.release(conn, step, settled, params, now)
            if answer is not None and answer.note is not None and call is not None:
                await journal.append(conn, (), now, [(call.id, answer.note, [step.key])])

        await insist(lambda: self._database.write(work), "customisation")
        log.info(f"step held -> {settled.state}", call=step.lane, kind=step.kind.value)
        self._released(step.portal)

    def _address(self, step: Step) -> str:
        """Of the recording that a step gives to the portal as a link; "" where it does not, or has none just now."""
        try:
            return self._link(text(step.params[LINK])) if LINK in step.params else ""
        except CannotPrepare:
            return ""

    async def _after_registrations(self) -> None:
        while True:
            done = await self._registered.get()
            call = await self._call(done.step.lane)
            if call is None:
                continue
            params = {name: value for name, value in done.step.params.items() if not isinstance(value, Ref)}
            data = {"call": told_of(call), "params": params, "registration": dict(mapping(done.answer))}
            answer = await self._customiser.ask(Point.POST_REGISTRATION, data, call=call.id, patience=PATIENCE)
            if answer.note is not None:
                await self._note(call.id, answer.note, done.step.key)

    async def _note(self, call: str, told: Reason, *keys: str) -> None:
        now = self._clock()

        async def work(conn: AsyncConnection) -> None:
            await journal.append(conn, (), now, [(call, told, keys)])

        await insist(lambda: self._database.write(work), "customisation")

    async def _call(self, call: str) -> StoredCall | None:
        async def look() -> StoredCall | None:
            async with self._database.read() as conn:
                return await calls.find(conn, call)

        return await insist(look, "customisation")


def call_of(step: Step) -> str:
    """The call of a step; the task of missed calls has a lane of its own."""
    return step.key.removesuffix(":missed") if step.kind is Kind.MISSED_TASK else step.lane


def told_of(row: StoredCall) -> dict[str, Any]:
    """A stored call as hooks are told of it (customisation.CallData). Of a live one only what its row says."""
    started = mapping(row.plan.get("started"))
    raw = {name: text(started.get(name)) for name in ("client_raw", "client_name", "line_raw", "trunk")}
    if not row.live:
        return {**row.state, **raw, "pbx": row.pbx}
    return {
        "id": row.id,
        "direction": row.direction.value,
        "client": row.client,
        "line": row.line,
        "started": iso(row.started),
        "answered": iso(row.answered),
        "ended": None,
        "outcome": None,
        "duration": row.duration,
        "last_talker": row.last_talker or None,
        **{name: [] for name in ("rung", "talkers", "transfers", "menu", "third_parties", "recordings", "legs")},
        **dict.fromkeys(("picked_up_by", "forwarded_to", "queue")),
        **raw,
        "pbx": row.pbx,
    }


def subject_of(step: Step, address: str = "") -> dict[str, Any]:
    """What the hook of a step is given to change. `address`: that of its recording."""
    told = mapping(step.result)
    if step.kind is Kind.ENTITY:
        fields = dict(mapping(told.get("found")))
        entity = {"type": text(told.get("type")).lower(), "id": told.get("id"), "is_new": bool(told.get("is_new"))}
        return {"entity": {**entity, "fields": fields}}
    gate = GATES.get(step.kind, Gate(Point.POST_REGISTRATION))
    if gate.inside:
        return {gate.name: dict(mapping(step.params.get(gate.inside)))}
    params = {name: value for name, value in step.params.items() if not _is_ours(name, value)}
    return {gate.name: {**params, **({"RECORD_URL": address} if address else {})}}


def _changed(step: Step, gate: Gate, wanted: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The step's parameters as the hook wants them. A mark by which we find again what we have made stays in its text; an
    address of ours is made anew when it is sent."""
    if not gate.inside:
        wanted = {name: value for name, value in wanted.items() if name != "RECORD_URL" or value != given.get(name)}
        return {**wanted, **{name: value for name, value in step.params.items() if _is_ours(name, value)}}
    mark, described = text(step.params.get("mark")), text(wanted.get("DESCRIPTION"))
    if mark and mark not in described:
        wanted = {**wanted, "DESCRIPTION": f"{described}\n\nPerezvon {mark}".strip()}
    chain = step.params.get("chain")
    first = {"chain": [text(wanted["RESPONSIBLE_ID"]), *rows(chain)]} if "RESPONSIBLE_ID" in wanted else {}
    return {**step.params, gate.inside: dict(wanted), **first}


def _is_ours(name: str, value: Any) -> bool:
    """What hooks are not told of: the call's id at the portal, and where our file is."""
    return isinstance(value, Ref) or name in (FILE, LINK, "CALL_ID")


def _settled(step: Step, point: Point, answer: Answer) -> Settled:
    if step.kind is Kind.ENTITY:
        told = {name: value for name, value in mapping(step.result).items() if name != "found"}
        if answer.fate is not Fate.CHANGED:
            why = Reason(LEFT_OUT.text, {"point": point.value}) if answer.fate is Fate.NOT_ASKED else UNCHANGED
            return Settled(step.id, State.SKIPPED, told, note=answer.note or why)
        return Settled(step.id, State.NEW, {**told, "fields": _different(answer.value, step)}, note=answer.note)
    if answer.cancelled:
        return Settled(step.id, State.SKIPPED, note=answer.note)
    return Settled(step.id, State.NEW, note=answer.note)


def _different(fields: Mapping[str, Any], step: Step) -> dict[str, Any]:
    found = mapping(mapping(step.result).get("found"))
    return {name: value for name, value in fields.items() if name not in found or found[name] != value} or dict(fields)
