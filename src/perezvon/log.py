"""The log: one line an event, JSON or coloured, for everything in the process, with secrets taken out.

structlog is ours and writes by itself; the standard library's records (uvicorn, aiohttp, SQLAlchemy) pass through the same
processors. A secret is caught by its shape (a webhook's path, `auth=…`, `scheme://user:password@`), by the name of its
field, and by its value where the settings are known. An exception is one line with its causes and places; level debug adds
the traceback.

May touch: standard error, and the configuration of structlog and logging.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
import traceback
from collections.abc import Iterable, Mapping, MutableMapping
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from perezvon.bitrix24.redaction import HIDDEN, redact
from perezvon.settings.model import Settings

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["auto", "console", "json"]

_SECRET_NAMES = re.compile(r"(?i)(^|_)(password|secret|token|auth|authorization|webhook|cookie|key_file|credentials)$")
_OWN_FIELDS = frozenset({"_record", "_from_structlog"})
_NOISY = ("uvicorn.access", "aiosqlite", "asyncio", "multipart", "aiohttp.access")

_SHORT = 200
"""Characters of a text that is worth remembering."""

_known_secrets: frozenset[str] = frozenset()


def configure(settings: Settings) -> None:
    """As the settings want it, with their secrets hidden; again whenever they change."""
    hide(settings.secret_values())
    set_up(settings.log.level, settings.log.format)


def set_up(level: Level = "info", format: Format = "auto", stream: TextIO | None = None) -> None:  # noqa: A002
    """For the whole process; may be called again."""
    out: TextIO = sys.stderr if stream is None else stream
    console = format == "console" or (format == "auto" and out.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        one_line_exception,
        without_secrets,
    ]
    rendering: list[Processor] = (
        [_one_line, structlog.dev.ConsoleRenderer(colors=out.isatty())]
        if console
        else [_event_first, structlog.processors.JSONRenderer(_as_json)]
    )
    structlog.configure(
        processors=[*shared, *rendering],
        logger_factory=lambda *name: _Lines(out, *name),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(allow=()), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", *_NOISY):  # uvicorn brings handlers of its own
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


class _Lines:
    """Writes the lines of one of our modules. Past the standard library's machinery, which takes twice as long a line: a
    call has a dozen of them, while a phone rings."""

    def __init__(self, out: TextIO, name: str = "perezvon") -> None:
        self.name = name
        self._out = out

    def msg(self, line: str) -> None:
        """As with the standard library's handlers, a log that cannot be written stops nothing."""
        with contextlib.suppress(OSError, ValueError):
            self._out.write(line + "\n")
            self._out.flush()

    debug = info = warning = warn = error = critical = exception = fatal = failure = log = msg


_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)


def _as_json(event: EventDict, **_: object) -> str:
    return _ENCODER.encode(event)


def hide(secrets: Iterable[str]) -> None:
    """From now on these values are taken out wherever they stand (`Settings.secret_values()`), instead of earlier ones."""
    global _known_secrets  # noqa: PLW0603  the log is one for the process, as logging itself is
    _known_secrets = frozenset(secrets)


def without_secrets(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The redaction processor."""
    return cast("EventDict", {key: _clean(value, key) for key, value in event.items()})


def one_line_exception(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """`exc_info` becomes `exception`: `ValueError: why (calls/tracker.py:88 feed) <- KeyError: 'x' (…)`."""
    info: Any = event.pop("exc_info", None)
    if isinstance(info, tuple):
        info = cast("tuple[Any, BaseException | None, Any]", info)[1]
    elif info is True:
        info = sys.exc_info()[1]
    if isinstance(info, BaseException):
        event["exception"] = told(info)
        if logging.getLogger().isEnabledFor(logging.DEBUG):
            event["traceback"] = "".join(traceback.format_exception(info))
    return event


def told(error: BaseException) -> str:
    """An exception and its causes in one line, each with its kind, message and place."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        message = " ".join(str(current).split())
        place = _place(current.__traceback__)
        parts.append(type(current).__name__ + (f": {message}" if message else "") + (f" ({place})" if place else ""))
        if isinstance(current, BaseExceptionGroup):
            group = cast("BaseExceptionGroup[BaseException]", current)
            parts.append("[" + "; ".join(told(inner) for inner in group.exceptions) + "]")
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return " <- ".join(parts)


def _place(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)
    if not frames:
        return ""
    ours = [frame for frame in frames if f"{Path(__file__).parent}/" in frame.filename]
    frame = (ours or frames)[-1]
    return f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}"


def _clean(value: object, key: str = "") -> object:
    if key in _OWN_FIELDS:
        return value
    if isinstance(value, str):
        return HIDDEN if value and _is_secret_name(key) else _redacted(value, _known_secrets)
    if isinstance(value, Mapping):
        pairs = cast("Mapping[object, object]", value).items()
        return {_clean(name): _clean(item, str(name)) for name, item in pairs}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item, key) for item in cast("Iterable[object]", value)]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _redacted(str(value), _known_secrets)


@lru_cache(maxsize=1024)
def _is_secret_name(key: str) -> bool:
    return _SECRET_NAMES.search(key) is not None


def _redacted(text: str, secrets: frozenset[str]) -> str:
    """Names, call ids and reasons come again and again; looking for secrets in them costs more than writing the line."""
    return _redacted_before(text, secrets) if len(text) <= _SHORT else redact(text, secrets)


@lru_cache(maxsize=4096)
def _redacted_before(text: str, secrets: frozenset[str]) -> str:
    return redact(text, secrets)


def _event_first(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Time, level and event lead the line, whatever else it has."""
    leading = ("timestamp", "level", "event")
    ordered: MutableMapping[str, Any] = {key: event[key] for key in leading if key in event}
    return cast("EventDict", ordered | {key: value for key, value in event.items() if key not in leading})


def _one_line(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A caller's name with line breaks or terminal codes in it stays one harmless line."""
    return cast("EventDict", {key: _printable(value) if key != "traceback" else value for key, value in event.items()})


def _printable(value: object) -> object:
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in value)
