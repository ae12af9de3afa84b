"""Every cell of the conference's state machine, as scenes: what people do, and what each hears meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from talks import Answers, Play, Steps, Talk

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.pbx.parties import NO_SUCH_NUMBER


@dataclass(frozen=True, slots=True)
class Consultation:
    """`steps`: what the dialplan tells of the manager, in order. `ways`: in which directions it is played."""

    title: str
    play: Play
    steps: str
    ways: str = "incoming outgoing"

    async def told(self, talk: Talk) -> None:
        """Returns when the dialplan has told so."""
        await talk.steps.when(
            lambda: talk.steps.of_manager(talk.room) == self.steps, f"the manager's steps are {self.steps}"
        )


async def whole(talk: Talk) -> None:
    await talk.begin()
    await talk.listen(client="manager", manager="client")
    await talk.consult()
    await talk.listen(client="music")
    third = await talk.rings()
    assert third.channel is not None and third.channel.caller == talk.number_of("client")
    await talk.listen(client="music", manager="ringing")
    await third.answer()
    await talk.step("private")
    await third.talking(to=talk.legs["manager"])
    await talk.listen(1.2, client="music", manager="third", third="manager")
    await talk.merge()
    await talk.listen(client="manager third", manager="client third", third="client manager")
    await third.hangup()
    await talk.back()
    await talk.listen(client="manager", manager="client")
    await talk.legs["manager"].hangup()
    await talk.over()


async def back_from_code(talk: Talk) -> None:
    await talk.begin()
    await talk.consult()
    await talk.listen(client="music")
    await talk.press("1*")
    await talk.back()
    await talk.listen(client="manager", manager="client")
    await talk.legs["client"].hangup()
    await talk.over()


async def nothing_typed(talk: Talk) -> None:
    await talk.begin()
    await talk.consult()
    await talk.listen(4.5, client="music")
    await talk.back()
    await talk.listen(client="manager", manager="client")
    await talk.legs["client"].hangup()
    await talk.over()


async def bad_codes(talk: Talk) -> None:
    """Three tries, then back."""
    await talk.begin()
    await talk.consult()
    for tries in (1, 2, 3):
        await talk.press("999#")
        await talk.step("badcode", tries)
        if tries < 3:
            await talk.step("code", tries + 1)
            await talk.listen(0.6, client="music")
    await talk.back()
    await talk.listen(client="manager", manager="client")
    await talk.legs["client"].hangup()
    await talk.over()


async def no_answer_from_perezvon(talk: Talk) -> None:
    """It hangs: four seconds, then as a bad code."""
    await talk.begin()
    await talk.consult()
    await talk.press("666#")
    asked = await talk.step("lookup")
    given_up = await talk.step("badcode")
    assert 3.8 < given_up.at - asked.at < 4.5
    await talk.step("code", 2)
    await talk.private()
    await talk.listen(client="music", manager="third", third="manager")
    await talk.merge()
    await talk.listen(1.5, client="manager third", manager="client third")
    await talk.legs["manager"].hangup()
    await talk.over()


async def busy_then_another(talk: Talk) -> None:
    await talk.begin()
    await talk.pbx.world.number(talk.number_of("third")).busy()
    await talk.consult()
    await talk.press(talk.code("third"))  # the last key's pause ends it
    await talk.step("busy")
    await talk.step("code", 2)
    await talk.private("fourth")
    await talk.listen(client="music", manager="fourth", fourth="manager")
    await talk.press("*")
    await talk.legs["fourth"].ended()
    await talk.back()
    await talk.legs["client"].hangup()
    await talk.over()


async def no_such_number(talk: Talk) -> None:
    await talk.begin()
    await talk.consult()
    third = await talk.rings()
    await third.reject(NO_SUCH_NUMBER)
    await talk.step("noanswer")
    await talk.step("code", 2)
    await talk.press("*")
    await talk.back()
    await talk.legs["manager"].hangup()
    await talk.over()


async def rings_in_vain(talk: Talk) -> None:
    """Twenty seconds, for real."""
    await talk.begin()
    await talk.consult()
    third = await talk.rings()
    begun = await talk.step("rings")
    await third.ended(25)
    over = await talk.steps.until(talk.room, "noanswer", within=25)
    assert 19.9 < over.at - begun.at < 20.4
    await talk.press("*")
    await talk.back()
    await talk.legs["manager"].hangup()
    await talk.over()


async def dropped_while_ringing(talk: Talk) -> None:
    await talk.begin()
    await talk.consult()
    third = await talk.rings()
    await talk.listen(client="music", manager="ringing")
    await talk.press("*")
    await third.ended()
    await talk.back()
    await talk.listen(client="manager", manager="client")
    await talk.legs["manager"].hangup()
    await talk.over()


async def dropped_in_private(talk: Talk) -> None:
    await talk.begin()
    await talk.consult()
    third = await talk.private()
    await talk.press("*")
    await third.ended()
    await talk.back()
    await talk.listen(client="manager", manager="client")
    await talk.legs["manager"].hangup()
    await talk.over()


async def third_leaves_in_private(talk: Talk) -> None:
    await talk.begin()
    await talk.consult()
    third = await talk.private()
    await third.hangup()
    await talk.back()
    await talk.listen(client="manager", manager="client")
    await talk.legs["manager"].hangup()
    await talk.over()


async def client_leaves_at_the_code(talk: Talk) -> None:
    await talk.begin()
    await talk.consult()
    await talk.legs["client"].hangup()
    await talk.press("*")
    await talk.over()


async def client_leaves_while_ringing(talk: Talk) -> None:
    """The talk in private goes on; after it there is nobody to come back to."""
    await talk.begin()
    await talk.consult()
    third = await talk.rings()
    await talk.legs["client"].hangup()
    await talk.listen(0.6, manager="ringing")
    await third.answer()
    await talk.step("private")
    await talk.listen(manager="third", third="manager")
    await third.hangup()
    await talk.over()


async def client_leaves_in_private(talk: Talk) -> None:
    """The two go on in the room; the last one is not left alone in it."""
    await talk.begin()
    await talk.consult()
    third = await talk.private()
    await talk.legs["client"].hangup()
    await talk.listen(0.6, manager="third", third="manager")
    await talk.merge("manager", "third")
    await talk.listen(manager="third", third="manager")
    await third.hangup()
    await talk.over()


async def client_leaves_the_room(talk: Talk) -> None:
    await talk.begin()
    await talk.consult()
    await talk.private()
    await talk.merge()
    await talk.legs["client"].hangup()
    await talk.parties("manager", "third")
    await talk.listen(manager="third", third="manager")
    await talk.legs["manager"].hangup()
    await talk.over()


async def manager_leaves_at_the_code(talk: Talk) -> None:
    await talk.begin()
    await talk.consult()
    await talk.legs["manager"].hangup()
    await talk.over()


async def manager_leaves_while_ringing(talk: Talk) -> None:
    await talk.begin()
    await talk.consult()
    await talk.rings()
    await talk.legs["manager"].hangup()
    await talk.over()


async def manager_leaves_in_private(talk: Talk) -> None:
    await talk.begin()
    await talk.consult()
    await talk.private()
    await talk.legs["manager"].hangup()
    await talk.over()


async def four_parties(talk: Talk) -> None:
    """*3 in the room: the others talk on; *0 sends the newest away."""
    await talk.begin()
    await talk.consult()
    await talk.private()
    await talk.merge()
    await talk.press("*3")
    await talk.parties("client", "third")
    await talk.listen(client="third", third="client")
    await talk.private("fourth")
    await talk.listen(client="third", third="client", fourth="manager")
    await talk.merge("client", "manager", "third", "fourth")
    await talk.listen(
        1.2,
        client="manager third fourth",
        third="client manager fourth",
        fourth="client manager third",
    )
    await talk.press("*0")
    await talk.legs["fourth"].ended()
    await talk.parties("client", "manager", "third")
    await talk.listen(client="manager third", manager="client third", third="client manager")
    await talk.legs["manager"].hangup()
    await talk.over()


async def alone_with_music(talk: Talk) -> None:
    """The manager is away for a fourth person, the third leaves: the client hears music, and is not sent home."""
    await talk.begin()
    await talk.consult()
    third = await talk.private()
    await talk.merge()
    await talk.press("*3")
    await talk.parties("client", "third")
    await third.hangup()
    await talk.parties("client")
    await talk.listen(client="music")
    await talk.press("*")
    await talk.back()
    await talk.listen(client="manager", manager="client")
    await talk.legs["client"].hangup()
    await talk.over()


async def keys_in_the_wrong_place(talk: Talk) -> None:
    """The client's *3 and the manager's # in a talk do nothing; * and # in the room neither."""
    await talk.begin()
    await talk.press("*3", "client")
    await talk.press("#")
    await talk.listen(client="manager", manager="client")
    await talk.consult()
    await talk.press("*")
    await talk.back()
    await talk.press("#*")
    await asyncio.sleep(0.3)
    await talk.listen(client="manager", manager="client")
    await talk.legs["client"].hangup()
    await talk.over()


