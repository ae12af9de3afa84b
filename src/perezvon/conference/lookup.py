"""Whom a code means: the company's database, its last good answer, our own codes. And the script that the dialplan asks.

A manager waits, and a client with him: `find` never raises and takes no longer than the patience of the settings
(asking/). What comes out is what the PBX can dial (dialable.py), whatever the table says.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from perezvon.asking import CompanyQuestion, Origin, OwnTables, own_defect
from perezvon.calls import Numbering
from perezvon.company import Answer, DatabaseTrouble
from perezvon.conference.dialable import dialable, written
from perezvon.settings.conference import PLACES
from perezvon.settings.model import Settings
from perezvon.storage import menus
from perezvon.storage.database import Database

_CODE = re.compile(r"[0-9]{1,20}", re.ASCII)

__all__ = ["Asked", "CodeLookup", "Found", "Origin"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """`number`: as the PBX dials it, "" when there is none. `trouble`: of the company's database, also when the cache has
    helped; `unfit`: what the table says, where that is no number. `seconds`: that it took."""

    number: str
    origin: Origin
    trouble: DatabaseTrouble | None = None
    unfit: str = ""
    seconds: float = 0.0


class Asked(Protocol):
    """What the script needs of an `AgiCall`."""

    @property
    def args(self) -> tuple[str, ...]: ...

    async def set(self, name: str, value: str) -> None: ...


class CodeLookup:
    """Its owner runs `keep_warm`, tells it new settings, and awaits `close` at the end."""

    def __init__(
        self,
        storage: Database,
        settings: Settings,
        *,
        remember: bool = True,
        clock: Callable[[], float] = time.time,
        hook: Callable[[str, str], Awaitable[str]] | None = None,
    ) -> None:
        """`remember`: whether answers are stored for a restart. `hook(code, number)`: what the integrator makes of it, ""
        for nobody."""
        self._hook = hook
        self._own = OwnTables(storage, "conference")
        section = settings.conference
        self._company = CompanyQuestion("conference", section, self._own, places=PLACES, remember=remember, clock=clock)
        self.keep_warm = self._company.keep_warm
        self._take(settings)

    def _take(self, settings: Settings) -> None:
        self._region = settings.calls.region
        self._numbering = Numbering(extension_pattern=settings.calls.extension_pattern, region=settings.calls.region)

    async def configure(self, settings: Settings) -> None:
        """From the next code on."""
        self._take(settings)
        await self._company.configure(settings.conference)

    @property
    def trouble(self) -> DatabaseTrouble | None:
        """Of the company's database now."""
        return self._company.trouble

    async def close(self) -> None:
        await self._company.close()
        await self._own.close()

    async def third(self, call: Asked) -> None:
        """The script of the dialplan: sets PEREZVON_TO to whom the code means, or nothing. Raises what the call raises."""
        code = call.args[0] if call.args else ""
        found = await self.find(code)
        if found.number:
            await call.set("PEREZVON_TO", found.number)
        log.info(
            "conference: a code was asked for",
            code=code[:20],
            number=found.number,
            origin=str(found.origin),
            seconds=round(found.seconds, 4),
            **({"trouble": str(found.trouble)} if found.trouble is not None else {}),
            **({"unfit": found.unfit} if found.unfit else {}),
        )

    async def find(self, code: str) -> Found:
        began = time.monotonic()
        try:
            found = await self._customised(code, await self._find(code))
        except Exception:
            log.exception("conference: a code cannot be looked up", code=code[:20])
            found = Found("", Origin.NONE, own_defect())
        return Found(found.number, found.origin, found.trouble, found.unfit, time.monotonic() - began)

    async def _customised(self, code: str, found: Found) -> Found:
        if self._hook is None or _CODE.fullmatch(code) is None:
            return found
        number = await self._hook(code, found.number)
        if number == found.number:
            return found
        number = dialable(number, self._region, self._numbering.is_extension) if number else ""
        return Found(number, Origin.OWN if number else Origin.NONE, found.trouble, found.unfit)

    async def _find(self, code: str) -> Found:
        if _CODE.fullmatch(code) is None:
            return Found("", Origin.NONE)
        deadline = self._company.deadline()
        told = await self._company.ask(code, [code], deadline, _number_of)
        if told.body is not None:
            return self._found(told.body, told.origin, told.trouble)
        own = await self._own.read(lambda conn: menus.find_code(conn, code), deadline)
        return self._found(own, Origin.OWN, told.trouble) if own else Found("", Origin.NONE, told.trouble)

    def _found(self, told: str, origin: Origin, trouble: DatabaseTrouble | None) -> Found:
        number = dialable(told, self._region, self._numbering.is_extension)
        return Found(number, origin, trouble, "" if number else told[:60] or "(empty)")


def _number_of(answer: Answer) -> str:
    return next((text for row in answer.rows if (text := written(row[0]))), "")
