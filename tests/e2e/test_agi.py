"""The voice menu's script on a real Asterisk: what callers hear, and that no state of ours keeps one from Bitrix24."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from menu_lines import GUARD, line, menu
from menu_process import RULES, SCENARIO

from perezvon.asterisk import AmiAddress, Session
from perezvon.asterisk.agi import AgiCall, AgiRefused, AgiServer, NotPlayed
from perezvon.asterisk.agi_wire import ChannelGone
from perezvon.sandbox.pbx import Leg, PbxSandbox, sounds

pytestmark = pytest.mark.asterisk

CLIENT = "79161234567"
LINE = "74950000901"
INTRO, ONE, TWO = 1100.0, 1300.0, 1500.0
TONES = {"intro": INTRO, "one": ONE, "two": TWO}
AT_ONCE = 0.05
"""Seconds for Asterisk's next step; measured 2 to 15 ms, but this machine may be busy."""


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
    port: int

    @classmethod
    async def start(cls, prompts: Path) -> Process:
        script = Path(__file__).with_name("menu_process.py")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(script), str(prompts)), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        return cls(process, int(await process.stdout.readline()))

    def agi(self, script: str = "menu") -> str:
        return f"agi://127.0.0.1:{self.port}/main/{script}"

    def send(self, number: signal.Signals) -> float:
        """When it was sent (POSIX seconds)."""
        os.kill(self.process.pid, number)
        return time.time()

    async def end(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@pytest.fixture
async def service(prompts: Path) -> AsyncIterator[Process]:
    process = await Process.start(prompts)
    yield process
    await process.end()


@pytest.fixture
async def number(pbx: PbxSandbox, service: Process) -> AsyncIterator[str]:
    async with line(pbx, LINE, "agi-menu", menu(service.agi())) as dialled:
        yield dialled
        await pbx.world.reset()


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


@asynccontextmanager
async def user_events(pbx: PbxSandbox, found: list[dict[str, str]], count: int = 1) -> AsyncIterator[asyncio.Event]:
    """Collects the events of our scripts as AMI tells them; the gift is set when there are so many."""
    enough = asyncio.Event()
    session = await Session.open(AmiAddress.parse(pbx.office_ami_all), wanted=frozenset({"UserEvent"}))

    async def follow() -> None:
        async for events in session.events():
            found.extend(dict(event.headers) for event in events if event["userevent"].startswith("Perezvon"))
            if len(found) >= count:
                enough.set()

    following = asyncio.create_task(follow(), name="user-events")
    try:
        yield enough
    finally:
        await session.close()
        await asyncio.gather(following, return_exceptions=True)


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


async def test_prompts_are_heard_in_order_and_silence_leads_to_bitrix24(pbx: PbxSandbox, number: str) -> None:
    await pbx.world.connector.rings()
    caller = await pbx.world.call(frm=CLIENT, to=number)
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
    pbx: PbxSandbox, number: str, after: float, key: str, extension: str, heard: list[str]
) -> None:
    caller = await pbx.world.call(frm=CLIENT, to=number)
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


async def test_a_wrong_key_leads_to_bitrix24_at_once(pbx: PbxSandbox, number: str) -> None:
    caller = await pbx.world.call(frm=CLIENT, to=number)
    await hears(caller, 0.3)
    pressed = time.time()
    await caller.press("7")
    assert await rung_at_portal(pbx) - pressed < 0.4
    await pbx.world.connector.talking()
    await caller.hangup()


async def test_ringback_and_then_bitrix24_when_nobody_answers(pbx: PbxSandbox, number: str) -> None:
    await pbx.world.phone("101").rings()
    caller = await pbx.world.call(frm=CLIENT, to=number)
    await hears(caller, 0.2)
    await caller.press("1")
    begun = await rung(pbx, "101")
    assert await rung_at_portal(pbx) - begun == pytest.approx(RULES.ring, abs=0.2)
    await pbx.world.connector.talking()
    await caller.hangup()
    assert caller.seconds_of(sounds.RINGING) > 0.5


