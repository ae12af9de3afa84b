"""The service is killed (SIGKILL), or stopped for a while (SIGSTOP), in each state of the voice menu and of the conference,
in both directions: every call goes on as if nothing had happened (a menu too), or to Bitrix24 while it was still being asked
for, or back to the client; nobody is hung up.
When the service is back, the portal has each call once and whole, and the next consultation works.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from blows import (
    ANSWERS,
    ANSWERS_TOO,
    CALLED,
    GUARD,
    KILLED,
    OTHER,
    PROMPTS,
    QUICK,
    SHORT,
    SILENCE,
    SLOW,
    SOON,
    STOPPED,
    UNKNOWN,
    Company,
    Round,
    Scene,
    Turn,
)
from talks import Steps, Talk

from perezvon.sandbox.pbx import PbxSandbox, sounds
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.stand import stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(180)]

SLACK = 1.5
"""Seconds by which the portal's whole seconds may differ from what the phones measured."""
BUTTON = "1"
RINGS = 5.2
"""Seconds: a tone and the pause after it."""

SECTIONS = """
[agi]
bind = "{agi}"
[ivr]
database = "sqlite:///{file}"
sounds = "{sounds}"
silence = {silence}
patience = 3
[conference]
database = "sqlite:///{file}"
patience = 3
[[line]]
number = "{slow}"
[[line]]
number = "{quick}"
[[line]]
number = "{other}"
"""


# ---- the voice menu


async def to_bitrix24(talk: Talk, turn: Turn, earliest: float, latest: float) -> None:
    """After the blow, between these two moments (POSIX seconds)."""
    talk.silent |= {"client"}
    manager = talk.legs["manager"] = await talk.manager_rung()
    rung = (await manager.office_channel()).created
    assert earliest <= rung <= latest, f"Bitrix24 is rung {rung - turn.blow.at:.2f} s after the blow"
    await manager.talking(to=talk.legs["client"])
    await talk.listen(client="manager", manager="client")
    await turn.over()
    await another(talk)


async def menu_is_read(talk: Talk, turn: Turn) -> None:
    """Perezvon waits for the company's database."""
    await turn.nearer()
    client = talk.legs["client"] = await talk.pbx.world.call(frm=talk.number_of("client"), to=talk.line)
    called = await client.at_office()
    await turn.falls()
    if turn.kills:
        await to_bitrix24(talk, turn, turn.blow.at, turn.blow.at + SOON)
    else:
        await to_bitrix24(talk, turn, called + GUARD - 0.1, called + GUARD + SOON)
    assert client.seconds_of(PROMPTS["scenario/short"][0]) < 0.1


async def intro_is_playing(talk: Talk, turn: Turn) -> None:
    """He hears it, presses a key and talks, all without the service, which makes it good when it is back."""
    await turn.near()
    client = talk.legs["client"] = await talk.pbx.world.call(frm=talk.number_of("client"), to=talk.line)
    await client.answered()
    await turn.falls()
    await asyncio.sleep(0.3)
    await client.press("2")
    talk.legs["third"] = await talk.pbx.world.number(ANSWERS).talking()
    await talk.listen(client="third", third="client")
    await turn.over()
    await talk.listen(client="third", third="client")
    await client.hangup()
    await talk.over()
    assert client.seconds_of(PROMPTS["scenario/long"][0]) > 0.5


async def menu_is_over_meanwhile(talk: Talk, turn: Turn) -> None:
    """He pressed a key, talked and hung up: nobody of ours has seen it."""
    await turn.near()
    client = talk.legs["client"] = await talk.pbx.world.call(frm=talk.number_of("client"), to=talk.line)
    await client.answered()
    await turn.falls()
    await asyncio.sleep(0.3)
    await client.press("2")
    talk.legs["third"] = await talk.pbx.world.number(ANSWERS_TOO).talking()
    await talk.listen(client="third", third="client")
    await client.hangup()
    await talk.over()
    await turn.over()


