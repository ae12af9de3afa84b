"""Document 000, 3c: where recordings are, and what becomes of them: stereo, pauses on a key, names from a template."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from heard_sides import channels_of, portal_file
from recorded_parts import files_at_pbx, rows_of, rows_until, states
from talks import LINE

from perezvon.asterisk import AmiAddress
from perezvon.asterisk.wiring.loading import load
from perezvon.asterisk.wiring.render import FOLDER, render
from perezvon.sandbox.pbx import Leg, PbxSandbox, sounds
from perezvon.sandbox.pbx.layout import wiring_of
from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.stand import Stand, stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]

TALK = 2.0
PAUSE = 3.0
SEAMS = 0.1
"""Seconds: a window or two where the parts of an mp3 meet."""
KEYS = ("extensions.conf", "features.conf")
STEREO = """
[recordings]
channels = "stereo"
pause_key = "*5"
"""
OURS = 'own_line = "perezvon"\ntime_zone = "Europe/Moscow"'

UNTOLD = """
import perezvon.calls.recording
perezvon.calls.recording.FILE = perezvon.calls.recording.NAME = "NOT_TOLD"
"""


@pytest.fixture(scope="module")
async def wired(pbx_session: PbxSandbox) -> AsyncIterator[PbxSandbox]:
    """The office's dialplan as `perezvon asterisk install` writes it for these settings."""
    ours = pbx_session.office.folder / "etc" / FOLDER
    before = {name: (ours / name).read_bytes() for name in KEYS}
    wiring = wiring_of(pbx_session.office.folder, pbx_session.addresses)
    for file in render(replace(wiring, stereo=True, pause_key="*5", with_menu=False)):
        if file.name in KEYS:
            (ours / file.name).write_text(file.text, encoding="utf-8")
    address = AmiAddress.parse(pbx_session.office_ami_all)
    await load(address, KEYS)
    yield pbx_session
    await pbx_session.world.reset()
    for name, content in before.items():
        (ours / name).write_bytes(content)
    await load(address, KEYS)


