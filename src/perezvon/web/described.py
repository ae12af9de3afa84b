"""The description of the API (OpenAPI 3.1): what FastAPI tells of the routes, and what it cannot know: the right that each
wants, and how refusals are answered. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from perezvon.web.rights import wanted_by

FAILURES: Mapping[int, str] = {
    401: "Nobody has signed in, and no good token was shown",
    403: "Whoever asks has no right to this",
    503: "The service cannot answer now: its database is in trouble, or too many ask",
}
ERROR: Mapping[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string", "description": "stays the same whatever the words are"},
        "message": {"type": "string", "description": "in the language of whoever asks"},
        "why": {"type": "string"},
    },
}

_OF_THE_FRAMEWORK = ("HTTPValidationError", "ValidationError")
"""No answer of ours is one of these."""


def described(told: Mapping[str, Any], routes: Iterable[tuple[str, str, object]]) -> dict[str, Any]:
    """`told`: FastAPI's description, which stays as it is. `routes`: method, path and function of each."""
    whole = deepcopy(dict(told))
    functions = {(method.lower(), path): endpoint for method, path, endpoint in routes}
    parts = whole.setdefault("components", {})
    models = {name: one for name, one in parts.get("schemas", {}).items() if name not in _OF_THE_FRAMEWORK}
    parts["schemas"] = {**models, "Error": dict(ERROR)}
    parts["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "pzt_…, made at /account; or a badge of a call's card"}
    }
    for path, methods in whole["paths"].items():
        for method, operation in methods.items():
            right = wanted_by(functions.get((method, path)))
            answers: dict[str, Any] = operation["responses"]
            answers.pop("422", None) if "HTTPValidationError" in str(answers.get("422")) else None
            wanted = {} if right is None else dict(FAILURES)
            if "{" in path:
                wanted[404] = "There is nothing of this name"
            for status, words in wanted.items():
                answers.setdefault(str(status), {"description": words})
            for status, answer in answers.items():
                if status >= "400":
                    answer.setdefault("content", _refusal(path))
            if right is not None:
                operation["x-right"] = right.value
                operation["security"] = [{"token": []}]
            operation["responses"] = dict(sorted(answers.items()))
    return whole


def _refusal(path: str) -> dict[str, Any]:
    """Programs get JSON; what serves people too says it in words (but a database that is away: in JSON everywhere)."""
    json = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return json if path.startswith("/api/") else {**json, "text/plain": {"schema": {"type": "string"}}}
