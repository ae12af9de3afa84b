"""imbot.* and imopenlines.network.*: chat bots, old and new methods, as far as sending messages goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perezvon.sandbox.portal.handlers.documented import documented
from perezvon.sandbox.portal.handlers.im import dialog, extras_of
from perezvon.sandbox.portal.handlers.messenger import Messenger, say
from perezvon.sandbox.portal.params import Params, as_flag, as_mapping
from perezvon.sandbox.portal.people import User
from perezvon.sandbox.portal.registry import Caller, RestError, method
from perezvon.sandbox.portal.state import PortalState

Json = Any
MOST_BOTS = 5
FIRST_BOT_ID = 5000
TYPES = {"B": "bot", "O": "openline", "H": "human", "S": "supervisor"}


@dataclass(slots=True)
class Bot:
    """`owner`: application, or CLIENT_ID / botToken of a webhook. A bot is a user too (type bot, not shown by user.get)."""

    id: int
    code: str
    owner: str
    type: str
    name: str
    fields: dict[str, Json] = field(default_factory=dict[str, Json])
    messages: int = 0
    commands: list[dict[str, Json]] = field(default_factory=list[dict[str, Json]])


class Bots:
    def __init__(self) -> None:
        self.by_id: dict[int, Bot] = {}


def _new(portal: PortalState, code: str, owner: str, type_: str, name: str, last_name: str, fields: dict[str, Json]) -> Bot:
    bots = portal.part(Bots).by_id
    number = max(bots, default=FIRST_BOT_ID) + 1
    bots[number] = Bot(number, code, owner, type_, f"{name} {last_name}".strip(), fields)
    portal.people.add(User(number, name, last_name, user_type="bot", departments=[]))
    return bots[number]


def _remove(portal: PortalState, bot: Bot) -> None:
    del portal.part(Bots).by_id[bot.id]
    portal.people.users[bot.id].active = False


# ----- the old methods


def _owner(name: str, who: Caller, params: Params) -> str:
    owner = who.app if who.kind == "oauth" else params.text("CLIENT_ID")
    if not owner:
        raise documented(name, "ACCESS_DENIED")
    return owner


def _own(portal: PortalState, name: str, owner: str, number: int) -> Bot:
    bot = portal.part(Bots).by_id.get(number)
    if bot is None:
        raise documented(name, "BOT_ID_ERROR")
    if bot.owner != owner:
        raise documented(name, "APP_ID_ERROR")
    return bot


@method(
    "imbot.register",
    checks_itself=("CODE", "EVENT_MESSAGE_ADD", "EVENT_WELCOME_MESSAGE", "EVENT_BOT_DELETE", "PROPERTIES"),
)
async def register(portal: PortalState, who: Caller, params: Params) -> Json:
    """A code that is there already gives its bot."""
    name = "imbot.register"
    owner = _owner(name, who, params)
    if not params.text("CODE"):
        raise documented(name, "CODE_ERROR")
    for event in ("EVENT_MESSAGE_ADD", "EVENT_WELCOME_MESSAGE", "EVENT_BOT_DELETE"):
        url = params.text(event) or params.text("EVENT_HANDLER")
        if not url:
            raise documented(name, f"{event}_ERROR")
        if not url.startswith(("http://", "https://")):
            raise RestError(f"{event}_ERROR", "Wrong handler URL")
    properties = params.mapping("PROPERTIES")
    if not properties.get("NAME"):
        raise documented(name, "NAME_ERROR")
    bots = portal.part(Bots).by_id.values()
    known = next((bot for bot in bots if (bot.owner, bot.code) == (owner, params.text("CODE"))), None)
    if known is not None:
        return known.id
    if sum(bot.owner == owner for bot in bots) >= MOST_BOTS:
        raise RestError("MAX_COUNT_ERROR", f"Has reached the maximum number of bots for application (max: {MOST_BOTS})")
    type_ = TYPES[params.text("TYPE", "B")]
    names = str(properties["NAME"]), str(properties.get("LAST_NAME") or "")
    return _new(portal, params.text("CODE"), owner, type_, *names, dict(params)).id


@method("imbot.unregister")
async def unregister(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "imbot.unregister"
    _remove(portal, _own(portal, name, _owner(name, who, params), params.integer("BOT_ID")))
    return True


@method("imbot.message.add", checks_itself=("DIALOG_ID", "MESSAGE"))
async def message_add(portal: PortalState, who: Caller, params: Params) -> Json:
    """Without BOT_ID: the owner's only bot."""
    name = "imbot.message.add"
    owner = who.app if who.kind == "oauth" else params.text("CLIENT_ID")
    mine = [bot.id for bot in portal.part(Bots).by_id.values() if bot.owner == owner]
    bot = _own(portal, name, owner, params.integer("BOT_ID") or (mine[0] if mine else 0))
    target = params.text("DIALOG_ID") or params.text("TO_USER_ID")
    if not target:
        raise documented(name, "DIALOG_ID_EMPTY")
    extras = extras_of(name, params)
    if not params.text("MESSAGE") and "ATTACH" not in extras:
        raise documented(name, "MESSAGE_EMPTY")
    refusal = documented(name, "WRONG_REQUEST")
    chat = dialog(portal, bot.id, target, refusal, refusal)
    bot.messages += 1
    return say(portal, chat, 0 if params.flag("SYSTEM") else bot.id, params.text("MESSAGE"), extras).id


