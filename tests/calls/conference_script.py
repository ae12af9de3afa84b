"""A conference in the language of `ami_script`: the events of our own dialplan's steps, in the order in which Asterisk tells
them (the client is out of the bridge before he is in the room; a third person is in the room before the manager)."""

from __future__ import annotations

from dataclasses import dataclass, field

from ami_script import UP, Chan, Script, told

CLIENT, DID = "79161234567", "74951234567"
THIRD, FOURTH = "74952223344", "78123334455"
CLIENT_E164, THIRD_E164, FOURTH_E164 = "+79161234567", "+74952223344", "+78123334455"
PORTAL = "bitrix24"


@dataclass(slots=True)
class Conference(Script):
    """`client` and `manager` talk when it is made by `incoming_talk` or `outgoing_talk`."""

    client: Chan = field(default_factory=lambda: Chan("", "", ""))
    manager: Chan = field(default_factory=lambda: Chan("", "", ""))
    announcer: Chan = field(default_factory=lambda: Chan("", "", ""))
    room: str = ""
    story: str = ""
    mixing: str = ""
    inside: list[Chan] = field(default_factory=list[Chan])
    thirds: list[Chan] = field(default_factory=list[Chan])

    # ---- how the talk began

    def incoming_talk(self) -> Conference:
        self.client = self.incoming("PJSIP/carrier-00000001", CLIENT, DID, context="perezvon-in")
        self.room = self.client.uid
        self.variable(self.client, "__PEREZVON_ROOM", self.room)
        self.variable(self.client, "__PEREZVON_LINE", DID)
        self.manager = self.dial(self.client, f"PJSIP/{PORTAL}-00000002", f"{DID}@{PORTAL}", number=DID)
        self.variable(self.manager, "__PEREZVON_ROOM", self.room)
        self._picked_up(self.manager, self.client)
        return self

    def outgoing_talk(self) -> Conference:
        self.manager = self.incoming(f"PJSIP/{PORTAL}-00000001", DID, CLIENT, context="perezvon-out")
        self.room = self.manager.uid
        self.variable(self.manager, "__PEREZVON_ROOM", self.room)
        self.variable(self.manager, "__PEREZVON_LINE", DID)
        self.client = self.dial(self.manager, "PJSIP/carrier-00000002", f"{CLIENT}@carrier", number=CLIENT)
        self.variable(self.client, "__PEREZVON_ROOM", self.room)
        self._picked_up(self.client, self.manager)
        return self

    def _picked_up(self, callee: Chan, caller: Chan) -> None:
        self.ringing(callee)
        self.wait(2)
        self.answer(callee)
        self.talk(callee, caller)
        self.wait(10)

    # ---- telling

    def step(self, channel: Chan, step: str, role: str = "", **more: str) -> None:
        values = {"step": step, "room": self.room} | ({"role": role} if role else {}) | more
        self.send("UserEvent", **told(channel), userevent="PerezvonRoom", **values)

    def menu(self, channel: Chan, step: str, **more: str) -> None:
        self.send("UserEvent", **told(channel), userevent="PerezvonMenu", step=step, line=DID, **more)

    def menu_plays(self, step: str, key: str = "", to: str = "", heard: str = "", result: str = "") -> None:
        """As `menu` of the client, by a dialplan that plays by itself: each event tells the whole story so far, which the
        channel has as a variable too. A key that leads somewhere rings there."""
        self.story += f"|{step}:{int(self.at)}:{key}:{to}:{result}:{heard}"
        self.variable(self.client, "PEREZVON_STORY", self.story)
        self.menu(self.client, step, key=key, to=to, heard=heard, result=result, story=self.story)

    def music(self, on: bool) -> None:
        self.send(
            "MusicOnHoldStart" if on else "MusicOnHoldStop", **told(self.client), **({"class": "default"} if on else {})
        )

    # ---- the room

    def enter_room(self, channel: Chan, role: str, marked: bool) -> None:
        if not self.inside:
            self.bridges += 1
            self.mixing = f"room-{self.bridges}"
            self.send("ConfbridgeStart", conference=self.room, bridgeuniqueid=self.mixing)
            self.announcer = self.new(f"CBAnn/{self.room}-{self.number};1")
            self.enter(self.announcer, self.mixing, "softmix")
        admin = "Yes" if role == "manager" else "No"
        self.send("ConfbridgeJoin", **told(channel), conference=self.room, bridgeuniqueid=self.mixing, admin=admin)
        if marked and self.inside == [self.client]:
            self.music(on=False)
        self.enter(channel, self.mixing, "softmix")
        self.inside.append(channel)
        if self.inside == [self.client]:
            self.music(on=True)

    def leave_room(self, channel: Chan) -> None:
        self.leave(channel)
        self.send("ConfbridgeLeave", **told(channel), conference=self.room, bridgeuniqueid=self.mixing)
        self.inside.remove(channel)
        if self.inside == [self.client]:
            self.music(on=True)
        if not self.inside:
            self.hangup(self.announcer)
            self.send("ConfbridgeEnd", conference=self.room, bridgeuniqueid=self.mixing)

    # ---- what the manager does

    def consult(self) -> None:
        """*3: out of the talk, or out of the room for the next third person."""
        if self.manager in self.inside:
            self.leave_room(self.manager)
        else:
            self.leave(self.client)
            self.leave(self.manager)
            self.client.context = "perezvon-room-client"
            self.step(self.client, "joined", "client")
            self.enter_room(self.client, "client", marked=False)
            self.exten(self.client, "ConfBridge", context="perezvon-room-client")
        self.exten(self.manager, "Read", context="perezvon-room-manager")
        self.step(self.manager, "code", "manager")
        self.wait(3)

    def code(self, code: str = "1") -> None:
        self.step(self.manager, "lookup", "manager", code=code)

    def rings(self, number: str = THIRD, peer: str = "carrier") -> Chan:
        dial_string = f"{number}@{peer}" if peer == "carrier" else number
        self.step(self.manager, "rings", "manager", code="1", to=number)
        self.exten(self.manager, "Dial", f"PJSIP/{dial_string},20,rgHb(perezvon-third^s^1)")
        name = f"PJSIP/{peer if peer == 'carrier' else number}-{self.number + 1:08x}"
        third = self.new(name, linked=self.client if self.room == self.client.uid else self.manager, number=number)
        self.variable(third, "__PEREZVON_ROOM", self.room)
        self.begin(self.manager, third, dial_string)
        self.ringing(third)
        self.thirds.append(third)
        self.wait(3)
        return third

    def private(self) -> None:
        third = self.thirds[-1]
        self.state(third, UP)
        self.end(third, "ANSWER")
        self.step(third, "private", "third", to=third.number)
        self.talk(third, self.manager)
        self.wait(4)

    def fails(self, status: str, step: str, cause: int) -> None:
        """The third person's phone is busy, or nobody answers: an error tone, and the code again."""
        third = self.thirds.pop()
        self.hangup(third, cause=cause)
        self.end(third, status)
        self.step(self.manager, step, "manager", to=third.number, result=status)
        self.step(self.manager, "code", "manager")

    def drops_ringing(self) -> None:
        third = self.thirds.pop()
        self.end(third, "CANCEL")
        self.hangup(third)
        self.step(self.manager, "dropped", "third", to=third.number, result="CANCEL")
        self.back()

    def drops_talking(self) -> None:
        third = self.thirds.pop()
        self.leave(self.manager)
        self.step(third, "dropped", "third")
        self.hangup(third)
        self.back()

    def third_hangs_up(self) -> None:
        third = self.thirds.pop()
        was_private = third not in self.inside
        if not was_private:
            self.leave_room(third)
        self.step(third, "left", "third")
        self.hangup(third)
        if was_private:
            self.leave(self.manager)
            self.back()

    def back(self) -> None:
        self.step(self.manager, "back", "manager")
        self.enter_room(self.manager, "manager", marked=True)
        self.exten(self.manager, "ConfBridge", context="perezvon-room-manager")
        self.wait(5)

    def merge(self) -> None:
        third = self.thirds[-1]
        self.step(self.manager, "merge", "manager", to=third.number)
        self.leave(third)
        self.leave(self.manager)
        self.step(third, "joined", "third")
        self.enter_room(third, "third", marked=True)
        self.exten(third, "ConfBridge", context="perezvon-room-third")
        self.step(self.manager, "joined", "manager")
        self.enter_room(self.manager, "manager", marked=True)
        self.exten(self.manager, "ConfBridge", context="perezvon-room-manager")
        self.wait(20)

    # ---- the end

    def goes(self, channel: Chan, role: str) -> None:
        if channel in self.inside:
            self.leave_room(channel)
        self.step(channel, "left", role)
        self.hangup(channel)

    def everybody_else_goes(self) -> None:
        """The last ones are sent home."""
        for channel, role in [(self.client, "client"), (self.manager, "manager"), *((one, "third") for one in self.thirds)]:
            if not any(event.name == "Hangup" and event["uniqueid"] == channel.uid for event in self.events):
                self.goes(channel, role)

    def end_by_client(self) -> None:
        self.goes(self.client, "client")
        self.wait(2)
        self.everybody_else_goes()

    # ---- coming by transfer

    def refer_to_900(self) -> None:
        """The portal transfers the client to 900: he arrives there, the manager's leg ends, and he is rung back."""
        self.send(
            "BlindTransfer",
            result="Success",
            isexternal="Yes",
            extension="900",
            context="perezvon-out",
            **told(self.manager, "transferer"),
            **told(self.client, "transferee"),
        )
        self.leave(self.client)
        self.exten(self.client, "Goto", context="perezvon-900")
        self.leave(self.manager)
        self.hangup(self.manager)
        self.step(self.client, "code", "client", result="callback")
        self.manager = self.dial(self.client, f"PJSIP/{PORTAL}-{self.number + 1:08x}", f"{DID}@{PORTAL}", number=DID)
        self.variable(self.manager, "__PEREZVON_ROOM", self.room)
        self.ringing(self.manager)
        self.wait(4)

    def comes_back(self) -> None:
        self.answer(self.manager)
        self.client.context = "perezvon-room-client"
        self.step(self.client, "joined", "client")
        self.enter_room(self.client, "client", marked=False)
        self.exten(self.client, "ConfBridge", context="perezvon-room-client")
        self.exten(self.manager, "Read", context="perezvon-room-manager")
        self.step(self.manager, "code", "manager")

    def second_call_to_900(self) -> None:
        """The portal calls 900 with a second leg; it becomes the manager's, his first one ends."""
        first, second = self.manager, self.incoming(f"PJSIP/{PORTAL}-{self.number + 1:08x}", DID, "900", "perezvon-out")
        self.variable(second, "__PEREZVON_ROOM", second.uid)
        self.variable(second, "__PEREZVON_ROOM", self.room)
        self.up(second)
        self.leave(self.client)
        self.leave(first)
        self.hangup(first)
        self.manager = second
        self.step(self.client, "joined", "client")
        self.enter_room(self.client, "client", marked=False)
        self.exten(second, "Read", context="perezvon-room-manager")
        self.step(second, "code", "manager")
        self.wait(3)
