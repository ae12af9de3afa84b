"""im.*, imbot.*: chats, messages, notifications and bots, over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest
from documented_shape import differences
from portal_client import Rest

from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.portal.handlers.messenger import Messenger

Json = Any


@pytest.fixture
def petrova(app: Rest, portal: PortalServer) -> Rest:
    """The application in the hands of user 12, who is no administrator."""
    return Rest(app.http, app.address, portal.state.authority.new_access(portal.app, 12))


class TestChats:
    async def test_a_chat_of_a_deal(self, hook: Rest) -> None:
        number = await hook.call(
            "im.chat.add", TITLE="Сделка", USERS=[11, 12], ENTITY_TYPE="CRM", ENTITY_ID="DEAL|1", MESSAGE="Начнём"
        )
        assert await hook.call("im.chat.get", ENTITY_TYPE="CRM", ENTITY_ID="DEAL|1") == {"ID": number}
        assert await hook.call("im.chat.get", ENTITY_TYPE="CRM", ENTITY_ID="DEAL|99") is None
        assert await hook.call("im.chat.user.list", CHAT_ID=number) == [1, 11, 12]
        assert await hook.call("im.chat.user.add", CHAT_ID=number, USERS=[13]) is True
        assert await hook.call("im.chat.updateTitle", CHAT_ID=number, TITLE="Сделка 1") is True
        dialog = await hook.call("im.dialog.get", DIALOG_ID=f"chat{number}")
        assert differences("im.dialog.get", dialog) == []
        assert (dialog["name"], dialog["user_counter"], dialog["message_count"]) == ("Сделка 1", 4, 1)
        assert await hook.call("im.chat.leave", CHAT_ID=number) is True
        assert await hook.call("im.chat.user.list", CHAT_ID=number) == [11, 12, 13]

    @pytest.mark.parametrize(
        ("method", "params", "code"),
        [
            ("im.chat.leave", {}, "CHAT_ID_EMPTY"),
            ("im.chat.user.list", {"CHAT_ID": 99}, "ACCESS_ERROR"),
            ("im.chat.updateTitle", {"CHAT_ID": 1, "TITLE": ""}, "TITLE_EMPTY"),
            ("im.dialog.get", {}, "DIALOG_ID_EMPTY"),
            ("im.dialog.get", {"DIALOG_ID": "chat99"}, "ACCESS_ERROR"),
        ],
    )
    async def test_refusals(self, hook: Rest, method: str, params: Json, code: str) -> None:
        assert (await hook.refused(method, **params)).code == code


class TestMessages:
    async def test_written_changed_and_deleted(self, hook: Rest, portal: PortalServer) -> None:
        number = await hook.call("im.message.add", DIALOG_ID="12", MESSAGE="Вам звонили")
        assert await hook.call("im.message.update", MESSAGE_ID=number, MESSAGE="Вам звонили дважды") is True
        chat = portal.state.part(Messenger).private(1, 12, 0)
        assert [(message.text, message.author, message.edited) for message in chat.messages] == [
            ("Вам звонили дважды", 1, True)
        ]
        assert await hook.call("im.message.delete", MESSAGE_ID=number) is True
        assert chat.messages == []

    async def test_attachments_as_structure_or_text(self, hook: Rest, portal: PortalServer) -> None:
        attach = [{"MESSAGE": "Запись разговора"}]
        first = await hook.call("im.message.add", DIALOG_ID="12", ATTACH={"ID": 1, "BLOCKS": attach})
        second = await hook.call(
            "im.message.add", DIALOG_ID="12", MESSAGE="x", KEYBOARD=json.dumps([{"TEXT": "Перезвонить"}])
        )
        board = portal.state.part(Messenger)
        for number, part in ((first, "ATTACH"), (second, "KEYBOARD")):
            message = board.message(number)
            assert message is not None
            assert part in message.extras

    @pytest.mark.parametrize(
        ("params", "code"),
        [
            ({"DIALOG_ID": "12"}, "MESSAGE_EMPTY"),
            ({"MESSAGE": "x"}, "USER_ID_EMPTY"),
            ({"DIALOG_ID": "999", "MESSAGE": "x"}, "USER_NOT_FOUND"),
            ({"DIALOG_ID": "chat99", "MESSAGE": "x"}, "CHAT_ID"),
            ({"DIALOG_ID": "12", "ATTACH": "не JSON"}, "ATTACH_ERROR"),
            ({"DIALOG_ID": "12", "ATTACH": [{"MESSAGE": "x" * 61_000}]}, "ATTACH_OVERSIZE"),
            ({"DIALOG_ID": "12", "MESSAGE": "x", "REPLY_ID": 99}, "REPLY_ACCESS_ERROR"),
        ],
    )
    async def test_refusals(self, hook: Rest, params: Json, code: str) -> None:
        assert (await hook.refused("im.message.add", **params)).code == code

    async def test_only_members_write_and_only_authors_change(self, hook: Rest, petrova: Rest) -> None:
        chat = await hook.call("im.chat.add", TITLE="Закрытый", USERS=[11])
        assert (await petrova.refused("im.message.add", DIALOG_ID=f"chat{chat}", MESSAGE="x")).code == "ACCESS_ERROR"
        number = await hook.call("im.message.add", DIALOG_ID=f"chat{chat}", MESSAGE="Пишу")
        assert (await petrova.refused("im.message.update", MESSAGE_ID=number, MESSAGE="x")).code == "CANT_EDIT_MESSAGE"


class TestNotifications:
    async def test_the_same_tag_replaces(self, app: Rest, petrova: Rest) -> None:
        for text in ("один пропущенный", "два пропущенных"):
            await app.call("im.notify.system.add", USER_ID=12, MESSAGE=text, TAG="missed|+79161234567")
        await app.call("im.notify.personal.add", USER_ID=12, MESSAGE="личное")
        shown = await petrova.call("im.notify.get")
        assert differences("im.notify.get", shown, without=frozenset({"phones"})) == []
        assert [row["text"] for row in shown["notifications"]] == ["личное", "два пропущенных"]
        assert (shown["total_count"], shown["total_unread_count"]) == (2, 2)

    async def test_read_answered_searched_deleted(self, app: Rest, petrova: Rest) -> None:
        first = await app.call("im.notify", USER_ID=12, MESSAGE="Клиент ждёт звонка", TYPE="SYSTEM", TAG="a")
        second = await app.call("im.notify", USER_ID=12, MESSAGE="Другое")
        await petrova.call("im.notify.read", ID=second)
        assert (await petrova.call("im.notify.get"))["total_unread_count"] == 1
        assert await petrova.call("im.notify.answer", NOTIFY_ID=first, ANSWER_TEXT="Звоню") == {"result_message": ["Звоню"]}
        assert (await petrova.call("im.notify.history.search", SEARCH_TEXT="ждёт"))["total_results"] == 1
        assert (await petrova.refused("im.notify.history.search", SEARCH_TEXT="ж")).code == "SEARCH_TEXT_ERROR"
        assert await petrova.call("im.notify.read.list", IDS=[first, 0, second], ACTION="N") is True
        assert await petrova.call("im.notify.read.all") == {"result": True, "newCounter": 0}
        assert await app.call("im.notify.delete", TAG="a") is True
        assert await app.call("im.notify.delete", TAG="a") is False
        assert (
            differences(
                "im.notify.schema.get", await app.call("im.notify.schema.get"), more=True, without=frozenset({"tasks"})
            )
            == []
        )

    @pytest.mark.parametrize(
        ("method", "params", "code"),
        [
            ("im.notify", {"MESSAGE": "x"}, "USER_ID_EMPTY"),
            ("im.notify.system.add", {"USER_ID": 12}, "MESSAGE_EMPTY"),
            ("im.notify.get", {"LAST_ID": 5}, "LAST_ID_AND_LAST_TYPE"),
            ("im.notify.delete", {}, "PARAMS_ERROR"),
            ("im.notify.read.list", {"IDS": "5"}, "PARAMS_ERROR"),
            ("im.notify.answer", {"NOTIFY_ID": 99, "ANSWER_TEXT": "x"}, "ID_ERROR"),
        ],
    )
    async def test_refusals(self, app: Rest, method: str, params: Json, code: str) -> None:
        assert (await app.refused(method, **params)).code == code

    async def test_a_webhook_says_who_it_is_to_delete(self, hook: Rest) -> None:
        assert (await hook.refused("im.notify.delete", TAG="a")).code == "ACCESS_DENIED"
        await hook.call("im.notify.system.add", USER_ID=12, MESSAGE="x", TAG="a", CLIENT_ID="ats")
        assert await hook.call("im.notify.delete", TAG="a", CLIENT_ID="ats") is True


async def test_people(hook: Rest) -> None:
    assert differences("im.user.get", await hook.call("im.user.get", ID=11), without=frozenset({"work_phone"})) == []
    assert (await hook.call("im.user.get"))["id"] == 1
    assert (await hook.refused("im.user.get", ID=999)).code == "USER_NOT_EXISTS"
    assert await hook.call("im.user.status.get") == "online"


class TestBots:
    async def test_an_old_bot_writes(self, app: Rest, portal: PortalServer) -> None:
        given = {
            "CODE": "perezvon",
            "EVENT_HANDLER": "https://example.com/bot",
            "PROPERTIES": {"NAME": "Перезвон"},
        }
        bot = await app.call("imbot.register", **given)
        assert await app.call("imbot.register", **given) == bot, "the same code gives the same bot"
        number = await app.call("imbot.message.add", DIALOG_ID="12", MESSAGE="Пропущенный звонок")
        message = portal.state.part(Messenger).message(number)
        assert message is not None
        assert message.author == bot
        assert all(row["ID"] != str(bot) for row in await app.call("user.get"))
        assert await app.call("imbot.unregister", BOT_ID=bot) is True
        assert (await app.refused("imbot.message.add", BOT_ID=bot, DIALOG_ID="12", MESSAGE="x")).code == "BOT_ID_ERROR"

    async def test_a_new_bot_of_a_webhook_has_a_token(self, hook: Rest) -> None:
        fields = {"code": "perezvon", "botToken": "t1", "properties": {"name": "Перезвон"}}
        registered = await hook.call("imbot.v2.Bot.register", fields=fields)
        assert differences("imbot.v2.Bot.register", {"bot": registered["bot"], "users": []}) == []
        bot = {"botId": registered["bot"]["id"], "botToken": "t1"}
        sent = await hook.call("imbot.v2.Chat.Message.send", **bot, dialogId="12", fields={"message": "Звонок"})
        assert isinstance(sent["id"], int)
        command = await hook.call(
            "imbot.v2.Command.register", **bot, fields={"command": "call", "title": {"ru": "Позвонить"}}
        )
        assert differences("imbot.v2.Command.register", command) == []
        assert (await hook.call("imbot.v2.Event.get", **bot))["events"] == []
        listed = await hook.call("imbot.v2.Bot.list", botToken="t1")
        assert [row["countMessage"] for row in listed["bots"]] == [1]
        assert (await hook.refused("imbot.v2.Bot.list")).code == "BOT_TOKEN_NOT_SPECIFIED"
        other = await hook.refused(
            "imbot.v2.Chat.Message.send", botId=bot["botId"], botToken="t2", dialogId="12", fields={}
        )
        assert other.code == "BOT_OWNERSHIP_ERROR"
        assert await hook.call("imbot.v2.Bot.unregister", **bot) == {"result": True}

    async def test_what_people_write_to_a_bot_can_be_fetched(self, hook: Rest) -> None:
        fields = {"code": "perezvon", "botToken": "t1", "properties": {"name": "Перезвон"}}
        bot = (await hook.call("imbot.v2.Bot.register", fields=fields))["bot"]["id"]
        await hook.call("im.message.add", DIALOG_ID=str(bot), MESSAGE="Кто звонил?")
        heard = await hook.call("imbot.v2.Event.get", botId=bot, botToken="t1")
        assert [event["data"]["message"]["text"] for event in heard["events"]] == ["Кто звонил?"]
        again = await hook.call("imbot.v2.Event.get", botId=bot, botToken="t1", offset=heard["nextOffset"])
        assert again["events"] == []
