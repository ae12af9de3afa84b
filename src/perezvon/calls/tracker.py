"""The reducer: `feed(event) -> list[Fact]`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from perezvon.calls.call import Call
from perezvon.calls.events import Event, ExpectedCall, Snapshot
from perezvon.calls.facts import Fact
from perezvon.calls.numbering import Numbering


class Tracker:
    """Calls of one PBX. Fed with the same events it gives the same facts."""

    def __init__(self, pbx: str, numbering: Numbering) -> None:
        self.pbx = pbx
        self.numbering = numbering

    def feed(self, event: Event) -> list[Fact]:
        raise NotImplementedError

    def expect(self, expected: ExpectedCall) -> list[Fact]:
        raise NotImplementedError

    def resync(self, snapshot: Snapshot) -> list[Fact]:
        raise NotImplementedError

    def live(self) -> list[Call]:
        raise NotImplementedError

    def export(self, call_id: str) -> dict[str, Any]:
        raise NotImplementedError

    def restore(self, states: Iterable[dict[str, Any]]) -> None:
        raise NotImplementedError
