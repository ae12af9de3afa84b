"""Autoconnect on the oldest Asterisk that is supported: 16, as in Debian 11."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator

import pytest
from connections import MOSCOW, NOBODYS, USUAL_WAY, connecting_office, contact, rings, waited, why

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.pbx.errors import NotOnMirror
from perezvon.sandbox.pbx.rootfs import find_or_build
from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.stand import Stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
async def office(portal: PortalServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    try:
        await find_or_build(release=16)
    except NotOnMirror as gone:
        pytest.skip(str(gone))
    async with (
        await PbxSandbox.start(tmp_path_factory.mktemp("pbx16"), release=16, verbose=3) as pbx,
        connecting_office(pbx, portal, tmp_path_factory.mktemp("perezvon16")) as whole,
    ):
        assert pbx.installation.version.startswith("16.")
        for extension in ("102", "103", "104"):
            await pbx.world.phone(extension).rings()
        yield whole


async def test_the_responsible_then_the_usual_way(office: Stand) -> None:
    contact(office, "79160160001", "102", name="Нина «Рога», 100%")
    client = await office.pbx.world.call(frm="79160160001", to=MOSCOW)
    desk = await rings(office, "102")
    assert desk.channel is not None
    assert desk.channel.caller_name == "Нина «Рога» 100 / Москва-линия"
    await rings(office, USUAL_WAY)
    await client.hangup()
    told = await why(office, "79160160001")
    assert told[1] == "Петрова Анна (102) is rung for 3 s"
    assert "102 did not answer: the call goes its usual way" in told


async def test_do_not_disturb(office: Stand) -> None:
    contact(office, "79160160002", "102")
    await office.pbx.office.ask("DBPut", ("Family", "DND"), ("Key", "102"), ("Val", "YES"))
    client = await office.pbx.world.call(frm="79160160002", to=MOSCOW)
    await rings(office, "103")
    await client.hangup()


async def test_with_the_service_stopped_and_dead(office: Stand) -> None:
    os.kill(office.service.pid, signal.SIGSTOP)
    try:
        client = await office.pbx.world.call(frm="79160160003", to=NOBODYS)
        assert await waited(client, await rings(office, USUAL_WAY)) < 2.0
        await client.hangup()
        await office.pbx.world.phone(USUAL_WAY).idle()
    finally:
        os.kill(office.service.pid, signal.SIGCONT)
    await office.service.kill()
    client = await office.pbx.world.call(frm="79160160004", to=NOBODYS)
    assert await waited(client, await rings(office, USUAL_WAY)) < 0.5
    await client.hangup()
