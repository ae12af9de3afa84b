"""What was asked of the portal and what it answered, request by request: the tests' witness."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

Json = Any
LONGEST = 400
HIDDEN = frozenset({"auth", "access_token", "refresh_token", "client_secret", "code"})


@dataclass(slots=True)
class Entry:
    """One HTTP request, or one command of a batch (`batch` is then the number of the batch's own entry).

    `method`: REST method as the contract spells it (as asked when unknown), or "oauth.token", "upload", "download".
    `at`: POSIX seconds by the portal's clock; `monotonic`: seconds on the machine's monotonic clock when the request
    arrived.
    `ms`: time to answer. `error`: the code, "" when it went well. `fault`: which fault struck. `answered` is False when the
    client never got the answer.
    """

    number: int
    at: float
    monotonic: float
    method: str
    params: dict[str, Json]
    caller: str
    ip: str
    batch: int | None = None
    result: Json = None
    error: str = ""
    description: str = ""
    http: int = 0
    ms: float = 0.0
    fault: str = ""
    answered: bool = True
    call_id: str = ""

    def as_json(self) -> dict[str, Json]:
        return {name: getattr(self, name) for name in self.__slots__}


class Journal:
    def __init__(self, limit: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=limit)
        self._last = 0
        self.http_requests = 0
        """Real HTTP requests to REST methods (a batch is one; refused, failed and upload requests count; tokens and
        downloads do not)."""

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def open(
        self,
        at: float,
        monotonic: float,
        method: str,
        params: dict[str, Json],
        caller: str,
        ip: str,
        batch: int | None = None,
    ) -> Entry:
        self._last += 1
        entry = Entry(self._last, at, monotonic, method, brief(params), caller, ip, batch)
        self._entries.append(entry)
        return entry

    def of(self, method: str) -> list[Entry]:
        """Entries of one method, batched or not."""
        return [entry for entry in self._entries if entry.method.lower() == method.lower()]

    def since(self, number: int) -> list[Entry]:
        return [entry for entry in self._entries if entry.number > number]

    def counts(self) -> dict[str, int]:
        """How often each method ran, commands of batches included."""
        return dict(Counter(entry.method for entry in self._entries))

    def clear(self) -> None:
        self._entries.clear()
        self.http_requests = 0


def brief(value: Json) -> Json:
    """A copy with long texts cut and secrets left out."""
    if isinstance(value, dict):
        pairs = cast("dict[str, Json]", value).items()
        return {key: "***" if key in HIDDEN else brief(item) for key, item in pairs}
    if isinstance(value, list):
        return [brief(item) for item in cast("list[Json]", value)]
    if isinstance(value, str) and len(value) > LONGEST:
        return f"{value[:60]}… ({len(value)} characters)"
    return value