async def key_is_awaited(talk: Talk, turn: Turn) -> None:
    await turn.near()
    client = talk.legs["client"] = await talk.pbx.world.call(frm=talk.number_of("client"), to=talk.line)
    await client.answered()
    await asyncio.sleep(5 * SHORT + 0.4)  # he listens to the end
    spoken = client.channel.answered if client.channel and client.channel.answered else 0.0
    await turn.falls()
    silent = spoken + 5 * SHORT + SILENCE
    await to_bitrix24(talk, turn, silent - 0.2, silent + 2 * SOON)
    for hertz, seconds in PROMPTS.values():
        assert seconds != SHORT or client.seconds_of(hertz) == pytest.approx(
            seconds * (2 if hertz == 1700.0 else 1), abs=0.15
        )


async def button_rings(talk: Talk, turn: Turn) -> None:
    """Nobody notices."""
    world = talk.pbx.world
    number = world.number(CALLED)
    await number.rings()
    client = talk.legs["client"] = await world.call(frm=talk.number_of("client"), to=talk.line)
    await client.answered()
    await client.press(BUTTON)
    third = talk.legs["third"] = await number.ringing()
    await turn.falls()
    await talk.listen(RINGS, client="ringing")
    await third.answer()
    await third.talking(to=client)
    await talk.listen(client="third", third="client")
    await turn.over()
    await talk.listen(client="third", third="client")
    await client.hangup()
    await talk.over()


# ---- the conference


async def in_vain(talk: Talk, turn: Turn, asked: float) -> None:
    """The answer does not come: the error tone, and the code is asked for again."""
    failed = (await talk.step("badcode")).at
    if turn.kills:
        assert failed - max(turn.blow.at, asked) < SOON
    else:
        assert GUARD - 0.2 < failed - asked < GUARD + SOON
    await talk.step("code", 2)
    await talk.listen(client="music")


async def code_is_awaited(talk: Talk, turn: Turn) -> None:
    await talk.begin()
    await turn.near()
    await talk.consult()
    await turn.falls()
    await talk.press(talk.code("third") + "#")
    await in_vain(talk, turn, (await talk.step("lookup")).at)
    await back_and_again(talk, turn)


async def code_is_looked_up(talk: Talk, turn: Turn) -> None:
    await talk.begin()
    await turn.nearer()
    await talk.consult()
    await talk.press(talk.code("third") + "#")
    asked = (await talk.step("lookup")).at
    await turn.falls()
    await in_vain(talk, turn, asked)
    await back_and_again(talk, turn)


async def back_and_again(talk: Talk, turn: Turn) -> None:
    await talk.press("*")
    await talk.back()
    await talk.listen(client="manager", manager="client")
    await turn.over()
    await talk.consult()
    await talk.private()
    await talk.listen(client="music", manager="third", third="manager")
    await talk.merge()
    await all_three(talk)
    await talk.legs["manager"].hangup()
    await talk.over()
    assert talk.legs["manager"].seconds_of(sounds.WRONG_CODE) == pytest.approx(0.4, abs=0.2)


async def all_three(talk: Talk) -> None:
    await talk.listen(client="manager third", manager="client third", third="client manager")


async def to_private(talk: Talk) -> None:
    await talk.begin()
    await talk.consult()
    await talk.private()


async def third_rings(talk: Talk, turn: Turn) -> None:
    """He answers without the service, and is joined when it is back."""
    await talk.begin()
    await talk.consult()
    third = await talk.rings()
    await turn.falls()
    await talk.listen(RINGS, client="music", manager="ringing")
    await third.answer()
    await talk.step("private")
    await third.talking(to=talk.legs["manager"])
    await talk.listen(client="music", manager="third", third="manager")
    await turn.over()
    await talk.merge()
    await all_three(talk)
    await another(talk, "third")


async def private_talk(talk: Talk, turn: Turn) -> None:
    """Joined without the service."""
    await to_private(talk)
    await turn.falls()
    await talk.listen(client="music", manager="third", third="manager")
    await talk.merge()
    await all_three(talk)
    await turn.over()
    await another(talk, "third")


async def room(talk: Talk, turn: Turn) -> None:
    await to_private(talk)
    await talk.merge()
    await turn.falls()
    await all_three(talk)
    await turn.over()
    await another(talk, "third")


