"""A transferred call of which the PBX makes several files has one recording at the portal, with everything in its order."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from recorded_parts import files_at_pbx, heard_in, mp3s, rows_of, rows_until, states, wrong_order

from perezvon.sandbox.pbx import Leg, PbxSandbox, sounds
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.faults import Fault
from perezvon.sandbox.stand import Stand, stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]

TALK = 2.4
"""Seconds: more than the doubt whether two files are of the same talk."""

ATTACH = "telephony.externalCall.attachRecord"
WITHIN = 0.35
"""Seconds by which a joined file may be longer than its parts: silence in the first and last frames of an mp3."""

GRACE = 4.0
SHORT_GRACE = f"""
from perezvon.delivery.attach import RecordingWorker
RecordingWorker.__init__.__kwdefaults__["grace"] = {GRACE}
"""


@pytest.fixture(scope="module")
async def short(pbx_session: PbxSandbox, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    """Its service waits for a part that is not there for four seconds instead of sixty."""
    async with (
        PortalServer(PortalConfig(rate=None)) as portal,
        stand(pbx_session, portal, tmp_path_factory.mktemp("short"), first=SHORT_GRACE) as whole,
    ):
        await pbx_session.world.reset()
        yield whole
        await pbx_session.world.reset()


async def sent_on(whole: Stand, client: Leg, leg: Leg, code: str, extension: str) -> Leg:
    """By feature code, to where the PBX begins a new file; they talk."""
    await leg.press(f"##{code}")
    other = await whole.pbx.world.phone(extension).talking()
    await client.talking(to=other)
    await client.talks(TALK)
    return other


async def talk(whole: Stand, number: str, extension: str) -> tuple[Leg, Leg]:
    """A client calls an employee. Gives the client's leg and the employee's."""
    client = await whole.pbx.world.call(frm=number, to=f"74950000{extension}")
    leg = await whole.pbx.world.phone(extension).talking()
    await client.talking(to=leg)
    await client.talks(TALK)
    return client, leg


def lengths(files: list[Path]) -> list[float]:
    return [sounds.seconds_of(file) for file in files]


def agrees(call: PortalCall, parts: list[float], *, times: int = 1) -> None:
    assert call.recording is not None
    assert call.recording.decodes
    assert call.recording.times == times
    assert sum(parts) - 0.1 <= call.recording.duration <= sum(parts) + WITHIN


def marked(whole: Stand, client: str, parts: list[float], talkers: list[tuple[str, ...]]) -> None:
    """Where each part begins in the joined file, and who talks in it, is stored."""
    rows = rows_of(whole, client)
    starts = [sum(parts[:number]) for number in range(len(parts))]
    assert [row.mark for row in rows] == [pytest.approx(start, abs=WITHIN) for start in starts]
    assert [row.talkers for row in rows] == talkers
    assert len({row.joined for row in rows}) == 1


async def test_three_files_become_one(office: Stand, tmp_path: Path) -> None:
    """Of an outgoing call the first is the employee's, and ends with his channel; the others are the client's, who is sent to
    a ring group and on to a queue that have recordings of their own."""
    client = "+79161310050"
    office.portal.state.faults.plan(Fault.SLOW, method=ATTACH, wait=2.0)
    leg = await office.pbx.world.phone("104").dial(client[1:])
    await leg.talks(TALK)
    callee = office.pbx.world.number(client[1:]).leg
    second = await sent_on(office, callee, leg, "611", "101")
    await sent_on(office, callee, second, "330", "103")
    await callee.hangup()
    joined = await rows_until(office, client, lambda rows: states(rows) == ["joined"] * 3, "joined the parts")
    kept = {row.file for row in joined}
    assert len(kept) == 3
    assert kept <= mp3s(office, client), "a part is gone before the portal has the whole"
    call = await office.call_of(client, recorded=True)
    parts = lengths(files_at_pbx(office, client))
    assert len(parts) == 3
    assert min(parts) > 2.0
    agrees(call, parts)
    wav = heard_in(office, call, tmp_path)
    assert wrong_order(wav, files_at_pbx(office, client)) == []
    assert sounds.seconds_heard(files_at_pbx(office, client)[0], sounds.TONES["104"]) > TALK / 2, "nothing was compared"
    assert len(sounds.moments_heard(wav, callee.tone)) * 0.05 > sum(parts) - 0.5, "the client is not heard all the time"
    marked(office, client, parts, [("104",), ("101",), ("103",)])
    await rows_until(office, client, lambda rows: states(rows) == ["ready"] * 3, "cleared away")
    assert mp3s(office, client) == {joined[0].joined}
    assert call.recording is not None
    assert call.recording.times == 1


async def test_killed_while_a_part_is_waited_for(office: Stand, tmp_path: Path) -> None:
    """Between the conversion of one part and the joining: the other has not come yet, and comes after the restart."""
    client = "+79161310052"
    caller, leg = await talk(office, client[1:], "103")
    await sent_on(office, caller, leg, "614", "104")
    first, second = files_at_pbx(office, client)
    away = first.rename(tmp_path / first.name)
    await caller.hangup()
    rows = await rows_until(office, client, lambda rows: sorted(states(rows)) == ["new", "part"], "one part")
    await office.service.kill()
    (waiting,) = [row for row in rows if row.state == "part"]
    assert waiting.file in mp3s(office, client)
    assert (await office.call_of(client)).recording is None
    away.rename(first)
    await office.service.start()
    call = await office.call_of(client, recorded=True)
    parts = lengths([first, second])
    agrees(call, parts)
    assert wrong_order(heard_in(office, call, tmp_path), [first, second]) == []
    marked(office, client, parts, [("103",), ("104",)])


async def test_parts_that_are_late_or_broken(short: Stand, tmp_path: Path) -> None:
    """The others are attached without them; with the late one the recording is attached again."""
    late, broken = "+79161310053", "+79161310054"
    talks = await asyncio.gather(talk(short, late[1:], "101"), talk(short, broken[1:], "103"))
    (one, _), (other, _) = talks
    await asyncio.gather(sent_on(short, *talks[0], "612", "102"), sent_on(short, *talks[1], "614", "104"))
    first, second = files_at_pbx(short, late)
    away = first.rename(tmp_path / first.name)
    damaged, whole = files_at_pbx(short, broken)
    damaged.write_bytes(b"no sound at all" * 1000)
    os.utime(damaged, (0, 0))  # nobody is writing it any more
    await asyncio.gather(one.hangup(), other.hangup())

    call = await short.call_of(broken, recorded=True)
    agrees(call, lengths([whole]))
    status = await short.service.until(lambda status: status["recordings"]["failed"] == 1, "tells of the broken one")
    assert damaged.name in status["recordings"]["last_error"], "another one is named, that may still come"

    call = await short.call_of(late, recorded=True)
    agrees(call, lengths([second]))
    assert (await short.service.status())["recordings"]["waiting"] == 1
    (missing,) = [row for row in rows_of(short, late) if row.state == "new"]
    assert first.name in missing.error
    away.rename(first)
    parts = lengths([first, second])
    await short.until(lambda: (call.recording and call.recording.times == 2) or None, "the recording is attached with all")
    agrees(call, parts, times=2)
    assert wrong_order(heard_in(short, call, tmp_path), [first, second]) == []
    marked(short, late, parts, [("101",), ("102",)])
