"""What callers of a number would get, with what is played to them and what is wrong: for the command and the pages."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from perezvon.ivr import prompt_files
from perezvon.ivr.finding import Part
from perezvon.ivr.prompts import Prompt, PromptShelf
from perezvon.ivr.source import Found, ScenarioSource
from perezvon.recordings.pool import Converter
from perezvon.rules.vocabulary import Reason
from perezvon.settings.model import Settings
from perezvon.storage.database import Database


@dataclass(frozen=True, slots=True)
class Heard:
    """`prompts`: what is played for each name of a recording; `troubles`: of the recordings."""

    number: str
    settings: Settings
    found: Found
    prompts: Mapping[tuple[Part, str], Sequence[Prompt]]
    troubles: Sequence[Reason]

    @property
    def all_troubles(self) -> Sequence[Reason]:
        return (*(self.found.scenario.troubles if self.found.scenario else ()), *self.troubles)

    def seconds(self, part: Part | str, name: str) -> float | None:
        """How long it is; None where nothing is played."""
        return length(self.prompts.get((Part(part), name), ()))


def length(prompts: Iterable[Prompt]) -> float | None:
    lengths = [prompt.seconds for prompt in prompts]
    return sum(lengths) if lengths else None


async def hear(database: Database, settings: Settings, number: str) -> Heard:
    """Asks the company's database as for a caller, and remembers nothing."""
    source = ScenarioSource(database, settings, remember=False)
    try:
        found = await source.find(number)
    finally:
        await source.close()
    return await _with_prompts(number, settings, found)


async def _with_prompts(number: str, settings: Settings, found: Found) -> Heard:
    """The recordings are converted aside, as the service would: what cannot be is told."""
    scenario = found.scenario
    if scenario is None or scenario.alone is not None or not scenario.buttons:
        return Heard(number, settings, found, {}, ())
    sounds = Path(settings.ivr.sounds) if settings.ivr.sounds else None
    with tempfile.TemporaryDirectory(prefix="perezvon-ivr-") as folder:
        converter = Converter(command=prompt_files.WORKER, deadline=60.0)
        shelf = PromptShelf(sounds, Path(folder), language=settings.ivr.language, converter=converter)
        await shelf.start()
        try:
            troubles = await shelf.look(scenario)
        finally:
            await converter.close()
        parts = [(Part.INTRO, scenario.intro)]
        for button in scenario.buttons:
            parts += [(Part.KEY, button.key), (Part.MESSAGE, button.prompt)]
        return Heard(number, settings, found, {part: shelf.spoken(*part) for part in parts}, troubles)
