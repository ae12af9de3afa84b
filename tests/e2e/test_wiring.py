"""Our dialplan on a real Asterisk, without the service: a few lines of the test answer its questions, or nobody does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from consultations import CONSULTATIONS, Consultation, Programme
from talks import LINE, Answers, Steps, Talk, Track, length

from perezvon.recordings.find import Folder, find
from perezvon.sandbox.pbx import PbxSandbox, sounds

pytestmark = pytest.mark.asterisk

PLAYED = [(scene, way) for scene in CONSULTATIONS for way in scene.ways.split()]
WAYS = ("incoming", "outgoing")


@pytest.fixture(scope="module")
async def steps(pbx_session: PbxSandbox) -> AsyncIterator[Steps]:
    async with Steps(pbx_session).following() as steps:
        yield steps


# ---- nobody answers at the AGI port: these come before the fixture that does


async def test_with_perezvon_dead_a_call_goes_to_bitrix24_at_once(pbx: PbxSandbox, steps: Steps) -> None:
    talk = Talk(pbx, steps, Answers(), True, 11)
    await talk.begin()
    there = await talk.legs["manager"].office_channel()
    assert there.created - await talk.legs["client"].at_office() < 0.05
    await talk.legs["client"].hangup()
    await talk.over()


@pytest.mark.parametrize("way", WAYS)
async def test_with_perezvon_dead_the_manager_comes_back_after_three_tries(pbx: PbxSandbox, steps: Steps, way: str) -> None:
    talk = Talk(pbx, steps, Answers(), way == "incoming", 12 + WAYS.index(way))
    await talk.begin()
    await talk.consult()
    for tries in (1, 2, 3):
        await talk.step("code", tries)
        await talk.listen(0.5, client="music")
        await talk.press("1#")
        await talk.step("badcode", tries)
    await talk.back()
    await talk.listen(client="manager", manager="client")
    manager = talk.legs["manager"]
    await manager.hangup()
    await talk.over()
    assert talk.differences() == []
    assert manager.seconds_of(sounds.WRONG_CODE) == pytest.approx(3 * 0.4, abs=0.4)


# ---- what everybody hears, in every state


@pytest.fixture(scope="module")
async def answers(pbx_session: PbxSandbox) -> AsyncIterator[Answers]:
    async with Answers().serving(pbx_session.agi_bind) as answers:
        yield answers


@pytest.fixture(scope="module")
async def programme(pbx_session: PbxSandbox, steps: Steps, answers: Answers) -> AsyncIterator[Programme]:
    programme = Programme(PLAYED, pbx_session, steps, answers)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(programme.run(), name="programme")
        yield programme
    await pbx_session.world.reset()


@pytest.mark.parametrize(("scene", "way"), PLAYED, ids=[f"{scene.title}, {way}" for scene, way in PLAYED])
async def test_consultation(programme: Programme, scene: Consultation, way: str) -> None:
    talk = await programme.talk(scene, way)
    assert talk.differences() == []
    await scene.told(talk)


@pytest.mark.parametrize("way", WAYS)
async def test_one_recording_of_the_client_from_the_talk_to_the_end(programme: Programme, way: str) -> None:
    talk = await programme.talk(CONSULTATIONS[1], way)
    recorded = [path for path in talk.pbx.recordings.rglob("*.wav") if talk.number_of("client") in path.name]
    assert len(recorded) == 1
    assert find(recorded[0].name, Folder(talk.pbx.recordings)) == recorded[0]
    client = talk.legs["client"]
    assert length(recorded[0]) == pytest.approx(length(client.heard[0]), abs=1.5)
    for who, least in (("music", 1.5), ("client", 2), ("manager", 1), ("third", 0.5)):
        assert sounds.seconds_heard(recorded[0], talk.tone(who)) > least, who
    private = next(phase for phase in talk.phases if phase.hears == {"manager"} and phase.who == "third")
    track = Track(sounds.samples_of(recorded[0]), client.channel.answered if client.channel else 0)
    assert track.share(talk.tone("third"), private.since, private.until) == 0


# ---- other ways in


async def test_refer_to_900_rings_the_manager_back(pbx: PbxSandbox, steps: Steps, answers: Answers) -> None:
    talk = Talk(pbx, steps, answers, True, 21)
    await talk.begin()
    first = talk.legs["manager"]
    await first.refer("900")
    talk.legs["manager"] = second = await talk.manager_rung(2)
    await talk.parties("client")
    await first.ended()
    await talk.listen(client="music")
    await talk.private()
    await talk.listen(client="music", manager="third", third="manager")
    await talk.merge()
    await talk.listen(client="manager third", manager="client third", third="client manager")
    await second.hangup()
    await talk.over()
    assert talk.differences() == []


async def test_refer_of_an_outgoing_call(pbx: PbxSandbox, steps: Steps, answers: Answers) -> None:
    talk = Talk(pbx, steps, answers, False, 22)
    await talk.begin()
    first = talk.legs["manager"]
    await first.refer("900")
    talk.legs["manager"] = await pbx.world.connector.ringing()
    await talk.parties("client")
    await first.ended()
    await talk.private()
    await talk.merge()
    await talk.listen(client="manager third", manager="client third", third="client manager")
    await talk.legs["manager"].hangup()
    await talk.over()
    assert talk.differences() == []


async def test_nobody_answers_the_call_back(pbx: PbxSandbox, steps: Steps) -> None:
    """The client goes to Bitrix24 as an ordinary call."""
    talk = Talk(pbx, steps, Answers(), True, 23)
    await talk.begin()
    first = talk.legs["manager"]
    await pbx.world.connector.rings()
    await first.refer("900")
    second = await talk.manager_rung(2)
    await second.reject(19)
    talk.legs["manager"] = third = await talk.manager_rung(3)
    await third.answer()
    await talk.listen(client="manager", manager="client")
    await talk.legs["client"].hangup()
    await talk.over()
    assert talk.differences() == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("told", ["by Perezvon", "alone"])
async def test_second_call_to_900(pbx: PbxSandbox, steps: Steps, answers: Answers, way: str, told: str) -> None:
    """The manager goes on in it, whether Perezvon tells which call it is, or it can be no other."""
    talk = Talk(pbx, steps, answers, way == "incoming", 30 + WAYS.index(way) + 2 * (told == "alone"))
    await talk.begin()
    if told == "by Perezvon":
        answers.peers["next"] = (await talk.legs["client"].office_channel()).name
    first = talk.legs["manager"]
    talk.legs["manager"] = second = await pbx.world.connector.dial("900")
    await second.answered()
    await first.ended()
    await talk.parties("client")
    await talk.listen(client="music")
    await talk.private()
    await talk.listen(client="music", manager="third", third="manager")
    await talk.merge()
    await talk.listen(client="manager third", manager="client third", third="client manager")
    await second.hangup()
    await talk.over()
    assert talk.differences() == []


async def test_second_call_to_900_that_could_be_of_two(pbx: PbxSandbox, steps: Steps) -> None:
    """Nobody's client is taken."""
    talks = [Talk(pbx, steps, Answers(), True, number) for number in (35, 36)]
    for talk in talks:
        await talk.begin()
    second = await pbx.world.connector.dial("900")
    await second.answered()
    await second.hangup()
    for talk in talks:
        await talk.listen(0.8, client="manager", manager="client")
        await talk.legs["client"].hangup()
        await talk.over()
        assert talk.differences() == []


