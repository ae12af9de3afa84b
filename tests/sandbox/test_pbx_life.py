"""The sandbox's two Asterisks themselves: start, stop, crash, restart, AMI, recordings, records of calls, load."""

from __future__ import annotations

import asyncio
import csv
import os
import re
import signal
import sys
import time
import wave
from pathlib import Path

import aiohttp
import pytest

from perezvon.asterisk import ActionRefused, AmiAddress, CannotConnect, Session
from perezvon.sandbox.pbx import AsteriskDied, PbxSandbox, sounds

pytestmark = pytest.mark.asterisk

CLIENT = "79161234567"


async def process_ended(pid: int, within: float = 10) -> None:
    """Returns when a process that is not our child is gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(handle, ended.set)
    try:
        async with asyncio.timeout(within):
            await ended.wait()
    finally:
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)


async def complete_recording(pbx: PbxSandbox, pattern: str) -> Path:
    """The recording whose path matches, when Asterisk has closed it (nothing tells when that is)."""
    async with asyncio.timeout(10):
        while True:
            for path in pbx.recordings.rglob("*.wav"):
                if re.search(pattern, str(path.relative_to(pbx.recordings))) and is_complete(path):
                    return path
            await asyncio.sleep(0.05)


def is_complete(path: Path) -> bool:
    try:
        with wave.open(str(path), "rb") as file:
            return file.getnframes() > 0 and file.getnframes() * 2 + 44 == path.stat().st_size
    except (wave.Error, EOFError):
        return False


async def test_second_sandbox_beside_the_first_and_nothing_left_after_its_stop(pbx: PbxSandbox, tmp_path: Path) -> None:
    begin = time.monotonic()
    async with await PbxSandbox.start(tmp_path / "second") as second:
        assert time.monotonic() - begin < 10
        assert second.addresses.office != pbx.addresses.office
        pids = [second.office.pid, second.world.switch.pid]
        for sandbox in (pbx, second):
            caller = await sandbox.world.call(frm=CLIENT, to="74950000101")
            await caller.talking()
        run = second.addresses.run
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert [left.name for left in run.iterdir()] == ["lock"]


async def test_killed_parent_leaves_no_asterisk(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys, pathlib\n"
        "from perezvon.sandbox.pbx import PbxSandbox\n"
        "async def main():\n"
        "    async with await PbxSandbox.start(pathlib.Path(sys.argv[1])) as s:\n"
        "        print('pids', s.office.pid, s.world.switch.pid, flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(tmp_path / "pbx"), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    line = ""
    while not line.startswith("pids"):
        line = (await parent.stdout.readline()).decode()
        assert line
    pids = [int(pid) for pid in line.split()[1:]]
    assert len(pids) == 2
    parent.kill()
    await parent.wait()
    for pid in pids:
        await process_ended(pid)


async def test_by_hand_until_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "perezvon.sandbox.pbx", "--folder", str(tmp_path / "pbx")]
    playing = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert playing.stdout is not None
    pids: list[int] = []
    while line := (await playing.stdout.readline()).decode():
        pids += [int(pid) for pid in re.findall(r"\(process (\d+)\)", line)]
        if "Ctrl-C" in line:
            playing.send_signal(signal.SIGINT)
    assert await playing.wait() == 0
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_crash_is_told_to_those_who_wait(tmp_path: Path) -> None:
    async with await PbxSandbox.start(tmp_path / "pbx") as sandbox:
        await sandbox.world.phone("101").rings()
        caller = await sandbox.world.call(frm=CLIENT, to="74950000101")
        waiting = asyncio.create_task(caller.answered())
        watching = asyncio.create_task(sandbox.failure())
        await sandbox.world.phone("101").ringing()
        os.kill(sandbox.world.switch.pid, signal.SIGKILL)
        with pytest.raises(AsteriskDied, match=r"killed by signal 9[^$]*end of its log"):
            await waiting
        with pytest.raises(AsteriskDied):
            await watching
        with pytest.raises(AsteriskDied):
            await sandbox.world.phone("101").busy()


async def test_start_that_fails_shows_the_log(tmp_path: Path) -> None:
    program = tmp_path / "asterisk"
    program.write_text('#!/bin/sh\n[ "$1" = -V ] && echo Asterisk 20.1.0 && exit\necho the disk is on fire\nexit 3\n')
    program.chmod(0o755)
    with pytest.raises(AsteriskDied, match=r"(?s)ended with code 3.*the disk is on fire"):
        await PbxSandbox.start(tmp_path / "pbx", asterisk=program)


async def test_name_with_quotes_keeps_the_number(pbx: PbxSandbox) -> None:
    caller = await pbx.world.call(frm=CLIENT, to="74950000101", name='" <79990000000> \\ "x')
    leg = await pbx.world.phone("101").talking()
    assert leg.channel is not None
    assert leg.channel.caller == CLIENT
    await caller.hangup()


@pytest.mark.parametrize("crash", [False, True])
async def test_office_restarts(tmp_path: Path, crash: bool) -> None:
    async with await PbxSandbox.start(tmp_path / "pbx") as sandbox:
        first = sandbox.office.pid
        await (await sandbox.world.call(frm=CLIENT, to="74950000101")).talking()
        await sandbox.restart_office(crash=crash)
        await sandbox.world.reset()
        assert sandbox.office.pid != first
        caller = await sandbox.world.call(frm=CLIENT, to="74950000102")
        await caller.talking()
        await caller.hangup()


async def test_ami_over_tls(pbx: PbxSandbox) -> None:
    async with await Session.open(AmiAddress.parse(pbx.office_ami_tls)) as session:
        assert (await session.action("Ping"))["Ping"] == "Pong"
    with pytest.raises(CannotConnect):
        await Session.open(AmiAddress.parse(pbx.office_ami_tls.partition("?")[0]))


async def test_perezvons_ami_user_has_the_rights_it_needs_and_no_more(pbx: PbxSandbox) -> None:
    async with await Session.open(AmiAddress.parse(pbx.office_ami)) as session:
        for listed in ("CoreShowChannels", "Status", "BridgeList", "QueueStatus"):
            await session.collect(listed)
        assert (await session.action("CoreStatus"))["CoreStartupTime"]
        for action, headers in (
            ("Command", [("Command", "core show version")]),
            ("DBPut", [("Family", "CF"), ("Key", "101"), ("Val", "102")]),
            ("UpdateConfig", [("SrcFilename", "manager.conf"), ("DstFilename", "manager.conf")]),
        ):
            with pytest.raises(ActionRefused, match="ermission"):
                await session.action(action, headers)


async def test_ari_answers(pbx: PbxSandbox) -> None:
    async with aiohttp.ClientSession() as client, client.get(f"{pbx.office_ari}/ari/asterisk/info") as answer:
        assert answer.status == 200


async def test_recordings_lie_in_dated_folders_and_have_both_voices(pbx: PbxSandbox) -> None:
    world = pbx.world
    caller = await world.call(frm="79160000077", to="74950000101")
    phone = await world.phone("101").talking()
    await caller.talks(0.6)
    await caller.hangup()
    path = await complete_recording(pbx, r"^20\d\d/[01]\d/[0-3]\d/in-74950000101-79160000077-20\d{6}-\d{6}-\d+\.\d+\.wav$")
    assert sounds.seconds_heard(path, caller.tone) >= 0.3
    assert sounds.seconds_heard(path, phone.tone) >= 0.3
    desk = await world.phone("102").dial("79160000078")
    client = await world.number("79160000078").talking()
    await desk.talks(0.6)
    await desk.hangup()
    path = await complete_recording(pbx, r"/out-79160000078-102-")
    assert sounds.seconds_heard(path, client.tone) >= 0.3
    assert sounds.seconds_heard(path, desk.tone) >= 0.3


async def test_records_of_calls_are_written(pbx: PbxSandbox) -> None:
    caller = await pbx.world.call(frm="79160000079", to="74950000101")
    await caller.talks(0.2)
    linkedid = (await caller.office_channel()).linkedid
    await caller.hangup()
    await pbx.office.silence()
    records = [row for row in csv.reader(pbx.cdr.open(encoding="utf-8", errors="replace")) if "79160000079" in row]
    assert [(row[2], row[14]) for row in records] == [("101", "ANSWERED")]
    events = [row for row in csv.reader(pbx.cel.open(encoding="utf-8", errors="replace")) if row[15] == linkedid]
    assert {"CHAN_START", "ANSWER", "BRIDGE_ENTER", "HANGUP", "LINKEDID_END"} <= {row[0] for row in events}


@pytest.mark.parametrize("name", ["Иван «Рога и Копыта»", "<b>Нил</b> &amp;", "🙂 emoji", "a,b;c|d"])
async def test_callers_name_arrives_as_it_is(pbx: PbxSandbox, name: str) -> None:
    caller = await pbx.world.call(frm=CLIENT, to="74950000101", name=name)
    leg = await pbx.world.phone("101").talking()
    assert leg.channel is not None
    assert leg.channel.caller_name == name
    await caller.hangup()


async def test_load_keeps_its_pace(pbx: PbxSandbox) -> None:
    await pbx.world.phone("101").answers(after=0.1)
    legs = [leg async for leg in pbx.world.load(10, 20, "74950000101", talk_seconds=0.5)]
    invited = [await leg.at_office() for leg in legs]
    for leg in legs:
        await leg.ended()
        assert leg.channel is not None
        assert leg.channel.answered is not None
    assert len({leg.number for leg in legs}) == 20
    assert 1.8 < invited[-1] - invited[0] < 2.2
    assert all(0 <= seen - (leg.placed or 0) < 0.2 for seen, leg in zip(invited, legs, strict=True))
