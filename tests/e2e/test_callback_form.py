"""Callback forms of the CRM on the real PBX: the responsible is rung and hears what it is about, then the client is dialled;
whatever happens, the portal gets one call of the type "callback"."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from perezvon.sandbox.pbx import PbxSandbox, sounds
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.handlers.crm_automation import Automation
from perezvon.sandbox.portal.seed import IVANOV, PETROVA, SIDOROV
from perezvon.sandbox.stand import Stand, stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]

AUTOMATION = f"""
[portal.automation]
late = true
callback_users = [{PETROVA}]
callback_rounds = 1
callback_pause = 0
"""


@pytest.fixture(scope="module")
async def whole(pbx_session: PbxSandbox, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    async with (
        PortalServer(PortalConfig(rate=None)) as portal,
        stand(pbx_session, portal, tmp_path_factory.mktemp("callback"), portal_more=AUTOMATION) as whole,
    ):
        spoken = 'callback_context = "perezvon-form"\noriginate_timeout = 6\ncontexts ='
        before = await whole.service.status()
        await whole.service.configure(whole.settings(portal=AUTOMATION).replace("contexts =", spoken))
        await whole.service.until(lambda status: status["settings"] > before["settings"], "has noticed the settings")
        await whole.ready()
        yield whole
        await pbx_session.world.reset()


def calls_with(whole: Stand, client: str) -> list[PortalCall]:
    return [call for call in whole.portal.calls() if call.phone == client]


async def test_4d_callback_form_rings_the_responsible_says_what_it_is_about_and_dials_the_client(whole: Stand) -> None:
    """Lead 1 is Ivanov's."""
    world = whole.pbx.world
    await world.reset()
    await world.phone("101").rings()
    await world.number("79035550033").rings()
    whole.portal.callback("+79035550033", crm_type="LEAD", crm_id=1, text="Форма «Заказать звонок»\r\n[b]срочно[/b]")
    desk = await world.phone("101").ringing()
    assert desk.channel is not None
    assert desk.channel.caller_name.startswith("Форма «Заказать звонок»")
    assert calls_with(whole, "+79035550033") == []
    await desk.answer()
    call = await whole.until(
        lambda: next((c for c in calls_with(whole, "+79035550033") if IVANOV in c.visible_to()), None), "the card is shown"
    )
    outside = await world.number("79035550033").ringing()
    assert outside.channel is not None and outside.channel.caller == "74951234567"
    await outside.answer()
    await desk.talks(1.5)
    await desk.hangup()
    done = await whole.call_of("+79035550033", recorded=True)
    assert done is call
    assert (done.type, done.finish["status"], int(done.finish["user_id"])) == (4, "200", IVANOV)
    assert (done.crm_type, done.crm_id, done.created) == ("LEAD", 1, [])
    assert desk.seconds_of(sounds.CODE) > 0.8, "the prompt was not heard"
    activity = await whole.until(
        lambda: next(
            (a for a in whole.portal.state.crm.of("ACTIVITY") if a.id == done.activity_id and a.text("DESCRIPTION")), None
        ),
        "the activity tells of the form",
    )
    assert "Форма «Заказать звонок» (b)срочно(/b)" in activity.text("DESCRIPTION")
    assert activity.text("PROVIDER_TYPE_ID") == "CALLBACK"


async def test_4d_callback_form_the_responsible_does_not_come_the_next_does_one_call_in_the_crm(whole: Stand) -> None:
    world = whole.pbx.world
    await world.reset()
    await world.phone("101").rejects()
    await world.phone("102").answers(0.2)
    await world.number("79167780001").answers(0.2)
    whole.portal.callback("+79167780001", line="74951234567", crm_type="LEAD", crm_id=1)
    desk = await world.phone("102").talking()
    await desk.talks(1)
    await desk.hangup()
    done = await whole.call_of("+79167780001")
    assert (done.type, done.finish["status"], int(done.finish["user_id"])) == (4, "200", PETROVA)
    assert done.registration["LINE_NUMBER"] == "+74951234567"
    assert done.registration["CRM_SOURCE"] == "ADVERTISING"
    assert len(calls_with(whole, "+79167780001")) == 1
    assert IVANOV not in {card.user_id for card in done.cards}