# ----- the new methods


def _owner2(name: str, who: Caller, token: str) -> str:
    if who.kind == "oauth":
        return who.app
    if not token:
        raise documented(name, "BOT_TOKEN_NOT_SPECIFIED")
    return f"token:{token}"


def _own2(portal: PortalState, name: str, who: Caller, params: Params) -> Bot:
    owner = _owner2(name, who, params.text("botToken"))
    if not params.integer("botId"):
        raise documented(name, "BOT_ID_REQUIRED")
    bot = portal.part(Bots).by_id.get(params.integer("botId"))
    if bot is None:
        raise documented(name, "BOT_NOT_FOUND")
    if bot.owner != owner:
        raise documented(name, "BOT_OWNERSHIP_ERROR")
    return bot


def _told(bot: Bot) -> dict[str, Json]:
    return {
        "id": bot.id,
        "code": bot.code,
        "type": bot.type,
        "isHidden": as_flag(bot.fields.get("isHidden") or ""),
        "isSupportOpenline": as_flag(bot.fields.get("isSupportOpenline") or ""),
        "isReactionsEnabled": as_flag(bot.fields.get("isReactionsEnabled", True)),
        "backgroundId": bot.fields.get("backgroundId"),
        "language": "ru",
        "moduleId": "rest",
        "eventMode": str(bot.fields.get("eventMode", "fetch")),
        "countMessage": bot.messages,
        "countCommand": len(bot.commands),
        "countChat": 0,
        "countUser": 0,
    }


def _as_user(bot: Bot) -> dict[str, Json]:
    return {"id": bot.id, "active": True, "name": bot.name, "bot": True, "type": "bot"}


