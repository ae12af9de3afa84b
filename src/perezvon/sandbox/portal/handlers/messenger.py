"""Chats, messages and notifications of the pretend portal: one value a portal. Rules and errors are in `im*.py`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from perezvon.sandbox.portal.state import PortalState

Json = Any


@dataclass(slots=True)
class Message:
    """`author` 0: the system. `at`: POSIX seconds. `extras`: ATTACH, KEYBOARD, MENU as they came."""

    id: int
    chat: int
    author: int
    at: float
    text: str
    extras: dict[str, Json] = field(default_factory=dict[str, Json])
    reply_to: int = 0
    edited: bool = False


@dataclass(slots=True)
class Chat:
    """`kind`: group (an ordinary chat) or private (two people). `entity_*`: what it belongs to, as CRM and DEAL|5."""

    id: int
    kind: Literal["group", "private"]
    title: str
    owner: int
    users: list[int]
    created: float
    open: bool = False
    description: str = ""
    color: str = ""
    entity_type: str = ""
    entity_id: str = ""
    messages: list[Message] = field(default_factory=list[Message])


@dataclass(slots=True)
class Notification:
    """`type`: 3 personal or from the system without buttons, 4 system. `client`: who sent it, for the tags of webhooks."""

    id: int
    user: int
    author: int
    at: float
    text: str
    type: int
    tag: str = ""
    sub_tag: str = ""
    client: str = ""
    attach: Json = None
    read: bool = False
    answer: str = ""


class Messenger:
    def __init__(self) -> None:
        self.chats: dict[int, Chat] = {}
        self.notifications: dict[int, Notification] = {}
        self._last_chat = 0
        self._last_message = 0

    def new_chat(self, kind: Literal["group", "private"], title: str, owner: int, users: list[int], at: float) -> Chat:
        self._last_chat += 1
        chat = Chat(self._last_chat, kind, title, owner, list(dict.fromkeys(users)), at)
        self.chats[chat.id] = chat
        return chat

    def private(self, one: int, other: int, at: float) -> Chat:
        """The dialogue of two people, begun when there is none."""
        for chat in self.chats.values():
            if chat.kind == "private" and set(chat.users) == {one, other}:
                return chat
        return self.new_chat("private", "", one, [one, other], at)

    def of_entity(self, entity_type: str, entity_id: str) -> Chat | None:
        return next((c for c in self.chats.values() if (c.entity_type, c.entity_id) == (entity_type, entity_id)), None)

    def message(self, number: int) -> Message | None:
        return next((m for chat in self.chats.values() for m in chat.messages if m.id == number), None)

    def next_message_id(self) -> int:
        """Messages and notifications are numbered together, as in the portal."""
        self._last_message += 1
        return self._last_message


def say(portal: PortalState, chat: Chat, author: int, text: str, extras: dict[str, Json] | None = None) -> Message:
    """Put a message into a chat and tell the face."""
    board = portal.part(Messenger)
    message = Message(board.next_message_id(), chat.id, author, portal.now(), text, extras or {})
    chat.messages.append(message)
    portal.publish("message", chat_id=chat.id, user_id=author, message_id=message.id, text=text)
    return message


def task_chat(portal: PortalState, task_id: int, title: str, users: list[int]) -> Chat:
    """The chat of a task's card."""
    board = portal.part(Messenger)
    chat = board.of_entity("TASKS_TASK", str(task_id))
    if chat is None:
        chat = board.new_chat("group", title, users[0], users, portal.now())
        chat.entity_type, chat.entity_id = "TASKS_TASK", str(task_id)
    return chat
