"""What the portal checks before a handler runs, read out of the contract: caller, scope, parameters.

Errors are the documented ones of the method where one fits. What a real portal would silently ignore or cast (an unknown
parameter, a wrong type, a value outside its enumeration) is an integrator's mistake: with `strict_params` it is refused
with a code of ours, SANDBOX_UNKNOWN_PARAMETER or SANDBOX_WRONG_VALUE.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

from perezvon.sandbox.portal.contract import ErrorSpec, MethodSpec, ParamSpec, contract
from perezvon.sandbox.portal.params import Params
from perezvon.sandbox.portal.registry import Caller, Registered, RestError
from perezvon.sandbox.portal.state import PortalState

Json = Any
ANY_CASE = frozenset({"filter", "order", "select", "sort", "start"})
ABOUT_ABSENCE = re.compile(r"empty|set|should|must|required|specified|null|defined", re.IGNORECASE)


def check_caller(portal: PortalState, spec: MethodSpec, who: Caller) -> None:
    """Right kind of authorization, scope granted, rights enough."""
    lenient = not portal.config.strict_app_context and spec.name.lower().startswith("telephony.")
    if spec.app_only and who.kind != "oauth" and not lenient:
        raise _wrong_context(spec)
    if spec.scopes and not who.scopes & set(spec.scopes):
        error = contract().system_error("insufficient_scope")
        raise RestError(error.code, error.description, error.http)
    user = portal.people.users[who.user_id]
    needed = spec.who.removeprefix("perm:")
    refused = spec.who == "admin" or (needed.startswith("telephony.") and needed not in user.permissions)
    if refused and not user.admin:
        raise _no_rights(spec)


def check_params(portal: PortalState, spec: MethodSpec, registered: Registered, values: Mapping[str, Json]) -> Params:
    """The parameters under the contract's names; raises for what is missing, unknown or wrong."""
    strict = portal.config.strict_params
    if spec.any_params:
        return Params(values)
    known = {name.lower(): name for name in spec.params if name.lower() in ANY_CASE}
    if spec.paged:
        known.setdefault("start", "start")
    named: dict[str, Json] = {}
    for name, value in values.items():
        spelled = name if name in spec.params else known.get(name.lower())
        if spelled is not None:
            named[spelled] = value
        elif strict:
            hint = next((p for p in spec.params if p.lower() == name.lower()), "")
            raise RestError(
                "SANDBOX_UNKNOWN_PARAMETER",
                f"{spec.name} has no parameter {name!r} in the documentation"
                + (f"; it is spelled {hint!r}" if hint else "; a real portal would ignore it"),
                argument=name,
            )
    params = Params(named)
    checked = [param for param in spec.params.values() if param.name not in registered.checks_itself]
    for param in checked:
        if param.required and _absent(params.get(param.name)):
            raise _missing(spec, param.name)
    for group in spec.one_of:
        if not registered.checks_itself & set(group) and all(_absent(params.get(name)) for name in group):
            raise _missing(spec, *group)
    if strict:
        for param in checked:
            if param.name in params:
                _check_value(spec, param, params[param.name])
    return params


def _absent(value: Json) -> bool:
    return value is None or value == ""


def _check_value(spec: MethodSpec, param: ParamSpec, value: Json) -> None:
    if not fits(param.type, value):
        raise RestError(
            "SANDBOX_WRONG_VALUE",
            f"{spec.name}: {param.name} should be {param.type}, got {type(value).__name__} {str(value)[:60]!r}",
            argument=param.name,
        )
    if param.enum and param.type in {"string", "integer"} and not _absent(value):
        wanted = {value.upper() for value in param.enum} if "ASC" in param.enum else set(param.enum)
        given = str(value).upper() if "ASC" in param.enum else str(value)
        if given not in wanted:
            raise RestError(
                "SANDBOX_WRONG_VALUE",
                f"{spec.name}: {param.name} should be one of {', '.join(param.enum)}, got {str(value)[:60]!r}",
                argument=param.name,
            )


def fits(type_: str, value: Json) -> bool:
    """Whether a value, from JSON or out of a form, can be of the documented type. An empty text always can: forms send
    it."""
    if value == "":
        return True
    return any(_fits(alternative.strip(), value) for alternative in re.split(r"\s*\|\s*", type_))


def _fits(type_: str, value: Json) -> bool:
    if type_.endswith("[]"):
        return isinstance(value, (list, dict)) and all(_fits(type_[:-2], item) for item in _items(value))
    test = _TESTS.get(type_)
    return True if test is None else test(value)


def _items(value: Json) -> list[Json]:
    return list(cast("dict[str, Json]", value).values()) if isinstance(value, dict) else cast("list[Json]", value)


def _is_text(value: Json) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _is_integer(value: Json) -> bool:
    return not isinstance(value, bool) and (isinstance(value, int) or re.fullmatch(r"-?\d+", str(value)) is not None)


def _is_number(value: Json) -> bool:
    return _is_text(value) and re.fullmatch(r"-?\d+(\.\d+)?([eE][-+]?\d+)?", str(value)) is not None


def _is_flag(value: Json) -> bool:
    return isinstance(value, bool) or str(value).lower() in {"0", "1", "y", "n", "true", "false"}


def _is_map(value: Json) -> bool:
    return isinstance(value, dict) or value == []


def _is_array(value: Json) -> bool:
    return isinstance(value, (list, dict))


def _is_date(value: Json) -> bool:
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        return re.fullmatch(r"\d\d\.\d\d\.\d{4}( \d\d:\d\d(:\d\d)?)?", str(value)) is not None
    return True


_TESTS: dict[str, Callable[[Json], bool]] = {
    "string": _is_text,
    "text": _is_text,
    "char": _is_text,
    "integer": _is_integer,
    "double": _is_number,
    "boolean": _is_flag,
    "object": _is_map,
    "array": _is_array,
    "date": _is_date,
    "datetime": _is_date,
}


def _wrong_context(spec: MethodSpec) -> RestError:
    code = spec.raw["auth"].get("error_code")
    for error in spec.errors:
        if error.code in {code, "WRONG_AUTH_TYPE"} or "pplication context" in error.description:
            return _documented(error, generic="Current authorization type is denied for this method")
    system = contract().system_error("WRONG_AUTH_TYPE")
    return RestError(code or system.code, system.description, system.http)


def _no_rights(spec: MethodSpec) -> RestError:
    for error in spec.errors:
        if "dministrator" in error.description and "vent" not in error.description:
            return _documented(error)
    for error in spec.errors:
        if error.code == "ACCESS_DENIED" or error.description.lower().startswith("access"):
            return _documented(error)
    return RestError("ACCESS_DENIED", "Access denied!", 403)


def _missing(spec: MethodSpec, *names: str) -> RestError:
    for error in spec.errors:
        about = [name for name in names if re.search(rf"\b{re.escape(name)}\b", error.description)]
        if about and ABOUT_ABSENCE.search(error.description):
            return _documented(error, argument=names[0])
    return RestError("ERROR_ARGUMENT", f"Argument '{names[0]}' is null or empty", 400, argument=names[0])


def _documented(error: ErrorSpec, *, generic: str = "", argument: str = "") -> RestError:
    text = generic if generic and "docs silent" in error.description else error.description
    return RestError(error.code, text, error.http, argument=argument)