async def test_refer_with_replaces(pbx: PbxSandbox, steps: Steps, answers: Answers) -> None:
    """Two calls are up, so that the second call to 900 fits none; then the portal joins its two legs."""
    other = Talk(pbx, steps, answers, True, 41)
    await other.begin()
    talk = Talk(pbx, steps, answers, True, 42)
    await talk.begin()
    first = talk.legs["manager"]
    second = await pbx.world.connector.dial("900")
    await second.answered()
    await first.refer_to_leg(second)
    talk.legs["manager"] = await talk.manager_rung(2)
    await first.ended()
    await second.ended()
    await talk.parties("client")
    await talk.listen(client="music")
    await talk.private()
    await talk.merge()
    await talk.listen(client="manager third", manager="client third", third="client manager")
    await talk.legs["manager"].hangup()
    await talk.over()
    await other.listen(0.6, client="manager", manager="client")
    await other.legs["client"].hangup()
    await other.over()
    assert talk.differences() == other.differences() == []


# ---- the menu's way


@pytest.mark.parametrize("to", ["outside", "inside"])
async def test_the_menu_rings_somebody_and_bitrix24_when_he_does_not_answer(
    pbx: PbxSandbox, steps: Steps, answers: Answers, to: str
) -> None:
    talk = Talk(pbx, steps, answers, True, 50 + (to == "inside"))
    number = "101" if to == "inside" else talk.number_of("third")
    party = pbx.world.phone("101") if to == "inside" else pbx.world.number(number)
    answers.menus[talk.number_of("client")] = {"PEREZVON_TO": number, "PEREZVON_RING": "2"}
    await party.rings()
    client = talk.legs["client"] = await pbx.world.call(frm=talk.number_of("client"), to=LINE)
    leg = await party.ringing()
    assert leg.channel is not None and leg.channel.caller == talk.number_of("client")
    await leg.ended()
    talk.legs["manager"] = manager = await talk.manager_rung()
    await manager.talking(to=client)
    await client.hangup()
    await talk.over()
    assert manager.channel is not None and leg.channel.ended is not None
    assert 1.9 < leg.channel.ended - leg.channel.created < 2.4
    assert manager.channel.created - leg.channel.ended < 0.1


async def test_a_menu_that_hangs_is_left_after_four_seconds(pbx: PbxSandbox, steps: Steps, answers: Answers) -> None:
    """And the talk itself has no time limit."""
    talk = Talk(pbx, steps, answers, True, 55)
    answers.hanging.add(talk.number_of("client"))
    client = talk.legs["client"] = await pbx.world.call(frm=talk.number_of("client"), to=LINE)
    talk.legs["manager"] = manager = await talk.manager_rung()
    await manager.talking(to=client)
    there = await manager.office_channel()
    assert 3.9 < there.created - await client.at_office() < 4.3
    await talk.listen(4.5, client="manager", manager="client")
    await client.hangup()
    await talk.over()
    assert talk.differences() == []
