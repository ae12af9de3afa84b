"""The voice menu on a real Asterisk, with a service in a process of its own: what callers hear, and that no state of ours
keeps one from it or from Bitrix24."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from menu_process import RULES

from perezvon.asterisk.agi import AgiCall, AgiServer
from perezvon.asterisk.wiring.values import Wiring
from perezvon.sandbox.pbx import Leg, PbxSandbox, sounds

pytestmark = pytest.mark.asterisk

CLIENT = "79161234567"
LINE = "70000000001"
GUARD = Wiring().menu_lookup_seconds
"""Seconds for which a caller waits for a service that hangs."""
INTRO, ONE, TWO = 1100.0, 1300.0, 1500.0
TONES = {"intro": INTRO, "one": ONE, "two": TWO}


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prompts")
    for name, hertz in TONES.items():
        sounds.write_tone(folder / f"{name}.wav", hertz, 0.6)
    return folder


@dataclass
class Process:
    """A service with nothing but the menu."""

    process: asyncio.subprocess.Process

    @classmethod
    async def start(cls, pbx: PbxSandbox, prompts: Path, hangs: str = "") -> Process:
        script = Path(__file__).with_name("menu_process.py")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(script), str(prompts), pbx.agi_bind, hangs),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"listens\n"
        return cls(process)

    def send(self, number: signal.Signals) -> float:
        """When it was sent (POSIX seconds)."""
        os.kill(self.process.pid, number)
        return time.time()

    async def end(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def serving(pbx: PbxSandbox, prompts: Path, hangs: str = "") -> AsyncIterator[Process]:
    process = await Process.start(pbx, prompts, hangs)
    try:
        yield process
    finally:
        await process.end()


@pytest.fixture
async def service(pbx: PbxSandbox, prompts: Path) -> AsyncIterator[Process]:
    async with serving(pbx, prompts) as process:
        yield process


async def rung_at_portal(pbx: PbxSandbox, within: float = 10.0) -> float:
    """When Bitrix24 was called (POSIX seconds)."""
    office = pbx.office
    await office.until(lambda: any(c.endpoint == "bitrix24" for c in office.channels.values()), "Bitrix24 is rung", within)
    return next(channel.created for channel in office.channels.values() if channel.endpoint == "bitrix24")


async def rung(pbx: PbxSandbox, extension: str, within: float = 10.0) -> float:
    office = pbx.office
    await office.until(
        lambda: any(c.endpoint == extension for c in office.channels.values()), f"{extension} is rung", within
    )
    return next(channel.created for channel in office.channels.values() if channel.endpoint == extension)


def order(leg: Leg) -> list[str]:
    """The prompts that were heard, in order."""
    first = {
        name: moments[0]
        for name, hertz in TONES.items()
        if (moments := [moment for path in leg.heard for moment in sounds.moments_heard(path, hertz)])
    }
    return sorted(first, key=lambda name: first[name])


async def hears(leg: Leg, seconds: float) -> None:
    """Lets the prompts play for so long."""
    await leg.answered()
    await asyncio.sleep(seconds)


async def test_prompts_are_heard_in_order_and_silence_leads_to_bitrix24(pbx: PbxSandbox, service: Process) -> None:
    await pbx.world.connector.rings()
    caller = await pbx.world.call(frm=CLIENT, to=LINE)
    channel = (await caller.answered()).channel
    assert channel is not None
    assert channel.answered is not None
    rung = await rung_at_portal(pbx)
    assert rung - channel.answered == pytest.approx(3 * 0.6 + RULES.silence, abs=0.25)
    await pbx.world.connector.answer()
    await caller.talks(0.6)
    await caller.hangup()
    assert order(caller) == ["intro", "one", "two"]
    for hertz in TONES.values():
        assert caller.seconds_of(hertz) == pytest.approx(0.6, abs=0.11)
    assert caller.seconds_of(sounds.TONES["connector"]) > 0.3


@pytest.mark.parametrize(
    ("after", "key", "extension", "heard"),
    [
        (0.25, "1", "101", ["intro"]),
        (0.9, "2", "102", ["intro", "one"]),
        (2.3, "2", "102", ["intro", "one", "two"]),
    ],
    ids=["during the intro", "during a button", "in the silence"],
)
async def test_a_key_is_heard_at_any_time(
    pbx: PbxSandbox, service: Process, after: float, key: str, extension: str, heard: list[str]
) -> None:
    caller = await pbx.world.call(frm=CLIENT, to=LINE)
    await hears(caller, after)
    await caller.press(key)
    leg = await pbx.world.phone(extension).talking()
    await caller.talks(0.6)
    await caller.hangup()
    await leg.ended()
    assert order(caller) == heard
    assert leg.seconds_of(caller) > 0.3
    assert caller.seconds_of(leg) > 0.3
    assert pbx.world.connector.legs == []


async def test_a_wrong_key_leads_to_bitrix24_at_once(pbx: PbxSandbox, service: Process) -> None:
    caller = await pbx.world.call(frm=CLIENT, to=LINE)
    await hears(caller, 0.3)
    pressed = time.time()
    await caller.press("7")
    assert await rung_at_portal(pbx) - pressed < 0.4
    await pbx.world.connector.talking()
    await caller.hangup()


async def test_ringback_and_then_bitrix24_when_nobody_answers(pbx: PbxSandbox, service: Process) -> None:
    await pbx.world.phone("101").rings()
    caller = await pbx.world.call(frm=CLIENT, to=LINE)
    await hears(caller, 0.2)
    await caller.press("1")
    begun = await rung(pbx, "101")
    assert await rung_at_portal(pbx) - begun == pytest.approx(RULES.ring, abs=0.2)
    await pbx.world.connector.talking()
    await caller.hangup()
    assert caller.seconds_of(sounds.RINGING) > 0.5


async def test_a_caller_who_leaves_leaves_nothing_behind(pbx: PbxSandbox, service: Process) -> None:
    caller = await pbx.world.call(frm=CLIENT, to=LINE)
    await hears(caller, 0.3)
    await caller.hangup()
    await pbx.office.silence()
    assert pbx.world.connector.legs == []


async def test_prompts_that_are_not_there_are_skipped(pbx: PbxSandbox, tmp_path: Path, prompts: Path) -> None:
    (tmp_path / "two.wav").write_bytes((prompts / "two.wav").read_bytes())
    async with serving(pbx, tmp_path):
        caller = await pbx.world.call(frm=CLIENT, to=LINE)
        channel = (await caller.answered()).channel
        assert channel is not None
        assert channel.answered is not None
        rung = await rung_at_portal(pbx)
        assert rung - channel.answered == pytest.approx(0.6 + RULES.silence, abs=0.2), "the wait is not cut"
        await pbx.world.connector.talking()
        await caller.hangup()
        assert order(caller) == ["two"]


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("after", [0.3, 1.9], ids=["in a prompt", "in the wait for a key"])
async def test_a_service_that_is_killed_or_hangs_in_the_menu_is_not_noticed(
    pbx: PbxSandbox, service: Process, after: float, blow: signal.Signals
) -> None:
    """The caller hears the rest, and his key rings somebody; nothing is left of a time limit."""
    caller = await pbx.world.call(frm=CLIENT, to=LINE)
    await hears(caller, after)
    service.send(blow)
    await asyncio.sleep(2.2 - after)
    await caller.press("2")
    leg = await pbx.world.phone("102").talking()
    await caller.talks(GUARD + 0.5)
    assert caller.up
    await caller.hangup()
    await leg.ended()
    assert order(caller) == ["intro", "one", "two"]


async def test_a_dead_service_is_not_noticed(pbx: PbxSandbox, service: Process) -> None:
    await service.end()
    caller = await pbx.world.call(frm=CLIENT, to=LINE)
    invited = await caller.at_office()
    assert await rung_at_portal(pbx) - invited < 0.1
    await caller.talks(0.1)
    await caller.hangup()


async def test_a_service_that_was_stopped_before_lets_the_caller_go(pbx: PbxSandbox, service: Process) -> None:
    """It accepts (its kernel does), and never says a word."""
    service.send(signal.SIGSTOP)
    caller = await pbx.world.call(frm=CLIENT, to=LINE)
    invited = await caller.at_office()
    assert await rung_at_portal(pbx) - invited == pytest.approx(GUARD, abs=0.3)
    await caller.talks(0.1)
    await caller.hangup()


@pytest.mark.parametrize(("script", "seconds"), [("slow", 1.9), ("hangs", GUARD)], ids=["watchdog", "Asterisk's guard"])
async def test_a_script_that_hangs_lets_the_caller_go(pbx: PbxSandbox, prompts: Path, script: str, seconds: float) -> None:
    async with serving(pbx, prompts, script):
        caller = await pbx.world.call(frm=CLIENT, to=LINE)
        invited = await caller.at_office()
        assert await rung_at_portal(pbx) - invited == pytest.approx(seconds, abs=0.3)
        await caller.talks(0.1)
        await caller.hangup()


async def test_what_a_real_asterisk_answers(pbx: PbxSandbox) -> None:
    """Values, functions, many variables at once: as the wire understands them."""
    seen: dict[str, object] = {}
    over = asyncio.Event()
    nasty = 'a,b "c" (d) \\ ${EXTEN} $[1+1] ; é «ы» | & \''
    many = {f"PEREZVON_MANY_{n}": str(n) for n in range(100)}

    async def script(call: AgiCall) -> None:
        try:
            seen["environment"] = dict(call.environment)
            seen["args"] = call.args
            await call.set("PEREZVON_X", nasty)
            seen["back"] = await call.get("PEREZVON_X")
            seen["function"] = await call.get("CALLERID(num)")
            seen["nothing"] = await call.get("PEREZVON_NOTHING")
            seen["status"] = await call.get("CHANNEL(state)")
            await call.set("TIMEOUT(absolute)", "3.7")
            seen["limit"] = round(float(await call.get("TIMEOUT(absolute)")), 1)
            await call.end({"PEREZVON_A": "+7*#", "PEREZVON_ODD": nasty, "PEREZVON_B": "", **many, "PEREZVON_TO": "101"})
        finally:
            over.set()

    server = AgiServer({"menu": script})
    host, _, port = pbx.agi_bind.rpartition(":")
    await server.start(host, int(port))
    try:
        await pbx.world.phone("101").rings()
        caller = await pbx.world.call(frm=CLIENT, to=LINE, name="Иван Рога")
        await asyncio.wait_for(over.wait(), 5)
        await rung(pbx, "101")
        channel = await caller.office_channel()
        for name in ("PEREZVON_A", "PEREZVON_ODD", "PEREZVON_B", "PEREZVON_MANY_0", "PEREZVON_MANY_99"):
            seen[name] = await pbx.office.variable(channel, name)
        await caller.hangup()
    finally:
        await server.close()
    environment = seen.pop("environment")
    assert isinstance(environment, dict)
    assert (environment["callerid"], environment["calleridname"]) == (CLIENT, "Иван Рога")
    assert environment["network_script"] == "main/menu"
    assert seen == {
        "args": (LINE, "1"),
        "back": nasty,
        "function": CLIENT,
        "nothing": "",
        "status": "Ring",
        "limit": 3.7,
        "PEREZVON_A": "+7*#",
        "PEREZVON_ODD": nasty,
        "PEREZVON_B": "",
        "PEREZVON_MANY_0": "0",
        "PEREZVON_MANY_99": "99",
    }
