"""Whole calls by settings as an administrator writes them: planned, put into their lane, and what the pretend portal has then."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from perezvon.calls.call import Call, Direction, Leg, LegOutcome, Outcome, Party
from perezvon.calls.facts import Answered, CallEnded, CallStarted, Fact, Ringing, Transferred
from perezvon.rules import People, PlanState, plan
from perezvon.rules.field_check import CrmKnown
from perezvon.sandbox.portal.crm import Entity
from perezvon.sandbox.portal.handlers.messenger import Messenger
from perezvon.sandbox.portal.state import PortalState
from perezvon.service.policies import policy
from perezvon.settings.load import parse, settings_from
from perezvon.storage import Database, lanes
from perezvon.storage.steps import Step

CLIENT = "+79165550100"
LINE = "+74951234567"
PEOPLE = People({"101": "11", "102": "12", "103": "13"}, {"101": "Иванов Иван", "102": "Петрова Анна"})
BASE = f"""
[[portal]]
name = "main"
webhook = "https://portal.invalid/rest/1/token/"
fallback_user = 1
language = "en"
[[line]]
number = "{LINE}"
name = "Main line"
source = "ADVERTISING"
"""


@dataclass(slots=True)
class Story:
    """One call. `talkers`: who talked, in order, a second each and five for the first of `longest`."""

    talkers: Sequence[str] = ("101",)
    client: str = CLIENT
    direction: Direction = Direction.INCOMING
    call: str = "c"
    longest: str = ""
    portal_call: str = ""
    more: dict[str, Any] = field(default_factory=dict[str, Any])


def told(story: Story, at: float) -> list[list[Fact]]:
    """The facts, in rounds. It began at `at`."""
    incoming = story.direction is Direction.INCOMING
    placed = "" if incoming else story.talkers[0]
    started = CallStarted(
        story.call, at, story.direction, story.client, story.client, "", LINE, LINE, "carrier", placed, ""
    )
    facts: list[Fact] = []
    legs: list[Leg] = []
    moment = at + 2.0
    for extension in story.talkers:
        channel = f"PJSIP/{extension}-1"
        if legs:
            facts.append(Transferred(story.call, moment, "attended", legs[-1].extension, extension))  # type: ignore[arg-type]
        facts += [Answered(story.call, moment, extension, channel)]
        over = moment + (5.0 if extension == story.longest else 1.0)
        legs.append(Leg(channel, Party.EMPLOYEE, extension, at + 1, moment, over, LegOutcome.ANSWERED))
        moment = over
    talked = bool(story.talkers)
    record = Call(
        id=story.call,
        direction=story.direction,
        client=story.client,
        client_raw=story.client,
        client_name="",
        line=LINE,
        line_raw=LINE,
        trunk="carrier",
        started=at,
        answered=at + 2.0 if talked else None,
        ended=moment,
        outcome=Outcome.ANSWERED if talked else Outcome.MISSED,
        duration=moment - at - 2.0 if talked else 0.0,
        rung=tuple(story.talkers) or ("103",),
        talkers=tuple(story.talkers),
        last_talker=story.talkers[-1] if talked else "",
        legs=tuple(legs),
    )
    for name, value in story.more.items():
        object.__setattr__(record, name, value)
    rung = Ringing(story.call, at + 1, record.rung[0], f"PJSIP/{record.rung[0]}-1")
    return [[started], [rung], *([facts] if facts else []), [CallEnded(story.call, moment, record)]]


def decided(
    story: Story, more: str, *, at: float | None = None, known: CrmKnown | None = None
) -> list[tuple[str, list[Any]]]:
    """The reasons, with the steps. `more`: settings."""
    settings = settings_from(parse(BASE + more, "test"), text="", source="test")
    rules = policy(settings, settings.portal[0], "test", "1", known)
    state = PlanState(portal_call=story.portal_call)
    found: list[tuple[str, list[Any]]] = []
    for facts in told(story, time.time() - 10 if at is None else at):
        state, decisions = plan(state, facts, rules, PEOPLE)
        state = PlanState.from_json(state.as_json())
        found += [(str(one.reason), list(one.steps)) for one in decisions]
    return found


async def happens(database: Database, story: Story, more: str, *, known: CrmKnown | None = None) -> list[str]:
    """The call, in its lane. Gives the reasons."""
    found = decided(story, more, known=known)
    steps = [step for _, some in found for step in some]
    await database.write(lambda conn: lanes.append(conn, "main", story.call, steps, time.time()))
    return [reason for reason, _ in found]


async def steps_of(database: Database, call: str = "c") -> dict[str, Step]:
    """By key, without the call's name."""
    async with database.read() as conn:
        found = (await lanes.load(conn, [call])).get(call, [])
    return {step.key.partition(":")[2]: step for step in found}


def the(state: PortalState, type_: str, phone: str = CLIENT) -> Entity:
    (found,) = [one for one in state.crm.of(type_) if phone in one.values("PHONE") or phone in one.text("TITLE")]
    return found


def messages(state: PortalState, chat: int) -> list[str]:
    return [one.text for one in state.part(Messenger).chats[chat].messages]


def notifications(state: PortalState, user: int) -> list[str]:
    return [one.text for one in state.part(Messenger).notifications.values() if one.user == user]


def make_chat(state: PortalState, *users: int) -> int:
    return state.part(Messenger).new_chat("group", "Leads", 1, [1, *users], state.now()).id
