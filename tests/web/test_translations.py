"""Every text that people see has a Russian translation, and places in braces survive it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import jinja2
import pytest
from babel.messages.pofile import read_po
from jinja2.ext import babel_extract

import perezvon
from perezvon.asterisk import State as PbxState
from perezvon.calls.call import Direction, LegOutcome, Outcome, Party, TransferKind
from perezvon.customisation import POINTS, Fate
from perezvon.doctor.check import State as CheckState
from perezvon.rules import Kind
from perezvon.settings import docs
from perezvon.settings.load import _REASONS  # pyright: ignore[reportPrivateUsage]
from perezvon.storage.recordings import RecordingState
from perezvon.web.deeds import Deed
from perezvon.web.rights import Right, Role
from perezvon.web.setup_desk import Mark
from perezvon.web.translations import LANGUAGES, LOCALE, catalog

SOURCE = Path(perezvon.__file__).parent

# Words of ours that pages show through the filter `word`.
ENUMS: tuple[type[StrEnum], ...] = (
    PbxState,
    Direction,
    Outcome,
    CheckState,
    Kind,
    Fate,
    Deed,
    Right,
    Role,
    LegOutcome,
    Party,
    TransferKind,
    RecordingState,
    Mark,
)
WORDS = (
    *("ready", "waiting for installation", "paused", "blocked", "unreachable", "starting", "webhook", "application"),
    *("cards", "finish", "crm", "records", "directories"),
    *("offline", "handler", "both", "off"),
    *("ringing", "talk"),
    *("new", "sending", "unsure", "done", "skipped", "dead", "held"),
    *(rules.title for rules in POINTS.values()),
)

# Which positional arguments are texts, and which variables hold them. `_ok`, `_warn`, `_fail`, `sort`: bitrix24/probe.py.
CALLS = {
    "_": (0,),
    "translate": (0,),
    "Reason": (0,),
    "_ok": (1,),
    "_warn": (1, 2),
    "_fail": (1, 2),
    "sort": (2,),
    "or_fallback": (1,),
}
NAMES = {"probe.py": {"told", "fix"}, "responsible.py": {"text"}}


def of_python(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            for keyword in node.keywords:
                yield from texts(keyword.value) if keyword.arg == "summary" else ()  # of the API's description
            for index in CALLS.get(name, ()):
                if index < len(node.args):
                    yield from texts(node.args[index])
        elif isinstance(node, ast.Assign):
            names = NAMES.get(path.name, set())
            named = any(isinstance(target, ast.Name) and target.id in names for target in node.targets)
            yield from texts(node.value) if named else ()


def texts(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)) if re.search("[a-z]", text):
            yield text
        case ast.IfExp(body=body, orelse=other):
            yield from texts(body)
            yield from texts(other)
        case _:
            return


def of_templates() -> Iterator[str]:
    for path in (SOURCE / "web" / "templates").glob("*.html"):
        with path.open("rb") as file:
            for _, _, message, _ in babel_extract(file, ("_", "gettext", "ngettext"), [], {}):
                yield message if isinstance(message, str) else message[0]
        jinja2.Environment(extensions=["jinja2.ext.i18n"], autoescape=True).parse(path.read_text(encoding="utf-8"))


def used() -> set[str]:
    found = {*docs.words(), *of_templates(), *WORDS, *_REASONS.values()}
    found |= {member.value for enum in ENUMS for member in enum}
    for path in SOURCE.rglob("*.py"):
        if "sandbox" not in path.parts:
            found.update(of_python(path))
    return {text for text in found if re.search("[A-Za-z]{2}", re.sub(r"\{\w+\}", "", text))}


def test_every_text_is_in_russian() -> None:
    with (LOCALE / "ru" / "LC_MESSAGES" / "perezvon.po").open("rb") as file:
        known = read_po(file, locale="ru")
    missing = sorted(text for text in used() if (entry := known.get(text)) is None or not entry.string)
    assert not missing, "add to web/locale/ru/LC_MESSAGES/perezvon.po:\n" + "\n".join(map(repr, missing))


@pytest.mark.parametrize("language", LANGUAGES)
def test_places_survive_translation(language: str) -> None:
    with (LOCALE / language / "LC_MESSAGES" / "perezvon.po").open("rb") as file:
        known = read_po(file, locale=language)
    places = re.compile(r"\{\w*\}|%\(\w+\)s")
    for entry in known:
        if entry.id and entry.string:
            assert set(places.findall(str(entry.string))) == set(places.findall(str(entry.id))), entry.id


def test_catalogs_load() -> None:
    assert catalog("ru").gettext("Last calls") != "Last calls"
    assert catalog("en").gettext("no_answer") == "no answer"
