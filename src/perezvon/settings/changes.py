"""What differs between two versions of the settings, in words that can be shown: secrets stay hidden. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel

from perezvon.settings import toml
from perezvon.settings.confidential import Secret
from perezvon.settings.load import IDENTITY
from perezvon.settings.model import Settings


@dataclass(frozen=True, slots=True)
class Change:
    """`path`: `portal[main].rate_burst`. `before` and `after` are TOML values with secrets masked, None where there is
    nothing. A changed secret looks the same on both sides and has `secret`."""

    path: str
    before: str | None
    after: str | None
    secret: bool = False

    def as_json(self) -> dict[str, Any]:
        return {"path": self.path, "before": self.before, "after": self.after, "secret": self.secret}

    def __str__(self) -> str:
        if self.before is None:
            return f"+ {self.path} = {self.after}"
        if self.after is None:
            return f"- {self.path} = {self.before}"
        return f"~ {self.path}: {self.before} -> {self.after}"


def changes(before: Settings, after: Settings) -> list[Change]:
    """What `after` changes, by meaning: a default that is now written out is no change."""
    old = {path: (value, default) for path, value, default in _flat(before, "")}
    new = {path: (value, default) for path, value, default in _flat(after, "")}
    found: list[Change] = []
    for path in [*old, *(path for path in new if path not in old)]:
        (was, _), (now, _) = old.get(path, _NOTHING), new.get(path, _NOTHING)
        if was == now or _came_with_its_entry(path, old, new) or _came_with_its_entry(path, new, old):
            continue
        secret = isinstance(was, Secret) or isinstance(now, Secret)
        found.append(Change(path, _shown(was), _shown(now), secret))
    return found


_Flat = dict[str, tuple[object, bool]]


def _came_with_its_entry(path: str, without: _Flat, having: _Flat) -> bool:
    """The defaults of an entry that came (or went) as a whole are no news."""
    section = path.rpartition(".")[0]
    return path in having and having[path][1] and not any(other.rpartition(".")[0] == section for other in without)


_NOTHING: tuple[object, bool] = (None, True)


def _flat(value: object, path: str, *, default: bool = False) -> Iterator[tuple[str, object, bool]]:
    """Every setting that has a value: its path, the value, and whether it is the default."""
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            inner = getattr(value, name)
            yield from _flat(inner, f"{path}.{name}" if path else name, default=inner == field.default)
    elif path in IDENTITY:
        for entry in cast("tuple[BaseModel, ...]", value):
            yield from _flat(entry, f"{path}[{getattr(entry, IDENTITY[path])}]")
    elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):  # an ordered list: told by place
        for index, entry in enumerate(cast("tuple[BaseModel, ...]", value)):
            yield from _flat(entry, f"{path}[{index}]")
    elif value not in (None, "", ()):
        yield path, value, default


def _shown(value: object) -> str | None:
    if value is None:
        return None
    return toml.value(value.masked() if isinstance(value, Secret) else value)
