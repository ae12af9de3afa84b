"""The forms of the settings, made from the model: which controls a page has. Pure. What a sent form says: settings_sent.py.

Names of form fields are paths with dots (`portal.0.automation.missed`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import NoneType
from typing import Any, Literal, cast, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from perezvon.settings import toml
from perezvon.settings.confidential import MASK, Secret
from perezvon.settings.docs import inner_section, section_model, unit
from perezvon.settings.errors import Mistake, Wrong
from perezvon.settings.load import IDENTITY, Named
from perezvon.settings.model import Settings
from perezvon.settings.offered import Offered, offered
from perezvon.settings.urls import SecretUrl, WebhookUrl
from perezvon.web.settings_offers import list_of
from perezvon.web.settings_sections import Part, SettingsPage

LONG = frozenset(
    {
        *("ivr.query", "conference.query", "crm.field.value", "chat.leads_text", "chat.missed_text"),
        *("missed.description", "missed.comment"),
    }
)
"""Settings of several lines."""

NAMED_BY = {**IDENTITY, "deputy": "employee", "employee": "extension", "to_crm": "name", "to_pbx": "name", "field": "name"}
"""What the rows of a list are called by."""

FRESH = "new"


class Kind(StrEnum):
    """MAYBE: yes, no, or as elsewhere. ADDRESS: a text with a secret in it, shown with a mask in its place. SWITCHES: a
    list of what is off, shown as one switch for each that could be."""

    SWITCH = "switch"
    MAYBE = "maybe"
    CHOICE = "choice"
    NUMBER = "number"
    TEXT = "text"
    LONG = "long"
    LIST = "list"
    ORDER = "order"
    SWITCHES = "switches"
    SECRET = "secret"  # noqa: S105
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class Control:
    """One setting. `value`: a text, a bool, or a list of texts; never a secret. `default`: shown; "" for none.
    `stored`: there is a secret. `choices`: in their order; of an ORDER the chosen ones first. `offers`: the list that is
    offered (settings_offers.py); `beside`: the control that it hangs upon."""

    path: str
    name: str
    kind: Kind
    title: str
    help: str
    value: Any
    default: str = ""
    example: str = ""
    unit: str = ""
    choices: tuple[str, ...] = ()
    optional: bool = True
    stored: bool = False
    offers: str = ""
    beside: str = ""
    mistakes: tuple[Mistake, ...] = ()

    @property
    def id(self) -> str:
        return f"f-{self.name}"

    def row_of(self, mistake: Mistake) -> int | None:
        """Which line of a LIST is wrong, from 1."""
        found = re.fullmatch(r"\[(\d+)\].*", mistake.path[len(self.path) :])
        return int(found[1]) + 1 if found else None


@dataclass(frozen=True, slots=True)
class Rows:
    """Entries that can be added, taken away and put in order; `fixed`: only those there are. `blank`: a fresh one."""

    name: str
    title: str
    help: str
    entries: tuple[Group, ...]
    blank: Group | None
    mistakes: tuple[Mistake, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """A section. `called`: what a row is called, by its own settings. `token`: of the row; "" for none."""

    name: str
    title: str
    help: str
    controls: tuple[Control, ...]
    groups: tuple[Group, ...] = ()
    rows: tuple[Rows, ...] = ()
    called: str = ""
    token: str = ""
    mistakes: tuple[Mistake, ...] = ()

    @property
    def wrong(self) -> bool:
        return bool(
            self.mistakes
            or any(control.mistakes for control in self.controls)
            or any(group.wrong for group in self.groups)
            or any(rows.mistakes or any(entry.wrong for entry in rows.entries) for rows in self.rows)
        )


@dataclass(frozen=True, slots=True)
class View:
    """A page of settings as it is to be drawn. `elsewhere`: mistakes of settings that are on other pages."""

    groups: tuple[Group, ...]
    rows: tuple[Rows, ...]
    elsewhere: tuple[Mistake, ...] = ()


def view(
    page: SettingsPage, named: Named, mistakes: Sequence[Mistake] = (), typed: Mapping[str, str] | None = None
) -> View:
    """The page's settings as `named` has them (with plain secrets, which are not shown)."""
    drawing = _Drawing(mistakes, typed or {})
    groups: list[Group] = []
    rows: list[Rows] = []
    for part in page.parts:
        outer = Settings.model_fields[part.section]
        model = section_model(outer)[0]
        if part.many:
            rows.append(drawing.rows(model, outer, named.get(part.section, ()), part.section, part))
        else:
            value = named.get(part.section, {})
            groups.append(drawing.group(model, outer, value, part.section, part.section, part))
    here = [mistake for mistake in mistakes if any(part.holds(mistake.path) for part in page.parts)]
    return View(tuple(groups), tuple(rows), tuple(mistake for mistake in mistakes if mistake not in here))


