"""How a call's activity is bound to the client's open deals and repeat leads. Pure.

deals -> leads -> bind (one by one; what is bound already stays so)

Source: contract.json, crm.deal.list, crm.lead.list, crm.activity.binding.add.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perezvon.bitrix24 import methods
from perezvon.bitrix24.answers import Answer
from perezvon.bitrix24.errors import MissingScope, Permanent, PortalError
from perezvon.bitrix24.values import Json, mapping, number, rows, text, whole
from perezvon.delivery.activity import NO_ACTIVITY
from perezvon.delivery.after import Ask, Next, Told, dead, done, failed, go_on, progress_of, refused
from perezvon.delivery.objects import objects_of
from perezvon.delivery.weather import METHOD_WIDE
from perezvon.rules.vocabulary import Reason
from perezvon.storage.steps import Step

BOUND = Reason("bound to {count} deals and leads of the client")
NONE_OPEN = Reason("the client has no open deal or lead to bind to")
NO_CLIENT = Reason("not sent: the call belongs to no contact or company that was there before")

MOST = 10
_CLIENTS = {"CONTACT": "CONTACT_ID", "COMPANY": "COMPANY_ID"}
_LISTS = {
    "deals": (methods.LIST_DEALS, {"CLOSED": "N"}, 2),
    "leads": (methods.LIST_LEADS, {"STATUS_SEMANTIC_ID": "P"}, 1),
}
_BIND = "bind"
_ALREADY = "ACTIVITY_IS_ALREADY_BOUND"


def next_of(step: Step, steps: Sequence[Step], now: float) -> Next:
    objects = objects_of(steps, text(step.params.get("finish")))
    if objects is None:
        return None
    if not objects.activity:
        return NO_ACTIVITY
    type_, client = objects.main
    if type_ not in _CLIENTS or objects.new(type_):
        return NO_CLIENT
    progress = progress_of(step)
    for name, (method, wanted, _) in _LISTS.items():
        if text(step.params.get(name)) in ("newest", "all") and name not in progress:
            of_client = {_CLIENTS[type_]: client, **wanted}
            return Ask(name, method, {"filter": of_client, "order": {"ID": "DESC"}, "select": ["ID"]})
    head = next(iter(rows(progress.get("queue"))), None)
    if head is None:
        return NONE_OPEN
    owner, id_ = rows(head)
    params = {"activityId": objects.activity, "entityTypeId": owner, "entityId": id_}
    return Ask(_BIND, methods.BIND_ACTIVITY, params)


def told(step: Step, asked: Ask, answer: Answer | PortalError, steps: Sequence[Step]) -> Told:
    progress = progress_of(step)
    if asked.stage == _BIND:
        if isinstance(answer, PortalError) and answer.code.upper() != _ALREADY:
            if not isinstance(answer, Permanent) or isinstance(answer, METHOD_WIDE):
                return dead(step, progress, answer) if refused(answer) else failed(step, progress, answer)
            return _bound(step, progress, error=str(answer))
        return _bound(step, progress)
    if isinstance(answer, PortalError):
        if not refused(answer) or isinstance(answer, MissingScope):
            return dead(step, progress, answer) if refused(answer) else failed(step, progress, answer)
        found: list[Json] = []
    else:
        most = 1 if text(step.params.get(asked.stage)) == "newest" else MOST
        owner = _LISTS[asked.stage][2]
        ids = (number(mapping(row).get("ID")) for row in rows(answer.result))
        found = [[owner, int(one)] for one in ids if one.isdecimal()][:most]
    return go_on(step, progress, **{asked.stage: len(found)}, queue=[*rows(progress.get("queue")), *found])


def _bound(step: Step, progress: Mapping[str, Json], error: str = "") -> Told:
    queue = rows(progress.get("queue"))[1:]
    count = (whole(progress.get("bound")) or 0) + (not error)
    kept = {**progress, "queue": queue, "bound": count}
    if queue:
        return go_on(step, kept)
    return done(step, kept, Reason(BOUND.text, {"count": str(count)}))
