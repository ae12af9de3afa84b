"""What the dialplan of a PBX asks us while a caller waits: whom to connect him with, his menu, whom a manager's code means.
Over FastAGI.

Listens as soon as there is something to tell: autoconnect is on, a company's database is set, or own menus or codes are
kept. Without us, or with our port taken by somebody else, every call goes on (to Bitrix24, or back to the client).
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from pathlib import Path

import structlog

from perezvon.asterisk.agi import AgiCall, AgiServer, Handler
from perezvon.conference import CodeLookup
from perezvon.customisation import Customiser
from perezvon.ivr.menu import Given, MenuRules, give_menu
from perezvon.ivr.prompts import PromptShelf
from perezvon.ivr.source import ScenarioSource
from perezvon.service.dialplan_hooks import customised_code, customised_menu, patience
from perezvon.settings.ivr import IvrSettings
from perezvon.settings.model import Settings
from perezvon.storage import menus
from perezvon.storage.database import Database
from perezvon.storage.errors import Unavailable
from perezvon.web.status import DialplanStatus

log = structlog.get_logger(__name__)

PROMPTS = "prompts"
"""Folder of the data directory."""

RETRY = 10.0
"""Seconds between two tries to listen, and between two looks whether there is something to tell."""

PREPARE = 300.0
"""Seconds between two looks at the prompts of known lines: what has changed is converted before somebody calls."""

THINKING = 0.5
"""Seconds that a script may take beyond the patience with the company's database."""