@pytest.fixture(scope="module")
async def office(wired: PbxSandbox, portal: PortalServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    folder = tmp_path_factory.mktemp("perezvon")
    async with stand(wired, portal, folder, portal_more=OURS, more=STEREO) as whole:
        yield whole
        await wired.world.reset()


async def begin(office: Stand, client: str, *, incoming: bool) -> tuple[Leg, Leg]:
    """The legs of the client and of the employee in Bitrix24, who talk."""
    world = office.pbx.world
    if incoming:
        leg = await world.call(frm=client, to=LINE)
        manager = await world.connector.talking()
    else:
        manager = await world.connector.dial(client)
        await manager.answered()
        leg = world.number(client).leg
    await leg.talking(to=manager)
    return leg, manager


async def heard_by_side(office: Stand, call: PortalCall, folder: Path, client: Leg) -> tuple[list[float], list[float]]:
    """When the client is heard left, and the employee right; neither on the other side."""
    left, right = channels_of(portal_file(office, call, folder))
    assert sounds.seconds_heard(left, sounds.TONES["connector"]) <= SEAMS, "the employee is heard left"
    assert sounds.seconds_heard(right, client.tone) <= SEAMS, "the client is heard right"
    return sounds.moments_heard(left, client.tone), sounds.moments_heard(right, sounds.TONES["connector"])


@pytest.mark.parametrize("incoming", [True, False], ids=["incoming", "outgoing"])
async def test_3c_the_client_left_the_employee_right(office: Stand, tmp_path: Path, incoming: bool) -> None:
    number = "79167790001" if incoming else "79167790002"
    client, _ = await begin(office, number, incoming=incoming)
    await client.talks(TALK)
    await client.hangup()
    call = await office.call_of(f"+{number}", recorded=True)
    left, right = await heard_by_side(office, call, tmp_path, client)
    assert len(left) * 0.05 > TALK * 0.8
    assert len(right) * 0.05 > TALK * 0.8


async def activity_of(office: Stand, number: str) -> str:
    call = await office.call_of(f"+{number}")

    def told() -> str | None:
        activity = office.portal.state.crm.get("ACTIVITY", call.activity_id)
        return activity.text("DESCRIPTION") or None if activity is not None else None

    return await office.until(told, "the activity tells of the pause")


async def test_3c_a_pause_is_silent_and_the_time_goes_on(office: Stand, tmp_path: Path) -> None:
    """They talk, and talk on: of the pause nothing is recorded, on either side, and nobody hears anything of it."""
    number = "79167790003"
    client, manager = await begin(office, number, incoming=True)
    await client.talks(TALK)
    await manager.press("*5")
    paused = time.monotonic()
    await asyncio.sleep(PAUSE)
    await manager.press("*5")
    paused = time.monotonic() - paused
    await client.talks(TALK)
    await client.hangup()
    await manager.ended()
    call = await office.call_of(f"+{number}", recorded=True)
    assert call.recording is not None
    assert call.recording.duration == pytest.approx(2 * TALK + paused + 0.4, abs=0.9)
    left, right = await heard_by_side(office, call, tmp_path, client)
    for moments in (left, right):
        before, after = [at for at in moments if at < TALK + 1.2], [at for at in moments if at > TALK + PAUSE]
        assert len(before) + len(after) == len(moments), "something of the pause is heard"
        assert len(before) * 0.05 > TALK * 0.8
        assert len(after) * 0.05 > TALK * 0.8
        assert min(after) - max(before) == pytest.approx(paused, abs=0.6)
    assert manager.seconds_of(client) > 2 * TALK + PAUSE - 0.5, "the talk itself was interrupted"
    assert client.seconds_of(sounds.MUSIC_ON_HOLD) == 0
    text = await activity_of(office, number)
    assert text.startswith("Запись\nпауза ")
    assert "Время: UTC+03:00" in text
    rows = rows_of(office, f"+{number}")
    assert states(rows)[:2] in (["ready", "ready"], ["joined", "joined"])


async def test_3c_hung_up_in_a_pause(office: Stand, tmp_path: Path) -> None:
    number = "79167790004"
    client, manager = await begin(office, number, incoming=False)
    await client.talks(TALK)
    await manager.press("*5")
    await asyncio.sleep(PAUSE / 2)
    await client.hangup()
    call = await office.call_of(f"+{number}", recorded=True)
    assert call.recording is not None
    assert call.recording.duration < TALK + 1.5
    left, right = await heard_by_side(office, call, tmp_path, client)
    assert len(left) * 0.05 > TALK * 0.8
    assert max(left + right) < TALK + 1.2
    assert "до конца" in await activity_of(office, number)
    await rows_until(office, f"+{number}", lambda rows: states(rows) == ["ready"], "one recording, and no trouble")
    status = await office.service.status()
    assert (status["recordings"]["failed"], status["recordings"]["missing"]) == (0, 0)


async def test_3c_three_pauses(office: Stand, tmp_path: Path) -> None:
    number = "79167790005"
    client, manager = await begin(office, number, incoming=True)
    for _ in range(3):
        await client.talks(1.2)
        await manager.press("*5")
        await asyncio.sleep(1.5)
        await manager.press("*5")
    await client.talks(1.2)
    await client.hangup()
    await manager.ended()
    call = await office.call_of(f"+{number}", recorded=True)
    left, _ = await heard_by_side(office, call, tmp_path, client)
    silences = [later - at for at, later in itertools.pairwise(left) if later - at > 0.6]
    assert len(silences) == 3, silences
    assert all(1.2 < silence < 2.6 for silence in silences), silences


async def test_3c_the_names_of_a_pbx_that_does_not_tell_them(
    pbx_session: PbxSandbox, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """As FreePBX lays its recordings out, and no variable is heard of."""
    async with (
        PortalServer() as portal,
        stand(pbx_session, portal, tmp_path_factory.mktemp("untold"), first=UNTOLD) as office,
    ):
        named = office.settings().replace("contexts = [", 'recordings_paths = ["freepbx"]\ncontexts = [', 1)
        before = (await office.service.status())["settings"]
        await office.service.configure(named)
        await office.service.until(lambda status: status["settings"] > before, "has noticed the new settings")
        await office.ready()
        number = "79167790006"
        leg = await pbx_session.world.call(frm=number, to="74950000101")
        other = await pbx_session.world.phone("101").talking()
        await leg.talking(to=other)
        await leg.talks(TALK)
        await leg.hangup()
        call = await office.call_of(f"+{number}", recorded=True)
        (mixed,) = channels_of(portal_file(office, call, tmp_path))
        assert sounds.seconds_heard(mixed, leg.tone) > TALK * 0.8
        (row,) = rows_of(office, f"+{number}")
        assert row.path.endswith(files_at_pbx(office, number)[0].name)
