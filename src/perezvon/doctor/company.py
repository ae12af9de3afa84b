"""Whether the company's databases of the voice menu and of the codes answer our statements. Only reads."""

from __future__ import annotations

from perezvon.company import CompanyDatabase, DatabaseTrouble, Statement
from perezvon.doctor.check import Check, State
from perezvon.rules.vocabulary import Reason
from perezvon.settings import conference, ivr
from perezvon.settings.conference import ConferenceSettings
from perezvon.settings.errors import SecretMissing
from perezvon.settings.ivr import IvrSettings
from perezvon.settings.model import Settings

PATIENCE = 10.0
"""Seconds. A caller waits for less; here it is asked whether there is an answer at all."""

_NOBODY = "0"
"""A number, and a code, that no table has: the statement is proved all the same."""


async def examine_companies(settings: Settings) -> list[Check]:
    return [
        *await _examine("ivr.database", settings.ivr, ivr.PLACES),
        *await _examine("conference.database", settings.conference, conference.PLACES),
    ]


async def _examine(setting: str, wanted: IvrSettings | ConferenceSettings, places: tuple[str, ...]) -> list[Check]:
    if wanted.database is None:
        return []
    query = setting.replace("database", "query")
    try:
        database = CompanyDatabase(wanted.database.place(), setting=setting, query=query, patience=PATIENCE)
    except SecretMissing as missing:
        fix = Reason("make the secret readable, or write it anew")
        return [Check("company.database", setting, State.PROBLEM, missing.reason, fix)]
    try:
        await database.first(Statement.parse(wanted.query, places), [_NOBODY])
    except DatabaseTrouble as trouble:
        return [Check("company.database", setting, State.PROBLEM, trouble.seen, trouble.fix)]
    finally:
        await database.close()
    return [Check("company.database", setting, State.OK, Reason("{place} answers", {"place": database.name}))]