async def test_4d_callback_form_nobody_comes_is_one_missed_callback_and_pulls_the_trigger(whole: Stand) -> None:
    world = whole.pbx.world
    await world.reset()
    await world.phone("103").rejects()
    await world.phone("102").busy()
    executions = whole.portal.state.part(Automation).executions
    before = len(executions)
    # The contact is Sidorov's, and has no deal: the lead of a new number has.
    whole.portal.callback("+79265550022")
    done = await whole.call_of("+79265550022")
    assert (done.type, done.finish["status"], int(done.finish["duration"])) == (4, "304", 0)
    assert int(done.finish["user_id"]) in (SIDOROV, PETROVA)
    whole.portal.callback("+79167780002")
    lost = await whole.call_of("+79167780002")
    await whole.until(lambda: executions[before:] or None, "the trigger is pulled")
    (one,) = executions[before:]
    assert (one.code, one.entity_type, one.entity_id) == ("perezvon.late", "LEAD", lost.crm_id)
    assert [len(calls_with(whole, number)) for number in ("+79265550022", "+79167780002")] == [1, 1]


async def test_4d_callback_form_the_client_is_busy_he_is_not_dialled_again(whole: Stand) -> None:
    world = whole.pbx.world
    await world.reset()
    await world.phone("101").answers(0.2)
    await world.number("79167780003").busy()
    whole.portal.callback("+79167780003", crm_type="LEAD", crm_id=1)
    done = await whole.call_of("+79167780003")
    assert (done.type, done.finish["status"], int(done.finish["user_id"])) == (4, "486", IVANOV)
    assert len(calls_with(whole, "+79167780003")) == 1


async def test_4d_callback_form_sent_twice_by_the_portal_is_dialled_once(whole: Stand) -> None:
    world = whole.pbx.world
    await world.reset()
    await world.phone("101").answers(0.2)
    await world.number("79167780004").answers(0.2)
    for _ in range(2):
        whole.portal.callback("+79167780004", crm_type="LEAD", crm_id=1)
    desk = await world.phone("101").talking()
    await desk.talks(1)
    await desk.hangup()
    await whole.call_of("+79167780004")
    assert len([leg for leg in world.phone("101").legs if not leg.outgoing]) == 1
    assert len(calls_with(whole, "+79167780004")) == 1


async def test_4d_callback_form_and_a_kill_while_the_phone_rings_is_one_call(whole: Stand) -> None:
    world = whole.pbx.world
    await world.reset()
    await world.phone("101").rings()
    await world.number("79167780005").answers(0.2)
    whole.portal.callback("+79167780005", crm_type="LEAD", crm_id=1)
    desk = await world.phone("101").ringing()
    await whole.service.kill()
    await desk.answer()
    await whole.service.start()
    await whole.ready()
    await desk.talking()
    await desk.talks(1)
    await desk.hangup()
    done = await whole.call_of("+79167780005")
    assert (done.type, int(done.finish["user_id"])) == (4, IVANOV)
    assert len(calls_with(whole, "+79167780005")) == 1
    assert len([leg for leg in world.phone("101").legs if not leg.outgoing]) == 1


async def test_4d_callback_form_the_integrators_functions_are_asked_when_somebody_comes_to_the_phone(whole: Stand) -> None:
    """They take their time, and the call goes on meanwhile."""
    world = whole.pbx.world
    await world.reset()
    await world.phone("101").answers(0.2)
    await world.number("79167780007").answers(0.2)
    folder = whole.service.data_dir / "customisation"
    folder.mkdir()
    (folder / "hooks.py").write_text(
        "import time\n"
        "def need_registration(data):\n"
        "    time.sleep(0.1)\n"
        "    return True\n"
        "def process_registration_params(data):\n"
        "    return {**data['params'], 'CRM_SOURCE': 'WEB'}\n",
        encoding="utf-8",
    )
    await whole.service.until(lambda status: len(status["customisation"]["points"]) == 2, "asks the hooks")
    try:
        whole.portal.callback("+79167780007", crm_type="LEAD", crm_id=1)
        desk = await world.phone("101").talking()
        await desk.talks(1)
        await desk.hangup()
        done = await whole.call_of("+79167780007")
        assert (done.type, done.finish["status"], int(done.finish["user_id"])) == (4, "200", IVANOV)
        assert done.registration["CRM_SOURCE"] == "WEB"
        assert len(calls_with(whole, "+79167780007")) == 1
    finally:
        (folder / "hooks.py").unlink()
        await whole.service.until(lambda status: not status["customisation"]["points"], "asks no hook")