CONSULTATIONS: tuple[Consultation, ...] = (
    Consultation(
        "nobody answers for twenty seconds", rings_in_vain, "code lookup rings noanswer code back left", "incoming"
    ),
    Consultation("from *3 to the room and back", whole, "code lookup rings merge joined left"),
    Consultation("* at the code", back_from_code, "code back left"),
    Consultation("nothing typed", nothing_typed, "code back left"),
    Consultation("three bad codes", bad_codes, "code lookup badcode code lookup badcode code lookup badcode back left"),
    Consultation(
        "Perezvon hangs", no_answer_from_perezvon, "code lookup badcode code lookup rings merge joined left", "incoming"
    ),
    Consultation("busy, then another", busy_then_another, "code lookup rings busy code lookup rings back left"),
    Consultation("no such number", no_such_number, "code lookup rings noanswer code back left"),
    Consultation("* while ringing", dropped_while_ringing, "code lookup rings back left"),
    Consultation("* in private", dropped_in_private, "code lookup rings back left"),
    Consultation("third hangs up in private", third_leaves_in_private, "code lookup rings back left"),
    Consultation("client hangs up at the code", client_leaves_at_the_code, "code left"),
    Consultation("client hangs up while the third rings", client_leaves_while_ringing, "code lookup rings left"),
    Consultation(
        "client hangs up during the private talk", client_leaves_in_private, "code lookup rings merge joined left"
    ),
    Consultation("client hangs up in the room", client_leaves_the_room, "code lookup rings merge joined left"),
    Consultation("manager hangs up at the code", manager_leaves_at_the_code, "code left"),
    Consultation("manager hangs up while the third rings", manager_leaves_while_ringing, "code lookup rings left"),
    Consultation("manager hangs up during the private talk", manager_leaves_in_private, "code lookup rings left"),
    Consultation("four parties", four_parties, "code lookup rings merge joined code lookup rings merge joined left"),
    Consultation("client alone with music", alone_with_music, "code lookup rings merge joined code back left"),
    Consultation("keys in the wrong place", keys_in_the_wrong_place, "code back left"),
)

