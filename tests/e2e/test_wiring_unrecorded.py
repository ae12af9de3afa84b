"""Where another part of the PBX records (record = "no") nothing of ours is on a channel, and Asterisk could pass packets on as
they come: another SSRC in the middle of a stream, which some do not hear. Whoever has heard a prompt hears the talk after it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import pytest
from menu_service import FolderShelf
from talks import LINE

from perezvon.asterisk.agi import AgiCall, AgiServer
from perezvon.asterisk.wiring.render import FOLDER, render
from perezvon.ivr.menu import MenuRules, give_menu
from perezvon.ivr.scenario import Button, Scenario
from perezvon.sandbox.pbx import Leg, PbxSandbox, sounds
from perezvon.sandbox.pbx.errors import NotOnMirror, SandboxError
from perezvon.sandbox.pbx.layout import wiring_of
from perezvon.sandbox.pbx.rootfs import find_or_build

pytestmark = pytest.mark.asterisk

OUTSIDE, INSIDE, RESORT = "79161113366", "102", "79161113399"
TALK = 1.2
HEARD = 0.8
"""Seconds of talk, and how much of it each must hear of the other."""


@dataclass
class Unrecorded:
    pbx: PbxSandbox
    menu: Callable[[AgiCall], Awaitable[None]] | None = None

    async def third(self, call: AgiCall) -> None:
        await call.set("PEREZVON_TO", OUTSIDE)

    async def answer(self, call: AgiCall) -> None:
        if self.menu is not None:
            await self.menu(call)

    def say(self, *buttons: Button) -> None:
        """Who calls hears a second of a tone, and a wait of half a second."""
        scenario = Scenario(LINE, "enter-code", buttons)
        shelf = FolderShelf(self.pbx.office.folder / "sounds/perezvon")

        async def menu(call: AgiCall) -> None:
            await give_menu(call, scenario, shelf, MenuRules(silence=0.5, fallback="".join(one.to for one in buttons[1:])))

        self.menu = menu

    def then(self, to: str) -> None:
        self.say(Button("1", "", "100"), Button("2", "", to))

    async def technology(self, leg: Leg) -> str:
        """Of the bridge that this leg is in."""
        channel = (await leg.office_channel()).name
        for line in (await self.pbx.office.command("bridge show all"))[1:]:
            bridge, *_ = line.split()
            shown = "\n".join(await self.pbx.office.command(f"bridge show {bridge}"))
            if f"Channel: {channel}" in shown:
                found = re.search(r"Technology: (\S+)", shown)
                assert found is not None, shown
                return found[1]
        raise AssertionError(f"{channel} is in no bridge")


@pytest.fixture(scope="module", params=[None, 16], ids=["asterisk", "asterisk 16"])
async def office(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Unrecorded]:
    release: int | None = request.param
    try:
        await find_or_build(release=release)
    except NotOnMirror as gone:
        pytest.skip(str(gone))
    async with await PbxSandbox.start(tmp_path_factory.mktemp("unrecorded"), release=release, verbose=3) as pbx:
        wiring = replace(wiring_of(pbx.office.folder, pbx.addresses), record="no", last_resort=RESORT)
        text = next(file.text for file in render(wiring) if file.name == "extensions.conf")
        (pbx.office.folder / "etc" / FOLDER / "extensions.conf").write_text(text, encoding="utf-8")
        await pbx.office.command("dialplan reload")
        unrecorded = Unrecorded(pbx)
        async with answering(unrecorded):
            yield unrecorded


@asynccontextmanager
async def answering(office: Unrecorded) -> AsyncIterator[None]:
    server = AgiServer({"menu": office.answer, "third": office.third})
    host, _, port = office.pbx.agi_bind.rpartition(":")
    await server.start(host, int(port))
    try:
        yield
    finally:
        await server.close()


@asynccontextmanager
async def keys_as_info(office: Unrecorded) -> AsyncIterator[None]:
    """Keys by SIP INFO: no need of theirs to look into the sound, so that features keep nothing in the core."""
    switches = (office.pbx.office, office.pbx.world.switch)

    async def keys(mode: str) -> None:
        for switch in switches:
            file = switch.folder / "etc/pjsip.conf"
            text = re.sub(r"(?m)^dtmf_mode = .*$", f"dtmf_mode = {mode}", file.read_text(encoding="utf-8"))
            file.write_text(text, encoding="utf-8")
            await switch.command("module reload res_pjsip.so")

    await keys("info")
    try:
        yield
    finally:
        await keys("rfc4733")


async def hear_each_other(office: Unrecorded, client: Leg, other: Leg) -> None:
    await other.talking(to=client)
    technology = await office.technology(other)
    await other.talks(TALK)
    await client.hangup()
    with suppress(SandboxError):
        await other.hangup()
    heard = (client.seconds_of(other), other.seconds_of(client))
    print(office.pbx.installation.version, technology, heard)
    assert min(heard) >= HEARD, (technology, heard)
    assert technology == "simple_bridge"


async def test_the_menu_to_an_outside_number(office: Unrecorded) -> None:
    office.then(OUTSIDE)
    client = await office.pbx.world.call(frm="79151113301", to=LINE)
    await hear_each_other(office, client, await office.pbx.world.number(OUTSIDE).talking())


async def test_the_menu_to_a_colleague(office: Unrecorded) -> None:
    office.then(INSIDE)
    client = await office.pbx.world.call(frm="79151113302", to=LINE)
    await hear_each_other(office, client, await office.pbx.world.phone(INSIDE).talking())


async def test_the_menu_to_bitrix24(office: Unrecorded) -> None:
    office.say(Button("1", "", OUTSIDE))
    client = await office.pbx.world.call(frm="79151113303", to=LINE)
    await hear_each_other(office, client, await office.pbx.world.connector.talking())


async def test_the_menu_to_the_last_resort(office: Unrecorded) -> None:
    office.say(Button("1", "", OUTSIDE))
    await office.pbx.world.connector.rejects()
    client = await office.pbx.world.call(frm="79151113304", to=LINE)
    await hear_each_other(office, client, await office.pbx.world.number(RESORT).talking())
    await office.pbx.world.reset()


async def test_bitrix24_to_a_client_whom_it_then_transfers_outside(office: Unrecorded) -> None:
    world = office.pbx.world
    manager = await world.connector.dial("79151113305")
    client = await world.number("79151113305").talking()
    await manager.talks(TALK)
    assert await office.technology(client) == "simple_bridge"
    await manager.refer(OUTSIDE)
    await hear_each_other(office, client, await world.number(OUTSIDE).talking())
    assert client.seconds_of(manager) >= HEARD


async def test_the_talk_in_private_after_the_prompt_for_the_code(office: Unrecorded) -> None:
    world = office.pbx.world
    async with keys_as_info(office):
        client = await world.call(frm="79151113306", to=LINE)
        manager = await world.connector.talking()
        await manager.talks(0.2)
        await manager.press("*3")
        await asyncio.sleep(0.7)  # the prompt is heard
        await manager.press("1#")
        third = await world.number(OUTSIDE).talking()
        await hear_each_other(office, third, manager)
        assert manager.seconds_of(sounds.CODE) > 0.3
        await client.ended()
