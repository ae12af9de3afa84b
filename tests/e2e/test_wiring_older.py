"""Our dialplan on the oldest Asterisk that is supported: 16, as in Debian 11."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from consultations import CONSULTATIONS, Consultation, Programme
from talks import Answers, Steps, Talk

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.pbx.errors import NotOnMirror
from perezvon.sandbox.pbx.rootfs import find_or_build

pytestmark = pytest.mark.asterisk

TITLES = {
    "from *3 to the room and back",
    "three bad codes",
    "Perezvon hangs",
    "busy, then another",
    "* while ringing",
    "* in private",
    "client hangs up during the private talk",
    "manager hangs up during the private talk",
    "four parties",
}
PLAYED = [(scene, way) for scene in CONSULTATIONS for way in scene.ways.split() if scene.title in TITLES]


@pytest.fixture(scope="module")
async def older(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PbxSandbox]:
    try:
        await find_or_build(release=16)
    except NotOnMirror as gone:
        pytest.skip(str(gone))
    async with await PbxSandbox.start(tmp_path_factory.mktemp("pbx16"), release=16, verbose=3) as pbx:
        assert pbx.installation.version.startswith("16.")
        yield pbx


@pytest.fixture(scope="module")
async def steps(older: PbxSandbox) -> AsyncIterator[Steps]:
    async with Steps(older).following() as steps:
        yield steps


@pytest.fixture(scope="module")
async def answers(older: PbxSandbox) -> AsyncIterator[Answers]:
    async with Answers().serving(older.agi_bind) as answers:
        yield answers


@pytest.fixture(scope="module")
async def programme(older: PbxSandbox, steps: Steps, answers: Answers) -> AsyncIterator[Programme]:
    programme = Programme(PLAYED, older, steps, answers)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(programme.run(), name="programme")
        yield programme
    await older.world.reset()


async def test_it_loads_without_a_complaint(older: PbxSandbox) -> None:
    log = (older.office.folder / "log/full").read_text(encoding="utf-8")
    assert [line for line in log.splitlines() if "WARNING" in line or "ERROR" in line] == []


@pytest.mark.parametrize(("scene", "way"), PLAYED, ids=[f"{scene.title}, {way}" for scene, way in PLAYED])
async def test_consultation(programme: Programme, scene: Consultation, way: str) -> None:
    talk = await programme.talk(scene, way)
    assert talk.differences() == []
    await scene.told(talk)


async def test_refer_to_900(programme: Programme, older: PbxSandbox, steps: Steps, answers: Answers) -> None:
    talk = Talk(older, steps, answers, True, 21)
    await talk.begin()
    first = talk.legs["manager"]
    await first.refer("900")
    talk.legs["manager"] = await talk.manager_rung(2)
    await talk.parties("client")
    await first.ended()
    await talk.private()
    await talk.merge()
    await talk.listen(client="manager third", manager="client third", third="client manager")
    await talk.legs["manager"].hangup()
    await talk.over()
    assert talk.differences() == []


async def test_second_call_to_900(programme: Programme, older: PbxSandbox, steps: Steps, answers: Answers) -> None:
    talk = Talk(older, steps, answers, True, 22)
    await talk.begin()
    first = talk.legs["manager"]
    talk.legs["manager"] = second = await older.world.connector.dial("900")
    await second.answered()
    await first.ended()
    await talk.parties("client")
    await talk.private()
    await talk.merge()
    await talk.listen(client="manager third", manager="client third", third="client manager")
    await second.hangup()
    await talk.over()
    assert talk.differences() == []
