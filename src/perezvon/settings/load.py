"""TOML in, settings out; and every mistake told with its path, its line and what would be right.

Also what a partial save means: it replaces what it names and nothing else. Reads the given file and nothing more.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, cast, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from perezvon.rules.vocabulary import Reason
from perezvon.settings.confidential import Secret
from perezvon.settings.errors import InvalidSettings, Mistake, Wrong
from perezvon.settings.model import Settings
from perezvon.settings.positions import line_of
from perezvon.settings.upgrade import upgraded

Named = Mapping[str, Any]
"""Settings as plain values, only those that are named (as in a TOML file)."""

IDENTITY = {"asterisk": "name", "portal": "name", "line": "number"}
"""By what the entries of a list of sections are told apart."""

_REASONS: Mapping[str, str] = {
    "missing": "this setting is required",
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number, without quotes",
    "int_from_float": "must be a whole number, without quotes",
    "float_type": "must be a number, without quotes",
    "bool_type": "must be true or false, without quotes",
    "tuple_type": 'must be a list, e.g. ["one", "two"]',
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be {le} or less",
    "literal_error": "must be one of {expected}",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "too_long": "there may be at most {max_length} of these",
}


def load(path: Path) -> Settings:
    """The settings of a whole file. Raises InvalidSettings, also when the file cannot be read."""
    text = read(path)
    return settings_from(parse(text, str(path)), text=text, source=str(path))


def read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        reason = Reason("the file cannot be read: {why}", {"why": error.strerror or str(error)})
        raise InvalidSettings([Mistake("", None, reason)], str(path)) from None
    except UnicodeDecodeError:
        raise InvalidSettings([Mistake("", None, Reason("the file is not UTF-8 text"))], str(path)) from None


def parse(text: str, source: str = "") -> dict[str, Any]:
    """What a TOML text names, as the present version of the format names it."""
    try:
        named = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        why = str(error).split(" (at ")[0]
        place = {"why": why[:1].lower() + why[1:], "column": found[2] if found else "?"}
        line = int(found[1]) if found else len(text.splitlines())
        reason = Reason("this is no TOML: {why} (column {column})", place)
        raise InvalidSettings([Mistake("", line, reason)], source) from None
    try:
        return upgraded(named)
    except InvalidSettings as invalid:
        raise InvalidSettings(
            [Mistake(m.path, line_of(text, ("version",)), m.reason) for m in invalid.mistakes], source
        ) from None


def settings_from(
    named: Named, *, text: str = "", source: str = "", unseal: Callable[[str], str] | None = None
) -> Settings:
    """Raises InvalidSettings with all mistakes. `text` is where lines are looked for; `unseal` opens stored secrets."""
    try:
        return Settings.model_validate_json(json.dumps(named, default=_date), context={"unseal": unseal})
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        mistakes = [_mistake(detail, text) for detail in details]
        raise InvalidSettings(sorted(mistakes, key=lambda mistake: mistake.line or 0), source) from None


def dumped(settings: Settings, show: Callable[[Secret], str]) -> dict[str, Any]:
    """What the settings name, as plain values; `show` tells how each secret is written."""
    return settings.model_dump(mode="json", exclude_unset=True, context={"show": show})


def plainly(secret: Secret) -> str:
    return secret.raw


def masked(secret: Secret) -> str:
    return secret.masked()


def merged(current: Settings, named: Named, *, text: str = "", source: str = "") -> Settings:
    """`current` with what `named` names replaced: single settings inside a section; lists of sections as a whole.

    A masked secret (from an export) keeps what is stored for the entry of the same name. Raises InvalidSettings.
    """
    result = dumped(current, plainly)
    for section, value in named.items():
        before = result.get(section)
        both = isinstance(before, dict) and isinstance(value, dict)
        result[section] = {**cast("Named", before), **cast("Named", value)} if both else value
    asked = settings_from(result, text=text, source=source)
    plain = dumped(asked, plainly)
    mistakes: list[Mistake] = []
    _restore(asked, current, plain, (), mistakes, text)
    if mistakes:
        raise InvalidSettings(mistakes, source)
    return settings_from(plain, text=text, source=source)


def _restore(
    asked: object, current: object, plain: Any, path: tuple[str | int, ...], mistakes: list[Mistake], text: str
) -> None:
    """Puts stored secrets in the places of masks, in `plain`, which has the shape of `asked`."""
    for key in cast("dict[str, Any]", plain):
        value, before = getattr(asked, key), getattr(current, key, None)
        if isinstance(value, Secret):
            try:
                plain[key] = value.restored(before if isinstance(before, Secret) else None)
            except Wrong as wrong:
                mistakes.append(Mistake(shown_path((*path, key)), line_of(text, (*path, key)), wrong.reason))
        elif isinstance(value, BaseModel):
            _restore(value, before, plain[key], (*path, key), mistakes, text)
        elif key in IDENTITY and not path:
            known = {getattr(entry, IDENTITY[key]): entry for entry in before or ()}
            for index, entry in enumerate(value):
                earlier = known.get(getattr(entry, IDENTITY[key]))
                _restore(entry, earlier, plain[key][index], (key, index), mistakes, text)


def shown_path(path: Sequence[str | int]) -> str:
    """`("line", 0, "number")` as `line[0].number`."""
    shown = ""
    for part in path:
        shown += f"[{part}]" if isinstance(part, int) else f".{part}" if shown else part
    return shown


def _mistake(detail: ErrorDetails, text: str) -> Mistake:
    path = tuple(detail["loc"])
    context = detail.get("ctx", {})
    wrong = context.get("error")
    if isinstance(wrong, Wrong):
        path += wrong.at
        reason = wrong.reason
    elif detail["type"] == "extra_forbidden":
        reason = _unknown(path)
    elif detail["type"] in ("model_type", "model_attributes_type", "dict_type"):
        section = str(next(part for part in path if isinstance(part, str)))
        reason = Reason("this is a section: write its settings under [{section}]", {"section": section})
    elif detail["type"] == "tuple_type" and (len(path) == 1 or path[0] == "numbers"):
        section = ".".join(str(part) for part in path)
        reason = Reason("there can be several of these: write [[{section}]]", {"section": section})
    elif detail["type"] in _REASONS:
        reason = Reason(_REASONS[detail["type"]], {name: _short(value) for name, value in context.items()})
    else:
        reason = Reason("{why}", {"why": detail["msg"]})
    return Mistake(shown_path(path), line_of(text, path), reason)


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _unknown(path: Sequence[str | int]) -> Reason:
    known = _keys_at(path[:-1])
    close = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.6)
    if close:
        return Reason("there is no such setting; did you mean {name}?", {"name": close[0]})
    return Reason("there is no such setting; known here: {known}", {"known": ", ".join(sorted(known))})


def _keys_at(path: Sequence[str | int]) -> list[str]:
    model: type[BaseModel] = Settings
    for part in path:
        if isinstance(part, str):
            model = _section(model.model_fields[part].annotation)
    return list(model.model_fields) + (["version"] if model is Settings else [])


def _section(annotation: object) -> type[BaseModel]:
    """The section's model in `Model`, `Model | None` or `tuple[Model, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(found for part in get_args(annotation) if part not in (type(None), ...) for found in [_section(part)])


def _date(value: object) -> str:
    """TOML knows dates, no setting is one: as text they fail where text is not wanted, and are right where it is."""
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} in settings")
