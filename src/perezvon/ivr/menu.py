"""The voice menu's script: what a caller hears, what he presses, where he is sent. Document 004 ("IVR").

It only decides and plays: the dialplan dials PEREZVON_TO for PEREZVON_RING seconds, and goes on to Bitrix24 after it, or
when PEREZVON_TO is empty, or when we are not there (any more). Once PEREZVON_MENU says that a menu has begun, the dialplan
tells how it was over, also when the caller hangs up. A dead-man's switch, TIMEOUT(absolute), is put off before each prompt,
so that a service that hangs holds nobody for longer than the prompt and `margin`; the dialplan takes it back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import structlog

from perezvon.asterisk.agi import ANY_KEY, AgiCall, NotPlayed
from perezvon.ivr.finding import Part
from perezvon.ivr.prompts import Prompt
from perezvon.ivr.scenario import Scenario

EVENT = "PerezvonMenu"
INTRO = "intro"
"""How the greeting is called among what was heard; the rest are the keys of the buttons that were announced."""
END_OF_KEY = "#"
"""Ends a key of several digits, unless it is part of one."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MenuRules:
    """`cycles`: how often the buttons are announced; `silence`: seconds to wait after the last prompt; `key_gap`: seconds
    between the digits of one key; `wrong_keys`: after so many the call goes on (1: at once); `ring`: seconds for which the
    dialplan rings; `fallback`: what is rung after silence or wrong keys, empty: Bitrix24; `margin`: seconds for which a
    caller may wait for us beyond a prompt or a wait before Asterisk takes him away."""

    cycles: int = 1
    silence: float = 7.0
    key_gap: float = 2.0
    wrong_keys: int = 1
    ring: float = 20.0
    fallback: str = ""
    margin: float = 3.0


class Ended(StrEnum):
    NO_MENU = "no menu"
    ONE_BUTTON = "one button"
    KEY = "key"
    WRONG = "wrong"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`keys`: all that was pressed, wrong ones too. `to`: what the dialplan shall ring, empty: Bitrix24."""

    ended: Ended
    to: str = ""
    keys: tuple[str, ...] = ()


class Prompts(Protocol):
    async def ready(self, scenario: Scenario) -> None: ...
    def spoken(self, part: Part, name: str) -> Sequence[Prompt]: ...


async def run_menu(call: AgiCall, scenario: Scenario | None, prompts: Prompts, rules: MenuRules) -> Outcome:
    """Raises what AgiCall raises; ChannelGone is how most menus end early."""
    if scenario is None or not scenario.buttons:
        return Outcome(Ended.NO_MENU)
    if (alone := scenario.alone) is not None:
        await call.end(_ring(alone.to, rules))
        return Outcome(Ended.ONE_BUTTON, alone.to)
    return await _Menu(call, scenario, prompts, rules).run()


def _ring(to: str, rules: MenuRules) -> dict[str, str]:
    """The decision, in the dialplan's variables."""
    return {"TIMEOUT(absolute)": "0", "PEREZVON_RING": str(round(rules.ring)), "PEREZVON_TO": to}


class _Menu:
    def __init__(self, call: AgiCall, scenario: Scenario, prompts: Prompts, rules: MenuRules) -> None:
        self._call = call
        self._scenario = scenario
        self._prompts = prompts
        self._rules = rules
        self._targets = {button.key: button.to for button in scenario.buttons}
        self._heard: list[str] = []
        self._log = log.bind(line=scenario.line, channel=call.environment.get("channel", ""))

    async def run(self) -> Outcome:
        call, pressed = self._call, list[str]()
        await call.set("PEREZVON_MENU", "began")
        await self._tell("began")
        await self._prompts.ready(self._scenario)
        await call.answer()
        while True:
            key = await self._ask(first=not pressed)
            heard = " ".join(self._heard)
            if not key:
                return await self._end(Ended.SILENCE, self._rules.fallback, pressed, Heard=heard)
            pressed.append(key)
            if key in self._targets:
                to = self._targets[key]
                return await self._end(Ended.KEY, to, pressed, Key=key, To=to, Heard=heard)
            if len(pressed) >= self._rules.wrong_keys:
                return await self._end(Ended.WRONG, self._rules.fallback, pressed, Key=key, Heard=heard)
            await self._tell("wrong", Key=key, Heard=heard)

    async def _end(self, ended: Ended, to: str, pressed: Sequence[str], **headers: str) -> Outcome:
        """A caller waits: the last event and the decision go together."""
        self._note(ended, headers)
        values = _ring(to, self._rules) if to else {"TIMEOUT(absolute)": "0"}
        await self._call.end(values, EVENT, Step=ended, Line=self._scenario.line, **headers)
        return Outcome(ended, to, tuple(pressed))

    async def _ask(self, *, first: bool) -> str:
        """Plays everything and waits; what was pressed, "" for silence."""
        self._heard.clear()
        for name, prompt in self._to_play(first=first):
            await self._held_for(prompt.seconds)
            try:
                digit = await self._call.play(prompt.path, ANY_KEY, seconds=prompt.seconds)
            except NotPlayed as error:
                self._log.warning("prompt not played", prompt=prompt.path, error=str(error))
                continue
            if name not in self._heard[-1:]:
                self._heard.append(name)
            if digit:
                return await self._rest_of(digit)
        await self._held_for(self._rules.silence)
        digit = await self._call.wait_key(self._rules.silence)
        return await self._rest_of(digit) if digit else ""

    def _to_play(self, *, first: bool) -> Iterator[tuple[str, Prompt]]:
        """Each with its button's key, or INTRO. Looked up when its turn comes: a new scenario's last prompts may be ready
        only then."""
        if first:
            yield from ((INTRO, prompt) for prompt in self._prompts.spoken(Part.INTRO, self._scenario.intro))
        for _ in range(self._rules.cycles):
            for button in self._scenario.buttons:
                yield from ((button.key, prompt) for prompt in self._prompts.spoken(Part.KEY, button.key))
                yield from ((button.key, prompt) for prompt in self._prompts.spoken(Part.MESSAGE, button.prompt))

    async def _rest_of(self, typed: str) -> str:
        """The whole key that begins with this digit."""
        while may_go_on(typed, self._targets):
            await self._held_for(self._rules.key_gap)
            digit = await self._call.wait_key(self._rules.key_gap)
            if not digit or (digit == END_OF_KEY and not any(key.startswith(typed + digit) for key in self._targets)):
                break
            typed += digit
        return typed

    async def _held_for(self, seconds: float) -> None:
        await self._call.set("TIMEOUT(absolute)", f"{seconds + self._rules.margin:.1f}")

    async def _tell(self, step: str, **headers: str) -> None:
        self._note(step, headers)
        await self._call.user_event(EVENT, Step=step, Line=self._scenario.line, **headers)

    def _note(self, step: str, headers: Mapping[str, str]) -> None:
        self._log.info("menu", step=str(step), **{name.lower(): value for name, value in headers.items()})


def may_go_on(typed: str, keys: Collection[str]) -> bool:
    """Whether a longer key begins with what has been typed."""
    return any(key.startswith(typed) and len(key) > len(typed) for key in keys)
