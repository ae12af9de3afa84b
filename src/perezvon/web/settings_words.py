"""What settings, their values and their changes are called on pages, in the reader's language. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from perezvon.customisation import POINTS
from perezvon.settings.changes import Change
from perezvon.settings.docs import inner_section, section_model
from perezvon.settings.errors import Translate
from perezvon.settings.model import Settings
from perezvon.web.settings_form import Kind, every_setting, kind_of, shown
from perezvon.web.settings_sections import SettingsPage, page_of


def _(text: str) -> str:
    """Marks a text for translation."""
    return text


CHOICES: Mapping[str, str] = {
    "": _("as for all others"),
    "yes": _("yes"),
    "no": _("no"),
    "wiring.record no": _("nothing is recorded by us"),
    "existing": _("the PBX has it"),
    "multifon": _("Multifon (MegaFon)"),
    "registration": _("with a login"),
    "address": _("by our address"),
    "office": _("office PBX of Bitrix24"),
    "ours": _("written by Perezvon"),
    "talk": _("the talk"),
    "whole": _("from the first ringing"),
    "wiring.dtmf auto": _("as the other side wants it"),
    "rfc4733": "RFC 4733",
    "inband": _("tones"),
    "info": _("SIP INFO"),
    "log.level info": _("ordinary"),
    "debug": _("everything"),
    "warning": _("warnings"),
    "error": _("errors"),
    "offline": _("we ask"),
    "handler": _("the portal calls us"),
    "both": _("both ways"),
    "off": _("not at all"),
    "own_line portal": _("the portal itself"),
    "perezvon": _("Perezvon"),
    "listed": _("only listed here"),
    "sent": _("sent to the portal"),
    "ru": "Русский",
    "en": "English",
    "auto": _("by itself"),
    "upload": _("into the portal"),
    "recordings link": _("a link"),
    "mode link": _("a link"),
    "first": _("the first"),
    "last": _("the last"),
    "longest": _("who talked longest"),
    "call": _("whose the call is"),
    "fixed": _("always the same"),
    "one": _("one portal call"),
    "each": _("a portal call for each talk"),
    "owner": _("whose the client is in the CRM"),
    "last_rung": _("who was rung last"),
    "line": _("the line's"),
    "callerid_to_third line": _("the company's number"),
    "default": _("the fall-back"),
    "anybody": _("whoever talks"),
    "close responsible": _("only the responsible"),
    "chain responsible": _("the client's responsible"),
    "last_talked": _("who talked last"),
    "again new": _("a new task"),
    "objects new": _("only new ones"),
    "reopen": _("the old one again"),
    "newest": _("the newest"),
    "all": _("all"),
    "offered": _("whoever wants one"),
    "administrators": _("administrators"),
    "everybody": _("everybody"),
    "lead": _("lead"),
    "contact": _("contact"),
    "company": _("company"),
    "deal": _("deal"),
    "activity": _("the call itself"),
    "link_in activity": _("in the call's text"),
    "keep": _("it stays"),
    "overwrite": _("it is replaced"),
    "add": _("written below"),
    "record": _("as the recording"),
    "mp3": "mp3",
    "original": _("the PBX's file"),
    "as_recorded": _("as recorded"),
    "mono": _("mono"),
    "stereo": _("stereo"),
    "client": _("the client's"),
    "caller": _("the caller's"),
    "console": _("for people"),
    "json": "JSON",
    "wrong_key portal": _("on to Bitrix24"),
    "repeat": _("the menu again"),
    "schedule": _("working time"),
    "workday": _("the portal's workday"),
    "absence": _("absences in the calendar"),
    "device": _("state of the phone"),
    "closed": _("is over"),
    "paused": _("a break"),
    "expired": _("not begun today"),
    "skip": _("is passed over"),
    "ring": _("is rung all the same"),
    "as_written": _("as written"),
    "latin": _("Latin letters"),
    "end": _("the call ends"),
    "stay": _("the others talk on"),
    **{f"customisation.off {point.value}": rules.title for point, rules in POINTS.items()},
}
"""Of values that can be chosen: by the last two parts of the setting's name, by its key, or alone."""