class Dialplan:
    """`open`ed, then `run` until cancelled. `trouble`: why it cannot listen, empty when it does or need not."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        data_dir: Path,
        match: Handler,
        connect: Handler,
        customiser: Customiser,
    ) -> None:
        """`match`: the script that finds the client of a manager who calls the conference's number; `connect`: the one that
        says whom a caller is connected with."""
        self.settings = settings
        self._match = match
        self._connect = connect
        self._customiser = customiser
        self._changed = asyncio.Event()
        self.trouble = ""
        self._outdated: set[str] = set()
        self._server: AgiServer | None = None
        self._database = database
        self.scenarios = ScenarioSource(database, settings)
        self.codes = CodeLookup(database, settings, hook=partial(customised_code, customiser))
        ivr = settings.ivr
        sounds = Path(ivr.sounds) if ivr.sounds else None
        self.prompts = PromptShelf(sounds, data_dir / PROMPTS, on_pbx=ivr.prompts_on_pbx, language=ivr.language)

    @property
    def listens(self) -> bool:
        return self._server is not None

    def change(self, settings: Settings) -> None:
        """From the next caller on. What `skeleton` names needs a new Dialplan."""
        self.settings = settings
        self._changed.set()

    @staticmethod
    def skeleton(settings: Settings) -> object:
        """The settings with which it is built."""
        ivr = settings.ivr
        return settings.agi, ivr.sounds, ivr.prompts_on_pbx, ivr.language

    def status(self, conferring: int) -> DialplanStatus:
        """`conferring`: legs in conferences."""
        asked = {"ivr.database": self.scenarios.trouble, "conference.database": self.codes.trouble}
        databases = {name: (found.seen, found.fix) for name, found in asked.items() if found is not None}
        calls = self._server.calls if self._server is not None else 0
        outdated = tuple(sorted(self._outdated))
        return DialplanStatus(
            self.listens, self.prompts.converted, calls, conferring, self.trouble, databases, outdated=outdated
        )

    async def run(self) -> None:
        try:
            await self._until_wanted()
            await self._start_prompts()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._follow(), name="settings of menus and codes")
                tasks.create_task(self.scenarios.keep_warm(), name="menus: company's database")
                tasks.create_task(self.codes.keep_warm(), name="codes: company's database")
                tasks.create_task(self.prompts.run(), name="prompts")
                tasks.create_task(self._prepare_prompts(), name="prompts of known lines")
                tasks.create_task(self._listen(), name="agi")
        finally:
            await asyncio.gather(self.scenarios.close(), self.codes.close())

    async def _until_wanted(self) -> None:
        while not await self._wanted():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY):
                    await self._changed.wait()
            self._changed.clear()

    async def _follow(self) -> None:
        while True:
            self._changed.clear()
            await self.scenarios.configure(self.settings)
            await self.codes.configure(self.settings)
            await self._changed.wait()

    async def _prepare_prompts(self) -> None:
        """Of the lines of the settings and of our own menus, so that their first callers need not wait for a conversion."""
        while True:
            lines = [line.number for line in self.settings.line if line.menu]
            with contextlib.suppress(Unavailable):
                async with self._database.glance() as conn:
                    lines += [menu.line for menu in await menus.load(conn)]
            for line in dict.fromkeys(lines):
                found = await self.scenarios.find(line)
                if found.scenario is not None:
                    self.prompts.notice(found.scenario)
            await asyncio.sleep(PREPARE)

    async def _wanted(self) -> bool:
        settings = self.settings
        if settings.ivr.database is not None or settings.conference.database is not None or settings.autoconnects_somebody:
            return True
        try:
            async with self._database.glance() as conn:
                return await menus.any_kept(conn)
        except Unavailable:
            return False

    async def _start_prompts(self) -> None:
        while True:
            try:
                await self.prompts.start()
            except OSError as error:
                self.trouble = f"{error.filename}: {error.strerror}"
                log.warning("prompts cannot be laid out, callers go on to Bitrix24", error=self.trouble)
                await asyncio.sleep(RETRY)
            else:
                self.trouble = ""
                return

    async def _listen(self) -> None:
        wanted = self.settings.agi
        handlers = {"menu": self._menu, "third": self._third, "match": self._match, "connect": self._connected}
        server = AgiServer(handlers, wanted.networks(), most=wanted.calls)
        while True:
            try:
                await server.start(wanted.host, wanted.port)
            except OSError as error:
                self.trouble = f"{wanted.bind}: {error.strerror}"
                log.warning("agi cannot listen, callers go on to Bitrix24", bind=wanted.bind, error=error.strerror)
                await asyncio.sleep(RETRY)
            else:
                break
        self.trouble, self._server = "", server
        try:
            await asyncio.Event().wait()
        finally:
            self._server = None
            await server.close()

    # ---- the scripts

    async def _menu(self, call: AgiCall) -> None:
        ivr = self.settings.ivr
        call.may_think(ivr.patience + THINKING + patience(self._customiser))
        number = call.args[0] if call.args else await call.get("PEREZVON_LINE")
        found = await self.scenarios.find(number)
        scenario = await customised_menu(self._customiser, number, call.environment, found.scenario)
        given = await give_menu(call, scenario, self.prompts, rules_of(ivr))
        about = {"line": number, "origin": str(found.origin), "given": str(given)}
        if found.trouble is not None:
            about["trouble"] = str(found.trouble)
        if given is Given.TOO_OLD:
            log.warning("an older dialplan asks: run perezvon asterisk install", pbx=call.pbx)
            self._outdated.add(call.pbx)
        elif given is Given.MENU:
            self._outdated.discard(call.pbx)
        log.info("menu asked for", **about)

    async def _connected(self, call: AgiCall) -> None:
        call.may_think(self.settings.autoconnect.patience + THINKING)  # with its hook, which is given no more
        await self._connect(call)

    async def _third(self, call: AgiCall) -> None:
        call.may_think(self.settings.conference.patience + THINKING + patience(self._customiser))
        await self.codes.third(call)


def rules_of(ivr: IvrSettings) -> MenuRules:
    return MenuRules(
        cycles=ivr.cycles,
        silence=ivr.silence,
        key_gap=ivr.key_gap,
        wrong_keys=ivr.wrong_tries if ivr.wrong_key == "repeat" else 1,
        ring=ivr.ring,
        fallback=ivr.fallback,
    )
