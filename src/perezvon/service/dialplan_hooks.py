"""The integrator's hooks while a caller, or a manager, waits: the menu of a line, and whom a code means.

Without a hook nothing is asked; with one it has the short time limit, and the default stands when it fails.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import structlog

from perezvon.calls.call import iso
from perezvon.calls.names import parse
from perezvon.customisation import Customiser, Fate, Point
from perezvon.customisation.customiser import QUEUE
from perezvon.customisation.samples import CALL
from perezvon.ivr.scenario import Button, Scenario, target_of
from perezvon.rules import Reason

log = structlog.get_logger(__name__)


def patience(customiser: Customiser) -> float:
    """Seconds that hooks may add while somebody waits: for the process to be free, and for the answer."""
    return (QUEUE + 1) * customiser.limits.urgent


async def customised_menu(
    customiser: Customiser, line: str, environment: Mapping[str, str], scenario: Scenario | None
) -> Scenario | None:
    """None for straight to Bitrix24. `environment`: the AGI call's."""
    if not customiser.wants(Point.CUSTOMIZE_MENU):
        return scenario
    data = {"line": line, "caller": environment.get("callerid", ""), "scenario": scenario_data(scenario)}
    answer = await customiser.ask(Point.CUSTOMIZE_MENU, data, call=environment.get("uniqueid", ""))
    if answer.fate is Fate.CANCELLED:
        return None
    if answer.fate is not Fate.CHANGED:
        return scenario
    rows = answer.value["buttons"]
    buttons = [Button(row["key"], row["prompt"], to) for row in rows if (to := target_of(row["to"])) is not None]
    if not buttons:
        log.warning("a hook's menu has no button that can be rung, the default stands", line=line)
        return scenario
    return Scenario(line, answer.value["intro"], tuple(buttons), asked=len(rows) > 1)


async def customised_distribution(
    customiser: Customiser,
    pbx: str,
    environment: Mapping[str, str],
    found: Mapping[str, Any],
    deadline: float | None = None,
) -> dict[str, Any] | None:
    """Whom a caller is to be connected with, before any phone rings; None for the default route. `found`: `extension` (""
    where nobody was chosen), `name` for the phones' displays, `entity`. `deadline`: the event loop's seconds."""
    if not customiser.wants(Point.CUSTOMIZE_AUTODISTRIBUTION):
        return dict(found)
    call = arriving(pbx, environment)
    data = {"call": call, "found": dict(found)}
    answer = await customiser.ask(Point.CUSTOMIZE_AUTODISTRIBUTION, data, call=call["id"], deadline=deadline)
    return None if answer.cancelled else answer.value


def distribution_notes(customiser: Customiser, call: str) -> list[Reason]:
    """What there is to tell of whom the hook wanted the caller to be connected with: its failures too."""
    said = customiser.said(call)
    return [one.note for one in said if one.note is not None and one.point == Point.CUSTOMIZE_AUTODISTRIBUTION.value]


def arriving(pbx: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """A call of which nothing is known but what the dialplan says, as hooks are told of it."""
    number, line = environment.get("callerid", ""), environment.get("dnid", "") or environment.get("extension", "")
    known = {
        "id": f"{pbx}-{environment.get('uniqueid', '')}",
        "pbx": pbx,
        "direction": "incoming",
        "client": number,
        "client_raw": number,
        "client_name": environment.get("calleridname", ""),
        "line": line,
        "line_raw": line,
        "trunk": parse(environment.get("channel", "")).peer,
        "started": iso(time.time()),
        "duration": 0.0,
    }
    lists: dict[str, list[str]] = {name: [] for name, value in CALL.items() if isinstance(value, list)}
    return {**dict.fromkeys(CALL), **lists, **known}


async def customised_code(customiser: Customiser, code: str, number: str) -> str:
    """Empty where nobody is to be dialled."""
    if not customiser.wants(Point.CUSTOMIZE_THIRD_PARTY):
        return number
    answer = await customiser.ask(Point.CUSTOMIZE_THIRD_PARTY, {"code": code, "number": number})
    return "" if answer.cancelled else answer.value


def scenario_data(scenario: Scenario | None) -> dict[str, Any] | None:
    """As hooks are told of it."""
    if scenario is None:
        return None
    buttons = [{"key": one.key, "prompt": one.prompt, "to": one.to} for one in scenario.buttons]
    return {"intro": scenario.intro, "buttons": buttons}
