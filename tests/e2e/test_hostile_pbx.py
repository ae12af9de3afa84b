"""A PBX that lies, stammers, floods and falls silent: `perezvon serve` stays up, says what is wrong, and goes on."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from ami_script import Script
from scripted_ami import GREETING, ScriptedPbx, listing

from perezvon.calls.wanted import WANTED
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.seed import IVANOV
from perezvon.sandbox.service_process import ServiceProcess
from perezvon.sandbox.stand import Stand, is_ready

pytestmark = [pytest.mark.load, pytest.mark.timeout(180)]

SECRET = "s3:cret"
SETTINGS = """
[[asterisk]]
name = "main"
ami = "tcp://perezvon:s3%3Acret@127.0.0.1:{port}"
recordings = "{recordings}"
[[portal]]
name = "main"
domain = "{portal}"
client_id = "{client_id}"
client_secret = "{client_secret}"
oauth_server = "{portal}"
events = "offline"
fallback_user = 1
rate_per_second = 1000
rate_burst = 100000
[recordings]
mode = "off"
"""

_clients = itertools.count(79196000001)


@pytest.fixture(scope="module")
async def pbx() -> AsyncIterator[ScriptedPbx]:
    async with ScriptedPbx(secret=SECRET) as scripted:
        yield scripted


@pytest.fixture(scope="module")
async def office(pbx: ScriptedPbx, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    folder = tmp_path_factory.mktemp("liar")
    service = ServiceProcess(folder / "data")
    async with PortalServer(PortalConfig(rate=None, one_card_per_user=False)) as portal:
        config = portal.config
        text = SETTINGS.format(
            port=pbx.address().port,
            recordings=folder,
            portal=portal.url,
            client_id=config.client_id,
            client_secret=config.client_secret,
        )
        await service.configure(text)
        await service.start()
        portal.app.install_url = f"{service.url}/bitrix24/main/install"
        portal.install()
        await service.until(is_ready, "watches the scripted PBX")
        yield Stand(pbx, portal, service)  # type: ignore[arg-type]
        await service.stop()


@pytest.fixture(autouse=True)
async def unharmed(office: Stand, pbx: ScriptedPbx) -> AsyncIterator[Callable[[], str]]:
    """Gives the log since the test began. Afterwards: the same process, live again, an ordinary call is right, and the log
    has no defect, no secret and no line that is not one."""
    pid = office.service.pid
    start = len(office.service.log.read_bytes())

    def log() -> str:
        return office.service.log.read_bytes()[start:].decode()

    yield log
    pbx.channels, pbx.statuses, pbx.queues = [], [], []
    await live(office)
    await ordinary_call(office, pbx)
    assert office.service.pid == pid
    lines = [json.loads(line) for line in log().splitlines()]
    assert [line for line in lines if line["level"] in ("error", "critical") or "exception" in line] == []
    authority = office.portal.state.authority
    secrets = [SECRET, office.portal.app.client_secret, *authority.access, *authority.refresh]
    assert [secret for secret in secrets if secret in log()] == []


async def live(office: Stand) -> None:
    await office.service.until(lambda status: status["pbxs"][0]["state"] == "live", "is live again", 60)


def wire(script: Script) -> bytes:
    """The script's events as they come from a socket."""
    return b"".join(
        frame([("Event", event.name), ("Timestamp", f"{event.at:.6f}"), *event.headers.items()]) for event in script.events
    )


def frame(pairs: list[tuple[str, str]]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in pairs).encode("utf-8", "surrogateescape") + b"\r\n"


async def ordinary_call(office: Stand, pbx: ScriptedPbx) -> None:
    client = str(next(_clients))
    script = Script(at=time.time(), number=next(_clients))
    caller = script.incoming(f"PJSIP/trunk-{client}", client, "74951234567")
    phone = script.dial(caller, f"PJSIP/101-{client}", "101")
    script.ringing(phone)
    script.answer(phone)
    script.talk(caller, phone)
    script.wait(7)
    script.hangup(caller, phone)
    await pbx.send(wire(script))
    call = await office.call_of(f"+{client}", within=20)
    told = (call.type, int(call.finish["user_id"]), str(call.finish["status"]), int(call.finish["duration"]))
    assert told == (2, IVANOV, "200", 7)
    assert call.leftover_cards == []


# ---- bytes that are no AMI