AT_ONCE = 6
"""Scenes at the same time: the machine has two cores, and an Asterisk on each."""


class Programme:
    """Consultations, several at once. `played`: with the direction of each. `first`: the number of the first talk."""

    def __init__(
        self,
        played: Sequence[tuple[Consultation, str]],
        pbx: PbxSandbox,
        steps: Steps,
        answers: Answers,
        first: int = 100,
    ) -> None:
        self.answers = answers
        self._programme, self._first = played, first
        self._pbx, self._steps = pbx, steps
        self._places = asyncio.Semaphore(AT_ONCE)
        loop = asyncio.get_running_loop()
        self._played: dict[tuple[str, str], asyncio.Future[Talk]] = {
            (scene.title, way): loop.create_future() for scene, way in played
        }

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number, (scene, way) in enumerate(self._programme, self._first):
                tasks.create_task(self._play(scene, way, number), name=f"{scene.title} {way}")

    async def _play(self, scene: Consultation, way: str, number: int) -> None:
        played = self._played[scene.title, way]
        async with self._places:
            talk = Talk(self._pbx, self._steps, self.answers, way == "incoming", number)
            try:
                async with asyncio.timeout(60):
                    await scene.play(talk)
            except Exception as error:
                played.set_exception(error)
            else:
                played.set_result(talk)
            finally:
                await talk.clear()

    async def talk(self, scene: Consultation, way: str) -> Talk:
        return await self._played[scene.title, way]
