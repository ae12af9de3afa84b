"""Scenarios and conference codes as CSV files, as spreadsheets write and read them. Pure.

    phone;scenario;scenarioMsg;keyNum;msgMp3;transferTo        a row for each button, as they are announced
    pref;phone                                                 a row for each code

`;`, `,` or tabs; UTF-8, UTF-16 or the Windows encoding of Russian; letters' case in the names of columns does not matter.
Unlike a table of a database (scenario.py) a file is taken as a whole or not at all.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from perezvon.ivr.numbers import canonical
from perezvon.ivr.scenario import key_of, plain, target_of
from perezvon.rules.vocabulary import Reason
from perezvon.storage.menus import Menu, MenuButton

MENU_COLUMNS = ("phone", "scenario", "scenarioMsg", "keyNum", "msgMp3", "transferTo")
MENU_NEEDS = ("phone", "transferTo")
CODE_COLUMNS = ("pref", "phone")
LARGEST = 10_000_000
"""Bytes."""

_ROUNDED = re.compile(r"\d+[.,]?\d*[eE]\+?\d+")
"""What a spreadsheet makes of a long number."""


@dataclass(frozen=True, slots=True)
class SheetMistake:
    """`line`: of the file, from 1. `column`: "" for the line as a whole."""

    line: int
    column: str
    reason: Reason


class SheetUnfit(Exception):
    """`mistakes` has all of them, in the order of the file."""

    def __init__(self, mistakes: Sequence[SheetMistake]) -> None:
        super().__init__("; ".join(f"line {one.line}, {one.column or 'as a whole'}: {one.reason}" for one in mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a file names: menus, or codes with their numbers."""

    menus: tuple[Menu, ...] = ()
    codes: Mapping[str, str] = field(default_factory=dict[str, str])


def read_sheet(content: bytes, region: str = "RU") -> Sheet:
    """`region`: where numbers without a country are at home. Raises SheetUnfit."""
    reader = _Reader(_text(content))
    if "pref" in reader.columns:
        return Sheet(codes=_codes(reader))
    return Sheet(menus=_menus(reader, region))


def menus_sheet(menus: Iterable[Menu]) -> str:
    """Reads back as it is."""
    rows: list[Sequence[str]] = [MENU_COLUMNS]
    for menu in menus:
        buttons = menu.buttons or (MenuButton("", "", ""),)
        rows += [(menu.line, menu.title, menu.intro, one.key, one.prompt, one.target) for one in buttons]
    return _written(rows)


def codes_sheet(codes: Mapping[str, str]) -> str:
    return _written([CODE_COLUMNS, *codes.items()])


def _written(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=";", lineterminator="\n").writerows(rows)
    return text.getvalue()


# ---- reading


def _text(content: bytes) -> str:
    if len(content) > LARGEST:
        raise SheetUnfit([SheetMistake(1, "", Reason("the file is too large: is it the right one?"))])
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1251", "replace")


