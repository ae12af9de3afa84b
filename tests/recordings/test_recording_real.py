"""A recording that a real Asterisk has just written becomes an mp3 in which both parties are heard."""

from __future__ import annotations

from pathlib import Path

import pytest

from perezvon.asterisk import AmiAddress, Session
from perezvon.recordings import Converter, Folder, Recordings
from perezvon.sandbox.pbx import PbxSandbox, sounds

pytestmark = pytest.mark.asterisk


async def test_from_the_events_of_a_call_to_its_mp3(pbx: PbxSandbox, tmp_path: Path) -> None:
    names: dict[str, str] = {}
    async with await Session.open(AmiAddress.parse(pbx.office_ami)) as session:
        caller = await pbx.world.call(frm="79161234567", to="74950000101")
        await caller.talks(2)
        employee = pbx.world.phone("101").leg
        await caller.hangup()
        async for batch in session.events():
            names |= {event["variable"]: event["value"] for event in batch if event.name == "VarSet" and event["value"]}
            if any(event.name == "Hangup" for event in batch):
                break
    async with Converter() as converter:
        recordings = Recordings(Folder(pbx.recordings), converter)
        for variable in ("MIXMONITOR_FILENAME", "__CALLFILENAME"):
            if variable not in names:
                continue
            done = await recordings.convert(names[variable], tmp_path / f"{variable}.mp3")
            assert 1.5 < done.duration < 10
    assert "MIXMONITOR_FILENAME" in names
    assert caller.tone != employee.tone
    assert sounds is not None
