"""What a sent form of settings says: the settings as they are wanted, and what could not be read. Pure.

Rows of a list bring hidden fields `<list>.row`, in their order on the page: the number of the entry that a row was made
from, or `new…` for a fresh one. A setting that the form does not bring stays as it is; one that is put back to its default
is named no more. The names of the fields: settings_form.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from perezvon.rules.vocabulary import Reason
from perezvon.settings.docs import inner_section, section_model
from perezvon.settings.errors import Mistake, Wrong
from perezvon.settings.load import Named
from perezvon.settings.model import Settings
from perezvon.web.settings_form import Kind, default_of, kind_of, masked, secret_kind, shown
from perezvon.web.settings_sections import Part, SettingsPage

Texts = Mapping[str, Sequence[str]]
"""A sent form: all values of each field."""

FORGET = ".forget"
ROW = ".row"
ROWS = ".rows"

_MOST_ROWS = 5000


@dataclass(frozen=True, slots=True)
class Sent:
    """What a form says. `typed`: what could not be read, as it was typed, by path."""

    named: Named
    mistakes: tuple[Mistake, ...]
    typed: Mapping[str, str]


@dataclass(slots=True)
class _Reading:
    form: Texts
    mistakes: list[Mistake] = field(default_factory=list[Mistake])
    typed: dict[str, str] = field(default_factory=dict[str, str])


def sent(page: SettingsPage, named: Named, form: Texts) -> Sent:
    """`named` with what the form of this page says. Whether it is right as a whole, only the model knows."""
    reading = _Reading(form)
    result = dict(named)
    for part in page.parts:
        model = section_model(Settings.model_fields[part.section])[0]
        before = named.get(part.section, () if part.many else {})
        if part.many:
            found: Any = _rows(reading, model, before, part.section, part)
        else:
            found = _section(reading, model, before, part.section, part.section, part)
        if found:
            result[part.section] = found
        else:
            result.pop(part.section, None)
    return Sent(result, tuple(reading.mistakes), reading.typed)


def _rows(
    reading: _Reading, model: type[BaseModel], before: Sequence[Named], name: str, part: Part | None = None
) -> list[Named]:
    if name + ROWS not in reading.form:
        return list(before)
    found: list[Named] = []
    for token in list(reading.form.get(name + ROW, ()))[:_MOST_ROWS]:
        if not re.fullmatch(r"\d{1,5}|new\w{0,20}", token, re.ASCII):
            continue
        earlier: Named = before[int(token)] if token.isdigit() and int(token) < len(before) else {}
        path = f"{shown(name)}[{len(found)}]"
        found.append(_section(reading, model, earlier, f"{name}.{token}", path, part))
    return found


def _section(
    reading: _Reading, model: type[BaseModel], before: Named, name: str, path: str, part: Part | None = None
) -> Named:
    result = dict(before)
    for key, info in model.model_fields.items():
        if part is not None and (key != part.inner if part.inner else key in part.without):
            continue
        below, inner = inner_section(info), f"{name}.{key}"
        if below is None:
            _setting(reading, key, info, result, inner, f"{path}.{key}")
            continue
        if get_origin(info.annotation) is tuple:
            found: Any = _rows(reading, below, before.get(key, ()), inner)
        else:
            found = _section(reading, below, before.get(key, {}), inner, f"{path}.{key}")
        if found:
            result[key] = found
        else:
            result.pop(key, None)
    return result


def _setting(reading: _Reading, key: str, info: FieldInfo, result: dict[str, Any], name: str, path: str) -> None:
    told = reading.form.get(name)
    if told is None:
        return
    try:
        value = _value(info, told, result.get(key), forget=name + FORGET in reading.form, name=name)
    except Wrong as wrong:
        reading.mistakes.append(Mistake(path, None, wrong.reason))
        if kind_of(info)[0] not in (Kind.SECRET, Kind.ADDRESS):
            reading.typed[path] = told[-1]
        return
    if value == result.get(key, default_of(info)):
        return
    if value is None or (not info.is_required() and value == default_of(info)):
        result.pop(key, None)
    else:
        result[key] = value


def _value(info: FieldInfo, told: Sequence[str], before: Any, *, forget: bool, name: str) -> Any:
    """As TOML would have it; None for nothing. Raises Wrong."""
    kind, choices = kind_of(info, name)
    text = told[-1].replace("\r\n", "\n").strip() if told else ""
    match kind:
        case Kind.SWITCH:
            return "on" in told
        case Kind.MAYBE:
            return {"yes": True, "no": False}.get(text)
        case Kind.CHOICE:
            return text or None
        case Kind.ORDER:
            return [one for one in told if one in choices]
        case Kind.SWITCHES:
            off = [one for one in choices if one not in told]
            return before if before and sorted(before) == sorted(off) else off
        case Kind.LIST:
            return [line.strip() for line in text.split("\n") if line.strip()]
        case Kind.NUMBER:
            return _typed_number(info, text)
        case Kind.SECRET:
            return None if forget else text or before
        case Kind.ADDRESS:
            return _address(info, text, before)
        case Kind.TEXT | Kind.LONG:
            return text if text or not info.is_required() else None


def _typed_number(info: FieldInfo, text: str) -> float | None:
    if not text:
        return default_of(info)
    plain = re.sub(r"[\s\u00a0\u202f]", "", text).replace(",", ".")
    if int in (info.annotation, *get_args(info.annotation)):
        if re.fullmatch(r"-?\d{1,15}", plain, re.ASCII) is None:
            raise Wrong(Reason("must be a whole number"))
        return int(plain)
    if re.fullmatch(r"-?\d{1,15}(\.\d{1,10})?", plain, re.ASCII) is None:
        raise Wrong(Reason("must be a number"))
    return float(plain)


def _address(info: FieldInfo, text: str, before: Any) -> Any:
    """The mask in it stands for what is stored. What is wrong with it is told here: it is not shown again."""
    if not text:
        return None
    if before and text == masked(info, before):
        return before
    kind = secret_kind(info)
    earlier = kind(str(before)) if before else None
    restored = kind(text).restored(earlier)
    kind(restored)
    return restored
