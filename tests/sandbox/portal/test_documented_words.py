"""Every error that a handler takes out of the contract is there: found by reading the handlers' source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from perezvon.sandbox.portal import handlers
from perezvon.sandbox.portal.handlers.documented import documented

HANDLERS = Path(handlers.__path__[0])


def _uses() -> Iterator[tuple[str, str, str]]:
    """(file and line, method, words) of each `documented(…)` whose arguments can be read off the source."""
    for file in sorted(HANDLERS.glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            names = {
                target.id: node.value.value
                for node in ast.walk(function)
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            for node in ast.walk(function):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "documented"):
                    continue
                method, words = (
                    arg.value if isinstance(arg, ast.Constant) else names.get(arg.id) if isinstance(arg, ast.Name) else None
                    for arg in node.args[:2]
                )
                if isinstance(method, str) and isinstance(words, str):
                    yield f"{file.name}:{node.lineno}", method, words


USES = sorted(set(_uses()))


def test_many_uses_were_found() -> None:
    assert len(USES) > 100


@pytest.mark.parametrize(("place", "method", "words"), USES)
def test_the_contract_has_this_error(place: str, method: str, words: str) -> None:
    assert documented(method, words).description, place


def test_an_error_that_is_not_there_is_named() -> None:
    with pytest.raises(LookupError, match=r"crm\.lead\.get: the contract has no error about 'nonsense'"):
        documented("crm.lead.get", "nonsense")
