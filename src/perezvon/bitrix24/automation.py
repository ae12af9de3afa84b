"""Keeps our triggers and our robot registered in the portal, as the settings want them. Safe to repeat.

They vanish when the application is updated or installed anew, so this runs at every start, after an installation, when the
settings change, and now and then. What carries our prefix and is not wanted (any more) is removed.
Source: contract.json, crm.automation.trigger.* and bizproc.robot.*: an administrator's token of a local application.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from perezvon.bitrix24 import methods
from perezvon.bitrix24.client import Portal
from perezvon.bitrix24.errors import (
    AlreadyExists,
    AppContextRequired,
    Forbidden,
    MissingScope,
    NotFound,
    Permanent,
    PortalError,
)
from perezvon.bitrix24.values import mapping, rows, text
from perezvon.rules.vocabulary import Reason

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

PREFIX = "perezvon."
ROBOT = f"{PREFIX}call"


@dataclass(frozen=True, slots=True)
class Robot:
    """`handler`: our public address. `translate`: into the language of the portal, for what its administrator sees."""

    name: str
    handler: str
    translate: Callable[[str], str] = str

    def fields(self) -> dict[str, Any]:
        """As bizproc.robot.add wants them, without CODE."""
        translate = self.translate
        return {
            "HANDLER": self.handler,
            "USE_SUBSCRIPTION": "Y",
            "NAME": self.name,
            "DESCRIPTION": translate("Rings an employee, then dials the client"),
            "PROPERTIES": {
                "phone": {"Name": translate("The client's number"), "Type": "string", "Required": "Y"},
                "responsible": {
                    "Name": translate("Employee who is rung"),
                    "Description": translate("Empty: the responsible of the lead or deal"),
                    "Type": "user",
                    "Required": "N",
                },
                "text": {
                    "Name": translate("Text"),
                    "Description": translate("On the phone's display, and in the call's activity"),
                    "Type": "string",
                    "Required": "N",
                },
            },
            "RETURN_PROPERTIES": {
                "result": {"Name": translate("Result of the call"), "Type": "string"},
                "duration": {"Name": translate("Talk, seconds"), "Type": "int"},
            },
        }


@dataclass(frozen=True, slots=True)
class Wanted:
    """`triggers`: code -> name. `robot`: None for none."""

    triggers: Mapping[str, str] = field(default_factory=dict[str, str])
    robot: Robot | None = None

    def __bool__(self) -> bool:
        return bool(self.triggers) or self.robot is not None


async def keep(portal: Portal, wanted: Wanted, *, renew: bool) -> tuple[Reason, ...]:
    """Registers what is missing, removes what is not wanted. `renew`: what is there may look otherwise than it should (the
    settings have changed, or we have just begun). Gives what is to be told the administrator; nothing is raised but
    cancellation."""
    problems: list[Reason] = []
    for what, needed, work in (
        ("triggers", bool(wanted.triggers), lambda: _triggers(portal, wanted.triggers)),
        ("robot", wanted.robot is not None, lambda: _robot(portal, wanted.robot, renew=renew)),
    ):
        try:
            await work()
        except PortalError as error:
            if needed or not isinstance(error, (MissingScope, AppContextRequired, Forbidden)):
                problems.append(_told(what, error))
            else:
                log.info("automation not looked at", portal=portal.name, what=what, error=str(error))
    return tuple(problems)


async def _triggers(portal: Portal, wanted: Mapping[str, str]) -> None:
    found = [mapping(row) for row in rows((await portal.call(methods.LIST_TRIGGERS)).result)]
    there = {text(row.get("CODE")): text(row.get("NAME")) for row in found}
    for code, name in wanted.items():
        if there.get(code) != name:  # a code that is there is renamed
            await portal.call(methods.ADD_TRIGGER, {"CODE": code, "NAME": name})
            log.info("trigger registered", portal=portal.name, code=code, name=name)
    for code in there:
        if code.startswith(PREFIX) and code not in wanted:
            try:
                await portal.call(methods.DELETE_TRIGGER, {"CODE": code})
            except NotFound:
                continue
            log.info("trigger removed", portal=portal.name, code=code)


async def _robot(portal: Portal, wanted: Robot | None, *, renew: bool) -> None:
    there = {text(code) for code in rows((await portal.call(methods.LIST_ROBOTS)).result)}
    if wanted is not None and ROBOT not in there:
        try:
            await portal.call(methods.ADD_ROBOT, {"CODE": ROBOT, **wanted.fields()})
        except Permanent as error:
            if not isinstance(error, AlreadyExists) and "ALREADY" not in error.code.upper():
                raise
        log.info("robot registered", portal=portal.name, code=ROBOT, name=wanted.name)
    elif wanted is not None and renew:
        await portal.call(methods.UPDATE_ROBOT, {"CODE": ROBOT, "FIELDS": wanted.fields()})
    for code in there:
        if code.startswith(PREFIX) and (wanted is None or code != ROBOT):
            try:
                await portal.call(methods.DELETE_ROBOT, {"CODE": code})
            except NotFound:
                continue
            log.info("robot removed", portal=portal.name, code=code)


_WHAT = {"triggers": Reason("triggers"), "robot": Reason("robot")}


def _told(what: str, error: PortalError) -> Reason:
    told = {"what": _WHAT[what], "scope": "crm" if what == "triggers" else "bizproc", "why": error.why}
    match error:
        case AppContextRequired():
            return Reason("{what}: a local application is needed, a webhook is not enough ({why})", told)
        case MissingScope():
            return Reason("{what}: give the application the permission {scope} ({why})", told)
        case Forbidden():
            return Reason(
                "{what}: an administrator of the portal has to install the application, or to open it once ({why})", told
            )
        case _:
            return Reason("{what}: {why}", told)
