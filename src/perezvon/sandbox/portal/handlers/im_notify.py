"""im.notify.*: notifications of one user, replaced by tag, read and answered."""

from __future__ import annotations

from typing import Any

from perezvon.sandbox.portal.handlers.documented import documented
from perezvon.sandbox.portal.handlers.im import extras_of, user_view
from perezvon.sandbox.portal.handlers.messenger import Messenger, Notification
from perezvon.sandbox.portal.params import Params, as_int, as_moment
from perezvon.sandbox.portal.registry import Caller, method
from perezvon.sandbox.portal.state import PortalState

Json = Any
PERSONAL, SYSTEM = 1, 3
SHORTEST_SEARCH = 3
SCHEMA = {
    "im": ("Чат и звонки", {"message": "Личные сообщения", "chat": "Сообщения чатов", "default": "Уведомления"}),
    "tasks": ("Задачи", {"comment": "Комментарии", "reminder": "Напоминания", "manage": "Изменения задач"}),
    "rest": ("Приложения", {"rest_notify": "Уведомления приложений"}),
}


def _sent(portal: PortalState, name: str, who: Caller, params: Params, type_: int) -> int:
    user = params.integer("USER_ID")
    if user <= 0 or user not in portal.people.users:
        raise documented(name, "USER_ID_EMPTY")
    if not params.text("MESSAGE"):
        raise documented(name, "MESSAGE_EMPTY")
    board = portal.part(Messenger)
    tag, sub_tag = params.text("TAG"), params.text("SUB_TAG")
    client = params.text("CLIENT_ID") or (who.app if who.kind == "oauth" else "")
    if tag:
        for number in [n.id for n in board.notifications.values() if n.user == user and (n.tag, n.client) == (tag, client)]:
            del board.notifications[number]
    extras = extras_of(name, {"ATTACH": params.get("ATTACH")})
    notification = Notification(
        id=board.next_message_id(),
        user=user,
        author=0 if type_ == SYSTEM else who.user_id,
        at=portal.now(),
        text=params.text("MESSAGE"),
        type=type_,
        tag=tag,
        sub_tag=sub_tag,
        client=client,
        attach=extras.get("ATTACH"),
    )
    board.notifications[notification.id] = notification
    portal.publish("message", user_id=user, notification_id=notification.id, text=notification.text)
    return notification.id


@method("im.notify", checks_itself=("USER_ID", "MESSAGE"))
async def notify(portal: PortalState, who: Caller, params: Params) -> Json:
    return _sent(portal, "im.notify", who, params, SYSTEM if params.text("TYPE") == "SYSTEM" else PERSONAL)


@method("im.notify.personal.add", checks_itself=("USER_ID", "MESSAGE"))
async def personal_add(portal: PortalState, who: Caller, params: Params) -> Json:
    return _sent(portal, "im.notify.personal.add", who, params, PERSONAL)


@method("im.notify.system.add", checks_itself=("USER_ID", "MESSAGE"))
async def system_add(portal: PortalState, who: Caller, params: Params) -> Json:
    return _sent(portal, "im.notify.system.add", who, params, SYSTEM)


