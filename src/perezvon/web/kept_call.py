"""All that is stored of one call, for its page, for the file for support and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perezvon.calls import Fact
from perezvon.rules.vocabulary import Reason
from perezvon.storage import calls, journal, lanes, recordings, search
from perezvon.storage.calls import StoredCall
from perezvon.storage.database import Database
from perezvon.storage.recordings import Recording
from perezvon.storage.steps import Step
from perezvon.web.refusals import NOT_THERE, Refused


@dataclass(frozen=True, slots=True)
class KeptCall:
    """`record`: as it ended, empty while the call goes on. `decisions`: POSIX seconds, why, keys of the requests.
    `names`: of the employees who take part, by extension."""

    row: StoredCall
    record: Mapping[str, Any]
    facts: Sequence[Fact]
    decisions: Sequence[tuple[float, Reason, list[str]]]
    steps: Sequence[Step]
    recordings: list[Recording]
    names: Mapping[str, str]

    def named(self, number: str) -> str:
        return f"{number} {self.names[number]}" if number in self.names else number


async def kept_call(database: Database, call: str) -> KeptCall:
    """Raises Refused where there is no such call, and storage.Unavailable."""
    async with database.read() as conn:
        row = await calls.find(conn, call)
        if row is None:
            raise Refused(NOT_THERE)
        facts = await journal.read(conn, call)
        record: Mapping[str, Any] = {} if row.live else row.state
        talkers = {str(leg.get("extension") or "") for leg in record.get("legs", [])}
        rung = {str(getattr(fact, "extension", "")) for fact in facts}
        return KeptCall(
            row,
            record,
            facts,
            await journal.reasons(conn, call),
            (await lanes.load(conn, [call])).get(call, []),
            await recordings.of_call(conn, call),
            await search.names(conn, (talkers | rung | {row.last_talker}) - {""}),
        )
