"""What is written down on the way: the queue, the keys pressed in the menu, the line, the recordings' names."""

from __future__ import annotations

from perezvon.calls.beginning import begin_if_incoming
from perezvon.calls.board import Board
from perezvon.calls.call import Direction
from perezvon.calls.channels import Channel
from perezvon.calls.conferring import ROOM, on_room, on_room_variable
from perezvon.calls.events import Event
from perezvon.calls.facts import Connecting, InMenu, MenuChosen, MenuStep
from perezvon.calls.live import LiveCall
from perezvon.calls.names import dialled_number
from perezvon.calls.recording import on_application, on_pause, on_variable

MENU_APPS = frozenset({"background", "waitexten", "backgrounddetect", "read", "playback", "sayalpha", "agi"})
NO_MENU_APPS = frozenset({"voicemail", "voicemailmain", "record", "dictate", "minivmrecord"})
MOST_KEYS = 16
MOST_HEARD = 40
MOST_STEPS = 40
MOST_WHY = 4000
DIGITS = frozenset("0123456789*#ABCD")
MENU_STEPS = frozenset(step.value for step in MenuStep)
LINE = "FROM_DID"
OUR_LINE = "PEREZVON_LINE"
STORY = "PEREZVON_STORY"
MENU = "perezvon-menu-keys"
"""Where our dialplan takes keys and dials from."""


def on_queue_join(board: Board, event: Event) -> None:
    """The queue of a call is the one in which it was answered: the last that it joined before the first answer."""
    channel = board.see(event)
    call = board.call_of(channel)
    if channel is None or call is None or call.over:
        return
    if call.answered is None or not call.queue:
        call.queue = event["queue"] or call.queue
    if call.origin in {channel.uid, channel.other}:
        begin_if_incoming(board, call)


def on_dtmf(board: Board, event: Event) -> None:
    """A key pressed by a client whom nobody talks with. `Direction: Sent` is a key on its way out to a phone."""
    digit = event["digit"]
    channel = board.see(event)
    if channel is None or digit not in DIGITS or event["direction"] == "Sent":
        return
    call = _in_menu(board, channel)
    if call is not None and not call.scripted:
        call.keys += digit
        _chosen(board, call, digit, event.at)


def _in_menu(board: Board, channel: Channel) -> LiveCall | None:
    """The call whose client is in the dialplan on this channel, answered by no one but it."""
    call = board.call_of(channel)
    if call is None or call.over or channel.bridge or channel.app.lower() in NO_MENU_APPS:
        return None
    if not call.begun and channel.uid in {call.origin, _inner(board, call)}:
        begin_if_incoming(board, call)
    if channel.uid not in call.clients:
        return None
    if call.direction is not Direction.INCOMING or (channel.half == 1 and call.pair):
        return None
    return call


def _inner(board: Board, call: LiveCall) -> str:
    origin = board.switch.get(call.origin)
    return origin.other if origin is not None and call.pair else call.origin


def _chosen(board: Board, call: LiveCall, key: str, at: float) -> None:
    call.menu.append(key)
    board.tell(call, MenuChosen(call.id, at, key))


def on_user_event(board: Board, event: Event) -> None:
    """What our own dialplan and scripts tell; anybody else's is none of our business."""
    match event["userevent"]:
        case "PerezvonRoom":
            on_room(board, event)
        case "PerezvonMenu":
            _on_menu(board, event)
        case "PerezvonRecording":
            on_pause(board, event)
        case "PerezvonConnect":
            _on_connect(board, event)
        case _:
            pass


def _on_menu(board: Board, event: Event) -> None:
    """`Step`: began, key, wrong, silence, rings, over. `Key`: what was keyed in. `To`: whom it leads to. `Heard`: what was
    played, words with spaces between. `Story`: all of it so far, see `on_story`; dialplans that were installed by earlier
    versions tell of each step alone. The menu itself tells of the keys from now on, so that those which AMI tells of
    (DTMFEnd, before) do not count twice."""
    channel = board.see(event)
    call = board.call_of(channel)
    if channel is None or call is None or call.over:
        return
    if channel.uid in {call.origin, _inner(board, call)}:
        begin_if_incoming(board, call)
    if story := event["story"]:
        on_story(board, call, story, event.at)
    elif event["step"] in MENU_STEPS:
        key = event["key"]
        known = not call.scripted and bool(key) and call.keys.endswith(key)
        _step(
            board, call, MenuStep(event["step"]), event.at, key, event["to"], event["heard"], event["result"], known=known
        )


