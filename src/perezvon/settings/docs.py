"""The documentation of all settings, made from the model: `perezvon config docs`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, Literal, cast, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from perezvon.settings import toml
from perezvon.settings.confidential import Secret
from perezvon.settings.errors import Translate
from perezvon.settings.model import Settings

COMMAND = "perezvon config docs"


def markdown(translate: Translate) -> str:
    """Every section and setting with its meaning, default, limits, unit and an example."""
    _ = translate
    lines = [
        f"# {_('Settings')}",
        "",
        _("Made by `perezvon config docs`; do not edit."),
        "",
        _(
            "Settings are written in a TOML file and saved with `perezvon config apply FILE.toml`. A file replaces only "
            "what it names: single settings inside a section, and lists (`[[asterisk]]`, `[[portal]]`, `[[line]]`) as a "
            "whole. They take effect at once, without a restart and without touching running calls. Every saved version is "
            "kept: `perezvon config history`, `perezvon config undo`."
        ),
        "",
        _(
            "A secret (marked so below) may be written as `env:NAME` (an environment variable of the service) or "
            "`file:PATH` instead of itself; in an address, in the place of the password: "
            "`tcp://perezvon:env:AMI_SECRET@127.0.0.1`. Otherwise it is encrypted with the key file of the data directory. "
            "`perezvon config export` shows `********` in its place; a file with that in it keeps the stored secret."
        ),
    ]
    for name, field in Settings.model_fields.items():
        model, many = section_model(field)
        header = f"[[{name}]]" if many else f"[{name}]"
        lines += ["", f"## `{header}` {_(field.title or '')}", "", _(field.description or "")]
        lines += _settings(model, _)
        for key, inner in model.model_fields.items():
            if (below := inner_section(inner)) is not None:
                header = f"[[{name}.{key}]]" if get_origin(inner.annotation) is tuple else f"[{name}.{key}]"
                lines += ["", f"## `{header}` {_(inner.title or '')}", "", _(inner.description or "")]
                lines += _settings(below, _)
    return "\n".join(lines) + "\n"


def _settings(model: type[BaseModel], _: Translate) -> list[str]:
    fields = [(key, field) for key, field in model.model_fields.items() if inner_section(field) is None]
    return [line for key, field in fields for line in ("", *_setting(key, field, _))]


def inner_section(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a section inside a section, or of each of a list of them; None of a single setting."""
    annotation = field.annotation
    if get_origin(annotation) is tuple:
        annotation = get_args(annotation)[0]
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def section_model(field: FieldInfo) -> tuple[type[BaseModel], bool]:
    """The model of a section, and whether there can be several of it."""
    annotation: Any = field.annotation
    if isinstance(annotation, type):
        return annotation, False
    many = get_origin(annotation) is tuple
    return next(part for part in get_args(annotation) if part not in (NoneType, ...)), many


def words(model: type[BaseModel] = Settings) -> Iterator[str]:
    """Every title, description and unit, for the translations."""
    for field in model.model_fields.values():
        yield from (text for text in (field.title, field.description, unit(field)) if text)
        if model is Settings:
            yield from words(section_model(field)[0])
        elif (below := inner_section(field)) is not None:
            yield from words(below)


def unit(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    return str(cast("Mapping[str, object]", extra).get("unit", "")) if isinstance(extra, dict) else ""


def _setting(key: str, field: FieldInfo, _: Translate) -> list[str]:
    facts = [_kind(field, _)]
    if unit(field):
        facts.append(_(unit(field)))
    facts += _limits(field, _)
    if field.is_required():
        facts.append(f"**{_('required')}**")
    elif field.default not in (None, "", ()):
        facts.append(f"{_('default')} `{toml.value(field.default)}`")
    example = (field.examples or [None])[0]
    lines = [f"### `{key}` — {_(field.title or '')}", "", _(field.description or ""), "", ", ".join(facts) + "."]
    if example is not None:
        lines += ["", "```toml", f"{key} = {toml.value(example)}", "```"]
    return lines


def _kind(field: FieldInfo, _: Translate) -> str:
    parts = get_args(field.annotation)
    if get_origin(field.annotation) is Literal:
        return _("one of") + " " + ", ".join(f"`{toml.value(choice)}`" for choice in parts)
    annotation = next((part for part in parts if part is not NoneType), field.annotation) if parts else field.annotation
    if get_origin(annotation) is Literal:  # or not set
        return _("one of") + " " + ", ".join(f"`{toml.value(choice)}`" for choice in get_args(annotation))
    if get_origin(field.annotation) is tuple:
        return _("a list of texts")
    if isinstance(annotation, type) and issubclass(annotation, Secret):
        return f"{_('text')}, **{_('secret')}**"
    return {bool: _("yes or no"), int: _("a whole number"), float: _("a number"), str: _("text")}[cast("type", annotation)]


def _limits(field: FieldInfo, _: Translate) -> list[str]:
    told: list[str] = []
    for limit in field.metadata:
        match limit:
            case Ge(ge=low):
                told.append(_("from {low}").format(low=_number(low)))
            case Gt(gt=low):
                told.append(_("more than {low}").format(low=_number(low)))
            case Le(le=high):
                told.append(_("up to {high}").format(high=_number(high)))
            case Lt(lt=high):
                told.append(_("less than {high}").format(high=_number(high)))
            case _ignored:
                pass
    return told


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value}"
