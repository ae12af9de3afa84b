"""The steps of a call as the rules ask for them, and shortcuts to put them into lanes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perezvon.delivery.kinds import FILE
from perezvon.rules.vocabulary import Kind, Priority, Reason, Ref, StepDraft
from perezvon.storage import Database, lanes
from perezvon.storage.steps import State, Step

WHY = Reason("because of the test")
CALL_ID = Ref(Kind.REGISTER, "CALL_ID")


def register(call: str, user: int = 1, **more: Any) -> StepDraft:
    params = {
        "USER_ID": user,
        "PHONE_NUMBER": "+7916" + f"{abs(hash(call)) % 10**7:07}",
        "TYPE": 2,
        "CALL_START_DATE": "2026-01-01T10:00:00+00:00",
        "CRM_CREATE": 0,
        "SHOW": 0,
        "ADD_TO_CHAT": 0,
        "EXTERNAL_CALL_ID": f"test-{call}",
    }
    return StepDraft(f"{call}:register", Kind.REGISTER, params | more, Priority.CARD, WHY)


def show(call: str, *users: int, number: int = 0, expires: float | None = None, call_id: Any = CALL_ID) -> StepDraft:
    params = {"CALL_ID": call_id, "USER_ID": list(users)}
    return StepDraft(f"{call}:show:{number}", Kind.SHOW, params, Priority.CARD, WHY, expires)


def hide(call: str, *users: int, number: int = 0) -> StepDraft:
    return StepDraft(f"{call}:hide:{number}", Kind.HIDE, {"CALL_ID": CALL_ID, "USER_ID": list(users)}, Priority.CARD, WHY)


def finish(call: str, user: int = 1, duration: int = 5, call_id: Any = CALL_ID) -> StepDraft:
    params = {"CALL_ID": call_id, "USER_ID": user, "DURATION": duration, "STATUS_CODE": "200", "ADD_TO_CHAT": 0}
    return StepDraft(f"{call}:finish", Kind.FINISH, params, Priority.FINISH, WHY)


def record(call: str, file: Path | str, number: int = 0, call_id: Any = CALL_ID) -> StepDraft:
    params = {"CALL_ID": call_id, "FILENAME": f"{call}.mp3", FILE: str(file)}
    return StepDraft(f"{call}:record:{number}", Kind.ATTACH_RECORD, params, Priority.RECORD, WHY)


async def put(database: Database, call: str, *drafts: StepDraft, now: float = 1000.0, portal: str = "main") -> None:
    await database.write(lambda conn: lanes.append(conn, portal, call, drafts, now))


async def steps_of(database: Database, call: str) -> list[Step]:
    async with database.read() as conn:
        return (await lanes.load(conn, [call])).get(call, [])


async def states(database: Database, call: str) -> list[State]:
    return [step.state for step in await steps_of(database, call)]


def stored(drafts: Sequence[StepDraft], *marks: State | tuple[State, Any]) -> list[Step]:
    """Steps as the database would give them, each with its state, or with a state and a result."""
    steps: list[Step] = []
    for place, (draft, mark) in enumerate(zip(drafts, marks, strict=True), start=1):
        state, result = mark if isinstance(mark, tuple) else (mark, None)
        steps.append(
            Step(
                id=place,
                portal="main",
                lane="c",
                sequence=place,
                key=draft.key,
                kind=draft.kind,
                params=draft.params,
                priority=int(draft.priority),
                reason=draft.reason,
                created=1000.0,
                expires=draft.expires,
                state=state,
                attempts=0 if state is State.NEW else 1,
                sent=None,
                finished=None,
                result=result,
                error=None,
                note=None,
            )
        )
    return steps
