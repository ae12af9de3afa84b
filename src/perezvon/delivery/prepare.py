"""Makes the requests: references become values or `$result[…]`, recordings become content or an upload."""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perezvon.bitrix24.encoding import Command, ResultRef
from perezvon.bitrix24.values import mapping, text
from perezvon.delivery import entity
from perezvon.delivery.activity import fields_of, params_of
from perezvon.delivery.after import Ask
from perezvon.delivery.kinds import FILE, KINDS, LINK
from perezvon.delivery.runs import Move, source
from perezvon.delivery.tasks import Errand
from perezvon.rules.vocabulary import Kind, Ref
from perezvon.storage.steps import State, Step

# What a byte of a file becomes in a batch: base64, then the escapes of a query string for its "+", "/" and "=".
_SWELLING = 4 / 3 * 1.07
_ORDINARY = 600
# What a Cyrillic letter becomes there.
_ESCAPED = 6


class CannotPrepare(Exception):
    """The step can never be sent; the text says why."""


class NotNow(Exception):
    """Its file cannot be read at present: no file handle is free, or the disk fails."""


_GONE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)


@dataclass(frozen=True, slots=True)
class Upload:
    """The two requests of a large recording."""

    params: dict[str, Any]
    filename: str
    file: Path


def key(step: Step) -> str:
    return f"s{step.id}"


def is_large(step: Step, limit: int) -> bool:
    """Whether the step's file has more than `limit` bytes. A file that is gone is not: it fails when it is read."""
    return FILE in step.params and not _small(step) and file_size(step) > limit


def _small(step: Step) -> bool:
    """It names a file that itself is not sent."""
    return LINK in step.params or KINDS[step.kind].aside


def file_size(step: Step) -> int:
    try:
        return Path(text(step.params.get(FILE))).stat().st_size
    except OSError:
        return 0


def weight(move: Move) -> int:
    """About how many bytes the move adds to a batch."""
    if isinstance(move.probe, (Errand, Ask)):
        return _ORDINARY + _ESCAPED * len(str(move.probe.params))
    if move.probe is not None:
        return _ORDINARY
    if move.step.kind is Kind.ENTITY:
        return _ORDINARY + _ESCAPED * entity.size_of(move.step)
    if KINDS[move.step.kind].aside:
        return _ORDINARY + _ESCAPED * sum(len(str(value)) for value in fields_of(move.step).values())
    carries = FILE in move.step.params and not _small(move.step)
    return _ORDINARY + (int(file_size(move.step) * _SWELLING) if carries else 0)


def no_links(recording: str) -> str:
    raise CannotPrepare(f"no address can be given to recording {recording}: recordings.public_url is not set")


def command(move: Move, lane: Collection[Step], riding: Collection[int], link: Callable[[str], str] = no_links) -> Command:
    """`lane`: all its steps. `riding`: ids of the steps before it in the same batch. `link`: gives the address of a
    recording. Reads the file: not in the event loop.

    Raises CannotPrepare, NotNow.
    """
    if move.probe is not None:
        return Command(key(move.step), move.probe.method, move.probe.params)
    if move.step.kind is Kind.ENTITY:
        return Command(key(move.step), move.method, entity.params_of(move.step))
    params = _resolved(move.step, lane, riding)
    if KINDS[move.step.kind].aside:
        params = params_of(move.step, params.get("id"))
    if LINK in params:
        params.pop(FILE, None)
        subject = text(params.pop(LINK))
        params["RECORD_URL"] = params.get("RECORD_URL") or link(subject)
    if FILE in params:
        file = Path(params.pop(FILE))
        try:
            content = file.read_bytes()
        except _GONE as error:
            raise CannotPrepare(f"the recording {file} cannot be read any more: {error.strerror}") from error
        except OSError as error:
            raise NotNow(f"the recording {file} cannot be read now: {error.strerror}") from error
        params["FILE_CONTENT"] = base64.b64encode(content).decode("ascii")
    return Command(key(move.step), move.method, params)


def upload(move: Move, lane: Collection[Step]) -> Upload:
    """Raises CannotPrepare."""
    params = _resolved(move.step, lane, ())
    file = Path(params.pop(FILE))
    if not file.is_file():
        raise CannotPrepare(f"the recording {file} is not there any more")
    return Upload(params, text(params.get("FILENAME")) or file.name, file)


def _resolved(step: Step, lane: Collection[Step], riding: Collection[int]) -> dict[str, Any]:
    return {
        name: _value(step, value, lane, riding) if isinstance(value, Ref) else value for name, value in step.params.items()
    }


def _value(step: Step, ref: Ref, lane: Collection[Step], riding: Collection[int]) -> Any:
    named = source(list(lane), step, ref.kind)
    if named is not None and named.state is State.DONE:
        value = mapping(named.result).get(ref.field)
        if value in (None, ""):
            raise CannotPrepare(f"the portal's answer to {ref.kind} has no {ref.field}")
        return value
    if named is not None and named.id in riding:
        return ResultRef(key(named), (ref.field,))
    raise CannotPrepare(f"{ref.field} of {ref.kind} is not known")