class _Drawing:
    def __init__(self, mistakes: Sequence[Mistake], typed: Mapping[str, str]) -> None:
        self._mistakes = mistakes
        self._typed = typed

    def _at(self, path: str, *, below: bool = False) -> tuple[Mistake, ...]:
        return tuple(one for one in self._mistakes if one.path == path or (below and one.path.startswith(f"{path}[")))

    def rows(
        self, model: type[BaseModel], outer: FieldInfo, values: Sequence[Named], name: str, part: Part | None = None
    ) -> Rows:
        path = shown(name)
        entries: list[Group] = []
        for index, entry in enumerate(values):
            group = self.group(model, outer, entry, f"{name}.{index}", f"{path}[{index}]", part)
            entries.append(replace(group, called=_called(name, entry), token=str(index)))
        fixed = part is not None and bool(part.inner)
        blank = None if fixed else _Drawing((), {}).group(model, outer, {}, f"{name}.{FRESH}", f"{path}[-1]", part)
        blank = blank and replace(blank, token=FRESH)
        return Rows(name, outer.title or "", outer.description or "", tuple(entries), blank, self._at(path))

    def group(
        self, model: type[BaseModel], outer: FieldInfo, values: Named, name: str, path: str, part: Part | None = None
    ) -> Group:
        controls: list[Control] = []
        groups: list[Group] = []
        rows: list[Rows] = []
        for key, info in model.model_fields.items():
            if part is not None and (key != part.inner if part.inner else key in part.without):
                continue
            below, inner = inner_section(info), f"{name}.{key}"
            if below is None:
                controls.append(self.control(key, info, values, inner, f"{path}.{key}"))
            elif get_origin(info.annotation) is tuple:
                rows.append(self.rows(below, info, values.get(key, ()), inner))
            else:
                groups.append(self.group(below, info, values.get(key, {}), inner, f"{path}.{key}"))
        return Group(
            name,
            outer.title or "",
            outer.description or "",
            tuple(controls),
            tuple(groups),
            tuple(rows),
            mistakes=self._at(path),
        )

    def control(self, key: str, info: FieldInfo, values: Named, name: str, path: str) -> Control:
        kind, choices = kind_of(info, name)
        value: Any = values.get(key, default_of(info))
        stored = False
        if kind in (Kind.SECRET, Kind.ADDRESS):
            stored, value = bool(value), masked(info, value)
        elif kind is Kind.ORDER:
            value = [str(one) for one in value or ()]
            choices = (*value, *(choice for choice in choices if choice not in value))
        elif kind in (Kind.LIST, Kind.SWITCHES):
            value = [str(one) for one in value or ()]
        elif kind is Kind.MAYBE:
            value = {None: "", True: "yes", False: "no"}[value]
        elif kind is not Kind.SWITCH:
            value = "" if value is None else _number(value) if kind is Kind.NUMBER else str(value)
        if path in self._typed:
            value = self._typed[path]
        default = default_of(info)
        mark = offered(info)
        beside = f"{name.rpartition('.')[0]}.{mark.beside}" if mark and mark.beside else ""
        return Control(
            path,
            name,
            kind,
            info.title or "",
            info.description or "",
            value,
            default=_number(default) if kind is Kind.NUMBER else str(default or "") if kind is Kind.TEXT else "",
            example=_example(info, kind),
            unit=unit(info),
            choices=choices,
            optional=not info.is_required(),
            stored=stored,
            offers=list_of(mark, str(values.get(mark.beside, ""))) if mark else "",
            beside=beside,
            mistakes=self._at(path, below=True),
        )


