"""Nobody is hung up, or left alone, because two do something at the same moment, however slow a channel's thread just is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from consultations import CONSULTATIONS, Consultation, Programme
from talks import Answers, Steps, Talk

from perezvon.asterisk import ActionRefused
from perezvon.asterisk.wiring.render import FOLDER
from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.pbx.errors import SandboxError

pytestmark = pytest.mark.asterisk

SLOW = '"${DB(slow/${PEREZVON_CLIENT})}"'
"""Who of a scene is on his way into the room for a second; without anybody there are short pauses by chance everywhere."""
PAUSE = f'ExecIf($[{SLOW} = ""]?System(sleep 0.${{RAND(0,3)}}))'


async def slow(talk: Talk, who: str) -> None:
    await talk.pbx.office.command(f"database put slow {talk.number_of('client')} {who}")


async def out_again_as_the_third_leaves(talk: Talk) -> None:
    await talk.begin()
    await talk.consult()
    third = await talk.private()
    await talk.merge()
    await talk.listen(client="manager third")
    await asyncio.gather(talk.press("*3"), third.hangup())
    await talk.parties("client")
    await talk.press("*")
    await talk.back()
    await talk.legs["client"].hangup()
    await talk.over()


async def third_leaves_at_the_merge(talk: Talk) -> None:
    await talk.begin()
    await talk.consult()
    third = await talk.private()
    await asyncio.gather(talk.press("#"), third.hangup())
    await talk.back()
    await talk.legs["manager"].hangup()
    await talk.over()


async def client_leaves_at_the_merge(talk: Talk) -> None:
    """The other two go on."""
    await slow(talk, "manager")
    await talk.begin()
    await talk.consult()
    third = await talk.private()
    await talk.press("#")
    await talk.step("joined", 3)
    await talk.legs["client"].hangup()
    await talk.parties("manager", "third")
    await third.hangup()
    await talk.over()


async def manager_leaves_at_the_merge(talk: Talk) -> None:
    await slow(talk, "third")
    await talk.begin()
    await talk.consult()
    await talk.private()
    await talk.press("#")
    await talk.step("joined", 2)
    await talk.legs["manager"].hangup()
    await talk.over()


async def nobody_is_left_at_the_merge(talk: Talk) -> None:
    await slow(talk, "manager")
    await talk.begin()
    await talk.consult()
    third = await talk.private()
    await talk.legs["client"].hangup()
    await talk.press("#")
    await talk.step("joined", 3)
    await third.hangup()
    await talk.over()


async def client_leaves_as_the_manager_comes_back(talk: Talk) -> None:
    await slow(talk, "manager")
    await talk.begin()
    await talk.consult()
    await talk.press("*")
    await talk.step("back")
    await talk.legs["client"].hangup()
    await talk.over()


async def third_lingers_when_the_client_is_gone(talk: Talk) -> None:
    """There is nobody to come back to, though the third's leg is still there."""
    await slow(talk, "third-leaves")
    await talk.begin()
    await talk.consult()
    third = await talk.rings()
    await talk.legs["client"].hangup()
    await talk.step("left")
    await third.answer()
    await talk.step("private")
    await third.talking(to=talk.legs["manager"])
    await third.hangup()
    await talk.over()


async def client_leaves_as_he_is_held(talk: Talk) -> None:
    await talk.begin()

    async def consult() -> None:
        with suppress(ActionRefused):  # he was too late
            await talk.press("*3")

    await asyncio.gather(consult(), talk.legs["client"].hangup())
    await talk.over()


async def manager_leaves_as_he_holds(talk: Talk) -> None:
    await slow(talk, "client")
    await talk.begin()
    await talk.press("*3")
    await talk.step("joined")
    await talk.legs["manager"].hangup()
    await talk.over()


async def back_at_once(talk: Talk) -> None:
    await slow(talk, "client")
    await talk.begin()
    await talk.press("*3")
    await talk.step("code")
    await talk.press("*")
    await talk.back()
    await talk.legs["client"].hangup()
    await talk.over()


async def given_up_as_the_third_answers(talk: Talk) -> None:
    await talk.begin()
    await talk.consult()
    third = await talk.rings()

    async def answer() -> None:
        with suppress(SandboxError):  # he was too late
            await third.answer()

    await asyncio.gather(talk.press("*"), answer())
    await third.ended()
    await talk.back()
    await talk.legs["manager"].hangup()
    await talk.over()


