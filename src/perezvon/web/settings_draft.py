"""Changes that are not saved yet: they travel through the browser, sealed, so that nothing of them is lost or to be seen
there, and meet what somebody else has saved meanwhile. Pure.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any, cast

from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import KeyLost, SettingsError
from perezvon.settings.load import IDENTITY, Named, dumped, plainly, settings_from
from perezvon.settings.model import Settings
from perezvon.web.badges import Seal

_PURPOSE = b"perezvon settings draft 1 "
LONGEST = 900_000


@dataclass(frozen=True, slots=True)
class Draft:
    """`named`: all settings as they are wanted, with plain secrets. `on`: the version they were made of. `slug`: the page
    to go back to ("" for none). `note`: what is proposed for the history."""

    on: int
    named: Named
    slug: str = ""
    note: str = ""

    @property
    def settings(self) -> Settings:
        return settings_from(self.named)

    def sealed(self, seal: Seal) -> str:
        told = {"on": self.on, "named": self.named, "slug": self.slug, "note": self.note}
        plain = zlib.compress(json.dumps(told, ensure_ascii=False).encode())
        return seal.seal(_PURPOSE + plain).decode("ascii")


class NoDraft(SettingsError):
    """What came is no draft of ours."""


def opened(sealed: str, seal: Seal) -> Draft:
    """Raises NoDraft."""
    try:
        if not sealed.isascii() or len(sealed) > LONGEST:
            raise KeyLost(Reason(""))
        plain = seal.unseal(sealed.encode())
    except KeyLost:
        plain = b""
    if not plain.startswith(_PURPOSE):
        raise NoDraft(Reason("these changes cannot be read any more: make them again"))
    return Draft(**json.loads(zlib.decompress(plain[len(_PURPOSE) :])))


def draft_of(on: int, settings: Settings, slug: str = "", note: str = "") -> Draft:
    return Draft(on, dumped(settings, plainly), slug, note)


def joined(base: Named, mine: Named, theirs: Named) -> Named:
    """`mine` was made of `base`, which has become `theirs` meanwhile: what I have changed is as I want it, all the rest as
    they do. Entries of the lists of sections are told apart by what names them; other lists are taken as a whole."""
    return cast("Named", _joined(dict(base), dict(mine), dict(theirs), ()))


_NONE: Any = object()


def _joined(base: Any, mine: Any, theirs: Any, path: tuple[str, ...]) -> Any:
    if mine == base:
        return theirs
    if isinstance(mine, dict) and isinstance(theirs, dict):
        return _each(_table(base), _table(mine), _table(theirs), path)
    if len(path) == 1 and path[0] in IDENTITY and isinstance(mine, list) and isinstance(theirs, list):
        name = IDENTITY[path[0]]
        lists: list[Any] = [base, mine, theirs]
        was, wanted, there = (_by_name(entries, name) for entries in lists)
        return list(_each(was, wanted, there, path).values())
    return cast("Any", mine)


def _each(base: dict[str, Any], mine: dict[str, Any], theirs: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    keys = [*mine, *(key for key in theirs if key not in mine)]
    found = {key: _joined(base.get(key, _NONE), mine.get(key, _NONE), theirs.get(key, _NONE), (*path, key)) for key in keys}
    return {key: value for key, value in found.items() if value is not _NONE}


def _table(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _by_name(entries: Any, name: str) -> dict[str, Any]:
    rows = cast("list[dict[str, Any]]", entries) if isinstance(entries, list) else []
    return {str(entry.get(name)): entry for entry in rows}