def kind_of(info: FieldInfo, name: str = "") -> tuple[Kind, tuple[str, ...]]:
    """And what can be chosen."""
    annotation: Any = info.annotation
    parts = [part for part in get_args(annotation) if part is not NoneType]
    maybe = NoneType in get_args(annotation)
    if get_origin(annotation) is tuple:
        if get_origin(parts[0]) is Literal:
            return Kind.ORDER, tuple(map(str, get_args(parts[0])))
        extra: Any = info.json_schema_extra
        if isinstance(extra, dict) and "known" in extra:
            return Kind.SWITCHES, tuple(cast("dict[str, list[str]]", extra)["known"])
        return Kind.LIST, ()
    if maybe:
        annotation = parts[0]
    if get_origin(annotation) is Literal:
        return Kind.CHOICE, (*([""] if maybe else []), *map(str, get_args(annotation)))
    if annotation is bool:
        return (Kind.MAYBE, ("", "yes", "no")) if maybe else (Kind.SWITCH, ())
    if annotation in (int, float):
        return Kind.NUMBER, ()
    if isinstance(annotation, type) and issubclass(annotation, Secret):
        return (Kind.ADDRESS if issubclass(annotation, SecretUrl | WebhookUrl) else Kind.SECRET), ()
    return (Kind.LONG if re.sub(r"\.(\d+|new\w*)(?=\.)", "", name) in LONG else Kind.TEXT), ()


def default_of(info: FieldInfo) -> Any:
    """As `dumped` would write it; None for a required one."""
    default: Any = None if info.is_required() else info.get_default(call_default_factory=True)
    return list(cast("tuple[Any, ...]", default)) if isinstance(default, tuple) else default


def limits_of(info: FieldInfo) -> tuple[float, float]:
    low, high = -math.inf, math.inf
    for limit in info.metadata:
        match limit:
            case Ge(ge=edge) | Gt(gt=edge):
                low = float(cast("float", edge))
            case Le(le=edge) | Lt(lt=edge):
                high = float(cast("float", edge))
            case _ignored:
                pass
    return low, high


def shown(name: str) -> str:
    """`portal.0.webhook` as mistakes tell it: `portal[0].webhook`."""
    return re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", name)


def every_setting() -> Iterator[tuple[str, FieldInfo, FieldInfo]]:
    """The name of each (rows have number 0), what it is, and the section that it stands in."""
    for section, outer in Settings.model_fields.items():
        model, many = section_model(outer)
        yield from _below(model, f"{section}.0" if many else section, outer)


def marks_on(page: SettingsPage) -> frozenset[Offered]:
    """What the settings of a page name that the portal knows."""
    there = ((offered(info), shown(name)) for name, info, _ in every_setting())
    return frozenset(mark for mark, path in there if mark and any(part.holds(path) for part in page.parts))


def _below(model: type[BaseModel], name: str, outer: FieldInfo) -> Iterator[tuple[str, FieldInfo, FieldInfo]]:
    for key, info in model.model_fields.items():
        if (below := inner_section(info)) is None:
            yield f"{name}.{key}", info, outer
        else:
            many = get_origin(info.annotation) is tuple
            yield from _below(below, f"{name}.{key}.0" if many else f"{name}.{key}", info)


def _called(name: str, entry: Named) -> str:
    known = str(entry.get(NAMED_BY.get(name.rpartition(".")[2], ""), "") or "")
    if name == "line" and entry.get("name"):
        return f"{known} · {entry['name']}"
    if name == "crm.field":
        return f"{entry.get('of', '')} · {known}"
    return known or str(entry.get("match", ""))


def masked(info: FieldInfo, raw: Any) -> str:
    """An address as it is shown."""
    if not raw:
        return ""
    try:
        return secret_kind(info)(str(raw)).masked()
    except Wrong:
        return MASK


def secret_kind(info: FieldInfo) -> type[Secret]:
    """Of a setting that is a secret."""
    parts = (info.annotation, *get_args(info.annotation))
    return next(part for part in parts if isinstance(part, type) and issubclass(part, Secret))


def _number(value: Any) -> str:
    return "" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)


def _example(info: FieldInfo, kind: Kind) -> str:
    example: Any = (info.examples or [None])[0]
    if example is None or kind in (Kind.SWITCH, Kind.MAYBE, Kind.CHOICE, Kind.ORDER, Kind.SWITCHES, Kind.SECRET):
        return ""
    if isinstance(example, list | tuple):
        return "\n".join(map(str, cast("list[Any]", example)))
    return str(example) if isinstance(example, str) else toml.value(example)
