"""Faults on demand: the next requests, or all for a while, fail in a chosen way."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Json = Any


class Fault(StrEnum):
    """What goes wrong with a request that is struck.

    LOST_ANSWER and DROPPED_ANSWER do the work first: the client waits for an answer that never comes (its time-out), or its
    connection breaks. RESET breaks the connection before anything was done. The listener itself is closed by
    `PortalServer.outage`, not here.
    """

    ERROR = "error"
    """Answers `code`, `description` with status `http`."""
    UNAVAILABLE = "503"
    """503 QUERY_LIMIT_EXCEEDED though the bucket has room."""
    OVERLOADED = "overload"
    """503 OVERLOAD_LIMIT."""
    BROKEN = "500"
    """500 INTERNAL_SERVER_ERROR."""
    OPERATING = "429"
    """429 OPERATION_TIME_LIMIT with `operating_reset_at`, `seconds` from now (60)."""
    LOST_ANSWER = "lost_answer"
    DROPPED_ANSWER = "dropped_answer"
    RESET = "reset"
    SLOW = "slow"
    """Answers `seconds` later."""
    EXPIRED_TOKEN = "expired_token"  # noqa: S105
    MALFORMED = "malformed"
    """Does the work, then answers JSON that breaks off half-way."""
    HTML = "html"
    """An nginx page, status `http` (502)."""
    HOLES = "holes"
    """Does the work of a batch; its answer says nothing about every second command."""


@dataclass(slots=True)
class Planned:
    """`left`: how many requests it still strikes (None: any number); `until`: until when (portal's clock; None: for
    ever). `method`: REST method or pattern with * (any case), matched for single requests and for batches that contain
    such a command; also "oauth.token", "upload" and "download". `inside`: ERROR and OPERATING strike single commands of
    batches, which are not run; everything else in the batch is."""

    fault: Fault
    method: str = "*"
    left: int | None = 1
    until: float | None = None
    skip: int = 0
    http: int = 0
    code: str = ""
    description: str = ""
    seconds: float = 60.0
    inside: bool = False
    struck: int = 0

    def as_json(self) -> dict[str, Json]:
        return {name: getattr(self, name) for name in self.__slots__}


class Faults:
    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.planned: list[Planned] = []

    def plan(
        self,
        fault: Fault | str,
        *,
        method: str = "*",
        times: int | None = None,
        seconds: float | None = None,
        skip: int = 0,
        http: int = 0,
        code: str = "",
        description: str = "",
        wait: float = 60.0,
        inside: bool = False,
    ) -> Planned:
        """Let the next `times` requests to `method` fail (1 when neither `times` nor `seconds` is given), or all of them
        for
        `seconds`; the first `skip` matching ones pass. `wait` is the delay of SLOW and LOST_ANSWER in seconds."""
        planned = Planned(
            fault=Fault(fault),
            method=method,
            left=1 if times is None and seconds is None else times,
            until=None if seconds is None else self._now() + seconds,
            skip=skip,
            http=http,
            code=code,
            description=description,
            seconds=wait,
            inside=inside,
        )
        self.planned.append(planned)
        return planned

    def strike(self, methods: list[str], *, inside: bool = False) -> Planned | None:
        """The fault that hits a request with these methods (one, or a batch and its commands), or a command `inside` a
        batch; it is used up by one."""
        now = self._now()
        self.planned = [p for p in self.planned if p.left != 0 and (p.until is None or p.until > now)]
        for planned in self.planned:
            if planned.inside is not inside or not any(
                fnmatch.fnmatchcase(method.lower(), planned.method.lower()) for method in methods
            ):
                continue
            if planned.skip:
                planned.skip -= 1
                continue
            if planned.left is not None:
                planned.left -= 1
            planned.struck += 1
            return planned
        return None

    def clear(self) -> None:
        self.planned.clear()
