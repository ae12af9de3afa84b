"""Calls as the service stores them: one in full (facts, decisions, requests, recording), and many plain ones."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.calls.call import Call, Direction, Leg, LegOutcome, Outcome, Party, Transfer, TransferKind
from perezvon.calls.facts import (
    Answered,
    CallEnded,
    CallStarted,
    Fact,
    Held,
    LeftTalk,
    MenuChosen,
    Recorded,
    Ringing,
    StoppedRinging,
    Transferred,
)
from perezvon.rules.vocabulary import Kind, Priority, Reason, Ref, StepDraft
from perezvon.storage import Database, calls, employees, journal, lanes, recordings
from perezvon.storage.calls import StoredCall
from perezvon.storage.recordings import RecordingState
from perezvon.storage.schema import call as call_table
from perezvon.storage.steps import Settled, State

CALL = "main-1700000000.17"
CLIENT, LINE = "+79161234567", "+74951234567"
BEEP = Path(__file__).parents[1] / "delivery" / "beep.mp3"
HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }}"


def whole_call(at: float, call_id: str = CALL) -> tuple[Call, list[Fact]]:
    """Rings at 101 and 102, 101 talks, passes on to 102, who talks to the end."""
    legs = (
        Leg("PJSIP/carrier-1", Party.CLIENT, "", at, at, at + 95, LegOutcome.ANSWERED),
        Leg("PJSIP/101-2", Party.EMPLOYEE, "101", at + 6, at + 14, at + 52, LegOutcome.ANSWERED),
        Leg("PJSIP/102-3", Party.EMPLOYEE, "102", at + 6, None, at + 14, LegOutcome.ANSWERED_ELSEWHERE),
        Leg("PJSIP/102-4", Party.EMPLOYEE, "102", at + 45, at + 52, at + 95, LegOutcome.ANSWERED),
    )
    record = Call(
        call_id, Direction.INCOMING, CLIENT, "89161234567", "", LINE, "4951234567", "multifon", at, at + 14, at + 95,
        Outcome.ANSWERED, 81.0, ("101", "102"), ("101", "102"), "102",
        (Transfer(TransferKind.ATTENDED, "101", "102", at + 52),), "", "", "", ("2",), (), ("/monitor/one.wav",), legs,
    )  # fmt: skip
    facts: list[Fact] = [
        CallStarted(call_id, at, Direction.INCOMING, CLIENT, "89161234567", "", LINE, "4951234567", "multifon", "", "", "PJSIP/carrier-1"),
        MenuChosen(call_id, at + 4, "2"),
        Ringing(call_id, at + 6, "101", "PJSIP/101-2"),
        Ringing(call_id, at + 6, "102", "PJSIP/102-3"),
        Answered(call_id, at + 14, "101", "PJSIP/101-2"),
        StoppedRinging(call_id, at + 14, "102", "PJSIP/102-3", LegOutcome.ANSWERED_ELSEWHERE),
        Recorded(call_id, at + 14, "/monitor/one.wav"),
        Held(call_id, at + 40, "101", on=True),
        Transferred(call_id, at + 52, TransferKind.ATTENDED, "101", "102"),
        Answered(call_id, at + 52, "102", "PJSIP/102-4"),
        LeftTalk(call_id, at + 52, "101"),
        CallEnded(call_id, at + 95, record),
    ]  # fmt: skip
    return record, facts


async def store(database: Database, folder: Path, at: float, secret: str = "s3cret-of-upload") -> Path:
    """`whole_call` with all that came of it; gives the mp3."""
    record, facts = whole_call(at)
    row = StoredCall(
        CALL, "main", Direction.INCOMING, at, False, "main", CLIENT, LINE, at + 14, at + 95, Outcome.ANSWERED, 81.0, "102",
        record.as_json(), {},
    )  # fmt: skip
    why = Reason("talked with {client}: the task of his missed calls is closed", {"client": CLIENT})
    drafts = [
        StepDraft("k1", Kind.REGISTER, {"USER_PHONE_INNER": "101", "PHONE_NUMBER": CLIENT, "CRM_CREATE": 1}, Priority.CARD, why),
        StepDraft("k2", Kind.FINISH, {"CALL_ID": Ref(Kind.REGISTER, "CALL_ID"), "STATUS_CODE": "200", "DURATION": 81}, Priority.FINISH, why),
        StepDraft("k3", Kind.DESCRIBE, {"SUBJECT": HOSTILE}, Priority.CRM, why),
    ]  # fmt: skip
    mp3 = folder / "one.mp3"
    shutil.copy(BEEP, mp3)

    async def work(conn: AsyncConnection) -> None:
        people = [
            employees.Employee("11", "101", "Анна Петрова", True, ()),
            employees.Employee("12", "102", "Борис", True, ()),
        ]
        await employees.replace(conn, "main", people, at)
        await calls.save(conn, [row])
        await journal.append(conn, facts, at + 14, [(CALL, why, ["k1", "k2"]), (CALL, Reason("{x}", {"x": HOSTILE}), [])])
        await lanes.append(conn, "main", CALL, drafts, at + 14)
        steps = (await lanes.load(conn, [CALL]))[CALL]
        answer = {"CALL_ID": "externalCall.1", "uploadUrl": f"https://x.bitrix24.ru/upload?token={secret}", "auth": secret}
        settled = [
            Settled(steps[0].id, State.DONE, answer),
            Settled(steps[1].id, State.DONE, {"CRM_ACTIVITY_ID": 17}),
            Settled(steps[2].id, State.DEAD, {"error": "ACCESS_DENIED"}, f"ACCESS_DENIED {HOSTILE}"),
        ]
        await lanes.settle(conn, settled, at + 96)
        await recordings.add(conn, pbx="main", portal="main", paths=[(CALL, "/monitor/one.wav")], now=at)
        [sound] = await recordings.of_call(conn, CALL)
        await recordings.settle(conn, sound.id, RecordingState.READY, file=str(mp3), seconds=1.0)

    await database.write(work)
    return mp3


async def many(database: Database, count: int, at: float, first: int = 0) -> None:
    """Plain calls, a minute between one and the next before `at`. `first`: the number in the id of the newest."""

    def row(number: int) -> dict[str, Any]:
        started = at - 60.0 * number
        missed = number % 5 == 0
        return {
            "id": f"main-{first + number:07}", "pbx": "main", "portal": "main", "direction": "outgoing" if number % 3 == 0 else "incoming",
            "client": f"+7916{number * 7919 % 10**7:07}", "line": LINE if number % 2 else "+78120000000", "started": started,
            "ended": started + 50, "outcome": "missed" if missed else "answered", "duration": 0.0 if missed else 42.0,
            "last_talker": "" if missed else str(100 + number % 40), "live": False, "state": "{}" + " " * 1500, "plan": "{}",
        }  # fmt: skip

    for start in range(0, count, 1000):
        rows: Sequence[dict[str, Any]] = [row(number) for number in range(start, min(start + 1000, count))]
        await database.write(lambda conn, rows=rows: conn.execute(call_table.insert(), list(rows)))
