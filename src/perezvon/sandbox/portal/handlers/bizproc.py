"""bizproc.*: robots of an application and what they answered, workflows started. Recorded; the portal runs none by itself.

A test or the face runs one with `run_robot`: the handler of the application gets what the tutorial shows.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perezvon.sandbox.portal.handlers.documented import documented
from perezvon.sandbox.portal.params import Params, as_list, as_mapping
from perezvon.sandbox.portal.registry import Caller, RestError, method
from perezvon.sandbox.portal.state import PortalState

Json = Any
CODE = re.compile(r"[a-zA-Z0-9.\-_]+")
PROPERTY = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*")
DOCUMENTS = frozenset({"CCrmDocumentLead", "CCrmDocumentDeal", "CCrmDocumentContact", "CCrmDocumentCompany"})


@dataclass(slots=True)
class Robot:
    app: str
    code: str
    fields: dict[str, Json]

    @property
    def waits(self) -> bool:
        """For bizproc.event.send: unless USE_SUBSCRIPTION is N."""
        return str(self.fields.get("USE_SUBSCRIPTION", "")).upper() != "N"


class Bizproc:
    """`tokens`: open event tokens -> robot code. `answers`: what bizproc.event.send brought. `started`: workflows."""

    def __init__(self) -> None:
        self.robots: dict[tuple[str, str], Robot] = {}
        self.tokens: dict[str, str] = {}
        self.answers: list[dict[str, Json]] = []
        self.started: list[dict[str, Json]] = []


def run_robot(portal: PortalState, app: str, code: str, document: str, properties: dict[str, Json]) -> str:
    """Post the robot's call to its handler, as automation does; gives the event token. `document`: LEAD_5, DEAL_7.

    The form's keys stand by themselves, not below `data` (tutorial). Which there are besides `properties`, `document_id`
    and `auth`, the documentation does not say.
    """
    board = portal.part(Bizproc)
    robot = board.robots[app, code]
    token = secrets.token_hex(16)
    board.tokens[token] = code
    owner = portal.authority.apps[app]
    auth = portal.events.auth_block(owner, portal.config.app_user, with_refresh=False)
    type_ = document.rpartition("_")[0]
    class_name = f"CCrmDocument{type_.capitalize()}"
    form: dict[str, Json] = {
        "event_token": token,
        "code": code,
        "document_id": ["crm", class_name, document],
        "document_type": ["crm", class_name, type_],
        "properties": properties,
        "use_subscription": "Y" if robot.waits else "N",
    }
    portal.events.post_form(f"robot {code}", str(robot.fields["HANDLER"]), form, auth)
    return token


def _url(name: str, value: str) -> None:
    if value.partition("://")[0] not in ("http", "https"):
        raise documented(name, "ERROR_UNSUPPORTED_PROTOCOL")
    if not re.fullmatch(r"https?://[^/\s]+.*", value):
        raise documented(name, "ERROR_WRONG_HANDLER_URL")


def _code(name: str, params: Params) -> str:
    code = params.text("CODE")
    if not code:
        raise documented(name, "Empty activity code")
    if not CODE.fullmatch(code):
        raise documented(name, "Wrong activity code")
    return code


def _checked(name: str, fields: Mapping[str, Json]) -> None:
    for part in ("PROPERTIES", "RETURN_PROPERTIES"):
        given = fields.get(part)
        if given in (None, "", []):
            continue
        if not isinstance(given, Mapping):
            raise documented(name, "Wrong properties array")
        for key, one in as_mapping(given).items():
            if not PROPERTY.fullmatch(key):
                raise RestError("ERROR_ACTIVITY_VALIDATION_FAILURE", f"Wrong property key {key}!")
            if not as_mapping(one).get("Name"):
                raise RestError("ERROR_ACTIVITY_VALIDATION_FAILURE", f"Empty property NAME {key}!")
    document = fields.get("DOCUMENT_TYPE")
    if document and len(as_list(document)) != 3:
        raise documented(name, "Wrong activity DOCUMENT_TYPE")
    if fields.get("FILTER") and not isinstance(fields["FILTER"], Mapping):
        raise documented(name, "Wrong activity FILTER")


@method("bizproc.robot.add", checks_itself=("CODE", "HANDLER", "NAME", "PROPERTIES", "RETURN_PROPERTIES", "FILTER"))
async def robot_add(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "bizproc.robot.add"
    code = _code(name, params)
    _url(name, params.text("HANDLER"))
    if not params.get("NAME"):
        raise documented(name, "Empty activity NAME")
    _checked(name, params)
    robots = portal.part(Bizproc).robots
    if (who.app, code) in robots:
        raise documented(name, "ERROR_ACTIVITY_ALREADY_INSTALLED")
    robots[who.app, code] = Robot(who.app, code, dict(params))
    return True


def _own(portal: PortalState, name: str, who: Caller, params: Params) -> Robot:
    robot = portal.part(Bizproc).robots.get((who.app, _code(name, params)))
    if robot is None:
        raise documented(name, "ERROR_ACTIVITY_NOT_FOUND")
    return robot


@method("bizproc.robot.update", checks_itself=("CODE", "FIELDS"))
async def robot_update(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "bizproc.robot.update"
    robot = _own(portal, name, who, params)
    fields = params.mapping("FIELDS")
    if not fields:
        raise documented(name, "No fields to update")
    if "HANDLER" in fields:
        _url(name, str(fields["HANDLER"]))
    _checked(name, fields)
    robot.fields |= fields
    return True


@method("bizproc.robot.delete", checks_itself=("CODE",))
async def robot_delete(portal: PortalState, who: Caller, params: Params) -> Json:
    robot = _own(portal, "bizproc.robot.delete", who, params)
    del portal.part(Bizproc).robots[robot.app, robot.code]
    return True


@method("bizproc.robot.list")
async def robot_list(portal: PortalState, who: Caller, params: Params) -> Json:
    return [code for app, code in portal.part(Bizproc).robots if app == who.app]


@method("bizproc.event.send")
async def event_send(portal: PortalState, who: Caller, params: Params) -> Json:
    board = portal.part(Bizproc)
    code = board.tokens.pop(params.text("EVENT_TOKEN"), None)
    if code is None:
        raise documented("bizproc.event.send", "ACCESS_DENIED")
    board.answers.append({"code": code, "values": params.mapping("RETURN_VALUES"), "log": params.text("LOG_MESSAGE")})
    return True


@method("bizproc.workflow.start", checks_itself=("TEMPLATE_ID", "DOCUMENT_ID"))
async def workflow_start(portal: PortalState, who: Caller, params: Params) -> Json:
    """Every positive template number is there: starting one is noted and gives an id."""
    name = "bizproc.workflow.start"
    if params.integer("TEMPLATE_ID") <= 0:
        raise documented(name, "Empty TEMPLATE_ID")
    document = [str(part) for part in params.items_of("DOCUMENT_ID")]
    if len(document) != 3:
        raise documented(name, "Wrong DOCUMENT_ID")
    type_, _, number = document[2].rpartition("_")
    if document[0] != "crm" or document[1] not in DOCUMENTS:
        raise documented(name, "Incorrect document type")
    if not number.isdigit() or portal.crm.get(type_, int(number)) is None:
        raise documented(name, "Wrong DOCUMENT_ID")
    workflow = f"{secrets.token_hex(7)}.{secrets.randbelow(10**8):08d}"
    portal.part(Bizproc).started.append(
        {
            "id": workflow,
            "template": params.integer("TEMPLATE_ID"),
            "document": document[2],
            "parameters": params.mapping("PARAMETERS"),
        }
    )
    return workflow