async def room_is_left_meanwhile(talk: Talk, turn: Turn) -> None:
    await to_private(talk)
    await talk.merge()
    await turn.falls()
    await talk.legs["third"].hangup()
    await talk.back()
    await talk.listen(client="manager", manager="client")
    await turn.over()
    await another(talk)


async def all_is_over_meanwhile(talk: Talk, turn: Turn) -> None:
    """The third person answered, was joined, and everybody hung up: nobody of ours has seen it."""
    await talk.begin()
    await talk.consult()
    third = await talk.rings()
    await turn.falls()
    await third.answer()
    await talk.step("private")
    await talk.listen(client="music", manager="third", third="manager")
    await talk.merge()
    await all_three(talk)
    await talk.legs["manager"].hangup()
    await talk.over()
    await turn.over()


async def another(talk: Talk, *there: str) -> None:
    """The next consultation: with a fourth person, who is dropped. `there`: who is in the room beside the two."""
    others = " ".join(there)
    talk.room = talk.room or (await talk.legs["client"].office_channel()).uniqueid
    before = talk.steps.count(talk.room, "code")
    await talk.press("*3")
    await talk.step("code", before + 1)
    await talk.parties("client", *there)
    fourth = await talk.private("fourth")
    await talk.listen(client=others or "music", manager="fourth", fourth="manager")
    await talk.press("*")
    await fourth.ended()
    await talk.parties("client", "manager", *there)
    await talk.listen(client=f"manager {others}", manager=f"client {others}")
    await talk.legs["manager"].hangup()
    await talk.over()


SCENES = (  # those who ring, who do so for 20 s, begin last
    Scene("room", room, conferring=3, thirds="third fourth"),
    Scene("room that is left meanwhile", room_is_left_meanwhile, "incoming", conferring=2, thirds="third fourth"),
    Scene("private talk", private_talk, conferring=3, thirds="third fourth"),
    Scene("the code is awaited", code_is_awaited, conferring=2, thirds="third"),
    Scene("the code is looked up", code_is_looked_up, conferring=2, thirds="third"),
    Scene("menu: it is read", menu_is_read, "incoming", UNKNOWN, thirds="fourth"),
    Scene("menu: the intro is playing", intro_is_playing, "incoming", SLOW),
    Scene("menu: it is over meanwhile", menu_is_over_meanwhile, "incoming", OTHER),
    Scene("menu: a key is awaited", key_is_awaited, "incoming", QUICK, thirds="fourth"),
    Scene("the third person rings", third_rings, conferring=3, thirds="third fourth"),
    Scene("all is over meanwhile", all_is_over_meanwhile, thirds="third"),
    Scene("menu: the number of a button rings", button_rings, "incoming", QUICK),
)
TOLD = {
    "menu: it is over meanwhile": [f"нажато 2, ведёт на +{ANSWERS_TOO}", f"звонок на +{ANSWERS_TOO}: отвечен"],
    "menu: the intro is playing": [
        f"нажато 2, ведёт на +{ANSWERS} (прослушано: приветствие)",
        f"звонок на +{ANSWERS}: отвечен",
    ],
    "menu: a key is awaited": ["ничего не нажато (прослушано: приветствие, 1, 2)"],
    "menu: the number of a button rings": [
        f"нажато 1, ведёт на +{CALLED} (прослушано: приветствие)",
        f"звонок на +{CALLED}: отвечен",
    ],
}
"""What the activity says of the menu, without the times."""
PLAYED = [(scene, way) for scene in SCENES for way in scene.ways.split()]


@pytest.fixture(scope="module")
def portal_config() -> PortalConfig:
    return PortalConfig(rate=None, one_card_per_user=False)


@pytest.fixture(scope="module", params=[KILLED, STOPPED])
async def blown(
    request: pytest.FixtureRequest, pbx_session: PbxSandbox, portal: PortalServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Round]:
    """All scenes, played around one blow."""
    folder = tmp_path_factory.mktemp("blown")
    company = Company(folder)
    more = SECTIONS.format(
        agi=pbx_session.agi_bind,
        file=company.file,
        sounds=company.sounds,
        silence=SILENCE,
        slow=SLOW,
        quick=QUICK,
        other=OTHER,
    )
    first = 200 if request.param == KILLED else 300
    async with stand(pbx_session, portal, folder / "perezvon", more=more) as whole, Steps(pbx_session).following() as steps:
        await whole.service.until(
            lambda status: status["dialplan"]["listens"] and status["dialplan"]["prompts"] == len(PROMPTS),
            "answers the dialplan, and has the prompts of its lines",
        )
        played = Round(whole, steps, company, request.param, PLAYED, first)
        await played.run()
        yield played
        await pbx_session.world.reset()