async def test_a_caller_who_leaves_leaves_nothing_behind(pbx: PbxSandbox, number: str) -> None:
    caller = await pbx.world.call(frm=CLIENT, to=number)
    await hears(caller, 0.3)
    await caller.hangup()
    await pbx.office.silence()
    assert pbx.world.connector.legs == []


async def test_prompts_that_are_not_there_are_skipped(pbx: PbxSandbox, tmp_path: Path, prompts: Path) -> None:
    (tmp_path / "two.wav").write_bytes((prompts / "two.wav").read_bytes())
    service = await Process.start(tmp_path)
    try:
        async with line(pbx, LINE, "agi-menu", menu(service.agi())) as dialled:
            caller = await pbx.world.call(frm=CLIENT, to=dialled)
            channel = (await caller.answered()).channel
            assert channel is not None
            assert channel.answered is not None
            rung = await rung_at_portal(pbx)
            assert rung - channel.answered == pytest.approx(0.6 + RULES.silence, abs=0.2), "the wait is not cut"
            await pbx.world.connector.talking()
            await caller.hangup()
            assert order(caller) == ["two"]
            await pbx.world.reset()
    finally:
        await service.end()


@pytest.mark.parametrize("after", [0.3, 1.9], ids=["in a prompt", "in the wait for a key"])
async def test_a_killed_service_is_not_noticed(pbx: PbxSandbox, number: str, service: Process, after: float) -> None:
    caller = await pbx.world.call(frm=CLIENT, to=number)
    await hears(caller, after)
    killed = service.send(signal.SIGKILL)
    assert await rung_at_portal(pbx) - killed < AT_ONCE
    await pbx.world.connector.talking()
    await caller.hangup()


async def test_a_dead_service_is_not_noticed(pbx: PbxSandbox, number: str, service: Process) -> None:
    await service.end()
    caller = await pbx.world.call(frm=CLIENT, to=number)
    invited = await caller.at_office()
    assert await rung_at_portal(pbx) - invited < 0.1
    await caller.talks(0.1)
    await caller.hangup()


async def test_a_stopped_service_lets_the_caller_go(pbx: PbxSandbox, number: str, service: Process) -> None:
    """In the middle of a prompt: the dead-man's switch."""
    caller = await pbx.world.call(frm=CLIENT, to=number)
    await hears(caller, 0.3)
    stopped = service.send(signal.SIGSTOP)
    waited = await rung_at_portal(pbx) - stopped
    assert waited == pytest.approx(0.3 + RULES.margin, abs=0.4)
    await caller.talks(5.5)
    assert caller.up, "no time limit is left over"
    await caller.hangup()


async def test_a_service_that_was_stopped_before_lets_the_caller_go(pbx: PbxSandbox, number: str, service: Process) -> None:
    """It accepts (its kernel does), and never says a word."""
    service.send(signal.SIGSTOP)
    caller = await pbx.world.call(frm=CLIENT, to=number)
    invited = await caller.at_office()
    assert await rung_at_portal(pbx) - invited == pytest.approx(GUARD, abs=0.3)
    await caller.talks(0.1)
    await caller.hangup()


@pytest.mark.parametrize(("script", "seconds"), [("slow", 1.9), ("hangs", GUARD)], ids=["watchdog", "Asterisk's guard"])
async def test_a_script_that_hangs_lets_the_caller_go(
    pbx: PbxSandbox, service: Process, script: str, seconds: float
) -> None:
    async with line(pbx, LINE, "agi-menu", menu(service.agi(script))) as dialled:
        caller = await pbx.world.call(frm=CLIENT, to=dialled)
        invited = await caller.at_office()
        assert await rung_at_portal(pbx) - invited == pytest.approx(seconds, abs=0.3)
        await caller.talks(0.1)
        await caller.hangup()
        await pbx.world.reset()


