"""A switchroom on paper: running calls as a test says, and what pages have asked of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

from perezvon.calls import Event, Fact
from perezvon.calls.watching import Stage
from perezvon.customisation import Fate
from perezvon.customisation.answer import Said
from perezvon.rules import Decision, Order, Reason
from perezvon.storage.calls import StoredCall
from perezvon.storage.pauses import Pause
from perezvon.web.live import Board, Row, Watcher, Watchers, Who
from perezvon.web.switchroom import Sending, Telephone


def row(call: str = "main-1.1", stage: Stage = Stage.RINGING, started: float = 0.0, **changed: object) -> Row:
    now = started or time.time() - 42
    made = Row(
        call, "main", "incoming", "+79161234567", "Клиент", "+74951234567", "Реклама на кольце", now, stage, now + 10,
        ringing=(Who("101", "Анна Петрова", now),) if stage is Stage.RINGING else (),
        talking=(Who("102", "Борис", now),) if stage in (Stage.TALK, Stage.CONFERENCE) else (),
        holder=Who("103", "Вера") if stage is Stage.HOLD else None,
    )  # fmt: skip
    return replace(made, **changed)  # type: ignore[arg-type]


@dataclass
class PaperRoom:
    rows: list[Row] = field(default_factory=list[Row])
    deaf: tuple[str, ...] = ()
    sendings: list[Sending] = field(default_factory=lambda: [Sending("main", "ready")])
    woken: list[str] = field(default_factory=list[str])
    orders: list[Order] = field(default_factory=list[Order])
    refuses: Reason | None = None
    foretold: list[Decision] | None = None
    printed: str = "printed <b>this</b>"
    phones: tuple[Telephone, ...] = (Telephone("11", "Анна Петрова", "101"), Telephone("12", "Борис", "102"))

    def __post_init__(self) -> None:
        self.looking = Watchers(self.board)

    def show(self, *rows: Row) -> None:
        """These go on from now on."""
        self.rows = list(rows)
        self.looking.refresh()

    def board(self) -> Board:
        return Board(time.time(), tuple(self.rows), self.deaf)

    def watchers(self, who: str) -> tuple[int, int]:
        return self.looking.of(who), len(self.looking)

    def watcher(self, who: str) -> AbstractContextManager[Watcher]:
        return self.looking.watcher(who)

    def events(self, call: StoredCall) -> Sequence[Event]:
        return [Event("Newchannel", call.started, {"channel": "PJSIP/1", "calleridnum": call.client, "uniqueid": "1.1"})]

    def said(self, call: str) -> Sequence[Said]:
        why = Reason("{x}", {"x": "ZeroDivisionError in hooks.py:3"})
        return [Said(time.time(), "customize_autodistribution", Fate.FAILED, why, self.printed, 0.012)]

    def planned(self, call: StoredCall, facts: Sequence[Fact]) -> Sequence[Decision] | None:
        return self.foretold

    async def sending(self) -> tuple[Sending, ...]:
        return tuple(self.sendings)

    def queued(self, portal: str) -> None:
        self.woken.append(portal)

    def hold(self, portal: str, pause: Pause | None) -> None:
        self.sendings = [replace(one, pause=pause) if one.portal == portal else one for one in self.sendings]

    def follows_missed(self) -> bool:
        return True

    def telephones(self, portal: str) -> tuple[Telephone, ...]:
        return self.phones

    async def call_back(self, portal: str, order: Order) -> Reason | None:
        if self.refuses is None:
            self.orders.append(order)
        return self.refuses

    def refusal(self, portal: str, key: str) -> Reason | None:
        return None
