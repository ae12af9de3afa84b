"""Calls on the real PBX for what is left in the CRM of them, and what the pretend portal has then."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeVar

from scenario import TALK

from perezvon.sandbox.pbx import Leg
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.crm import Entity
from perezvon.sandbox.portal.handlers.messenger import Messenger
from perezvon.sandbox.stand import Stand

T = TypeVar("T")
_VERSIONS = itertools.count()


async def set_up(office: Stand, more: str) -> None:
    """These are all the settings there are besides those of the stand; returns when they apply."""
    before = (await office.service.status())["settings"]
    file = office.service.data_dir / "settings.toml"
    changed = f"[ivr]\nsilence = {next(_VERSIONS) / 1000 + 5}\n"  # without any change nothing would be noticed
    file.write_text(office.settings(more=more + changed), encoding="utf-8")
    apply = ("config", "apply", str(file), "--replace", "--data-dir", str(office.service.data_dir))
    await office.service.command(*apply)
    await office.service.until(lambda status: status["settings"] > before, "has noticed the new settings")
    await office.ready()


async def passed_on(office: Stand, client: str, first: str = "101", *others: str) -> PortalCall:
    """A client calls `first` and is passed on, by blind transfers, to each of the others."""
    world = office.pbx.world
    await world.reset()
    caller = await world.call(frm=client, to=f"74950000{first}")
    await caller.talking()
    desk: Leg = await world.phone(first).talking()
    for other in others:
        await desk.talks(TALK)
        await desk.press(f"##{other}")
        desk = await world.phone(other).talking()
    await desk.talks(TALK)
    await caller.hangup()
    return await office.call_of(f"+{client}")


async def missed(office: Stand, client: str, extension: str = "104") -> PortalCall:
    world = office.pbx.world
    await world.reset()
    await world.phone(extension).rings()
    caller = await world.call(frm=client, to="74950000700" if extension == "104" else f"74950000{extension}")
    await world.phone(extension).ringing()
    await caller.hangup()
    return await office.call_of(f"+{client}")


async def called(office: Stand, client: str, extension: str = "101") -> PortalCall:
    """An employee dials a number from his desk phone."""
    world = office.pbx.world
    await world.reset()
    desk = await world.phone(extension).dial(client)
    await desk.talking()
    await desk.talks(TALK)
    await desk.hangup()
    return await office.call_of(f"+{client}")


def made(office: Stand, call: PortalCall, type_: str = "LEAD") -> Entity:
    """The object of that type that the call has made."""
    (number,) = [number for kind, number in call.created if kind == type_]
    found = office.portal.state.crm.get(type_, number)
    assert found is not None
    return found


def activities(office: Stand, call: PortalCall) -> list[Entity]:
    return [one for one in office.portal.state.crm.of("ACTIVITY") if one.text("ORIGIN_ID") == f"VI_{call.id}"]


def new_chat(office: Stand, *users: int) -> int:
    state = office.portal.state
    return state.part(Messenger).new_chat("group", "Новые лиды", 1, [1, *users], state.now()).id


def messages(office: Stand, chat: int) -> list[str]:
    return [one.text for one in office.portal.state.part(Messenger).chats[chat].messages]


def notified(office: Stand, user: int) -> list[str]:
    return [one.text for one in office.portal.state.part(Messenger).notifications.values() if one.user == user]


async def until(office: Stand, look: Callable[[], T | None], what: str) -> T:
    return await office.until(look, what)


async def quiet(office: Stand) -> None:
    """Nothing is left to be sent."""
    await office.service.until(
        lambda status: not any(portal["queue"] for portal in status["portals"]), "has sent everything"
    )
