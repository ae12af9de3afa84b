"""Nobody is hung up because two people do something at the same moment, however slow a channel's thread just is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from consultations import CONSULTATIONS, Consultation, Programme
from talks import Answers, Steps, Talk

from perezvon.asterisk.wiring.render import FOLDER
from perezvon.sandbox.pbx import PbxSandbox

pytestmark = pytest.mark.asterisk

TIMES = 2
PAUSE = "System(sleep 0.${RAND(0,3)})"


async def out_again_as_the_third_leaves(talk: Talk) -> None:
    await talk.begin()
    await talk.consult()
    third = await talk.private()
    await talk.merge()
    await talk.listen(client="manager third")
    await asyncio.gather(talk.press("*3"), third.hangup())
    await talk.parties("client")
    await talk.listen(client="music")
    await talk.press("*")
    await talk.back()
    await talk.listen(client="manager", manager="client")
    await talk.legs["client"].hangup()
    await talk.over()


PLAYED = [
    *(scene for scene in CONSULTATIONS if scene.title in {"* in private", "third hangs up in private"}),
    Consultation(
        "out again as the third leaves", out_again_as_the_third_leaves, "code lookup rings merge joined code back left"
    ),
]


def paced(dialplan: str) -> str:
    """A pause by chance before each line that the leaver's handler looks at, and where the manager goes in or out."""
    before, mark, handler = dialplan.partition("[perezvon-room-left]\n")
    handler, end, after = handler.partition("\n[")
    slower = before
    for ways in (
        r"^ same => n\(again\).*?^ same => n,Set\(PEREZVON_TRIES=\$",
        r"^ same => n\(room\).*?^ same => n\(nobody\)",
    ):
        way = re.search(ways, before, flags=re.M | re.S)
        assert mark and end and way
        slower = slower.replace(way[0], way[0].replace("\n same => n", f"\n same => n,{PAUSE}\n same => n"))
    handler = re.sub(r"^ same => n", f" same => n,{PAUSE}\n same => n", handler, flags=re.M)
    return slower + mark + handler + end + after


@pytest.fixture(scope="module")
async def slow(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PbxSandbox]:
    async with await PbxSandbox.start(tmp_path_factory.mktemp("paced"), verbose=3) as pbx:
        file = pbx.office.folder / "etc" / FOLDER / "extensions.conf"
        file.write_text(paced(file.read_text(encoding="utf-8")), encoding="utf-8")
        await pbx.office.command("dialplan reload")
        assert any("System(sleep" in line for line in await pbx.office.command("dialplan show perezvon-room-left"))
        yield pbx


async def test_whoever_comes_back_is_not_sent_home_with_whoever_leaves(slow: PbxSandbox) -> None:
    answers = Answers()
    async with Steps(slow).following() as steps, answers.serving(slow.agi_bind):
        for turn in range(TIMES):
            scenes = [(scene, way) for scene in PLAYED for way in scene.ways.split()]
            programme = Programme(scenes, slow, steps, answers, first=100 + 10 * turn)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(programme.run(), name="programme")
                for scene, way in scenes:
                    talk = await programme.talk(scene, way)
                    await steps.when(lambda talk=talk, scene=scene: steps.of_manager(talk.room) == scene.steps, scene.title)
