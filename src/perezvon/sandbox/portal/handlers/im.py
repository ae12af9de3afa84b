"""im.chat.*, im.message.*, im.dialog.get, im.user.*: chats between people, by dialogue id (`chat5`, or a user's number)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.handlers.documented import documented
from perezvon.sandbox.portal.handlers.messenger import Chat, Message, Messenger, say
from perezvon.sandbox.portal.params import Params, as_int
from perezvon.sandbox.portal.people import User
from perezvon.sandbox.portal.registry import Caller, RestError, method
from perezvon.sandbox.portal.state import PortalState

Json = Any
LONGEST_ATTACH = 60_000
EXTRAS = ("ATTACH", "KEYBOARD", "MENU")
COLORS = ("#df532d", "#64a513", "#4ba984", "#4ba5c3", "#3e99ce", "#8474c8", "#1eb4aa", "#f76187")


def extras_of(name: str, params: Mapping[str, Json]) -> dict[str, Json]:
    """ATTACH, KEYBOARD and MENU, as structures or as JSON text; wrong or too large ones give the documented errors."""
    found: dict[str, Json] = {}
    for part in EXTRAS:
        value = params.get(part)
        if value in (None, ""):
            continue
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError as wrong:
                raise documented(name, f"{part}_ERROR") from wrong
        if not isinstance(value, (dict, list)):
            raise documented(name, f"{part}_ERROR")
        oversize = f"{part}_OVERSIZE"
        if len(json.dumps(value)) > LONGEST_ATTACH and any(
            e.code == oversize for e in contract().methods[name.lower()].errors
        ):
            raise documented(name, oversize)
        found[part] = value
    return found


def dialog(portal: PortalState, user: int, dialog_id: str, at_user_missing: RestError, at_chat_missing: RestError) -> Chat:
    """The chat behind a dialogue id, for this user; private ones begin when first used."""
    board = portal.part(Messenger)
    if dialog_id.startswith(("chat", "sg")):
        chat = board.chats.get(as_int(dialog_id.removeprefix("chat").removeprefix("sg")))
        if chat is None:
            raise at_chat_missing
        return chat
    other = as_int(dialog_id)
    if other not in portal.people.users:
        raise at_user_missing
    return board.private(user, other, portal.now())


def _chat(portal: PortalState, name: str, who: Caller, params: Params) -> Chat:
    number = params.integer("CHAT_ID")
    if number <= 0:
        raise documented(name, "CHAT_ID_EMPTY")
    chat = portal.part(Messenger).chats.get(number)
    if chat is None or (who.user_id not in chat.users and not portal.people.users[who.user_id].admin):
        raise documented(name, "Action unavailable")
    return chat


# ----- chats


@method("im.chat.add")
async def chat_add(portal: PortalState, who: Caller, params: Params) -> Json:
    users = [as_int(one) for one in params.items_of("USERS")]
    unknown = next((one for one in users if one not in portal.people.users), None)
    if unknown is not None:
        raise RestError("SANDBOX_WRONG_VALUE", f"im.chat.add: there is no user {unknown}", argument="USERS")
    board = portal.part(Messenger)
    chat = board.new_chat("group", params.text("TITLE") or "Чат", who.user_id, [who.user_id, *users], portal.now())
    chat.open = params.text("TYPE") == "OPEN"
    chat.description, chat.color = params.text("DESCRIPTION"), params.text("COLOR")
    chat.entity_type, chat.entity_id = params.text("ENTITY_TYPE"), params.text("ENTITY_ID")
    if params.text("MESSAGE"):
        say(portal, chat, who.user_id, params.text("MESSAGE"))
    portal.publish("message", chat_id=chat.id, user_id=who.user_id, text="")
    return chat.id


@method("im.chat.get", checks_itself=("ENTITY_TYPE", "ENTITY_ID"))
async def chat_get(portal: PortalState, who: Caller, params: Params) -> Json:
    """null when there is none, or when a parameter is missing."""
    chat = portal.part(Messenger).of_entity(params.text("ENTITY_TYPE"), params.text("ENTITY_ID"))
    return {"ID": chat.id} if chat and params.text("ENTITY_TYPE") else None


@method("im.chat.leave", checks_itself=("CHAT_ID",))
async def chat_leave(portal: PortalState, who: Caller, params: Params) -> Json:
    chat = _chat(portal, "im.chat.leave", who, params)
    if chat.entity_type == "TASKS_TASK":
        raise documented("im.chat.leave", "forbidden to delete users")
    if who.user_id in chat.users:
        chat.users.remove(who.user_id)
    return True


@method("im.chat.updateTitle", checks_itself=("CHAT_ID", "DIALOG_ID", "TITLE"))
async def chat_update_title(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "im.chat.updateTitle"
    if not params.text("TITLE"):
        raise documented(name, "TITLE_EMPTY")
    if "DIALOG_ID" in params and "CHAT_ID" not in params:
        params = Params({**params, "CHAT_ID": params.text("DIALOG_ID").removeprefix("chat")})
    chat = _chat(portal, name, who, params)
    if chat.kind == "private":
        raise documented(name, "cannot be renamed")
    chat.title = params.text("TITLE")
    return True


@method("im.chat.user.add", checks_itself=("CHAT_ID", "USERS"))
async def chat_user_add(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "im.chat.user.add"
    chat = _chat(portal, name, who, params)
    if chat.kind == "private":
        raise documented(name, "forbidden to add users")
    users = [as_int(one) for one in params.items_of("USERS")]
    chat.users += [one for one in dict.fromkeys(users) if one in portal.people.users and one not in chat.users]
    return True


@method("im.chat.user.list", checks_itself=("CHAT_ID",))
async def chat_user_list(portal: PortalState, who: Caller, params: Params) -> Json:
    return list(_chat(portal, "im.chat.user.list", who, params).users)


@method("im.dialog.get", checks_itself=("DIALOG_ID",))
async def dialog_get(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "im.dialog.get"
    if not params.text("DIALOG_ID"):
        raise documented(name, "DIALOG_ID_EMPTY")
    refusal = documented(name, "ACCESS_ERROR")
    chat = dialog(portal, who.user_id, params.text("DIALOG_ID"), refusal, refusal)
    if who.user_id not in chat.users and not chat.open and not portal.people.users[who.user_id].admin:
        raise refusal
    return dialog_view(portal, chat, who.user_id)


def dialog_view(portal: PortalState, chat: Chat, user: int) -> dict[str, Json]:
    sample = contract().raw["methods"]["im.dialog.get"]["response_shape"]["result"]
    last = chat.messages[-1].id if chat.messages else 0
    other = next((one for one in chat.users if one != user), user)
    told: dict[str, Json] = {
        "id": chat.id,
        "parent_chat_id": 0,
        "parent_message_id": 0,
        "name": chat.title or portal.people.users[other].full_name,
        "description": chat.description,
        "owner": chat.owner,
        "extranet": False,
        "avatar": "",
        "color": COLORS[chat.id % len(COLORS)],
        "type": "private" if chat.kind == "private" else "open" if chat.open else "chat",
        "counter": 0,
        "user_counter": len(chat.users),
        "message_count": len(chat.messages),
        "unread_id": 0,
        "restrictions": {key: "" if key.startswith("path") else True for key in sample["restrictions"]},
        "last_message_id": last,
        "last_id": last,
        "marked_id": 0,
        "disk_folder_id": 0,
        "entity_type": chat.entity_type,
        "entity_id": chat.entity_id,
        "entity_data_1": "",
        "entity_data_2": "",
        "entity_data_3": "",
        "mute_list": [],
        "date_create": portal.iso(chat.created),
        "message_type": "P" if chat.kind == "private" else "O" if chat.open else "C",
        "public": "",
        "role": "owner" if chat.owner == user else "member",
        "entity_link": {"type": chat.entity_type, "url": "", "id": chat.entity_id},
        "text_field_enabled": True,
        "background_id": None,
        "permissions": dict.fromkeys(sample["permissions"], "member"),
        "is_new": False,
        "readed_list": [],
        "manager_list": [chat.owner],
        "last_message_views": {"message_id": last, "first_viewers": [], "count_of_viewers": 0},
        "dialog_id": str(other) if chat.kind == "private" else f"chat{chat.id}",
    }
    return told


# ----- messages


@method("im.message.add", checks_itself=("DIALOG_ID", "MESSAGE", "ATTACH"))
async def message_add(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "im.message.add"
    if not params.text("DIALOG_ID"):
        raise documented(name, "USER_ID_EMPTY")
    extras = extras_of(name, params)
    if not params.text("MESSAGE") and "ATTACH" not in extras:
        raise documented(name, "MESSAGE_EMPTY")
    refusals = documented(name, "USER_NOT_FOUND"), documented(name, "CHAT_ID")
    chat = dialog(portal, who.user_id, params.text("DIALOG_ID"), *refusals)
    if who.user_id not in chat.users and not chat.open:
        raise documented(name, "ACCESS_ERROR")
    reply = params.integer("REPLY_ID")
    if reply:
        answered = portal.part(Messenger).message(reply)
        if answered is None:
            raise documented(name, "REPLY_ACCESS_ERROR")
        if answered.chat != chat.id:
            raise documented(name, "REPLY_FROM_OTHER_CHAT_ERROR")
    author = 0 if params.flag("SYSTEM") else who.user_id
    message = say(portal, chat, author, params.text("MESSAGE"), extras)
    message.reply_to = reply
    return message.id


def _own_message(portal: PortalState, name: str, who: Caller, params: Params) -> Message:
    if params.integer("MESSAGE_ID") <= 0:
        raise documented(name, "MESSAGE_ID_ERROR")
    message = portal.part(Messenger).message(params.integer("MESSAGE_ID"))
    if message is None or message.author not in (0, who.user_id):
        raise documented(name, "CANT_EDIT_MESSAGE")
    return message


@method("im.message.update", checks_itself=("MESSAGE_ID",))
async def message_update(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "im.message.update"
    message = _own_message(portal, name, who, params)
    message.extras |= extras_of(name, params)
    message.text = params.text("MESSAGE", message.text)
    message.edited = params.flag("IS_EDITED", True)
    portal.publish("message", chat_id=message.chat, message_id=message.id, user_id=message.author, text=message.text)
    return True


@method("im.message.delete", checks_itself=("MESSAGE_ID",))
async def message_delete(portal: PortalState, who: Caller, params: Params) -> Json:
    message = _own_message(portal, "im.message.delete", who, params)
    portal.part(Messenger).chats[message.chat].messages.remove(message)
    portal.publish("message", chat_id=message.chat, message_id=message.id, user_id=message.author, text="")
    return True


# ----- people


def user_view(portal: PortalState, user: User) -> dict[str, Json]:
    phones = {"work_phone": user.work_phone, "personal_mobile": user.mobile, "inner_phone": user.extension}
    return {
        "id": user.id,
        "active": user.active,
        "name": user.full_name,
        "first_name": user.name,
        "last_name": user.last_name,
        "work_position": user.position,
        "color": COLORS[user.id % len(COLORS)],
        "avatar": "",
        "avatar_hr": "",
        "gender": "M",
        "birthday": "",
        "extranet": user.user_type == "extranet",
        "network": False,
        "bot": False,
        "connector": False,
        "external_auth_id": "default",
        "status": "online",
        "idle": False,
        "last_activity_date": portal.iso(),
        "mobile_last_date": False,
        "desktop_last_date": False,
        "absent": False,
        "departments": list(user.departments),
        "phones": {key: value for key, value in phones.items() if value} or False,
        "bot_data": None,
        "type": "user",
        "website": "",
        "email": user.email,
    }


@method("im.user.get", checks_itself=("ID",))
async def user_get(portal: PortalState, who: Caller, params: Params) -> Json:
    if "ID" in params and params.integer("ID") <= 0:
        raise documented("im.user.get", "ID_EMPTY")
    user = portal.people.users.get(params.integer("ID", who.user_id))
    if user is None:
        raise documented("im.user.get", "USER_NOT_EXISTS")
    return user_view(portal, user)


@method("im.user.status.get")
async def user_status_get(portal: PortalState, who: Caller, params: Params) -> Json:
    return "online" if portal.people.users[who.user_id].online else False