def choice(name: str, value: str) -> str:
    """In English; "" where the value says it already."""
    parts = [part for part in name.split(".") if not part.isdigit() and not part.startswith("new")]
    for before in (".".join(parts[-2:]) + " ", parts[-1] + " ", ""):
        if before + value in CHOICES:
            return CHOICES[before + value]
    return ""


@dataclass(frozen=True, slots=True)
class Told:
    """A change as people read it. `place`: titles from the section down, with the names of entries. `page`: where it is
    changed. `clash`: somebody else has changed the same meanwhile."""

    place: tuple[str, ...]
    path: str
    before: str | None
    after: str | None
    secret: bool
    page: SettingsPage | None
    clash: bool = False


def told_change(change: Change, translate: Translate, clashes: frozenset[str] = frozenset()) -> Told:
    place = tuple(place_of(change.path, translate))
    before, after = (value_of(change.path, value, translate) for value in (change.before, change.after))
    return Told(place, change.path, before, after, change.secret, page_of(change.path), change.path in clashes)


def place_of(path: str, translate: Translate, *, counted: bool = False) -> Iterator[str]:
    """`line[+7495].name`: Line +7495, Name. `counted`: entries of sections are told by their number too, as in mistakes."""
    model: type[BaseModel] = Settings
    for key, index in _parts(path):
        info = model.model_fields.get(key)
        if info is None:
            yield key
            return
        title = translate(info.title or key)
        number = (
            f"{int(index) + 1}" if index is not None and index.isdigit() and (counted or model is not Settings) else index
        )
        yield f"{title} {number}" if number is not None else title
        model = _below(model, info) or model


def value_of(path: str, value: str | None, translate: Translate) -> str | None:
    """A TOML value in words."""
    if value is None:
        return None
    try:
        plain: Any = tomllib.loads(f"x = {value}")["x"]
    except tomllib.TOMLDecodeError:
        return value
    name = ".".join(key for key, _index in _parts(path))
    return _worded(name, plain, translate)


def _worded(name: str, plain: Any, translate: Translate) -> str:
    if isinstance(plain, bool):
        return translate("yes") if plain else translate("no")
    if isinstance(plain, float):
        return f"{plain:.10g}"
    if isinstance(plain, list):
        return ", ".join(_worded(name, one, translate) for one in cast("list[Any]", plain))
    if isinstance(plain, str) and name in _CHOSEN:
        return f"{translate(words)} ({plain})" if (words := choice(name, plain)) else plain
    return str(plain)


def _parts(path: str) -> Iterator[tuple[str, str | None]]:
    while path:
        found = re.match(r"(\w+)(?:\[(.*?)\](?=\.\w|$))?\.?", path)
        if found is None:
            return
        yield found[1], found[2]
        path = path[found.end() :]


def _below(model: type[BaseModel], info: FieldInfo) -> type[BaseModel] | None:
    return section_model(info)[0] if model is Settings else inner_section(info)


def _chosen() -> frozenset[str]:
    kinds = (Kind.CHOICE, Kind.ORDER, Kind.SWITCHES)
    return frozenset(
        re.sub(r"\.0(?=\.|$)", "", name) for name, info, _outer in every_setting() if kind_of(info, name)[0] in kinds
    )


_CHOSEN = _chosen()


@dataclass(frozen=True, slots=True)
class Hit:
    """A setting that a search has found."""

    page: SettingsPage
    anchor: str
    place: str
    title: str
    help: str


def search(wanted: str, translate: Translate, also: Callable[[str], str] = lambda text: text, limit: int = 40) -> list[Hit]:
    """All words of `wanted` in title, help, section or TOML name, in the reader's language or in English (`also`)."""
    words = wanted.lower().split()[:10]
    found: list[tuple[int, Hit]] = []
    for name, info, outer in every_setting() if words else ():
        page = page_of(shown(name))
        if page is None:
            continue
        texts = [info.title or "", info.description or "", outer.title or "", page.title]
        title, about, section, on = (translate(text) for text in texts)
        heap = " ".join((title, about, section, on, *map(also, texts), name.replace(".0", ""))).lower()
        if all(word in heap for word in words):
            rank = 0 if all(word in title.lower() for word in words) else 1
            place = on if section == on else f"{on} · {section}"
            found.append((rank, Hit(page, f"f-{name}", place, title, about)))
    return [hit for _rank, hit in sorted(found, key=lambda pair: pair[0])][:limit]
