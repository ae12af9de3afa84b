"""A recording that a real Asterisk has just written becomes an mp3 in which both parties are heard."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest
import soundfile
from sounds import heard

from perezvon.asterisk import AmiAddress, Session
from perezvon.recordings import Converter, Folder, Recordings
from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.pbx.sounds import seconds_heard

pytestmark = pytest.mark.asterisk


def seconds_in_mp3(path: Path, hertz: float) -> float:
    with soundfile.SoundFile(str(path)) as file, wave.open(str(path.with_suffix(".wav")), "wb") as copy:
        copy.setparams((1, 2, 8000, 0, "NONE", ""))
        copy.writeframes(heard(file))
    return seconds_heard(path.with_suffix(".wav"), hertz)


async def test_from_the_events_of_a_call_to_its_mp3(pbx: PbxSandbox, tmp_path: Path) -> None:
    names: dict[str, str] = {}
    variables = frozenset({"MIXMONITOR_FILENAME", "__CALLFILENAME"})
    wanted = frozenset({"VarSet", "Hangup"})
    async with await Session.open(AmiAddress.parse(pbx.office_ami), wanted=wanted, variables=variables) as session:
        caller = await pbx.world.call(frm="79161234567", to="74950000101")
        await caller.talks(2)
        employee = pbx.world.phone("101").leg
        await caller.hangup()
        async for batch in session.events():
            names |= {event["variable"]: event["value"] for event in batch if event["value"]}
            if any(event.name == "Hangup" for event in batch):
                break

    assert names.keys() == variables
    async with Converter() as converter:
        recordings = Recordings(Folder(pbx.recordings), converter)
        for variable, name in names.items():
            done = await recordings.convert(name, tmp_path / f"{variable}.mp3")
            assert 1.8 < done.duration < 4
            assert seconds_in_mp3(done.path, caller.tone) > 1.5
            assert seconds_in_mp3(done.path, employee.tone) > 1.5