@method("im.notify.delete", checks_itself=("ID", "TAG", "SUB_TAG"))
async def delete(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "im.notify.delete"
    if not any(params.text(key) for key in ("ID", "TAG", "SUB_TAG")):
        raise documented(name, "PARAMS_ERROR")
    client = params.text("CLIENT_ID") or (who.app if who.kind == "oauth" else "")
    if not client:
        raise documented(name, "ACCESS_DENIED")
    board = portal.part(Messenger)
    doomed = [
        n.id
        for n in board.notifications.values()
        if n.client == client
        and params.text("ID", str(n.id)) == str(n.id)
        and params.text("TAG", n.tag) == n.tag
        and params.text("SUB_TAG", n.sub_tag) == n.sub_tag
    ]
    for number in doomed:
        del board.notifications[number]
    return bool(doomed)


# ----- reading


def _own(portal: PortalState, who: Caller) -> list[Notification]:
    """This user's notifications, newest first."""
    found = [n for n in portal.part(Messenger).notifications.values() if n.user == who.user_id]
    return sorted(found, key=lambda n: -n.id)


def _told(portal: PortalState, found: list[Notification], who: Caller) -> dict[str, Json]:
    people = {n.author: portal.people.users[n.author] for n in found if n.author}
    chat_id = -who.user_id
    return {
        "chat_id": chat_id,
        "notifications": [
            {
                "id": n.id,
                "chat_id": chat_id,
                "author_id": n.author,
                "date": portal.iso(n.at),
                "notify_type": n.type,
                "notify_module": "rest",
                "notify_event": "rest_notify",
                "notify_tag": n.tag,
                "notify_sub_tag": n.sub_tag,
                "notify_title": "",
                "setting_name": "rest|rest_notify",
                "text": n.text,
                "notify_read": "Y" if n.read else "N",
                "params": {"ATTACH": n.attach} if n.attach else None,
            }
            for n in found
        ],
        "users": [user_view(portal, user) for user in people.values()],
    }


@method("im.notify.get", checks_itself=("LAST_ID", "LAST_TYPE"))
async def get(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "im.notify.get"
    if ("LAST_ID" in params) != ("LAST_TYPE" in params):
        raise documented(name, "LAST_ID_AND_LAST_TYPE")
    if "LAST_ID" in params and not params.text("LAST_ID").isdigit():
        raise documented(name, "LAST_ID_STRING")
    own = _own(portal, who)
    last = params.integer("LAST_ID")
    shown = [n for n in own if not last or n.id < last][: params.integer("LIMIT", 50)]
    counts = {"total_count": len(own), "total_unread_count": sum(not n.read for n in own)}
    return counts | _told(portal, shown, who)


@method("im.notify.history.search", checks_itself=("LAST_ID",))
async def history_search(portal: PortalState, who: Caller, params: Params) -> Json:
    name = "im.notify.history.search"
    text = params.text("SEARCH_TEXT")
    dated = any(params.text(key) for key in ("SEARCH_DATE", "SEARCH_DATE_FROM", "SEARCH_TYPE", "GROUP_TAG"))
    if len(text) < SHORTEST_SEARCH and not (dated or params.items_of("SEARCH_AUTHORS")):
        raise documented(name, "SEARCH_TEXT_ERROR")
    if "LAST_ID" in params and not params.text("LAST_ID").isdigit():
        raise documented(name, "LAST_ID_STRING")
    since = as_moment(params.text("SEARCH_DATE_FROM")) or 0.0
    until = as_moment(params.text("SEARCH_DATE_TO")) or float("inf")
    authors = {as_int(one) for one in params.items_of("SEARCH_AUTHORS")}
    last = params.integer("LAST_ID")
    found = [
        n
        for n in _own(portal, who)
        if text.casefold() in n.text.casefold()
        and since <= n.at <= until
        and (not authors or n.author in authors)
        and (not last or n.id < last)
        and params.text("GROUP_TAG", n.tag) == n.tag
    ]
    return {"total_results": len(found)} | _told(portal, found[: params.integer("LIMIT", 50)], who)


@method("im.notify.read")
async def read(portal: PortalState, who: Caller, params: Params) -> Json:
    """Without ONLY_CURRENT=Y every notification from ID on; without ID nothing, and true."""
    number = params.integer("ID")
    for notification in _own(portal, who):
        hit = notification.id == number if params.flag("ONLY_CURRENT") else notification.id >= number
        if number and hit:
            notification.read = params.text("ACTION", "Y") == "Y"
    return True


@method("im.notify.read.all")
async def read_all(portal: PortalState, who: Caller, params: Params) -> Json:
    for notification in _own(portal, who):
        notification.read = True
    return {"result": True, "newCounter": 0}


@method("im.notify.read.list", checks_itself=("IDS", "ACTION"))
async def read_list(portal: PortalState, who: Caller, params: Params) -> Json:
    """Stops at the first id that is not positive; any ACTION but Y is N."""
    if not isinstance(params.get("IDS"), (list, dict)):
        raise documented("im.notify.read.list", "PARAMS_ERROR")
    own = {notification.id: notification for notification in _own(portal, who)}
    for one in params.items_of("IDS"):
        if as_int(one) <= 0:
            break
        if as_int(one) in own:
            own[as_int(one)].read = params.text("ACTION", "Y") == "Y"
    return True


@method("im.notify.answer", checks_itself=("NOTIFY_ID", "ANSWER_TEXT"))
async def answer(portal: PortalState, who: Caller, params: Params) -> Json:
    return _answered(portal, "im.notify.answer", who, params, "ANSWER_TEXT", "ANSWER_TEXT_ERROR")


@method("im.notify.confirm", checks_itself=("NOTIFY_ID", "NOTIFY_VALUE"))
async def confirm(portal: PortalState, who: Caller, params: Params) -> Json:
    return _answered(portal, "im.notify.confirm", who, params, "NOTIFY_VALUE", "NOTIFY_VALUE_ERROR")


def _answered(portal: PortalState, name: str, who: Caller, params: Params, key: str, refusal: str) -> Json:
    notification = portal.part(Messenger).notifications.get(params.integer("NOTIFY_ID"))
    if notification is None or notification.user != who.user_id:
        raise documented(name, "ID_ERROR")
    if not params.text(key):
        raise documented(name, refusal)
    notification.answer, notification.read = params.text(key), True
    return {"result_message": [params.text(key)]}


@method("im.notify.schema.get")
async def schema_get(portal: PortalState, who: Caller, params: Params) -> Json:
    return {
        module: {"NAME": name, "MODULE_ID": module, "LIST": [{"ID": key, "NAME": text} for key, text in events.items()]}
        for module, (name, events) in SCHEMA.items()
    }