each = pytest.mark.parametrize(("scene", "way"), PLAYED, ids=[f"{scene.title}, {way}" for scene, way in PLAYED])


@each
async def test_the_call_goes_on(blown: Round, scene: Scene, way: str) -> None:
    talk = await blown.talk(scene, way)
    assert talk.differences() == []


@each
async def test_the_portal_has_it_once_and_whole(blown: Round, scene: Scene, way: str) -> None:
    talk = await blown.talk(scene, way)
    number = "+" + talk.number_of("client")
    call = await blown.stand.call_of(number, recorded=True)
    assert differences(talk, call) == []
    state = blown.stand.portal.state
    assert [one.id for one in state.calls() if one.phone == number] == [call.id]
    assert [row["CALL_ID"] for row in state.book.statistics].count(call.id) == 1
    assert len(call.created) <= 1
    others = {"+" + talk.number_of(who) for who in ("third", "fourth")}
    assert [one.phone for one in state.calls() if one.phone in others] == []
    assert blown.record_of(number)["third_parties"] == ["+" + talk.number_of(who) for who in scene.thirds.split()]


@pytest.mark.parametrize(("scene", "told"), TOLD.items())
async def test_the_crm_tells_what_was_heard_and_pressed(blown: Round, scene: str, told: list[str]) -> None:
    talk = await blown.talk(next(one for one in SCENES if one.title == scene), "incoming")
    call = await blown.stand.call_of("+" + talk.number_of("client"))

    def description() -> str | None:
        activity = blown.stand.portal.state.crm.get("ACTIVITY", call.activity_id)
        return activity.text("DESCRIPTION") or None if activity is not None else None

    text = await blown.stand.until(description, "the activity tells of the menu")
    lines = [line.partition(" ")[2] for line in text.split("\n") if line[2:3] == ":"][: len(told)]
    if scene.endswith("over meanwhile"):  # what was heard is not in the channel event log
        lines = [line.partition(" (")[0] for line in lines]
    assert lines == told


async def test_no_room_is_left(blown: Round) -> None:
    await blown.stand.service.until(
        lambda status: status["dialplan"]["conferring"] == status["dialplan"]["calls"] == 0, "knows of no conference", 5
    )
    listed = "\n".join(await blown.stand.pbx.office.command("confbridge list"))
    assert [talk.room for talk in blown.talks.values() if talk.room and talk.room in listed] == []


def differences(talk: Talk, call: PortalCall) -> list[str]:
    """What the portal says otherwise than it was."""
    client = talk.legs["client"].channel
    answered = client if not talk.incoming else talk.legs["manager" if "manager" in talk.legs else "third"].channel
    assert client is not None and answered is not None and client.ended is not None and answered.answered is not None
    seconds = client.ended - answered.answered
    found: list[str] = []
    told = (call.type, int(call.finish["user_id"]), str(call.finish["status"]))
    if told != (was := (2 if talk.incoming else 1, 1, "200")):
        found.append(f"type, user and status are {told}, not {was}")
    if talk.incoming and call.line != talk.line:
        found.append(f"the line is {call.line}, not {talk.line}")
    if abs(int(call.finish["duration"]) - seconds) > SLACK:
        found.append(f"duration {call.finish['duration']} s, it was {seconds:.1f} s")
    recording = call.recording
    assert recording is not None
    if not recording.decodes or abs(recording.duration - seconds) > SLACK or recording.times != 1:
        found.append(f"recording {recording.duration:.1f} s, attached {recording.times} times ({recording.problem})")
    users = [card.user_id for card in call.cards]
    if call.leftover_cards or len(set(users)) < len(users):
        found.append(f"cards shown to {users}, left up for {call.leftover_cards}")
    return found
