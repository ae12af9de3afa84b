"""Document 000, 1h: new leads and missed calls are told in the business chat, or to a person, once each."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from crm_calls import made, messages, missed, new_chat, notified, passed_on, quiet, set_up

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.faults import Fault
from perezvon.sandbox.portal.seed import HEAD, IVANOV
from perezvon.sandbox.stand import Stand, stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(180)]


@pytest.fixture
async def fresh(pbx_session: PbxSandbox, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    async with (
        PortalServer(PortalConfig(rate=None)) as portal,
        stand(pbx_session, portal, tmp_path_factory.mktemp("chat")) as whole,
    ):
        yield whole
        await pbx_session.world.reset()


async def test_1h_a_new_lead_with_its_link_and_its_recording(fresh: Stand) -> None:
    chat = new_chat(fresh, IVANOV)
    await set_up(fresh, f'[chat]\nleads = "chat{chat}"\n')
    call = await passed_on(fresh, "79165555001", "101", "102")
    lead = made(fresh, call)
    await fresh.until(lambda: messages(fresh, chat) or None, "the lead is announced")
    head, kind, talked, link, recording = messages(fresh, chat)[0].splitlines()
    assert head == "[B]Новый лид[/B]: +79165555001"
    assert kind == "входящий звонок, +74950000101"
    assert talked == "Говорили: Иванов Иван (101), Петрова Анна (102)"
    assert link == f"{fresh.portal.url}/crm/lead/details/{lead.id}/"
    row = fresh.portal.state.book.row_of(call)
    assert recording == f"Запись: {row['CALL_RECORD_URL']}"
    await passed_on(fresh, "79165555001")
    await quiet(fresh)
    assert len(messages(fresh, chat)) == 1, "his second call makes no new lead"


async def test_1h_a_person_is_told_and_missed_calls_are(fresh: Stand) -> None:
    chat = new_chat(fresh, IVANOV)
    text = 'missed_text = "Пропущен {client}, звонили {rung}"\nleads_text = "{object} {client}"\nreport = true\n'
    await set_up(fresh, f'[chat]\nleads = {HEAD}\nmissed = "chat{chat}"\n{text}')
    call = await missed(fresh, "79165555002")
    await fresh.until(lambda: messages(fresh, chat) or None, "the missed call is told")
    await fresh.until(lambda: notified(fresh, HEAD) or None, "the new lead is told")
    assert messages(fresh, chat) == ["Пропущен +79165555002, звонили Кузнецова Ольга (104)"]
    assert notified(fresh, HEAD) == ["Новый лид +79165555002"]
    assert call.finish["add_to_chat"], "the portal was asked for its own message too"
    await quiet(fresh)


async def test_1h_a_chat_that_is_closed_to_us_holds_up_nothing(fresh: Stand) -> None:
    await set_up(fresh, '[chat]\nleads = "chat77"\n')
    call = await passed_on(fresh, "79165555003")
    await fresh.call_of("+79165555003", recorded=True)
    made(fresh, call)
    status = await fresh.service.until(lambda status: status["portals"][0]["dead"] == 1, "the message is given up, visibly")
    assert status["portals"][0]["queue"] == []


@pytest.mark.parametrize("to", ["chat", "person"])
async def test_1h_once_though_the_answer_is_lost(fresh: Stand, to: str) -> None:
    chat = new_chat(fresh)
    await set_up(fresh, f'[chat]\nleads = "{f"chat{chat}" if to == "chat" else HEAD}"\nleads_text = "{{client}}"\n')
    method = "im.message.add" if to == "chat" else "im.notify.personal.add"
    planned = fresh.portal.state.faults.plan(Fault.DROPPED_ANSWER, method=method)
    await passed_on(fresh, "79165555004")
    await fresh.service.until(lambda _: planned.struck == 1, "the answer was lost")
    await quiet(fresh)
    assert (messages(fresh, chat) if to == "chat" else notified(fresh, HEAD)) == ["+79165555004"]


@pytest.mark.load
@pytest.mark.parametrize("to", ["chat", "person"])
async def test_1h_once_over_kills(fresh: Stand, to: str) -> None:
    chat = new_chat(fresh)
    await set_up(fresh, f'[chat]\nleads = "{f"chat{chat}" if to == "chat" else HEAD}"\nleads_text = "{{client}}"\n')
    chance = random.Random(7)
    clients = [f"7916555510{number}" for number in range(6)]
    for client in clients:
        world = fresh.pbx.world
        await world.reset()
        caller = await world.call(frm=client, to="74950000101")
        await caller.talking()
        await caller.hangup()
        await asyncio.sleep(chance.uniform(0.0, 1.0))  # a random moment is the point
        await fresh.service.kill()
        await fresh.service.start()
        await fresh.ready()
        await fresh.call_of(f"+{client}")
        await quiet(fresh)
        told = messages(fresh, chat) if to == "chat" else notified(fresh, HEAD)
        assert told.count(f"+{client}") == 1, told
