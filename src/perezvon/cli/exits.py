"""How commands end: exit codes for scripts, errors in words for people. docs/commands.md describes the codes.

Expected errors are told in one line (or as JSON) without a traceback; `--verbose` shows it. Anything else is a defect.
"""

from __future__ import annotations

import functools
import json
import sys
import traceback
from collections.abc import Callable
from enum import IntEnum
from typing import Any, NoReturn, ParamSpec, TypeVar

import typer

from perezvon import log
from perezvon.asterisk.cel import CelUnreadable
from perezvon.asterisk.cel_trouble import CelDatabaseTrouble
from perezvon.asterisk.wiring.errors import HandChanged, WiringError
from perezvon.calls.recorded import RecordingError
from perezvon.cli.speech import Speech
from perezvon.settings.errors import InvalidSettings, SettingsError, told
from perezvon.storage.errors import AlreadyOwned, StorageError

P = ParamSpec("P")
R = TypeVar("R")


class Exit(IntEnum):
    OK = 0
    PROBLEM = 1
    USAGE = 2
    UNAVAILABLE = 3
    IN_USE = 4
    DEFECT = 70
    INTERRUPTED = 130


MEANING = {
    Exit.OK: "done, and all is well",
    Exit.PROBLEM: "the doctor, or a look at the menus, at a number or at the customisation, found a problem; the PBX's "
    "configuration was changed by hand, or Asterisk does not read it",
    Exit.USAGE: "wrong options, a wrong settings file, a file that cannot be read",
    Exit.UNAVAILABLE: "something needed cannot be had: the database, the data directory, the PBX's log, the address to "
    "listen at",
    Exit.IN_USE: "another perezvon works with this data directory",
    Exit.DEFECT: "an error of Perezvon itself: report it",
    Exit.INTERRUPTED: "stopped by Ctrl-C",
}


class Refusal(Exception):
    """A command cannot be done, for a reason that is told to the user."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.code = code


def kindly(command: Callable[P, R]) -> Callable[P, R]:
    """Wraps a command that has the options `json` and `verbose`: sets up the log, and tells errors as described above."""
    return _wrapped(command, "warning")


def answering(command: Callable[P, R]) -> Callable[P, R]:
    """The same for a command whose answer has in it what is wrong: the log need not say it once more."""
    return _wrapped(command, "error")


def _wrapped(command: Callable[P, R], level: log.Level) -> Callable[P, R]:
    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        verbose = bool(kwargs.get("verbose"))
        log.set_up("debug" if verbose else level, "console")
        speech = Speech(as_json=bool(kwargs.get("json")))
        try:
            return command(*args, **kwargs)
        except typer.Exit:
            raise
        except KeyboardInterrupt:
            raise typer.Exit(Exit.INTERRUPTED) from None
        except Exception as error:
            if verbose:
                traceback.print_exc()
            _end(error, speech, verbose=verbose)

    return run


def _end(error: Exception, speech: Speech, *, verbose: bool) -> NoReturn:
    code, message = _sorted(error, speech)
    if speech.as_json:
        answer: dict[str, Any] = {"error": message, "exit": code.name.lower()}
        if isinstance(error, InvalidSettings):
            answer["mistakes"] = [
                {"path": mistake.path, "line": mistake.line, "text": told(mistake.reason, speech.translate)}
                for mistake in error.mistakes
            ]
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    else:
        speech.complain(message)
        if code is Exit.DEFECT and not verbose:
            speech.complain(speech.translate("This is an error of Perezvon itself; --verbose shows where."))
    raise typer.Exit(code)


def _sorted(error: Exception, speech: Speech) -> tuple[Exit, str]:
    match error:
        case Refusal():
            return error.code, str(error)
        case SettingsError():
            return Exit.USAGE, error.told(speech.translate)
        case WiringError():
            return Exit.PROBLEM if isinstance(error, HandChanged) else Exit.USAGE, told(error.reason, speech.translate)
        case AlreadyOwned():
            return Exit.IN_USE, str(error)
        case StorageError():
            return Exit.UNAVAILABLE, str(error)
        case RecordingError():
            return Exit.USAGE, str(error)
        case CelDatabaseTrouble():
            return Exit.UNAVAILABLE, f"{told(error.seen, speech.translate)}: {told(error.fix, speech.translate)}"
        case CelUnreadable():
            return Exit.UNAVAILABLE, f"{error.filename}: {error.strerror}"
        case OSError() if error.filename:
            return Exit.USAGE, f"{error.filename}: {error.strerror}"
        case _:
            return Exit.DEFECT, log.told(error)
