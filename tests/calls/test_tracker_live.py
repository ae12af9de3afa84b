"""Some of the stories played live: over the wire, with Perezvon's own AMI rights, and only what a live connection lets
through."""

from __future__ import annotations

import asyncio

import pytest
from call_stories import TOLD
from call_story import MOBILE, Story
from test_tracker_recordings import seen

from perezvon.asterisk import AmiAddress, Session
from perezvon.calls import CallEnded, ExpectedCall, Fact, Numbering, Tracker
from perezvon.sandbox.pbx import PbxSandbox

pytestmark = pytest.mark.asterisk

LIVE = [
    "incoming_answered",
    "group_second_answers",
    "queue_ringall",
    "menu_key",
    "attended_by_replaces",
    "blonde_by_code",
    "pickup_group",
    "outgoing_then_blind",
    "click_to_call_local",
    "conference_incoming",
    "conference_by_refer_of_an_outgoing_call",
    "conference_by_a_second_call",
    "our_menu_to_an_outside_number",
]


@pytest.mark.parametrize("story", [pytest.param(TOLD[name], id=name) for name in LIVE])
async def test_story_live(story: Story, pbx: PbxSandbox) -> None:
    tracker = Tracker("pbx", Numbering(trunks=frozenset({"carrier", "bitrix24"}), lines=frozenset({"+74951234567"})))
    facts: list[Fact] = []
    ended = asyncio.Event()

    async def follow(session: Session) -> None:
        async for events in session.events():
            for event in events:
                if event.name == "Newchannel" and event["uniqueid"].startswith("click-") and ";" not in event["uniqueid"]:
                    tracker.expect(ExpectedCall(event.at, event["uniqueid"], "101", MOBILE))
                told = tracker.feed(event)
                facts.extend(told)
                if any(isinstance(fact, CallEnded) for fact in told) and not tracker.live():
                    ended.set()

    address = AmiAddress.parse(pbx.office_ami)
    async with (
        await Session.open(address) as session,
        await Session.open(AmiAddress.parse(pbx.office_ami_all), wanted=frozenset()) as ami,
        asyncio.TaskGroup() as tasks,
    ):
        follower = tasks.create_task(follow(session), name="follow")
        await story.play(pbx, ami)
        async with asyncio.timeout(10):
            await ended.wait()
        follower.cancel()
    calls = [fact.record for fact in facts if isinstance(fact, CallEnded) and not fact.record.absorbed_into]
    assert [seen(call, one) for call, one in zip(calls, story.expected, strict=True)] == list(story.expected)