@method("imbot.v2.Bot.register", checks_itself=("fields",))
async def bot_register(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "imbot.v2.Bot.register"
    fields = Params(params.mapping("fields"))
    owner = _owner2(name, who, fields.text("botToken"))
    properties = as_mapping(fields.get("properties"))
    if not fields.text("code"):
        raise documented(name, "BOT_CODE_REQUIRED")
    if not properties.get("name"):
        raise documented(name, "BOT_PROPERTIES_REQUIRED")
    if fields.text("eventMode", "fetch") not in ("fetch", "webhook"):
        raise documented(name, "BOT_INVALID_EVENT_MODE")
    if fields.text("eventMode") == "webhook" and not fields.text("webhookUrl"):
        raise documented(name, "BOT_WEBHOOK_URL_REQUIRED")
    bots = portal.part(Bots).by_id.values()
    bot = next((bot for bot in bots if (bot.owner, bot.code) == (owner, fields.text("code"))), None)
    if bot is None:
        if any(bot.code == fields.text("code") for bot in bots):
            raise documented(name, "BOT_CODE_ALREADY_TAKEN")
        if sum(bot.owner == owner for bot in bots) >= MOST_BOTS:
            raise documented(name, "BOT_LIMIT_EXCEEDED")
        names = str(properties["name"]), str(properties.get("lastName") or "")
        bot = _new(portal, fields.text("code"), owner, fields.text("type", "bot"), *names, dict(fields))
    return {"bot": _told(bot), "users": [_as_user(bot)]}


@method("imbot.v2.Bot.list")
async def bot_list(portal: PortalState, who: Caller, params: Params) -> Json:
    owner = _owner2("imbot.v2.Bot.list", who, params.text("botToken"))
    bots = [bot for bot in portal.part(Bots).by_id.values() if bot.owner == owner]
    start, limit = params.integer("offset"), params.integer("limit", 50)
    shown = bots[start : start + limit]
    return {
        "bots": [_told(bot) for bot in shown],
        "users": [_as_user(bot) for bot in shown],
        "hasNextPage": start + limit < len(bots),
    }


@method("imbot.v2.Bot.unregister", checks_itself=("botId",))
async def bot_unregister(portal: PortalState, who: Caller, params: Params) -> Json:
    _remove(portal, _own2(portal, "imbot.v2.Bot.unregister", who, params))
    return {"result": True}


@method("imbot.v2.Chat.Message.send", checks_itself=("botId",))
async def chat_message_send(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "imbot.v2.Chat.Message.send"
    bot = _own2(portal, name, who, params)
    fields = Params(params.mapping("fields"))
    extras = {key.upper(): fields[key] for key in ("attach", "keyboard") if fields.get(key)}
    if not fields.text("message") and "ATTACH" not in extras:
        raise documented(name, "EMPTY_MESSAGE")
    refusal = documented(name, "ACCESS_DENIED")
    chat = dialog(portal, bot.id, params.text("dialogId"), refusal, refusal)
    bot.messages += 1
    message = say(portal, chat, 0 if fields.flag("system") else bot.id, fields.text("message"), extras)
    return {"id": message.id, "uuidMap": {}}


@method("imbot.v2.Command.register", checks_itself=("botId",))
async def command_register(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "imbot.v2.Command.register"
    bot = _own2(portal, name, who, params)
    fields = Params(params.mapping("fields"))
    if not fields.text("command"):
        raise documented(name, "COMMAND_REQUIRED")
    if not fields.flag("hidden") and not isinstance(fields.get("title"), Mapping):
        raise documented(name, "COMMAND_TITLE_REQUIRED")
    command: dict[str, Json] = {
        "id": sum(len(one.commands) for one in portal.part(Bots).by_id.values()) + 1,
        "botId": bot.id,
        "command": fields.text("command"),
        "common": fields.flag("common"),
        "hidden": fields.flag("hidden"),
        "extranetSupport": fields.flag("extranetSupport"),
    }
    bot.commands.append(command)
    return {"command": command}


@method("imbot.v2.Event.get", checks_itself=("botId",))
async def event_get(portal: PortalState, who: Caller, params: Params) -> Json:
    """Messages that people wrote in the bot's private dialogues; the offset is a message id."""
    bot = _own2(portal, "imbot.v2.Event.get", who, params)
    offset, limit = params.integer("offset"), params.integer("limit", 100)
    heard = [
        message
        for chat in portal.part(Messenger).chats.values()
        if chat.kind == "private" and bot.id in chat.users
        for message in chat.messages
        if message.author not in (0, bot.id) and message.id > offset
    ]
    shown = sorted(heard, key=lambda message: message.id)[:limit]
    events = [
        {
            "eventId": message.id,
            "type": "ONIMBOTV2MESSAGEADD",
            "date": portal.iso(message.at),
            "data": {
                "bot": {"id": bot.id},
                "message": {"id": message.id, "text": message.text, "authorId": message.author},
            },
        }
        for message in shown
    ]
    return {
        "events": events,
        "nextOffset": shown[-1].id if shown else offset,
        "hasMore": len(heard) > len(shown),
    }


# ----- open lines of the network


@method("imopenlines.network.join")
async def network_join(portal: PortalState, who: Caller, params: Params) -> Json:
    """No open line of the network is connected here: every code is invalid."""
    raise documented("imopenlines.network.join", "You entered an invalid code")


@method("imopenlines.network.message.add")
async def network_message_add(portal: PortalState, who: Caller, params: Params) -> Json:
    raise documented("imopenlines.network.message.add", "You entered an invalid code")
