"""Whose a call is: the employee for whom it is finished, the reason, and who of them the portal does not know. Pure."""

from __future__ import annotations

from dataclasses import replace

from perezvon.calls.call import Call, Direction
from perezvon.calls.facts import CallStarted
from perezvon.rules.policy import People, Policy
from perezvon.rules.turns import Turn
from perezvon.rules.vocabulary import Reason

Owner = tuple[str, Reason, tuple[str, ...]]
"""The user, why, and the extensions without a portal user."""


def responsible(call: Call, started: CallStarted, policy: Policy, people: People) -> Owner:
    """One of those who talked, as the policy wants; of a missed call whom its chain names; else a user of the settings."""
    people = _with_mobile(call, people)
    if call.last_talker:
        return _talker(call, policy, people)
    if started.direction is not Direction.INCOMING and started.extension:
        return or_fallback(started.extension, "responsible: {extension} placed the call", policy, people)
    for who in policy.missed_chain:
        if who == "default":
            break
        if found := _of_missed(who, call, policy, people):
            return *found, ()
    user = policy.missed_user or policy.fallback_user
    if any(map(people.user, call.rung)):
        return user, Reason("responsible: user {user}, who has the missed calls by the settings", {"user": user}), ()
    return user, Reason("responsible: user {user} of the settings, no employee was rung", {"user": user}), call.rung


def _of_missed(who: str, call: Call, policy: Policy, people: People) -> tuple[str, Reason] | None:
    if who == "last_rung":
        for extension in reversed(call.rung):
            if user := people.user(extension):
                return user, Reason("responsible: {extension} was rung last, nobody answered", {"extension": extension})
    if who == "line":
        line = policy.line_of(call)
        if line.missed_user:
            args = {"user": line.missed_user, "line": line.name or line.number}
            return line.missed_user, Reason("responsible: user {user}, who has the missed calls of {line}", args)
    return None


def _with_mobile(call: Call, people: People) -> People:
    """The outside number to which an employee's calls go stands for him, unless the portal knows whose it is."""
    user = people.user(call.forwarded_by)
    return replace(people, users={call.forwarded_to: user, **people.users}) if user else people


def _talker(call: Call, policy: Policy, people: People) -> Owner:
    if policy.responsible == "first" and call.talkers:
        return or_fallback(call.talkers[0], "responsible: {extension} talked first", policy, people)
    talked = call.talk_times()
    if policy.responsible == "longest" and talked:
        longest = max(talked.values())
        if talked.get(call.last_talker, 0.0) < longest:  # among equals the last
            of_them = [extension for extension in call.talkers if talked.get(extension) == longest]
            return or_fallback(of_them[-1], "responsible: {extension} talked longest", policy, people)
    return or_fallback(call.last_talker, "responsible: {extension} talked last", policy, people)


def or_fallback(extension: str, text: str, policy: Policy, people: People) -> Owner:
    """The employee's user, with this reason; else the settings' own."""
    if user := people.user(extension):
        return user, Reason(text, {"extension": extension}), ()
    fallback = policy.fallback_user
    args = {"user": fallback, "extension": extension}
    if extension in policy.portal_peers:
        text = "responsible: user {user} of the settings, because the PBX does not know who answered in the portal"
        return fallback, Reason(text, args), ()
    if why := policy.filters.employee(extension, people.users):
        args["setting"] = why.setting
        text = "responsible: user {user} of the settings, because {extension} is left out by {setting}"
        return fallback, Reason(text, args), ()
    if extension.startswith("+"):
        text = "responsible: user {user} of the settings, because the outside number {extension} is no employee's"
        return fallback, Reason(text, args), ()
    text = "responsible: user {user} of the settings, because {extension} has no portal user"
    return fallback, Reason(text, args), (extension,)


def responsible_in(turn: Turn, call: Call, policy: Policy, people: People) -> Owner:
    """The same for a turn that a transfer began. Of a client whom nobody took: the last who was rung, else the giver."""
    people = _with_mobile(call, people)
    if turn.talkers:
        last = call.last_talker if call.last_talker in turn.talkers else turn.talkers[-1]
        return _talker(replace(call, talkers=turn.talkers, last_talker=last), policy, people)
    for extension in reversed(turn.rung):
        if user := people.user(extension):
            return user, Reason("responsible: {extension} was rung last, nobody answered", {"extension": extension}), ()
    return or_fallback(turn.giver, "responsible: {extension} passed the client on, nobody answered", policy, people)
