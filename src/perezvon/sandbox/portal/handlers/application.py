"""What the portal says about itself and the calling application: app.*, user.option.*, scope, method.get, methods,
feature.get, server.time."""

from __future__ import annotations

from typing import Any

from perezvon.sandbox.portal.checks import check_caller
from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.oauth import App
from perezvon.sandbox.portal.params import Params
from perezvon.sandbox.portal.registry import Caller, RestError, method
from perezvon.sandbox.portal.state import PortalState

Json = Any


def app_of(portal: PortalState, who: Caller) -> App:
    """The calling application; the checks let no webhook come here."""
    return portal.authority.apps[who.app]


@method("app.info")
async def app_info(portal: PortalState, who: Caller, params: Params) -> Json:
    del params
    app = app_of(portal, who)
    language, _, plan = portal.config.license.partition("_")
    return {
        "ID": app.id,
        "CODE": app.client_id,
        "VERSION": app.version,
        "STATUS": "L",
        "INSTALLED": app.installed,
        "PAYMENT_EXPIRED": "N",
        "DAYS": None,
        "LANGUAGE_ID": language,
        "LICENSE": portal.config.license,
        "LICENSE_TYPE": plan,
        "LICENSE_FAMILY": plan.rstrip("0123456789"),
    }


@method("app.option.get")
async def app_option_get(portal: PortalState, who: Caller, params: Params) -> Json:
    return _option(app_of(portal, who).options, params)


@method("app.option.set", checks_itself=("options",))
async def app_option_set(portal: PortalState, who: Caller, params: Params) -> Json:
    return _set_options(app_of(portal, who).options, params)


@method("user.option.get")
async def user_option_get(portal: PortalState, who: Caller, params: Params) -> Json:
    return _option(app_of(portal, who).user_options.setdefault(who.user_id, {}), params)


@method("user.option.set", checks_itself=("options",))
async def user_option_set(portal: PortalState, who: Caller, params: Params) -> Json:
    return _set_options(app_of(portal, who).user_options.setdefault(who.user_id, {}), params)


def _option(options: dict[str, Json], params: Params) -> Json:
    name = params.text("option")
    return options.get(name) if name else dict(options)


def _set_options(options: dict[str, Json], params: Params) -> bool:
    given = params.mapping("options")
    if not given:
        raise RestError("ArgumentNullException", "options is empty")
    options.update(given)
    return True


@method("scope")
async def scope(portal: PortalState, who: Caller, params: Params) -> Json:
    del portal
    return sorted(_all_scopes() if params.flag("full") else who.scopes)


@method("method.get")
async def method_get(portal: PortalState, who: Caller, params: Params) -> Json:
    """Names are compared in lower case as they come: another spelling does not exist."""
    spec = contract().methods.get(params.text("name")) if params.text("name") else None
    if spec is None:
        return {"isExisting": False, "isAvailable": False}
    try:
        check_caller(portal, spec, who)
    except RestError:
        return {"isExisting": True, "isAvailable": False}
    return {"isExisting": True, "isAvailable": True}


@method("methods")
async def methods(portal: PortalState, who: Caller, params: Params) -> Json:
    del portal
    wanted = params.text("scope")
    names: list[str] = []
    for name, spec in contract().methods.items():
        granted = params.flag("full") or not spec.scopes or bool(who.scopes & set(spec.scopes))
        if granted and (not wanted or wanted in spec.scopes):
            names.append(name)
    return names


@method("feature.get", checks_itself=("CODE",))
async def feature_get(portal: PortalState, who: Caller, params: Params) -> Json:
    del who
    if not params.text("CODE"):
        raise RestError("CODE_EMPTY", "CODE can't be empty")
    return {"value": "Y" if params.text("CODE") in portal.config.features else "N"}


@method("server.time")
async def server_time(portal: PortalState, who: Caller, params: Params) -> Json:
    del who, params
    return portal.iso()


def _all_scopes() -> set[str]:
    return {scope for spec in contract().methods.values() for scope in spec.scopes}