NONSENSE = [
    b"\r\n\r\n\r\n\r\n",
    b"\x00\x01\x02\xff\xfe" * 50 + b"\r\n\r\n",
    b"Event\r\n\r\nEvent:\r\n\r\nEvent: \r\n\r\n: \r\n\r\n:::\r\n\r\n",
    b"Event: Newchannel\r\n\r\n",
    b"event: newchannel\r\nUNIQUEID: 1\r\n\r\n",
    "Event: Newchannel\r\nUniqueid: 1\r\nCallerIDName: Иван\r\n\r\n".encode("cp1251"),
    "Event: Newchannel\r\nUniqueid: 2\r\nCallerIDName: Ив".encode()[:-1] + b"\r\n\r\n",
    b"Event: Newchannel\r\nUniqueid: \x00\x00\r\nLinkedid: \x00\r\nChannel: \x00\r\n\r\n",
    b"Response: Success\r\nActionID: perezvon-00000000-1\r\nChallenge: 1\r\n\r\n",
    b"Response: Error\r\nMessage: Permission denied\r\n\r\n",
    b"Response: Follows\r\nPrivilege: Command\r\nanything\r\n--END COMMAND--\r\n\r\n",
    b"Action: Originate\r\nChannel: PJSIP/104\r\n\r\n",
    b"Event: FullyBooted\r\n\r\n" * 3,
    b"Event: OriginateResponse\r\nActionID: x\r\nResponse: Failure\r\nReason: many\r\nUniqueid: 1\r\n\r\n",
    b"Event: Newchannel\r\n" + b"X-Header: y\r\n" * 20_000 + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"Event: Hangup\r\nUniqueid: 1\r\nCause: \xd9\xa1\xd9\xa6\r\nTimestamp: nan\r\n\r\n",
    b"Event: Hangup\nUniqueid: 1\nCause: 16\n\n\r\n\r\n",
]


async def test_frames_of_nonsense(office: Stand, pbx: ScriptedPbx, unharmed: Callable[[], str]) -> None:
    await pbx.send(*NONSENSE)
    for piece in (bytes([byte]) for byte in NONSENSE[5]):
        await pbx.send(piece)
    await pbx.send(b"\r\n\r\n")
    await ordinary_call(office, pbx)
    assert "neither event nor answer" in unharmed()


@pytest.mark.parametrize("seed", range(6))
async def test_events_that_contradict_each_other(office: Stand, pbx: ScriptedPbx, seed: int) -> None:
    chance = random.Random(seed)
    names = sorted(WANTED - {"FullyBooted", "Shutdown"})
    uids = [f"{int(time.time())}.{seed}{n}" for n in range(6)]
    channels = ["PJSIP/101-1", "PJSIP/102-2", "PJSIP/trunk-3", "Local/101@x-4;1", "Local/101@x-4;2", "SIP/\u202e<b>-5", ""]
    numbers = ["101", "102", "79160000000", "", "<unknown>", "anonymous", "+", "9" * 60, "${SHELL(id)}", "$result[s1][ID]"]
    values: dict[str, list[str]] = {
        "Channel": channels,
        "Uniqueid": uids,
        "Linkedid": uids,
        "DestChannel": channels,
        "DestUniqueid": uids,
        "DestLinkedid": uids,
        "CallerIDNum": numbers,
        "CallerIDName": ["Иван", "'; DROP TABLE call; --", "<script>", "\x00", "\udcff"],
        "ConnectedLineNum": numbers,
        "Exten": [*numbers, "s", "h"],
        "Context": ["from-pstn", "from-internal", "macro-x", ""],
        "ChannelState": ["0", "4", "5", "6", "-1", "x", ""],
        "ChannelStateDesc": ["Down", "Ring", "Up", "?"],
        "BridgeUniqueid": ["b1", "b2", ""],
        "BridgeNumChannels": ["0", "2", "-3", "x"],
        "Cause": ["16", "17", "0", "-1", "many", ""],
        "DialStatus": ["ANSWER", "BUSY", "", "?"],
        "DialString": ["101", "trunk/79160000000", "", "&&&"],
        "LocalOneChannel": channels,
        "LocalOneUniqueid": uids,
        "LocalTwoChannel": channels,
        "LocalTwoUniqueid": uids,
        "TransfererUniqueid": uids,
        "TransfereeUniqueid": uids,
        "OrigTransfererUniqueid": uids,
        "SecondTransfererUniqueid": uids,
        "DestType": ["Bridge", "App", "Link", ""],
        "Result": ["Success", "Fail"],
        "Newname": channels,
        "Variable": ["MIXMONITOR_FILENAME", "FROM_DID", "CALLFILENAME"],
        "Value": ["../../../../etc/passwd", "/etc/shadow", "74951234567", "\x00", "x" * 3000],
        "Digit": ["1", "#", "Ф"],
        "Queue": ["sales", ""],
        "Timestamp": [f"{time.time():.6f}", f"{time.time() - 1e6:.6f}", "99999999999.5", "-5", "nan", "inf", "x"],
    }
    frames: list[bytes] = []
    for _ in range(1500):
        some = chance.sample(sorted(values), chance.randint(4, len(values)))
        kept = ["Channel", "Uniqueid", "Linkedid"] if chance.random() < 0.8 else []
        headers = [(name, chance.choice(values[name])) for name in dict.fromkeys([*kept, *some])]
        frames.append(frame([("Event", chance.choice(names)), *headers]))
    for start in range(0, len(frames), 100):
        await pbx.send(*frames[start : start + 100])
    await ordinary_call(office, pbx)
    await pbx.drop()  # the snapshot that follows knows none of these channels
    await office.service.until(lambda status: status["pbxs"][0]["state"] != "live", "has lost it", 20)
    await live(office)
    await office.service.until(lambda status: status["pbxs"][0]["live_calls"] == 0, "has closed what was made up", 20)


