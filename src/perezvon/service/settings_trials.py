"""What settings would do, tried on an example: for the command line and the pages. Nothing is asked, sent or stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from perezvon.calls import Numbering
from perezvon.calls.call import Call, Direction, Outcome
from perezvon.rules import People, Towards
from perezvon.rules.missed import IMPORTANT, Missed, after
from perezvon.rules.number_trial import NumberTrial, Tried
from perezvon.rules.numbers import PHONE, formatted
from perezvon.rules.vocabulary import Reason
from perezvon.service import dialling, policies
from perezvon.settings.model import Settings
from perezvon.settings.portal import PortalSettings
from perezvon.settings.urls import WebhookUrl
from perezvon.web.settings_desk import TaskPreview

_NO_PORTAL = "portal"


def try_number(settings: Settings, number: str, line: str) -> NumberTrial:
    """In both directions. `line`: the company's number that the call is of; "" for none."""
    numbering = Numbering(region=settings.calls.region)
    understood = numbering.international(number)
    names = {name for entry in settings.line for name in (entry.number, *entry.aliases)}
    known = line in names or numbering.international(line) in map(numbering.international, names)
    crm, pbx = _towards_crm(understood, line, settings, numbering), _towards_pbx(number, line, settings, numbering)
    return NumberTrial(number, line, known, understood, crm, pbx)


def _towards_crm(understood: str, line: str, settings: Settings, numbering: Numbering) -> Tried:
    rules = policies.number_rules(settings, Towards.CRM)
    line = numbering.international(line) or line
    outcome = formatted(understood, line, rules, Towards.CRM)
    reasons = (outcome.reason,) if outcome.reason is not None else ()
    if PHONE.fullmatch(outcome.number):
        return Tried(rules, line, outcome, outcome.number, reasons)
    args = {"client": understood[:80] or "—", "number": settings.calls.anonymous_number}
    anonymous = Reason("{client} is no phone number: the portal is told {number}", args)
    return Tried(rules, line, outcome, settings.calls.anonymous_number, (*reasons, anonymous))


def _towards_pbx(number: str, line: str, settings: Settings, numbering: Numbering) -> Tried:
    rules = policies.number_rules(settings, Towards.PBX)
    outcome = dialling.dialled(number, numbering, line, rules)
    reasons = (outcome.reason,) if outcome.reason is not None else ()
    if not outcome.number:
        reasons = (Reason("{number} is no number that can be dialled", {"number": number[:40] or "—"}),)
    return Tried(rules, numbering.international(line) or line, outcome, outcome.number, reasons)


@dataclass(frozen=True, slots=True)
class _Example:
    client: str = "+79161234567"
    name: str = "Иван"
    extension: str = "101"
    employee: str = "Анна Петрова"


def preview_tasks(settings: Settings, now: float) -> tuple[TaskPreview, ...]:
    """The task of a client's first missed call, and what his third one makes of it."""
    example = _Example()
    portal = next(iter(settings.portal), PortalSettings(name=_NO_PORTAL, webhook=WebhookUrl("https://p/rest/1/none/")))
    wanted = settings.model_copy(update={"missed": settings.missed.model_copy(update={"task": True})})
    policy = policies.policy(wanted, portal, "preview", "1")
    people = People(users={example.extension: "11"}, names={example.extension: example.employee})
    line = settings.line[0].number if settings.line else "+74951234567"
    known: Missed | None = None
    previews: list[TaskPreview] = []
    for count in (1, 2, 3):
        call = _missed_call(example, line, now + count * 600)
        known, _reason, step = after(known, call, portal.name, policy, people)
        if step is None or count == 2:
            continue
        task, change = _table(step.params["task"]), _table(step.params["change"])
        title = str(change.get("TITLE") or task["TITLE"])
        text = str(task["DESCRIPTION"] if count == 1 else step.params["comment"])
        important = {**task, **change}["PRIORITY"] == IMPORTANT
        previews.append(TaskPreview(count, title, _unsigned(text), important, settings.missed.deadline))
    return tuple(previews)


def _missed_call(example: _Example, line: str, at: float) -> Call:
    empty = Call(
        id=f"preview {at}",
        direction=Direction.INCOMING,
        client=example.client,
        client_raw=example.client,
        client_name=example.name,
        line=line,
        line_raw=line,
        trunk="",
        started=at,
        answered=None,
        ended=None,
        outcome=None,
        duration=0.0,
        rung=(example.extension,),
        talkers=(),
        last_talker="",
        transfers=(),
        picked_up_by="",
        forwarded_to="",
        queue="",
        menu=(),
        third_parties=(),
        recordings=(),
        legs=(),
    )
    return replace(empty, ended=at + 25, outcome=Outcome.MISSED)


def _table(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _unsigned(text: str) -> str:
    """Without our mark at the end."""
    return text.rpartition("\n\nPerezvon ")[0] or text
