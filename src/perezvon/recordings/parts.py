"""Several recordings of one call: which of them follow one another, and which hold the same talk once more. Pure.

Neither witness is exact. The PBX tells when it opens a file (`began`): MixMonitor with option `b` writes nothing before two
are talking, and of a file that was opened while we were away, or for a consultation, we hear later. The file's last change
(`closed`) is late where its channel went on, and wrong where it was copied. Lengths are right. So, lest anything be lost:
two that may have followed each other by either witness are both heard; only of two that cannot have, it is asked how much
of the shorter the longer may hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

SLACK = 2.0
"""Seconds: a file is closed a little after the next one has begun."""

ALMOST = 0.8
"""The part of the shorter recording that the longer must hold to be the same talk."""


@dataclass(frozen=True, slots=True)
class Part:
    """`began`: when the PBX told of it, `closed`: when its file was last changed (POSIX seconds), None where that is not
    known. `seconds`: its length."""

    id: int
    began: float | None
    seconds: float
    closed: float | None = None


@dataclass(frozen=True, slots=True)
class Talk:
    """An employee talked with the client from `since` to `until` (POSIX seconds by the PBX's clock)."""

    extension: str
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Arrangement:
    """`kept`: to be heard, in order. `spare`: the id of each other part -> the id of that which holds the same talk."""

    kept: tuple[Part, ...]
    spare: Mapping[int, int]


def arrange(parts: Sequence[Part], talks: Sequence[Talk], started: float, ended: float) -> Arrangement:
    """`parts` in the order in which they were told; that order stands where it is not known when one of them began.

    Where it is not known when the call `started` or `ended`: infinite, so that there is room for all parts."""
    spare: dict[int, int] = {}
    kept: list[Part] = []
    for part in sorted(parts, key=lambda one: -one.seconds):  # stable: of two as long, the first told is kept
        twin = next((one for one in kept if _same_talk(one, part, talks, started, ended)), None)
        if twin is None:
            kept.append(part)
        else:
            spare[part.id] = twin.id
    order = [part for part in parts if part.id not in spare]
    if all(part.closed is not None for part in order):  # stable: decides where the PBX told of several at once
        order.sort(key=lambda part: (part.closed or 0.0) - part.seconds)
    if all(part.began is not None for part in order):
        order.sort(key=lambda part: part.began or 0.0)
    return Arrangement(tuple(order), spare)


def talkers(kept: Sequence[Part], talks: Sequence[Talk]) -> list[tuple[str, ...]]:
    """For each part who talked between its beginning and that of the next, in order; empty where that is not known."""
    ends = [part.began for part in kept[1:]]
    return [
        () if part.began is None else _talking(talks, part.began, end)
        for part, end in zip(kept, [*ends, float("inf")], strict=True)
    ]


def _talking(talks: Sequence[Talk], since: float, until: float | None) -> tuple[str, ...]:
    if until is None:
        return ()
    heard = [talk.extension for talk in talks if min(talk.until, until) - max(talk.since, since) > SLACK / 4]
    return tuple(dict.fromkeys(heard))


def _same_talk(longer: Part, shorter: Part, talks: Sequence[Talk], started: float, ended: float) -> bool:
    if longer.closed is not None and shorter.closed is not None:
        begins = max(longer.closed - longer.seconds, shorter.closed - shorter.seconds)
        if min(longer.closed, shorter.closed) - begins <= SLACK:
            return False
    if longer.began is None or shorter.began is None:  # then only their lengths tell: is there room for both?
        return longer.seconds + shorter.seconds > ended - started + SLACK
    first, second = (longer, shorter) if longer.began <= shorter.began else (shorter, longer)
    assert first.began is not None
    assert second.began is not None
    if first.began + first.seconds - second.began <= SLACK:
        return False
    held = max(
        min(one + longer.seconds, two + shorter.seconds) - max(one, two)
        for one in _beginnings(longer, longer.began, talks, ended)
        for two in _beginnings(shorter, shorter.began, talks, ended)
    )
    return held >= ALMOST * shorter.seconds


def _beginnings(part: Part, told: float, talks: Sequence[Talk], ended: float) -> Iterator[float]:
    """When its first sound may have been written: as told, at the first talk after that, or earlier than told, when it is
    too long to have begun only then."""
    yield told
    if not any(talk.since <= told < talk.until for talk in talks):
        later = [talk.since for talk in talks if talk.since > told]
        if later:
            yield min(later)
    if told + part.seconds > ended:
        yield ended - part.seconds
