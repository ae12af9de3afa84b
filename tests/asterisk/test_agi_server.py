"""The FastAGI server over real sockets: nobody waits for it longer than a deadline, whoever is at the other end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

import pytest
from scripted_agi import ENVIRONMENT, QUICK, Caller, Peer, greeting, served

from perezvon.asterisk.agi import AgiCall, AgiServer, Patience
from perezvon.asterisk.agi_wire import AgiError, AgiRefused, AgiSilent, ChannelGone, Unsendable

pytestmark = pytest.mark.slow


async def _nothing(call: AgiCall) -> None:
    del call


async def test_a_script_sees_the_call_and_speaks_to_the_channel() -> None:
    seen: list[object] = []

    async def script(call: AgiCall) -> None:
        seen.extend([call.pbx, call.script, call.args, call.environment["callerid"]])
        await call.set("PEREZVON_TO", '7916 "1"')
        seen.append(await call.get("PEREZVON_TO"))

    async with served(script) as server:
        caller = await Caller().calls(server, greeting({"agi_arg_1": "один", "agi_arg_2": ""}))
    assert seen == ["main", "menu", ("один", ""), "79161234567", '7916 "1"']
    assert caller.commands == [
        ["SET", "VARIABLE", "PEREZVON_TO", '7916 "1"'],
        ["GET", "VARIABLE", "PEREZVON_TO"],
    ]


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ("200 result=0\n200 result=0\n", "done"),
        ("200 result=0\n200 result=-2\n", "AgiRefused"),
        ("511 Command Not Permitted on a dead channel\n", "AgiRefused"),
        ("HANGUP\n200 result=-1\n200 result=-1\n", "ChannelGone"),
        ("200 result=0\n", "AgiSilent"),
        ("200 result=0\n200 OK\n", "AgiBroken"),
    ],
)
async def test_the_last_commands_wait_for_nobody(answers: str, outcome: str) -> None:
    """All of them and the end of what we say are there before Asterisk has answered anything."""
    over: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def script(call: AgiCall) -> None:
        try:
            await call.end({"PEREZVON_ODD": "a,b", "PEREZVON_RING": "20", "PEREZVON_TO": "102"})
        except AgiError as error:
            over.set_result(type(error).__name__)
        else:
            over.set_result("done")

    async with served(script) as server:
        peer = await Peer.to(server)
        assert await peer.hears() == 'SET VARIABLE "PEREZVON_ODD" "a,b"'
        assert await peer.hears() == 'EXEC "MSet" "PEREZVON_RING=20,PEREZVON_TO=102"'
        assert await peer.closed()
        peer.says(answers)
        assert await asyncio.wait_for(over, 5) == outcome


async def test_a_variable_is_read() -> None:
    got: list[str] = []

    async def script(call: AgiCall) -> None:
        got.extend([await call.get("PEREZVON_LINE"), await call.get("NOTHING")])

    async with served(script) as server:
        peer = await Peer.to(server)
        assert await peer.hears() == 'GET VARIABLE "PEREZVON_LINE"'
        peer.says("200 result=1 (74951234567)\n")
        assert await peer.hears() == 'GET VARIABLE "NOTHING"'
        peer.says("200 result=0\n")
        assert await peer.closed()
    assert got == ["74951234567", ""]


async def test_many_variables_are_set_in_their_order_by_few_commands() -> None:
    """Asterisk takes no more than 24 at once, and no line of more than 2000 bytes."""
    values = {f"PEREZVON_KEY_1_{n}": "7916000000" + "1" * (n % 40) for n in range(200)} | {"PEREZVON_PATH": "/a b/c"}
    values |= {"PEREZVON_SAY_1_1": "1:/var/lib/perezvon/prompts/" + "f" * 32, "PEREZVON_EMPTY": "", "PEREZVON_LAST": "9"}

    async def script(call: AgiCall) -> None:
        await call.end(values)

    async with served(script) as server:
        caller = await Caller().calls(server)
    assert list(caller.variables.items()) == list(values.items())
    assert len(caller.commands) <= 2 + len(values) // 20
    for words in caller.commands:
        assert len(words[-1].split(",")) <= 24
        assert len(" ".join(words).encode()) < 2000


async def test_a_variable_that_cannot_be_set_is_told_from_a_hangup() -> None:
    went: list[str] = []

    async def script(call: AgiCall) -> None:
        try:
            await call.set("READONLY(x)", "1")
        except AgiRefused:
            went.append("on")
            await call.set("X", "1")

    async with served(script) as server:
        peer = await Peer.to(server)
        await peer.hears()
        peer.says("200 result=-1\n")
        assert await peer.hears() == "CHANNEL STATUS"
        peer.says("200 result=6\n")
        assert await peer.hears() == 'SET VARIABLE "X" "1"'
        peer.says("200 result=1\n")
        assert await peer.closed()
    assert went == ["on"]


async def _ended_with(server_says: str, within: float = 2.0) -> BaseException:
    """What a script gets that asks, when Asterisk answers so."""
    error: list[BaseException] = []
    ended = asyncio.Event()

    async def script(call: AgiCall) -> None:
        try:
            await call.get("X")
        except BaseException as found:
            error.append(found)
            raise
        finally:
            ended.set()

    async with served(script) as server:
        peer = await Peer.to(server)
        await peer.hears()
        if server_says:
            peer.says(server_says)
        assert await peer.closed(within)
        await ended.wait()
    return error[0]


async def test_hangup_meanwhile() -> None:
    assert isinstance(await _ended_with("HANGUP\n200 result=0\n"), ChannelGone)


async def test_asterisk_that_says_nothing_any_more() -> None:
    assert isinstance(await _ended_with(""), AgiSilent)


async def test_asterisk_that_does_not_know_the_command() -> None:
    assert isinstance(await _ended_with("510 Invalid or unknown command\n"), AgiRefused)


async def test_a_dead_channel() -> None:
    assert isinstance(await _ended_with("511 Command Not Permitted on a dead channel or intercept routine\n"), AgiRefused)


async def test_what_cannot_be_sent_is_not_sent() -> None:
    errors: list[Exception] = []

    async def script(call: AgiCall) -> None:
        for value in ("101\nEXEC System rm", "1" * 3000):
            try:
                await call.set("PEREZVON_TO", value)
            except Unsendable as error:
                errors.append(error)

    async with served(script) as server:
        caller = await Caller().calls(server)
    assert len(errors) == 2
    assert caller.commands == []


@pytest.mark.parametrize(
    "hello",
    [
        b"",
        b"agi_network: yes\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 50 + b"\n\n",
        b"agi_x: " + b"x" * 200_000,
        b"".join(b"agi_%d: x\n" % n for n in range(1000)) + b"\n",
        greeting({"agi_callerid": "7916\nagi_arg_1: 5"}),
        greeting({"agi_callerid": "7916\n\nagi_x: 5"}),
        greeting({"agi_network_script": "main/nothing"}),
        greeting({"agi_network_script": None}),
        b"\n",
    ],
    ids=[
        "silent",
        "half",
        "http",
        "tls",
        "huge line",
        "too many",
        "forged argument",
        "cut short",
        "no script",
        "no path",
        "empty",
    ],
)
async def test_peers_that_are_no_asterisk_are_sent_away(hello: bytes) -> None:
    started: list[str] = []

    async def script(call: AgiCall) -> None:
        started.append(call.script)

    async with served(script) as server:
        peer = await Peer.to(server, hello)
        begun = time.monotonic()
        assert await peer.closed()
        assert time.monotonic() - begun < QUICK.greeting + 0.5
        again = await Caller().calls(server)
        assert again.commands == []
    assert started == ["menu"], "only the second peer is one"


async def test_a_peer_that_drips_is_sent_away_in_time() -> None:
    async with served(_nothing) as server:
        peer = await Peer.to(server, b"")
        begun = time.monotonic()
        while time.monotonic() - begun < 3:
            peer.writer.write(b"a")
            try:
                if await asyncio.wait_for(peer.reader.read(1), 0.05) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert time.monotonic() - begun < QUICK.greeting + 0.5


async def test_only_those_allowed_may_ask() -> None:
    started: list[str] = []

    async def script(call: AgiCall) -> None:
        started.append(call.script)

    async with served(script, allow=["10.0.0.0/8"]) as server:
        assert await (await Peer.to(server)).closed()
    async with served(script, allow=["127.0.0.1"]) as server:
        await Caller().calls(server)
    assert started == ["menu"]


async def test_more_calls_than_the_limit_are_sent_on_at_once() -> None:
    waiting = asyncio.Event()
    inside = asyncio.Semaphore(0)

    async def script(call: AgiCall) -> None:
        inside.release()
        await waiting.wait()

    async with served(script, patience=Patience(), most=2) as server:
        first, second = await Peer.to(server), await Peer.to(server)
        await inside.acquire()
        await inside.acquire()
        assert server.calls == 2
        assert await (await Peer.to(server)).closed(1.0)
        waiting.set()
        assert await first.closed()
        assert await second.closed()
        peer = await Peer.to(server)
        await inside.acquire()
        assert await peer.closed()


async def test_a_script_that_hangs_lets_the_caller_go() -> None:
    cancelled = asyncio.Event()

    async def script(call: AgiCall) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with served(script) as server:
        begun = time.monotonic()
        assert await (await Peer.to(server)).closed()
        assert QUICK.thinking - 0.05 < time.monotonic() - begun < QUICK.thinking + 0.6
        await asyncio.wait_for(cancelled.wait(), 2)


async def test_a_script_may_ask_for_more_time() -> None:
    done = asyncio.Event()

    async def script(call: AgiCall) -> None:
        call.may_think(5)
        await asyncio.sleep(QUICK.thinking + 0.4)
        done.set()

    async with served(script) as server:
        assert await (await Peer.to(server)).closed()
        assert done.is_set()


async def test_a_loop_that_stands_still_lets_callers_go() -> None:
    """Both one who waits for an answer of ours and one who has not even been let in."""

    async def script(call: AgiCall) -> None:
        await call.get("X")
        await call.set("X", "1")

    def call_blocking(port: int, ready: asyncio.Event, loop: asyncio.AbstractEventLoop) -> list[float]:
        with socket.create_connection(("127.0.0.1", port), 5) as one:
            one.sendall(greeting())
            assert one.recv(1000).startswith(b"GET VARIABLE")
            loop.call_soon_threadsafe(ready.set)
            time.sleep(0.3)  # the loop is stuck by now
            begun = time.monotonic()
            one.sendall(b"200 result=1 (x)\n")
            with socket.create_connection(("127.0.0.1", port), 5) as other:
                other.sendall(greeting())
                waited: list[float] = []
                for end in (one, other):
                    end.settimeout(5)
                    with contextlib.suppress(ConnectionError):
                        assert end.recv(1000) == b""
                    waited.append(time.monotonic() - begun)
                return waited

    async with served(script, patience=Patience(lag=0.8)) as server:
        ready = asyncio.Event()
        calls = asyncio.create_task(asyncio.to_thread(call_blocking, server.port, ready, asyncio.get_running_loop()))
        await ready.wait()
        time.sleep(2.5)  # noqa: ASYNC251 - this is the defect
        waited = await calls
    assert max(waited) < 1.5, "the callers went on while the loop stood still"


async def test_a_broken_script_ends_its_own_call_only() -> None:
    async def script(call: AgiCall) -> None:
        if call.environment["uniqueid"] == "1.1":
            raise RuntimeError("a defect")
        await call.set("X", "1")

    async with served(script) as server:
        assert await (await Peer.to(server, greeting({"agi_uniqueid": "1.1"}))).closed()
        caller = await Caller().calls(server)
    assert caller.variables == {"X": "1"}


async def test_closing_sends_callers_on_and_leaves_nothing_behind() -> None:
    ended = asyncio.Event()

    async def script(call: AgiCall) -> None:
        try:
            await call.get("X")
        finally:
            ended.set()

    server = AgiServer({"menu": script})
    await server.start("127.0.0.1", 0)
    port = server.port
    peer = await Peer.to(server)
    assert (await peer.hears()).startswith("GET VARIABLE")
    begun = time.monotonic()
    await server.close()
    assert await peer.closed(1.0)
    assert ended.is_set()
    assert time.monotonic() - begun < 1.0
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", port)
    await server.close()


async def test_a_hundred_callers_at_once() -> None:
    async def script(call: AgiCall) -> None:
        await call.set("WHO", call.environment["uniqueid"])
        await call.set("NUMBER", await call.get("N"))

    async with served(script, patience=Patience()) as server:
        hellos = [greeting(ENVIRONMENT | {"agi_uniqueid": f"1.{n}"}) for n in range(100)]
        callers = [Caller(variables={"N": str(n)}) for n in range(100)]
        await asyncio.gather(*(caller.calls(server, hello) for caller, hello in zip(callers, hellos, strict=True)))
    assert [caller.variables for caller in callers] == [
        {"N": str(n), "WHO": f"1.{n}", "NUMBER": str(n)} for n in range(100)
    ]
