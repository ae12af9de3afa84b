"""Whether anything may be sent to a portal, and why not: what an error says about more than its own step.

clear -> trouble (unreachable, time-outs, its server fails: one lane at a time, pauses that double up to half a minute)
clear -> limited (503: the client says for how long)
clear -> refused (wrong credentials) or blocked (plan, overload, deleted): slow tries, a human is needed
and back with the first answer, or by `resume`; answers that others get from the portal shorten the pause. A method by
itself pauses when its working time is used up (429) or the right for it is missing (looking things up is done without).
One log line a transition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum

import structlog

from perezvon.bitrix24.answers import Answer
from perezvon.bitrix24.errors import (
    Ambiguous,
    AppContextRequired,
    AuthRefused,
    Forbidden,
    MethodNotFound,
    MissingScope,
    NotSent,
    OperationLimited,
    PortalBlocked,
    PortalError,
    PortalMoved,
    RateLimited,
    Temporary,
)
from perezvon.bitrix24.methods import ANSWER_ROBOT, STATISTIC

log = structlog.get_logger(__name__)

METHOD_WIDE = (OperationLimited, MissingScope, AppContextRequired, Forbidden, MethodNotFound)
PORTAL_WIDE = (NotSent, RateLimited, AuthRefused, PortalBlocked, PortalMoved)
"""Errors for which not the step's lane waits, but its method, or the portal (METHOD_WIDE goes first): every other step
would meet them too, and none is lost when a human has mended the cause."""

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_FIRST_REPAIR = 15.0
_LONGEST_REPAIR = 300.0
_METHOD_REPAIR = 60.0
_SIGN_OF_LIFE = 10.0
"""Seconds after a failure from which on we try again, when somebody else gets answers from the portal."""


class Sky(StrEnum):
    CLEAR = "clear"
    TROUBLE = "trouble"
    LIMITED = "limited"
    REFUSED = "refused"
    BLOCKED = "blocked"


_FOR_HUMANS = (Sky.REFUSED, Sky.BLOCKED)


class Weather:
    """Times are POSIX seconds. `until`: before it nothing is sent, 0 for none. `error`: the last one, None while clear.

    `since`: when it was clear last, or became so, whatever the trouble has turned into since. `cleared`: it became so, and
    whoever sends has not taken note of it yet.
    """

    def __init__(self, portal: str, clock: Callable[[], float], jitter: Callable[[], float]) -> None:
        self._portal = portal
        self._clock = clock
        self._jitter = jitter
        self._failures = 0
        self._failed = 0.0
        self._methods: dict[str, tuple[float, PortalError]] = {}
        self.sky: Sky = Sky.CLEAR
        self.since = clock()
        self.until = 0.0
        self.error: PortalError | None = None
        self.cleared = False

    @property
    def message(self) -> str:
        return "" if self.error is None else str(self.error)

    @property
    def testing(self) -> bool:
        """One small request at a time, to see whether it is over."""
        return self.sky is not Sky.CLEAR

    def paused_methods(self) -> dict[str, tuple[float, PortalError]]:
        """Until when, and why."""
        now = self._clock()
        return {method: pause for method, pause in self._methods.items() if pause[0] > now}

    def told(self, methods: Sequence[str], outcomes: Sequence[Answer | PortalError]) -> None:
        """What the commands of one answered request came to."""
        wide = [one for one in outcomes if isinstance(one, PORTAL_WIDE) and not isinstance(one, (*METHOD_WIDE, NotSent))]
        if wide:
            self.failed(methods, wide[0])
        else:
            self._failures = 0
            self._become(Sky.CLEAR, 0.0, None)
        for method, outcome in zip(methods, outcomes, strict=True):
            if method == ANSWER_ROBOT and isinstance(outcome, Forbidden):
                continue  # it is this robot that does not wait any more
            if isinstance(outcome, METHOD_WIDE) and (method != STATISTIC or isinstance(outcome, OperationLimited)):
                self._pause_method(method, outcome)

    def failed(self, methods: Sequence[str], error: PortalError) -> None:
        """A whole request failed."""
        if isinstance(error, METHOD_WIDE) and len(methods) == 1:
            self.told(methods, [error])
            return
        now = self._clock()
        sky = sky_of(error)
        if sky is Sky.CLEAR:  # the request's own fault: the portal works
            self._failures = 0
            self._become(Sky.CLEAR, 0.0, None)
            return
        if (sky in _FOR_HUMANS) is not (self.sky in _FOR_HUMANS):
            self._failures = 1
        elif now >= self.until:  # else it left before the pause began, together with one that failed
            self._failures += 1
        self._failed = now
        doubled = 2.0 ** min(max(self._failures - 1, 0), 16)
        pause = min(_FIRST_PAUSE * doubled, _LONGEST_PAUSE) * self._jitter()
        if sky in _FOR_HUMANS:
            pause = min(_FIRST_REPAIR * doubled, _LONGEST_REPAIR) * self._jitter()
        elif isinstance(error, OperationLimited):
            pause = self._reset(error) - now
        elif isinstance(error, RateLimited) and error.retry_after is not None:
            pause = error.retry_after
        else:
            pause = max(pause, error.retry_after or 0.0)
        self._become(sky, pause, error)

    def answers_others(self) -> bool:
        """Somebody else (employees, events) got an answer. Gives whether the pause is shorter now."""
        soon = max(self._clock(), self._failed + _SIGN_OF_LIFE)
        if self.sky in (Sky.CLEAR, Sky.LIMITED) or self.until <= soon:
            return False
        self.until = soon
        return True

    def resume(self) -> None:
        """A human has repaired something: try at once."""
        self._failures = 0
        self._methods.clear()
        self._become(Sky.CLEAR, 0.0, None)

    def _become(self, sky: Sky, pause: float, error: PortalError | None) -> None:
        now = self._clock()
        if sky is not self.sky:
            level = log.info if sky is Sky.CLEAR else log.warning
            told = str(error or self.message)
            level(f"portal {self.sky} -> {sky}", portal=self._portal, error=told, pause=round(pause, 1))
            if Sky.CLEAR in (sky, self.sky):
                self.since = now
            self.cleared = sky is Sky.CLEAR
            self.sky = sky
        self.until = now + pause if pause > 0 else 0.0
        self.error = error

    def _pause_method(self, method: str, error: PortalError) -> None:
        now = self._clock()
        until = self._reset(error) if isinstance(error, OperationLimited) else now + _METHOD_REPAIR
        if method not in self._methods or self._methods[method][0] <= now:
            log.warning("method working -> paused", portal=self._portal, method=method, until=until, error=str(error))
        self._methods[method] = (until, error)

    def _reset(self, error: OperationLimited) -> float:
        now = self._clock()
        return now + _METHOD_REPAIR if error.reset_at is None else max(error.reset_at, now + _FIRST_PAUSE)


def sky_of(error: PortalError) -> Sky:
    """What an error of a whole request says of the portal."""
    match error:
        case RateLimited() | OperationLimited():
            return Sky.LIMITED
        case AuthRefused() | Forbidden() | MethodNotFound():
            return Sky.REFUSED
        case PortalBlocked() | PortalMoved():
            return Sky.BLOCKED
        case NotSent() | Ambiguous() | Temporary():
            return Sky.TROUBLE
        case _:
            return Sky.CLEAR
