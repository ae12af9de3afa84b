"""Document 000, 1b, 1f and 1i: the client's card for whoever is rung, the recording as mp3, a click that dials."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded_parts import files_at_pbx, heard_in

from perezvon.sandbox.pbx import sounds
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.seed import IVANOV, KUZNETSOVA, PETROVA, SIDOROV
from perezvon.sandbox.stand import Stand

pytestmark = pytest.mark.asterisk

TALK = 2.0


def screens(office: Stand, client: str) -> list[int]:
    """Who sees the client's card now."""
    return sorted(user for call in office.portal.calls() if call.phone == client for user in call.visible_to())


async def test_1b_whoever_is_rung_sees_the_clients_card_until_the_call_is_over(office: Stand) -> None:
    world, client = office.pbx.world, "+79165550001"
    await world.reset()
    for extension in ("101", "102", "103"):
        await world.phone(extension).rings()
    caller = await world.call(frm="79165550001", to="74951234567")
    phone = await world.phone("102").ringing()
    everybody = sorted([IVANOV, PETROVA, SIDOROV])
    await office.until(lambda: screens(office, client) == everybody or None, "all who are rung see the card")
    await phone.answer()
    await caller.talking()
    await office.until(lambda: screens(office, client) == [PETROVA] or None, "only she who has answered sees it")
    await caller.talks(TALK)
    await caller.hangup()
    call = await office.call_of(client)
    assert call.leftover_cards == []
    assert int(call.finish["user_id"]) == PETROVA


async def test_1f_the_recording_reaches_the_portal_as_mp3_and_holds_what_the_pbx_recorded(
    office: Stand, tmp_path: Path
) -> None:
    world = office.pbx.world
    await world.reset()
    caller = await world.call(frm="79165550002", to="74950000101")
    await caller.talking()
    await caller.talks(TALK)
    await caller.hangup()
    call = await office.call_of("+79165550002", recorded=True)
    assert call.recording is not None
    assert (call.recording.name.rpartition(".")[2], call.recording.decodes) == ("mp3", True)
    (file,) = files_at_pbx(office, "+79165550002")
    there = heard_in(office, call, tmp_path)
    voices = {"101": sounds.TONES["101"], "client": sounds.number_tone("79165550002")}
    at_pbx = {name: sounds.seconds_heard(file, tone) for name, tone in voices.items()}
    at_portal = {name: sounds.seconds_heard(there, tone) for name, tone in voices.items()}
    assert max(at_pbx.values()) > TALK / 2, f"nobody is heard: {at_pbx}"
    assert at_portal == pytest.approx(at_pbx, abs=0.15)


async def test_1i_a_click_on_a_number_rings_the_employee_then_the_client(office: Stand) -> None:
    world = office.pbx.world
    await world.reset()
    await world.phone("104").rings()
    await world.number("79165550003").rings()
    clicked = office.portal.click(KUZNETSOVA, "8 (916) 555-00-03")
    desk = await world.phone("104").ringing()
    assert not world.number("79165550003").legs, "the client is rung before the employee is there"
    await desk.answer()
    client = await world.number("79165550003").ringing()
    await client.answer()
    await desk.talks(TALK)
    await desk.hangup()

    def finished() -> PortalCall | None:
        return None if clicked.live else clicked

    call = await office.until(finished, "the click's own call is finished")
    assert (call.finish["status"], int(call.finish["user_id"])) == ("200", KUZNETSOVA)
    assert len([other for other in office.portal.calls() if other.phone == call.phone]) == 1, "told twice"
