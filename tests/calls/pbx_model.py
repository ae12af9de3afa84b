"""What a PBX would answer to the list actions in the middle of a recording: the state that the events so far have made."""

from __future__ import annotations

from collections.abc import Iterable

from perezvon.calls import Event, Snapshot
from perezvon.calls.wanted import SNAPSHOT_VARIABLES

SIDES = ("", "dest", "localone", "localtwo", "transferer", "transferee", "origtransferer", "secondtransferer", "target")
ENTRY = ("channel", "linkedid", "channelstate", "calleridnum", "calleridname", "context", "exten")


class PbxModel:
    def __init__(self) -> None:
        self.channels: dict[str, dict[str, str]] = {}
        self.born: dict[str, float] = {}
        self.bridges: dict[str, list[str]] = {}
        self.waiting: dict[str, list[str]] = {}
        self.gone: set[str] = set()
        self.places: dict[str, str] = {}

    def feed(self, event: Event) -> None:
        for side in SIDES:
            self._see(event, side)
        uid = event["uniqueid"]
        name = event["channel"]
        match event.name:
            case "Newexten" if uid in self.channels:
                self._runs(self.channels[uid], event)
            case "DialBegin" if event["destuniqueid"] in self.channels:
                dialler = self.channels.get(uid, {}).get("application", "")
                app = "AppQueue" if dialler == "Queue" else "AppDial" if uid else "AppDial2"
                self.channels[event["destuniqueid"]].setdefault("application", app)
            case "BridgeEnter":
                self._leave(name)
                self.bridges.setdefault(event["bridgeuniqueid"], []).append(name)
            case "BridgeLeave":
                members = self.bridges.get(event["bridgeuniqueid"], [])
                if name in members:
                    members.remove(name)
            case "QueueCallerJoin":
                self.waiting.setdefault(event["queue"], []).append(name)
            case "QueueCallerLeave":
                waiting = self.waiting.get(event["queue"], [])
                waiting.remove(name if name in waiting else waiting[0])  # another channel may have taken the place
            case "VarSet" if uid in self.channels and (name := event["variable"].lstrip("_")) in SNAPSHOT_VARIABLES:
                self.channels[uid][f"variable.{name}"] = event["value"]
            case "Hangup":
                self._leave(name)
                self.channels.pop(uid, None)
                self.gone.add(uid)
            case _:
                pass

    def _see(self, event: Event, side: str) -> None:
        uid = event[f"{side}uniqueid"]
        if not uid or uid in self.gone or not event[f"{side}channelstate"]:
            return
        self.born.setdefault(uid, event.at)
        entry = self.channels.setdefault(uid, {"uniqueid": uid})
        entry |= {header: event[f"{side}{header}"] for header in ENTRY}

    def _runs(self, entry: dict[str, str], event: Event) -> None:
        """The first Newexten after a redirect still names the old application: what is run there is not told."""
        runs = {"application": event["application"], "applicationdata": event["appdata"]}
        place = f"{event['context']},{event['exten']}"
        moved = runs["application"] not in {"AppDial", "AppDial2", "AppQueue"} and runs.items() <= entry.items()
        if moved and place != self.places.get(entry["uniqueid"], place):
            runs = {"application": "", "applicationdata": ""}
        self.places[entry["uniqueid"]] = place
        entry |= runs

    def _leave(self, name: str) -> None:
        for members in self.bridges.values():
            if name in members:
                members.remove(name)

    def snapshot(self, at: float) -> Snapshot:
        channels: list[dict[str, str]] = []
        for uid, entry in self.channels.items():
            seconds = int(at - self.born[uid])
            age = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
            bridge = next((one for one, names in self.bridges.items() if entry["channel"] in names), "")
            channels.append(entry | {"duration": age, "bridgeid": bridge})
        bridges = {bridge: tuple(names) for bridge, names in self.bridges.items() if names}
        waiting = {queue: tuple(names) for queue, names in self.waiting.items() if names}
        return Snapshot(at, tuple(channels), bridges, waiting)


def snapshot_after(events: Iterable[Event], at: float | None = None) -> Snapshot:
    model = PbxModel()
    last = 0.0
    for event in events:
        model.feed(event)
        last = event.at
    return model.snapshot(last if at is None else at)