async def test_a_dump_of_nonsense(office: Stand, pbx: ScriptedPbx, unharmed: Callable[[], str]) -> None:
    strange: list[list[tuple[str, str]]] = [
        [("Event", "CoreShowChannel")],
        [("Event", "CoreShowChannel"), ("Uniqueid", "1"), ("Channel", "")],
        [("Event", "CoreShowChannel"), ("Uniqueid", "2"), ("Channel", "PJSIP/101-1"), ("Duration", "-99:xx")],
        [
            ("Event", "CoreShowChannel"),
            ("Uniqueid", "3"),
            ("Channel", "Local/x@y-1;1"),
            ("Linkedid", "4"),
            ("BridgeID", "b"),
        ],
        [("Event", "CoreShowChannel"), ("Uniqueid", "3"), ("Channel", "PJSIP/trunk-9"), ("CallerIDNum", "<b>\x00")],
        [("Event", "CoreShowChannel"), ("Uniqueid", "5"), ("Channel", "PJSIP/trunk-8"), ("ChannelState", "six")],
        [("Event", "Nothing"), ("Uniqueid", "6")],
    ]
    pbx.channels = pbx.statuses = strange
    await pbx.drop()
    await office.service.until(lambda status: status["pbxs"][0]["state"] != "live", "has lost it", 20)
    await live(office)
    pbx.channels, pbx.statuses = [], []
    await pbx.drop()
    await office.service.until(lambda status: status["pbxs"][0]["live_calls"] == 0, "has closed what was made up", 20)


# ---- too much, too little, at the wrong moment


async def test_an_event_of_five_megabytes(office: Stand, pbx: ScriptedPbx, unharmed: Callable[[], str]) -> None:
    with contextlib.suppress(ConnectionError):  # it has had enough
        for _ in range(5):
            await pbx.send(b"Event: UserEvent\r\nX: " + b"x" * (1 << 20))
    complaint = "a message of more than 4194304 bytes"
    await office.service.until(lambda _: complaint in unharmed(), "says what is wrong")


async def test_a_flood(office: Stand, pbx: ScriptedPbx) -> None:
    noise = frame([("Event", "Newexten"), ("Uniqueid", "1"), ("AppData", "x" * 200)])
    for _ in range(100):
        await pbx.send(noise * 1000)


async def test_connections_that_break_in_the_middle(office: Stand, pbx: ScriptedPbx) -> None:
    for rest in (b"Event: Newcha", b"Event: Newchannel\r\nUniqueid: 9\r", b"Response"):
        await live(office)
        await pbx.send(rest)
        logins = pbx.logins
        await pbx.drop()
        await pbx.received("Login", len(pbx.named("Login")) + 1)
        assert pbx.logins == logins + 1


GREETINGS: dict[str, bytes] = {
    "a web server": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "an endless line": b"Asterisk Call Manager/" + b"9" * 100_000,
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("kind", GREETINGS)
async def test_somebody_else_answers_there(office: Stand, pbx: ScriptedPbx, unharmed: Callable[[], str], kind: str) -> None:
    pbx._greeting = GREETINGS[kind]
    await pbx.drop()
    await office.service.until(lambda status: "is no AMI port" in status["pbxs"][0]["last_error"], "says that it is no AMI")
    pbx._greeting = GREETING
    await live(office)
    assert "is no AMI port" in unharmed()


async def test_answers_that_come_drop_by_drop(office: Stand, pbx: ScriptedPbx, unharmed: Callable[[], str]) -> None:
    """Slow loris: a greeting without an end, a byte at a time, does not hold us for ever."""
    pbx._greeting = b"A"
    await pbx.drop()
    drops = iter(b"sterisk Call Manager/" + b"1" * 1000)
    async with asyncio.timeout(40):
        while "did not complete the login within 10 s" not in unharmed():
            if not pbx.writers[-1].is_closing():
                pbx.writers[-1].write(bytes([next(drops)]))
            await asyncio.sleep(0.2)
    pbx._greeting = GREETING
    await pbx.drop()
    await live(office)


async def test_a_list_that_never_ends(office: Stand, pbx: ScriptedPbx, unharmed: Callable[[], str]) -> None:
    good = pbx.replies["CoreShowChannels"]
    seen: list[Any] = []

    def cut(action: Any) -> list[bytes]:
        """The list begins, and the connection is gone."""
        seen.append(action)
        return listing(action, "CoreShowChannelsComplete", [])[:1]

    pbx.replies["CoreShowChannels"] = cut
    await pbx.drop()
    await pbx.received("CoreShowChannels", len(pbx.named("CoreShowChannels")) + 1)
    assert seen
    pbx.replies["CoreShowChannels"] = good
    await pbx.drop()
    await live(office)
