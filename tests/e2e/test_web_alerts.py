"""A message to a chat when the PBX goes away for longer than N minutes, and one when it is back: the real Asterisk is
stopped and started, and the service is killed in between."""

from __future__ import annotations

import pytest
from crm_calls import messages, new_chat, set_up

from perezvon.sandbox.portal.seed import IVANOV
from perezvon.sandbox.stand import Stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]


async def test_the_pbx_goes_away_and_comes_back(office: Stand) -> None:
    chat = new_chat(office, IVANOV)
    await set_up(office, f'[alerts]\nenabled = true\nto = "chat{chat}"\nminutes = 0.03\n')
    await office.pbx.office.stop()
    try:
        await office.until(lambda: messages(office, chat) or None, "it is told that the PBX is away")
        await office.service.kill()
        await office.service.start()
        await office.service.until(lambda status: bool(status["troubles"]), "sees that the PBX is away still")
    finally:
        await office.pbx.office.start()
        await office.pbx.world.register()
    await office.until(lambda: messages(office, chat)[1:] or None, "it is told that the PBX is back")
    away, back = messages(office, chat)
    assert away.startswith("[b]Перезвон: что-то не так[/b]\nasterisk main: ")
    assert back.startswith("[b]Перезвон: снова в порядке[/b]\nasterisk main: не работало с ")
    await office.ready()
    assert len(messages(office, chat)) == 2