def on_story(board: Board, call: LiveCall, story: str, now: float | None = None) -> None:
    """A caller's whole way through our menu: `|step:POSIX seconds:key:to:result:heard` for each step; a key that leads
    somewhere rings there at once. What has been told of it is not told again, so that steps which nobody of us has seen
    are made good by the next one, or by the channel's variable PEREZVON_STORY. `now`: when the last step happened."""
    if not call.begun or call.story.startswith(story):
        return
    more = story.removeprefix(call.story) if story.startswith(call.story) else story
    call.story = story
    entries = [entry.split(":", 5) for entry in more.split("|") if entry][-MOST_STEPS:]
    before = "" if call.scripted else call.keys
    for place, entry in enumerate(entries):
        if len(entry) < 6 or entry[0] not in MENU_STEPS or not (entry[1].isascii() and entry[1].isdecimal()):
            continue
        name, at, key, to, result, heard = entry
        step, when = MenuStep(name), float(at[:12])
        if now is not None and (place == len(entries) - 1 or when > now):
            when = now
        known = bool(key) and before.startswith(key)
        before = before.removeprefix(key)
        _step(board, call, step, when, key, to, heard, result, known=known)
        if step is MenuStep.KEY and to:
            _step(board, call, MenuStep.RINGS, when, "", to, "", "", known=False)


def _step(
    board: Board, call: LiveCall, step: MenuStep, at: float, key: str, to: str, heard: str, result: str, *, known: bool
) -> None:
    """`known`: AMI has told of the key before."""
    call.keys, call.scripted = "", True
    pressed = step in {MenuStep.KEY, MenuStep.WRONG} and 0 < len(key) <= MOST_KEYS and DIGITS.issuperset(key)
    if pressed and not known:
        _chosen(board, call, key, at)
    if call.begun:
        told = {"key": key if pressed else "", "to": _target(board, to), "result": result}
        board.tell(call, InMenu(call.id, at, step, heard=tuple(heard.split()[:MOST_HEARD]), **told))


def _on_connect(board: Board, event: Event) -> None:
    """Autoconnect tells what it chose, the dialplan what came of it. `To`: an extension; `Why`: the account; `Result`."""
    channel = board.see(event)
    call = board.call_of(channel)
    if channel is None or call is None or call.over:
        return
    if channel.uid in {call.origin, _inner(board, call)}:
        begin_if_incoming(board, call)
    to = event["to"] if board.numbering.is_extension(event["to"]) else ""
    board.tell(call, Connecting(call.id, event.at, to, event["why"][:MOST_WHY], event["result"][:MOST_KEYS]))


def _target(board: Board, to: str) -> str:
    return to if board.numbering.is_extension(to) else board.numbering.international(to) or to


def on_newexten(board: Board, event: Event) -> None:
    channel = board.see(event)
    if channel is None:
        return
    call = board.call_of(channel)
    app, exten = event["application"], event["extension"] or event["exten"]
    before, channel.app = channel.app, app
    came_from, channel.place = channel.place, f"{event['context']},{exten}"
    if call is None or call.over:
        return
    if not call.begun and not call.dialled.strip("s") and channel.uid == call.origin:
        call.dialled = exten
    if app == "Dial" and not call.begun:
        call.tried = _tried(event["appdata"])
    if app == "Dial" and event["context"] == MENU:
        _dialled_by_menu(board, call, exten, _tried(event["appdata"]), event.at)
    if app in {"MixMonitor", "Monitor"}:
        on_application(call, app, event["appdata"])
    if before.lower() in MENU_APPS and came_from != channel.place:
        _hint(board, channel, exten, event.at)
    if app == "Read":
        call.reading = event["appdata"].partition(",")[0]


def _dialled_by_menu(board: Board, call: LiveCall, exten: str, to: str, at: float) -> None:
    """Out of the channel event log, of a menu that nobody of us has seen the end of. A key of several digits is not known
    from there, nor what was heard."""
    if "|key:" not in call.story and "|rings:" not in call.story:
        step = f"|key:{int(at)}:{exten}" if exten in DIGITS else f"|rings:{int(at)}:"
        on_story(board, call, f"{call.story}{step}:{to}::", at)


def _tried(data: str) -> str:
    """Whom `Dial(PJSIP/79161234567@multifon,30)` or `Dial(PJSIP/101)` is for."""
    target = data.partition(",")[0].partition("&")[0].partition("/")[2]
    return dialled_number(target, "") or target.partition("/")[0].partition("@")[0]


def _hint(board: Board, channel: Channel, exten: str, at: float) -> None:
    """The dialplan jumped to the extension that was keyed in. Counts where the keys themselves were not told."""
    if not exten or len(exten) > 6 or not DIGITS.issuperset(exten):
        return
    call = _in_menu(board, channel)
    if call is None or call.scripted:
        return
    if not call.keys.endswith(exten):
        for key in exten:
            _chosen(board, call, key, at)
    call.keys = ""


def on_varset(board: Board, event: Event) -> None:
    name = event["variable"].lstrip("_")
    channel = board.switch.get(event["uniqueid"])
    call = board.call_of(channel)
    if channel is None or call is None or call.over:
        return
    value = event["value"]
    if name == LINE:
        if not call.begun and value and channel.uid in {call.origin, _inner(board, call)}:
            call.line_raw = value
    elif name == OUR_LINE:
        if not call.begun and value and channel.uid == call.origin and not board.numbering.is_extension(value):
            call.line_raw = call.line_raw or value
    elif name == ROOM:
        on_room_variable(board, channel, value, event.at)
    elif call.reading and name == call.reading:
        call.reading = ""
        _hint(board, channel, value, event.at)
    else:
        on_variable(board, call, name, value, event.at)