async def two_leave_the_room(talk: Talk) -> None:
    await talk.begin()
    await talk.consult()
    third = await talk.private()
    await talk.merge()
    await asyncio.gather(talk.legs["client"].hangup(), third.hangup())
    await talk.over()


PLAYED = [
    *(scene for scene in CONSULTATIONS if scene.title in {"* in private", "third hangs up in private"}),
    Consultation(
        "out again as the third leaves", out_again_as_the_third_leaves, "code lookup rings merge joined code back left"
    ),
    Consultation("third leaves at the merge", third_leaves_at_the_merge, ""),
    Consultation("client leaves at the merge", client_leaves_at_the_merge, "code lookup rings merge joined left"),
    Consultation("manager leaves at the merge", manager_leaves_at_the_merge, ""),
    Consultation("nobody is left at the merge", nobody_is_left_at_the_merge, ""),
    Consultation("client leaves as the manager comes back", client_leaves_as_the_manager_comes_back, ""),
    Consultation("third lingers when the client is gone", third_lingers_when_the_client_is_gone, "code lookup rings left"),
    Consultation("client leaves as he is held", client_leaves_as_he_is_held, ""),
    Consultation("manager leaves as he holds", manager_leaves_as_he_holds, ""),
    Consultation("back at once", back_at_once, "code back left"),
    Consultation("* as the third answers", given_up_as_the_third_answers, "code lookup rings back left"),
    Consultation("two leave the room", two_leave_the_room, "code lookup rings merge joined left"),
]

WAYS = (
    r"^\[perezvon-room-start\].*?^\[perezvon-room-manager\]",
    r"^ same => n\(again\).*?^ same => n,Set\(PEREZVON_TRIES=\$",
    r"^ same => n\(room\).*?^ same => n\(nobody\)",
    r"^\[perezvon-room-merge\].*?^; \*0 in the room",
    r"^\[perezvon-room-left\].*?^; ---- ",
)
"""Where people go in and out, and what is done when they leave."""


def paced(dialplan: str) -> str:
    for way in WAYS:
        found = re.search(way, dialplan, flags=re.M | re.S)
        assert found, way
        dialplan = dialplan.replace(found[0], re.sub(r"(?m)^ same => n", f" same => n,{PAUSE}\n same => n", found[0]))
    for who in ("client", "manager", "third"):
        arrives = f" same => n,ConfBridge(${{PEREZVON_ROOM}},perezvon_room,perezvon_{who}"
        assert arrives in dialplan
        dialplan = dialplan.replace(arrives, f' same => n,ExecIf($[{SLOW} = "{who}"]?System(sleep 1))\n{arrives}')
    leaves = " same => n,Set(GROUP(perezvon)=gone)"
    assert leaves in dialplan
    return dialplan.replace(leaves, f' same => n,ExecIf($[{SLOW} = "${{ARG1}}-leaves"]?System(sleep 1))\n{leaves}')


@pytest.fixture(scope="module")
async def pbx_paced(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PbxSandbox]:
    async with await PbxSandbox.start(tmp_path_factory.mktemp("paced"), verbose=3) as pbx:
        file = pbx.office.folder / "etc" / FOLDER / "extensions.conf"
        file.write_text(paced(file.read_text(encoding="utf-8")), encoding="utf-8")
        await pbx.office.command("dialplan reload")
        assert any("System(sleep" in line for line in await pbx.office.command("dialplan show perezvon-room-left"))
        yield pbx


async def test_nobody_is_sent_home_or_left_alone(pbx_paced: PbxSandbox) -> None:
    answers, wrong = Answers(), list[str]()
    async with Steps(pbx_paced).following() as steps, answers.serving(pbx_paced.agi_bind):
        scenes = [(scene, way) for scene in PLAYED for way in scene.ways.split()]
        programme = Programme(scenes, pbx_paced, steps, answers)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(programme.run(), name="programme")
            for scene, way in scenes:
                try:
                    talk = await programme.talk(scene, way)
                    if scene.steps:
                        await scene.told(talk)
                except Exception as error:
                    wrong.append(f"{scene.title}, {way}: {error!r}"[:400])
    assert wrong == [], "\n".join(wrong)
