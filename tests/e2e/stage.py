"""Plays the scenarios of a matrix: each as soon as the phones that it needs are free, so that several go on at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest
from scenario import Scenario, Scene

from perezvon.asterisk import ActionRefused
from perezvon.sandbox.stand import Stand

AT_ONCE = 3
"""Scenarios played at once: the machine has two cores, and an Asterisk on each."""


@asynccontextmanager
async def on_stage(stand: Stand, scenarios: Sequence[Scenario], request: pytest.FixtureRequest) -> AsyncGenerator[Stage]:
    """Those of the scenarios that were asked for are played while the tests look at the results one by one."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = [call.params["scenario"] for call in calls if call is not None and "scenario" in call.params]
    await stand.pbx.world.reset()
    stage = Stage(stand, [(number, scenario) for number, scenario in enumerate(scenarios, 1) if scenario in wanted])
    director = asyncio.create_task(stage.run(), name="stage")
    try:
        yield stage
    finally:
        await director


class Stage:
    """`await stage.scene(title)` gives a scenario that was played, or raises what went wrong in it."""

    def __init__(self, stand: Stand, programme: Sequence[tuple[int, Scenario]]) -> None:
        """`programme`: scenarios with their numbers, which make the numbers of their clients."""
        self._stand = stand
        self._programme = programme
        loop = asyncio.get_running_loop()
        self._played: dict[str, asyncio.Future[Scene]] = {scenario.title: loop.create_future() for _, scenario in programme}

    async def scene(self, scenario: Scenario) -> Scene:
        return await self._played[scenario.title]

    async def all(self) -> list[Scene]:
        """Every scene that was played to its end, when all were played."""
        outcomes = await asyncio.gather(*self._played.values(), return_exceptions=True)
        return [outcome for outcome in outcomes if isinstance(outcome, Scene)]

    async def run(self) -> None:
        """Plays everything."""
        waiting = list(self._programme)
        taken: set[str] = set()
        playing: dict[asyncio.Task[None], set[str]] = {}
        async with asyncio.TaskGroup() as tasks:
            while waiting or playing:
                for entry in list(waiting):
                    phones = set(entry[1].phones.split())
                    if len(playing) < AT_ONCE and not phones & taken:
                        waiting.remove(entry)
                        playing[tasks.create_task(self._play(*entry), name=entry[1].title)] = phones
                    taken |= phones  # who has waited longer gets them first
                done, _ = await asyncio.wait(playing, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    del playing[task]
                taken = {phone for phones in playing.values() for phone in phones}

    async def _play(self, number: int, scenario: Scenario) -> None:
        scene = Scene(self._stand, scenario, client=f"7915{number:07d}", mobile=f"7917{number:07d}")
        try:
            await self._perform(scene)
        except Exception as error:
            self._played[scenario.title].set_exception(error)
        else:
            self._played[scenario.title].set_result(scene)

    async def _perform(self, scene: Scene) -> None:
        scene.begin()
        try:
            for extension in scene.scenario.phones.split():
                await scene.world.phone(extension).answers(after=0.3)
            await scene.scenario.play(scene)
            await scene.finished()
            scene.end()
        finally:
            await self._clear(scene)

    async def _clear(self, scene: Scene) -> None:
        """Nobody of this scenario is in a call any more, and no phone is forwarded."""
        world = scene.world
        legs = list(scene.clients)
        for extension in scene.scenario.phones.split():
            legs += world.phone(extension).legs
            try:
                await world.office.ask("DBDel", ("Family", "CF"), ("Key", extension))
            except ActionRefused:  # it was not forwarded
                continue
        for leg in legs:
            if leg.alive:
                await leg.hangup()
        for extension in scene.scenario.phones.split():
            await world.office.until(
                lambda name=extension: not any(c.endpoint == name for c in world.office.channels.values()),
                f"{extension} has no channel",
            )
