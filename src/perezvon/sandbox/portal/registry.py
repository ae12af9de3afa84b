"""Which REST methods the pretend portal can do: handlers register themselves here by the contract's name.

    @method("crm.lead.get")
    async def lead_get(portal: PortalState, who: Caller, params: Params) -> Json:
        ...
        raise RestError("", "Not found", 400)

A handler runs after the checks of `checks.py` (method known, caller allowed, scope, required parameters, names, types,
enumerations). It returns the `result`, or a `Page` for a list with `total` and `next`. It never awaits anything slow: no
other request runs between its lines unless it awaits.
"""

from __future__ import annotations

import importlib
import pkgutil
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.files import ExpectedUpload
from perezvon.sandbox.portal.params import Params
from perezvon.sandbox.portal.state import PortalState

Json = Any
PAGE = 50


class RestError(Exception):
    """What the portal answers instead of a result: `{"error": code, "error_description": description}` with `http`."""

    def __init__(
        self,
        code: str,
        description: str,
        http: int = 400,
        *,
        argument: str = "",
        validation: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
        self.http = http
        self.argument = argument
        self.validation = tuple(validation)
        """REST v3 only: [{"field", "message"}]."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. `app` is the client_id of the application; for a webhook "webhook:<id>", so that its lines and calls have
    an owner too when `strict_app_context` is off.

    `token`: the access token or the webhook's secret; `rest_url`: the address (ending in /) under which this caller reaches
    the REST methods: upload links are built from it.
    """

    user_id: int
    kind: Literal["oauth", "webhook"]
    scopes: frozenset[str]
    app: str
    app_id: int = 0
    app_name: str = ""
    token: str = field(default="", repr=False)
    rest_url: str = ""
    ip: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list. `total` None: not counted (start=-1); `next` None: the last page."""

    items: Json
    total: int | None
    next: int | None


Handler = Callable[[PortalState, Caller, Params], Awaitable[Json]]


@dataclass(frozen=True, slots=True)
class Registered:
    name: str
    handler: Handler
    checks_itself: frozenset[str]


_registered: dict[str, Registered] = {}


def method(name: str, *, checks_itself: Sequence[str] = ()) -> Callable[[Handler], Handler]:
    """Register the handler of the REST method `name` (the contract's spelling).

    `checks_itself`: parameters whose presence, type and enumeration the handler judges, because the documentation gives
    them errors of their own; unknown names are still refused.
    """
    if name.lower() not in contract().methods:
        raise ValueError(f"{name}: not a method of the contract; check the spelling")

    def register(handler: Handler) -> Handler:
        if name.lower() in _registered:
            raise ValueError(
                f"{name}: registered twice, by {_registered[name.lower()].handler.__module__} and {handler.__module__}"
            )
        _registered[name.lower()] = Registered(name, handler, frozenset(checks_itself))
        return handler

    return register


def registered() -> Mapping[str, Registered]:
    """All handlers by lower-case method name. Imports every module of `handlers` the first time."""
    package = importlib.import_module("perezvon.sandbox.portal.handlers")
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
    return _registered


def page_of(items: Sequence[Json], start: int, size: int = PAGE) -> Page:
    """The page of `items` (all that match) that begins at `start`; -1 gives the first page uncounted."""
    if start < 0:
        return Page(list(items[:size]), None, None)
    following = start + size
    return Page(list(items[start:following]), len(items), following if following < len(items) else None)


def expect_upload(
    portal: PortalState, who: Caller, name: str, complete: Callable[[str, bytes], Json], call_id: str = ""
) -> dict[str, str]:
    """Answer the first step of a two-step upload: where to post the file, in a multipart field. `complete(name,
    content)` runs at the second step and gives its `result`. The address holds the caller's token and dies with it."""
    token = secrets.token_urlsafe(18)
    portal.uploads[token] = ExpectedUpload(name, "file", who.user_id, complete, call_id)
    auth = f"auth={who.token}&" if who.kind == "oauth" else ""
    return {"uploadUrl": f"{who.rest_url}upload/?{auth}token={token}", "fieldName": "file"}
