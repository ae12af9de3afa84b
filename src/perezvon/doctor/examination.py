"""All checks, at the same time, each group within its deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import structlog

from perezvon.bitrix24 import Portal
from perezvon.bitrix24.errors import PortalError
from perezvon.doctor import machine
from perezvon.doctor.after_call import examine_after_call
from perezvon.doctor.autoconnect import examine_connecting
from perezvon.doctor.check import Check, State
from perezvon.doctor.company import examine_companies
from perezvon.doctor.customisation import examine_customisation
from perezvon.doctor.pbx import examine_pbx
from perezvon.doctor.portal import examine_portal, not_installed, unmapped
from perezvon.doctor.recordings import examine_links, examine_sides, wants_links
from perezvon.doctor.wiring import examine_wiring
from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import SettingsError
from perezvon.settings.model import Settings
from perezvon.settings.pbx import AsteriskSettings
from perezvon.settings.portal import PortalSettings
from perezvon.storage import counters
from perezvon.storage.database import Database
from perezvon.storage.errors import StorageError

log = structlog.get_logger(__name__)

OpenPortal = Callable[[PortalSettings], AbstractAsyncContextManager[Portal | None]]
"""A client of the portal for as long as the context lasts; None for an application that is not installed yet."""


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined. `database` is None when it could not be opened: the rest is examined all the same."""

    settings: Settings
    data_dir: Path
    database: Database | None
    open_portal: OpenPortal


async def examine(
    patient: Patient, *, deadline: float = 30.0, progress: Callable[[str], None] = lambda subject: None
) -> list[Check]:
    """`deadline`: seconds for each PBX, each portal and the machine. `progress` is told of each that is done."""
    settings = patient.settings
    groups: list[tuple[str, Awaitable[list[Check]]]] = [("machine", _machine(patient))]
    if "company" in subjects(settings):
        groups.append(("company", examine_companies(settings)))
    if "customisation" in subjects(settings):
        groups.append(("customisation", examine_customisation(settings, patient.data_dir)))
    if wants_links(settings):
        groups.append(("recordings", examine_links(settings)))
    groups += [(f"asterisk {pbx.name}", _asterisk(settings, pbx)) for pbx in settings.asterisk]
    groups += [(f"portal {portal.name}", _portal(patient, portal)) for portal in settings.portal]
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(_within(subject, group, deadline, progress), name=f"doctor: {subject}")
            for subject, group in groups
        ]
    return [*_unset(settings), *(check for task in running for check in task.result())]


def subjects(settings: Settings) -> list[str]:
    """What `progress` will be told of, in any order."""
    company = settings.ivr.database is not None or settings.conference.database is not None
    return [
        "machine",
        *(["company"] if company else []),
        "customisation",
        *(["recordings"] if wants_links(settings) else []),
        *(f"asterisk {pbx.name}" for pbx in settings.asterisk),
        *(f"portal {p.name}" for p in settings.portal),
    ]


async def _within(
    subject: str, group: Awaitable[list[Check]], deadline: float, progress: Callable[[str], None]
) -> list[Check]:
    try:
        async with asyncio.timeout(deadline):
            return await group
    except TimeoutError:
        seen = Reason("no answer within {seconds} s", {"seconds": f"{deadline:g}"})
        fix = Reason("look at the network between here and there, and at the load of both")
        return [Check("deadline", subject, State.PROBLEM, seen, fix)]
    except Exception as error:
        log.exception("doctor: a check failed", subject=subject)
        seen = Reason("the check itself failed: {why}", {"why": f"{type(error).__name__}: {error}"})
        return [Check("defect", subject, State.PROBLEM, seen, Reason("report it, with the log"))]
    finally:
        progress(subject)


def _unset(settings: Settings) -> Iterable[Check]:
    fix = Reason("set it on the pages (/setup), or save a settings file: perezvon config apply FILE.toml")
    if not settings.asterisk:
        yield Check("asterisk.none", "asterisk", State.PROBLEM, Reason("no Asterisk is set: no call is seen"), fix)
    if not settings.portal:
        yield Check("portal.none", "portal", State.PROBLEM, Reason("no portal is set: no call is written anywhere"), fix)


async def _machine(patient: Patient) -> list[Check]:
    checks = await machine.examine_database(patient.database) if patient.database is not None else []

    def look() -> list[Check]:
        return [
            *machine.examine_disk(patient.data_dir),
            *machine.examine_handles(),
            *machine.examine_key(patient.data_dir),
            *machine.examine_secrets(patient.settings),
            *machine.examine_encoder(patient.settings),
        ]

    return [*checks, *await asyncio.to_thread(look)]


async def _asterisk(settings: Settings, pbx: AsteriskSettings) -> list[Check]:
    connects = settings.autoconnects_somebody
    pbx_checks = await examine_pbx(pbx, connects=connects)
    return [*pbx_checks, *await examine_wiring(settings, pbx), *await examine_sides(settings, pbx)]


async def _portal(patient: Patient, settings: PortalSettings) -> list[Check]:
    checks: list[Check] = []
    try:
        async with patient.open_portal(settings) as portal:
            if portal is None:
                checks.append(not_installed(settings))
            else:
                checks += await examine_portal(settings, portal)
                checks += await examine_after_call(patient.settings, portal, f"portal {settings.name}")
                if patient.settings.autoconnects_somebody:
                    checks += await examine_connecting(patient.settings, settings.name, portal)
    except (SettingsError, StorageError, PortalError) as error:
        seen = Reason("the portal cannot be asked: {why}", {"why": _in_words(error)})
        checks.append(
            Check("portal.auth", f"portal {settings.name}", State.PROBLEM, seen, Reason("see to what the message says"))
        )
    if patient.database is not None:
        async with patient.database.read() as conn:
            checks += unmapped(settings.name, await counters.read(conn, f"unmapped:{settings.name}:"))
    return checks


def _in_words(error: SettingsError | StorageError | PortalError) -> str | Reason:
    match error:
        case SettingsError():
            return error.reason
        case PortalError():
            return error.why
        case _:
            return str(error)
