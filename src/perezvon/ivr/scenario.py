"""What a caller of one number is asked: made of the rows of a table, whatever they are like. Pure.

Tables are kept by people: values are NULL, numbers come as numbers, as bytes, with spaces. What can be understood is taken;
what is left out, or odd, becomes a trouble in words, never an error. Source: document 004 ("IVR").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

from perezvon.rules.vocabulary import Reason

COLUMNS = ("scenarioMsg", "keyNum", "msgMp3", "transferTo")
"""What is read of a row; letters' case and underscores in names of columns do not matter."""

LONGEST_KEY = 8
MOST_BUTTONS = 100
"""More would be told to the dialplan for as long as it takes to say the first word. Nobody listens to so many."""

_KEY = re.compile(rf"[0-9*#A-D]{{1,{LONGEST_KEY}}}")
_NUMBER = re.compile(r"\+?[0-9*#]{1,32}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Button:
    """`key`: what is pressed, one or more of 0-9 * # A-D; empty for an only button without one. `prompt`: the name of the
    recording in `msgMp3/`, empty when there is none. `to`: the number or extension that is rung."""

    key: str
    prompt: str
    to: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """`line`: the number as the table has it. `intro`: the name of the recording in `scenario/`, empty when there is none.
    `buttons`: in the order of the rows. `asked`: whether several buttons were meant, also when only one is fit for use:
    a menu whose rows are damaged must not send every caller to the one number that is left."""

    line: str
    intro: str
    buttons: tuple[Button, ...]
    troubles: tuple[Reason, ...] = ()
    asked: bool = True

    @property
    def alone(self) -> Button | None:
        """The button that is rung at once, without a prompt."""
        return self.buttons[0] if len(self.buttons) == 1 and not self.asked else None

    @property
    def longest_key(self) -> int:
        """Digits."""
        return max((len(button.key) for button in self.buttons), default=0)


def scenario(line: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Scenario:
    """Of the rows of one number. A table without some of the columns gives a scenario without what they tell."""
    names = [re.sub(r"[\s_]", "", name).lower() for name in columns]
    places = {name: names.index(name.lower()) if name.lower() in names else None for name in COLUMNS}
    troubles: list[Reason] = []
    if missing := [name for name, place in places.items() if place is None]:
        told = {"missing": ", ".join(missing), "columns": ", ".join(columns)}
        troubles.append(Reason("the statement gives no {missing} (it gives {columns}): write … AS NAME", told))
    intros: list[str] = []
    entries: list[tuple[int, str, str, str]] = []
    for number, row in enumerate(rows, 1):
        intro, key, prompt, to = (plain(row[at]) if at is not None else "" for at in places.values())
        if intro and intro not in intros:
            intros.append(intro)
        if key or prompt or to:
            entries.append((number, key, prompt, to))
    if len(intros) > 1:
        told = {"intro": intros[0], "others": ", ".join(intros[1:])}
        troubles.append(Reason("there are several intros: {intro} is played, not {others}", told))
    asked = len(entries) > 1
    buttons = _buttons(entries, asked, troubles)
    if not buttons:
        troubles.append(Reason("there is no button that can be used: callers go on to Bitrix24"))
    elif asked and len(buttons) == 1:
        troubles.append(Reason("only one of {count} buttons can be used", {"count": str(len(entries))}))
    return Scenario(line, intros[0] if intros else "", tuple(buttons), tuple(troubles), asked)


def _buttons(entries: Sequence[tuple[int, str, str, str]], asked: bool, troubles: list[Reason]) -> list[Button]:
    found: dict[str, Button] = {}
    for number, written, prompt, target in entries:
        told = {"row": str(number), "key": written or "—", "to": target}
        key, to = key_of(written) if asked else key_of(written) or "", target_of(target)
        if not written and asked:
            troubles.append(Reason("row {row}: there is no key (keyNum); the button is left out", told))
        elif key is None:
            troubles.append(Reason("row {row}: {key} is no key that a phone has; the button is left out", told))
        elif not target:
            troubles.append(Reason("row {row}: key {key} has no number (transferTo); the button is left out", told))
        elif to is None:
            troubles.append(Reason("row {row}: {to} is no number that can be rung; key {key} is left out", told))
        elif key in found:
            troubles.append(Reason("row {row}: key {key} is there already; the first one stands", told))
        elif len(found) >= MOST_BUTTONS:
            told["most"] = str(MOST_BUTTONS)
            troubles.append(Reason("row {row}: a menu has no more than {most} buttons; key {key} is left out", told))
        else:
            if not prompt and asked:
                troubles.append(Reason("row {row}: key {key} has no recording (msgMp3): it is not announced", told))
            found[key] = Button(key, prompt, to)
    return list(found.values())


def plain(value: object) -> str:
    """A value of a table as one line of text."""
    match value:
        case None:
            return ""
        case bytes() | bytearray() | memoryview():
            raw = bytes(cast("bytes", value))
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError:
                text = raw.decode("cp1251", "replace")
        case bool():
            text = str(int(value))
        case float() if value.is_integer():
            text = str(int(value))
        case Decimal() if value.is_finite() and value == value.to_integral_value():
            text = str(int(value))
        case _:
            text = str(value)
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def key_of(text: str) -> str | None:
    """What is pressed; "" for nothing, None when no phone has it."""
    key = re.sub(r"\s", "", text).upper()
    return key if not key or _KEY.fullmatch(key) else None


def target_of(text: str) -> str | None:
    """A number without what people write between its digits, or the name of an extension. None: cannot be rung. Nothing
    that means something in a dialplan gets through."""
    number = re.sub(r"[\s().\u2010-\u2015-]", "", text)
    if _NUMBER.fullmatch(number):
        return number
    return text if _NAME.fullmatch(text) and re.search("[A-Za-z]", text) and not _ROUNDED.fullmatch(text) else None


_ROUNDED = re.compile(r"\d+[.]?\d*[eE][+-]?\d+")
"""What a spreadsheet makes of a long number: 7.91612E+10."""
