"""The wizard's desk for the tests of its pages: the real one, but that the house behind it is of paper."""

from __future__ import annotations

from dataclasses import replace

from pages_server import Pages

from perezvon.bitrix24.directory import Employee
from perezvon.doctor import Check, State
from perezvon.rules.vocabulary import Reason
from perezvon.service.setup import Setup
from perezvon.service.setup_people import paired
from perezvon.settings.secrets import SecretBox
from perezvon.settings.store import SettingsStore
from perezvon.web.setup_desk import AsteriskForm, AsteriskTried, People, Phone, PortalNow

EVIL = "<script>alert(1)</script>\u202e" + "ё" * 300


class PaperSetup(Setup):
    """`works`: the PBX lets us in; `portal_state`: as web.PortalNow has it; `peopled`: both sides know somebody."""

    works = False
    portal_state = ""
    peopled = False

    def __init__(self, pages: Pages, box: SecretBox) -> None:
        self.store = SettingsStore(pages.database, box, clock=pages.clock)
        super().__init__(pages.database, box, self.store, pages, lambda: None, clock=pages.clock)

    async def try_asterisk(self, form: AsteriskForm) -> AsteriskTried:
        if not self.works:
            return replace(await super().try_asterisk(form), contexts=())
        seen = Reason("Asterisk {version} answers at {address}", {"version": "22.4.1", "address": "tcp://10.0.0.5:5038"})
        checks = (Check("ami.login", "asterisk", State.OK, seen),)
        return AsteriskTried(checks, True, "22.4.1", ("from-internal", "from-pstn"))

    async def portal_now(self, *, look: bool = True, anew: bool = False) -> PortalNow:
        checks = (
            Check("portal.scope", "portal main", State.OK, Reason("all permissions are there")),
            Check("portal.auth", "portal main", State.WARNING, Reason("the user is an administrator"), Reason("fine")),
        )
        return PortalNow(self.portal_state, "b24.example", "application", 5, checks if self.portal_state == "ready" else ())

    async def people(self, *, anew: bool = False) -> People:
        if not self.peopled:
            return await super().people(anew=anew)
        employees = [
            Employee("1", "Анна Петрова", "101"),
            Employee("2", "Борис Иванович Длинный-Предлинный", "102"),
            Employee("3", "Вера", "102"),
            Employee("4", EVIL, "104"),
            Employee("5", "Глеб", ""),
        ]
        phones = [Phone("101", "main", "PJSIP", True), Phone("102", "main", "PJSIP", False), Phone("103", "main", "SIP")]
        return paired(employees, phones)
