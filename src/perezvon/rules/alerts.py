"""When people are told that something is wrong, and that it is right again: never a flood. Pure.

`look(known, now wrong, …)` is a reducer: what was known of each trouble and what is wrong now in; what is known then, and
what is to be told, out. A trouble is told once it has lasted for `patience`, and its end once that has lasted for `calm`.
Each time it comes back within DAY both grow to the double, up to 2**MOST times: what flaps is told of ever more rarely.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from perezvon.rules.account import plain
from perezvon.rules.missed import span
from perezvon.rules.policy import Telling
from perezvon.rules.vocabulary import Json, Reason

DAY = 86400.0
"""Seconds after which it is forgotten how often something has come back."""

MOST = 5
CALM = 60.0
"""Seconds: an end of a trouble that lasts for so long (or for as long as the patience, when that is less) is one."""

SHOWN = 10
"""Troubles that one message names; of more it says the number."""

LONGEST = 400
"""Characters of what was seen, and of what to do."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong now. `key` is the same as long as it is the same trouble; `subject`: what it is about."""

    key: str
    subject: str
    seen: Reason
    fix: Reason | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is known of one. Times are POSIX seconds: `since` it is wrong, `gone` since when it was not seen any more,
    `told` when it was told, `last` when something was told of it last. `times`: how often its end was told."""

    subject: str
    since: float
    gone: float | None = None
    told: float | None = None
    last: float = 0.0
    times: int = 0

    @staticmethod
    def from_json(told: Mapping[str, Json]) -> Trouble:
        """Raises TypeError for what is none."""
        return Trouble(**told)

    def as_json(self) -> dict[str, Json]:
        return asdict(self)


Known = Mapping[str, Trouble]


@dataclass(frozen=True, slots=True)
class News:
    """`began`, `over`: to be told now. `known`: what is known from now on."""

    known: Known
    began: tuple[tuple[Finding, Trouble], ...] = ()
    over: tuple[tuple[str, Trouble], ...] = ()

    @property
    def worth(self) -> bool:
        return bool(self.began or self.over)


def look(known: Known, findings: Sequence[Finding], now: float, patience: float) -> News:
    """`patience`: seconds."""
    after: dict[str, Trouble] = {}
    began: list[tuple[Finding, Trouble]] = []
    over: list[tuple[str, Trouble]] = []
    for finding in findings:
        one = known.get(finding.key, Trouble(finding.subject, now))
        if one.gone is not None:
            one = replace(one, gone=None, since=one.since if one.told is not None else now)
        if one.told is None and now - one.since >= _longer(patience, one, now):
            one = replace(one, told=now, last=now)
            began.append((finding, one))
        after[finding.key] = one
    for key in known.keys() - after.keys():
        one = known[key] if known[key].gone is not None else replace(known[key], gone=now)
        gone = one.gone if one.gone is not None else now
        if one.told is None:
            if one.times and now - one.last < DAY:
                after[key] = one
        elif now - gone >= _longer(min(patience, CALM), one, now):
            over.append((key, one))
            after[key] = replace(one, told=None, last=now, times=one.times + 1 if now - one.last < DAY else 1)
        else:
            after[key] = one
    return News(after, tuple(began), tuple(sorted(over, key=lambda each: each[1].since)))


def message(news: News, now: float, telling: Telling, address: str = "") -> str:
    """In the portal's language, its time zone; nothing of it can be taken for the chat's markup but our own."""
    return "\n".join(_lines(news, now, telling, address))


def _lines(news: News, now: float, telling: Telling, address: str) -> Iterator[str]:
    translate = telling.translate
    if news.began:
        yield f"[b]{translate('Perezvon: something is wrong')}[/b]"
        for finding, trouble in news.began[:SHOWN]:
            since = translate("since {moment}").format(moment=_moment(trouble.since, telling))
            yield f"{plain(finding.subject)}: {_said(finding.seen, telling)} ({since})"
            if finding.fix is not None:
                yield f"→ {_said(finding.fix, telling)}"
        if len(news.began) > SHOWN:
            yield translate("and {count} more").format(count=len(news.began) - SHOWN)
    if news.over:
        yield f"[b]{translate('Perezvon: right again')}[/b]"
        for _, trouble in news.over[:SHOWN]:
            until = trouble.gone if trouble.gone is not None else now
            words = translate("{subject}: it was wrong from {since} to {until}, {span}")
            yield words.format(
                subject=plain(trouble.subject),
                since=_moment(trouble.since, telling),
                until=_moment(until, telling),
                span=span(until - trouble.since, telling),
            )
        if len(news.over) > SHOWN:
            yield translate("and {count} more").format(count=len(news.over) - SHOWN)


def _said(reason: Reason, telling: Telling) -> str:
    return plain(reason.told(telling.translate), LONGEST)


def _moment(at: float, telling: Telling) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone(telling.zone).strftime("%d.%m %H:%M")


def _longer(seconds: float, one: Trouble, now: float) -> float:
    times = one.times if now - one.last < DAY else 0
    return seconds * 2.0 ** min(times, MOST)
