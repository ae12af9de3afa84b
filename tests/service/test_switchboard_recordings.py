"""A recording of whose name nobody told us: the call was there when we began to listen, and its end came at once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ami_script import Script
from lone_switchboard import lone_switchboard
from pbx_model import snapshot_after

from perezvon.storage import Database, calls


@pytest.mark.parametrize("told_before", [True, False])
async def test_a_call_that_ends_while_the_snapshot_is_drawn_up_has_its_recording(tmp_path: Path, told_before: bool) -> None:
    """Of a channel that is in the first of the PBX's lists only, no variables are told. `told_before`: the call began while
    we still listened."""
    now = time.time()
    script = Script(at=now - 20)
    uid = f"{now - 20:.0f}.7"
    client = script.new("PJSIP/trunk-1", uid=uid, number="79160000001", exten="74951234567", context="from-pstn", state=4)
    phone = script.dial(client, "PJSIP/101-2", "101")
    script.answer(phone)
    script.talk(client, phone)
    begun = list(script.events)
    snapshot = snapshot_after(begun)
    script.wait(0.1)
    script.hangup(client, phone)
    name = f"in-74951234567-79160000001-{uid}.wav"
    (tmp_path / name).touch()

    async with await Database.open(tmp_path / "data") as database:
        if told_before:
            await lone_switchboard(database, tmp_path).on_events(begun)
        listening = lone_switchboard(database, tmp_path)
        await listening.restore()
        await listening.on_snapshot(snapshot)
        await listening.on_events(script.events[len(begun) :])
        async with database.read() as conn:
            kept = await calls.find(conn, f"main-{uid}")
    assert kept is not None
    assert (kept.live, kept.state["recordings"]) == (False, [name])
