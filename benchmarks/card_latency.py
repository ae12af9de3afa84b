"""First INVITE at the PBX to the card at the portal, through everything: SIP, Asterisk, AMI, tracker, journal, REST.

The yardstick, run beside it: a bare AMI listener that posts one HTTP request at the office's first DialBegin and does
nothing else: what Asterisk, the wire and HTTP cost by themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from perezvon.asterisk import AmiAddress, Session
from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.stand import Stand, stand

DID = "74950000101"


async def measure(whole: Stand, per_second: float, count: int, first: int) -> list[float]:
    """Seconds from the office's first channel of a call to its card, for every call."""
    begun: dict[str, float] = {}
    async with await Session.open(
        AmiAddress.parse(whole.pbx.office_ami_all), wanted=frozenset({"Newchannel"}), variables=frozenset()
    ) as watch:

        async def follow() -> None:
            async for events in watch.events():
                for event in events:
                    if event["exten"].endswith(DID[-10:]):
                        begun.setdefault("+" + event["calleridnum"].lstrip("+"), event.at)

        following = asyncio.create_task(follow())
        legs = [leg async for leg in whole.pbx.world.load(per_second, count, DID, talk_seconds=1.0, first=first)]
        for number in range(first, first + count):
            await whole.call_of(f"+{number}", within=60)
        for leg in legs:
            await leg.ended()
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
    shown = {call.phone: call.cards[0].shown_at for call in whole.portal.calls() if call.cards}
    return [shown[number] - at for number, at in begun.items() if number in shown]


async def yardstick(pbx: PbxSandbox, portal: PortalServer, per_second: float, count: int, first: int) -> list[float]:
    """The same calls, an AMI listener and a POST, nothing between."""
    begun: dict[str, float] = {}
    taken: list[float] = []
    wanted = frozenset({"Newchannel", "DialBegin"})
    async with (
        aiohttp.ClientSession() as http,
        await Session.open(AmiAddress.parse(pbx.office_ami_all), wanted=wanted, variables=frozenset()) as watch,
        asyncio.TaskGroup() as posts,
    ):

        async def post(at: float) -> None:
            async with http.post(f"{portal.url}/rest/server.time", data={"auth": "nobody"}) as answer:
                await answer.read()
            taken.append(time.time() - at)

        async def follow() -> None:
            async for events in watch.events():
                for event in events:
                    if event.name == "Newchannel":
                        begun.setdefault(event["linkedid"], event.at)
                    elif event["linkedid"] in begun:
                        posts.create_task(post(begun.pop(event["linkedid"])))

        following = asyncio.create_task(follow())
        for leg in [leg async for leg in pbx.world.load(per_second, count, DID, talk_seconds=1.0, first=first)]:
            await leg.ended()
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
    return taken


def tell(what: str, seconds: list[float], yard: list[float] | None = None) -> None:
    ordered = sorted(seconds)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    line = f"{what:<44} n={len(ordered):<4} median {statistics.median(ordered) * 1000:6.1f} ms   p99 {p99 * 1000:6.1f} ms"
    if yard:
        line += f"   median/yardstick {statistics.median(ordered) / statistics.median(yard):.2f}"
    print(line, flush=True)


def yield_processors(pid: int) -> None:
    """The outside world lives on other machines in reality: what it computes here waits for what is measured."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, int(thread.name), 19)


async def run(folder: Path) -> None:
    async with await PbxSandbox.start(folder / "pbx") as pbx:
        assert pbx.world.switch.pid is not None
        yield_processors(pbx.world.switch.pid)
        await pbx.world.phone("101").answers(after=0.2)
        async with PortalServer(PortalConfig(rate=None, one_card_per_user=False)) as portal:
            yard = await yardstick(pbx, portal, 30, 150, 79150000000)
            tell("yardstick: bare listener, 30 calls/s", yard)
            async with stand(pbx, portal, folder / "fast") as whole:
                tell("idle: one call after another", await measure(whole, 1, 10, 79151000000), yard)
                tell("30 calls/s", await measure(whole, 30, 300, 79152000000), yard)
        async with (
            PortalServer(PortalConfig(rate=None, delay=0.2, one_card_per_user=False)) as slow,
            stand(pbx, slow, folder / "slow") as whole,
        ):
            tell("10 calls/s, portal answers in 0.2 s", await measure(whole, 10, 100, 79153000000), yard)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="perezvon-bench-") as folder:
        asyncio.run(run(Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
