"""The answer to a dialplan that asks what its caller shall hear: a whole menu, one number to ring, or nothing. Document
004 ("IVR").

Nothing is played from here. The dialplan gets all of it in variables, before the caller hears the first word, and then
plays, takes the keys and dials by itself: a service that dies or hangs afterwards touches nobody. What each variable means
is told in the dialplan's template. PEREZVON_PROMPTS comes last: without it there is no menu, and the call goes on to
Bitrix24, as it does when PEREZVON_TO is empty or when we are not there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import structlog

from perezvon.asterisk.agi import AgiCall
from perezvon.ivr.finding import Part
from perezvon.ivr.prompts import Prompt
from perezvon.ivr.scenario import Scenario

INTRO = "intro"
"""How the greeting is called among what was heard; the rest are the keys of the buttons that were announced."""
UNFIT = frozenset(",&:|\"\\;${}()[]'")
"""What Background, or the dialplan on the way to it, does not take as a part of a file's name."""

DIALLED = frozenset("0123456789*+")
"""What the dialplan keeps of a number."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MenuRules:
    """`cycles`: how often the buttons are announced; `silence`: seconds to wait after the last prompt; `key_gap`: seconds
    between the digits of one key; `wrong_keys`: after so many the call goes on (1: at once); `ring`: seconds for which the
    dialplan rings; `fallback`: what is rung after silence or wrong keys, empty: Bitrix24."""

    cycles: int = 1
    silence: float = 7.0
    key_gap: float = 2.0
    wrong_keys: int = 1
    ring: float = 20.0
    fallback: str = ""


class Given(StrEnum):
    """What the dialplan was told. `TOO_OLD`: nothing, for it would not know what to do with a menu."""

    NO_MENU = "no menu"
    ONE_BUTTON = "one button"
    MENU = "menu"
    TOO_OLD = "the dialplan is too old"


class Prompts(Protocol):
    async def ready(self, scenario: Scenario) -> None: ...
    def spoken(self, part: Part, name: str) -> Sequence[Prompt]: ...


async def give_menu(call: AgiCall, scenario: Scenario | None, prompts: Prompts, rules: MenuRules) -> Given:
    """The dialplan asks with the line's number and with which visit of its menu this is. One that gives no visit was
    installed by an earlier version, which played by script: its callers go on to Bitrix24. Raises what AgiCall raises."""
    if scenario is None or not scenario.buttons:
        return Given.NO_MENU
    if (alone := scenario.alone) is not None:
        await call.end({"PEREZVON_RING": str(round(rules.ring)), "PEREZVON_TO": alone.to})
        return Given.ONE_BUTTON
    visit = call.args[1] if len(call.args) > 1 else ""
    if not visit.isdecimal():
        return Given.TOO_OLD
    await prompts.ready(scenario)
    await call.end(variables(scenario, prompts, rules, visit))
    return Given.MENU


def variables(scenario: Scenario, prompts: Prompts, rules: MenuRules, visit: str) -> dict[str, str]:
    """The whole menu, in the order in which it is set. `visit` keeps what an earlier visit of the same caller has left from
    being taken for a part of this."""
    targets = {button.key: to for button in scenario.buttons if (to := _dialled(button.key, button.to))}
    intro = list(_playable(INTRO, prompts.spoken(Part.INTRO, scenario.intro)))
    spoken = [*intro, *_announced(scenario, prompts)]
    longer = beginnings(targets)
    return {
        "PEREZVON_RING": str(round(rules.ring)),
        "PEREZVON_SILENCE": f"{rules.silence:.1f}",
        "PEREZVON_GAP": f"{rules.key_gap:.1f}",
        "PEREZVON_TRIES": str(rules.wrong_keys),
        "PEREZVON_ELSE": "".join(sign for sign in rules.fallback if sign in DIALLED),
        "PEREZVON_CYCLES": str(rules.cycles),
        "PEREZVON_FIRST": str(len(intro) + 1),
        **{f"PEREZVON_{_kind(key, longer)}_{visit}_{key}": to for key, to in targets.items()},
        **{f"PEREZVON_MORE_{visit}_{typed}": "1" for typed in sorted(longer)},
        **{f"PEREZVON_SAY_{visit}_{n}": f"{name}:{path}" for n, (name, path) in enumerate(spoken, 1)},
        "PEREZVON_PROMPTS": str(len(spoken)),
    }


def _kind(key: str, longer: Collection[str]) -> str:
    """Whether it rings as soon as its digit is there, or when all digits are."""
    return "KEY" if len(key) == 1 and key not in longer else "ALSO"


def _dialled(key: str, to: str) -> str:
    """Of a button's target, what the dialplan dials; empty when that is nothing."""
    number = "".join(sign for sign in to if sign in DIALLED)
    if not number:
        log.warning("a button leads nowhere: only numbers and extensions of digits are rung", key=key, to=to)
    return number


def _announced(scenario: Scenario, prompts: Prompts) -> Iterator[tuple[str, str]]:
    for button in scenario.buttons:
        yield from _playable(button.key, prompts.spoken(Part.KEY, button.key))
        yield from _playable(button.key, prompts.spoken(Part.MESSAGE, button.prompt))


def _playable(name: str, prompts: Sequence[Prompt]) -> Iterator[tuple[str, str]]:
    """Each with what it is: a button's key, or INTRO."""
    for prompt in prompts:
        if UNFIT.isdisjoint(prompt.path):
            yield name, prompt.path
        else:
            told = {"prompt": prompt.path, "unfit": "".join(sorted(UNFIT.intersection(prompt.path)))}
            log.warning("prompt cannot be played by the dialplan: name its folder otherwise", **told)


def beginnings(keys: Collection[str]) -> frozenset[str]:
    """What may be typed of a key that goes on."""
    return frozenset(key[:length] for key in keys for length in range(1, len(key)))