async def test_what_a_real_asterisk_answers(pbx: PbxSandbox, prompts: Path) -> None:
    """Values, missing files, refusals, events with commas: as the wire understands them."""
    seen: dict[str, object] = {}
    over, waiting = asyncio.Event(), asyncio.Event()
    nasty = 'a,b "c" (d) \\ ${EXTEN} $[1+1] ; é «ы» | & \''

    async def script(call: AgiCall) -> None:
        try:
            seen["environment"] = dict(call.environment)
            seen["args"] = call.args
            await call.set("PEREZVON_X", nasty)
            seen["back"] = await call.get("PEREZVON_X")
            seen["function"] = await call.get("CALLERID(num)")
            seen["nothing"] = await call.get("PEREZVON_NOTHING")
            seen["status"] = await call.get("CHANNEL(state)")
            await call.user_event("PerezvonMenu", Step="began", To=nasty, Empty="")
            await call.answer()
            for path in ("/nowhere/at/all", str(prompts / "intro.wav.part")):
                try:
                    await call.play(path, "1")
                except NotPlayed:
                    seen[path] = "not played"
            try:
                await call.execute("NoSuchApplication")
            except AgiRefused as error:
                seen["application"] = error.code
            seen["intro"] = await call.play(str(prompts / "intro"), "1")
            await call.set("TIMEOUT(absolute)", "3.7")
            seen["limit"] = round(float(await call.get("TIMEOUT(absolute)")), 1)
            await call.set_all({"TIMEOUT(absolute)": "0", "PEREZVON_A": "+7*#", "PEREZVON_B": ""})
            seen["all"] = [await call.get(name) for name in ("TIMEOUT(absolute)", "PEREZVON_A", "PEREZVON_B")]
            await call.set_all({"PEREZVON_A": nasty, "PEREZVON_B": "1"})
            seen["odd"] = [await call.get(name) for name in ("PEREZVON_A", "PEREZVON_B")]
            seen["waited"] = await call.wait_key(0.2)
            waiting.set()
            try:
                await call.wait_key(30)
            except ChannelGone:
                seen["gone"] = True
                raise
        finally:
            waiting.set()
            over.set()

    server = AgiServer({"menu": script})
    await server.start("127.0.0.1", 0)
    events: list[dict[str, str]] = []
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.close)
        agi = f"agi://127.0.0.1:{server.port}/main/menu,один,two words"
        dialled = await stack.enter_async_context(line(pbx, LINE, "agi-menu", menu(agi)))
        heard = await stack.enter_async_context(user_events(pbx, events))
        caller = await pbx.world.call(frm=CLIENT, to=dialled, name="Иван Рога")
        await caller.answered()
        await asyncio.wait_for(waiting.wait(), 10)
        await caller.hangup()
        await asyncio.wait_for(over.wait(), 5)
        await asyncio.wait_for(heard.wait(), 5)
    environment = seen.pop("environment")
    assert isinstance(environment, dict)
    assert (environment["callerid"], environment["calleridname"]) == (CLIENT, "Иван Рога")
    assert environment["network_script"] == "main/menu"
    assert seen == {
        "args": ("один", "two words"),
        "back": nasty,
        "function": CLIENT,
        "nothing": "",
        "status": "Ring",
        "/nowhere/at/all": "not played",
        str(prompts / "intro.wav.part"): "not played",
        "application": 200,
        "intro": "",
        "limit": 3.7,
        "all": ["0", "+7*#", ""],
        "odd": [nasty, "1"],
        "waited": "",
        "gone": True,
    }
    assert events[0]["userevent"] == "PerezvonMenu"
    assert (events[0]["step"], events[0]["to"], events[0]["empty"]) == ("began", nasty, "")
    assert events[0]["uniqueid"] == environment["uniqueid"]


async def test_the_menu_tells_what_happened(pbx: PbxSandbox, number: str) -> None:
    events: list[dict[str, str]] = []
    async with user_events(pbx, events, count=2) as heard:
        caller = await pbx.world.call(frm=CLIENT, to=number)
        await hears(caller, 0.3)
        await caller.press("2")
        await asyncio.wait_for(heard.wait(), 5)
        await pbx.world.phone("102").talking()
        await caller.hangup()
    assert [{name: event.get(name) for name in ("step", "line", "key", "to")} for event in events] == [
        {"step": "began", "line": SCENARIO.line, "key": None, "to": None},
        {"step": "key", "line": SCENARIO.line, "key": "2", "to": "102"},
    ]
    assert events[0]["uniqueid"] == events[0]["linkedid"] == events[1]["uniqueid"]
