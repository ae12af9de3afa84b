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
    old, new = dict(_flat(before, "")), dict(_flat(after, ""))
    found: list[Change] = []
    for path in [*old, *(path for path in new if path not in old)]:
        was, now = old.get(path), new.get(path)
        if was != now:
            secret = isinstance(was, Secret) or isinstance(now, Secret)
            found.append(Change(path, _shown(was), _shown(now), secret))
    return found


def _flat(value: object, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _flat(getattr(value, name), f"{path}.{name}" if path else name)
    elif path in IDENTITY:
        for entry in cast("tuple[BaseModel, ...]", value):
            yield from _flat(entry, f"{path}[{getattr(entry, IDENTITY[path])}]")
    elif value not in (None, "", ()):
        yield path, value


def _shown(value: object) -> str | None:
    if value is None:
        return None
    return toml.value(value.masked() if isinstance(value, Secret) else value)