class _Reader:
    """Rows as texts by their columns' names; collects mistakes."""

    def __init__(self, text: str) -> None:
        self.mistakes: list[SheetMistake] = []
        lines = text.splitlines(keepends=True)
        self._skipped = 1 if lines and lines[0].lower().startswith("sep=") else 0
        lines = lines[self._skipped :]
        head = next((line for line in lines if line.strip()), "")
        delimiter = max(";,\t", key=head.count)
        self._rows = csv.reader(lines, delimiter=delimiter, strict=True)
        names = {name.lower(): name for name in (*MENU_COLUMNS, *CODE_COLUMNS)}
        first = next(self._taken(), list[str]())
        self.columns = [names.get(_squeezed(cell), cell) for cell in first]
        self._checked(len(first))

    def _checked(self, cells: int) -> None:
        known = {"columns": ", ".join(MENU_COLUMNS), "codes": ", ".join(CODE_COLUMNS)}
        needed = CODE_COLUMNS if "pref" in self.columns else MENU_NEEDS
        if not cells or not set(needed) & set(self.columns):
            self.wrong("", Reason("the first line must name the columns: {columns}; or {codes} for codes", known))
            raise SheetUnfit(self.mistakes)
        taken = CODE_COLUMNS if "pref" in self.columns else MENU_COLUMNS
        for at, name in enumerate(self.columns):
            if name and name not in taken:
                self.wrong(name, Reason("there is no such column; known are {columns}", {"columns": ", ".join(taken)}))
            elif name in self.columns[:at]:
                self.wrong(name, Reason("this column is there twice"))
        for name in needed:
            if name not in self.columns:
                self.wrong(name, Reason("this column is missing"))
        if self.mistakes:
            raise SheetUnfit(self.mistakes)

    @property
    def line(self) -> int:
        return self._rows.line_num + self._skipped

    def wrong(self, column: str, reason: Reason) -> None:
        self.mistakes.append(SheetMistake(max(1, self.line), column, reason))

    def rows(self) -> Iterator[dict[str, str]]:
        for cells in self._taken():
            if any(cells[len(self.columns) :]):
                self.wrong("", Reason("there are more cells than columns: put texts with the delimiter in quotes"))
                continue
            row = {str(name): "" for name in (*MENU_COLUMNS, *CODE_COLUMNS)}
            row.update(zip(self.columns, cells, strict=False))
            yield row

    def _taken(self) -> Iterator[list[str]]:
        while True:
            try:
                cells = next(self._rows)
            except StopIteration:
                return
            except csv.Error as error:
                self.wrong("", Reason("this is no CSV: {why}", {"why": str(error)}))
                raise SheetUnfit(self.mistakes) from None
            if any(cell.strip() for cell in cells):
                yield [plain(cell) for cell in cells]

    def number(self, column: str, text: str) -> str:
        """What can be rung, or "" and a mistake."""
        found = target_of(text)
        if not text:
            self.wrong(column, Reason("there is no number"))
        elif found is None and _ROUNDED.fullmatch(text):
            told = {"text": text}
            self.wrong(column, Reason("a spreadsheet has rounded this number ({text}): format its column as text", told))
        elif found is None:
            self.wrong(column, Reason("{text} is no number that can be rung", {"text": text}))
        return found or ""


def _menus(reader: _Reader, region: str) -> tuple[Menu, ...]:
    found: dict[str, Menu] = {}
    began: dict[tuple[str, str], int] = {}
    for row in reader.rows():
        number = reader.number("phone", row["phone"])
        if not number:
            continue
        line = canonical(number, region)
        before = found.get(line, Menu(line, row["scenario"], row["scenarioMsg"]))
        for column, now, then in (
            ("scenario", row["scenario"], before.title),
            ("scenarioMsg", row["scenarioMsg"], before.intro),
        ):
            if now and now != then:
                told = {"text": now, "before": then or "—"}
                reader.wrong(column, Reason("{text} differs from the first line of this number ({before})", told))
        button = _button(reader, row)
        buttons = before.buttons
        if button is not None:
            buttons = (*buttons, button)
            first = began.setdefault((line, button.key), reader.line)
            if first != reader.line:
                told = {"key": button.key or "—", "line": str(first)}
                reader.wrong("keyNum", Reason("key {key} of this number is in line {line} already", told))
            elif len(buttons) > 1 and not all(one.key for one in buttons):
                reader.wrong("keyNum", Reason("there is no key: only a number with one button needs none"))
        found[line] = Menu(line, before.title, before.intro, buttons)
    if reader.mistakes:
        raise SheetUnfit(reader.mistakes)
    return tuple(found.values())


def _button(reader: _Reader, row: Mapping[str, str]) -> MenuButton | None:
    """None for a line that has none: a number with an intro only."""
    if not (row["keyNum"] or row["msgMp3"] or row["transferTo"]):
        return None
    key = key_of(row["keyNum"])
    if key is None:
        reader.wrong("keyNum", Reason("{text} is no key that a phone has", {"text": row["keyNum"]}))
    return MenuButton(row["keyNum"] if key is None else key, row["msgMp3"], reader.number("transferTo", row["transferTo"]))


def _codes(reader: _Reader) -> Mapping[str, str]:
    found: dict[str, str] = {}
    began: dict[str, int] = {}
    for row in reader.rows():
        code = re.sub(r"\s", "", row["pref"])
        phone = reader.number("phone", row["phone"])
        if re.fullmatch(r"[0-9]{1,20}", code) is None:
            reader.wrong("pref", Reason("a code has digits only, 20 at most"))
        elif code in found:
            reader.wrong("pref", Reason("code {code} is in line {line} already", {"code": code, "line": str(began[code])}))
        else:
            found[code], began[code] = phone, reader.line
    if reader.mistakes:
        raise SheetUnfit(reader.mistakes)
    return found


def _squeezed(name: str) -> str:
    return re.sub(r"[\s_]", "", name).lower()
