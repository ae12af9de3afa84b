"""Records the stories anew: `python tests/calls/record.py [NAME…]`. Plays them on the sandbox's Asterisk and keeps the AMI
stream of each as `recordings/NAME.ami.gz`, without the messages that tell nothing of calls, and what the world saw of it in
`recordings/truth.json`."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from call_stories import TOLD
from call_story import Truth

from perezvon.asterisk import AmiAddress, Session
from perezvon.sandbox.pbx import PbxSandbox

HERE = Path(__file__).parent
RECORDINGS = HERE / "recordings"
BORING = re.compile(
    rb"^Event: (?:CEL|TestEvent|RTCP\w+|DeviceStateChange|ExtensionStatus|QueueMemberStatus|ContactStatus|PeerStatus|"
    rb"ChallengeSent|ChallengeResponseFailed|SuccessfulAuth|InvalidAccountID|Registry|EndpointList|InboundRegistration\w+|"
    rb"NewConnectedLine|SoftHangupRequest|ChannelTalking\w+|DBGetResponse|MusicOnHold\w+|BridgeVideo\w+)\r"
)
BORING_VARIABLE = re.compile(
    rb"\r\nVariable: _*(?:DIAL|ANSWEREDTIME|RINGTIME|PROGRESSTIME|RTPAUDIO|BRIDGE|MACRO|GOSUB|ARG\d|TIMESTR|CDR|QUEUE|"
    rb"LOCAL_MIXMON|MIXMON_ID|STACK|HANGUPCAUSE|~)"
)
LANGUAGE = re.compile(rb"\r\n\w*(?:Language|ChannelStateDesc|VideoSourceMode): [^\r]*|\r\nPrivilege: [^\r]*")


class Tap:
    """The raw bytes of a connection that sees everything."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.seen = bytearray()

    @classmethod
    async def open(cls, address: AmiAddress) -> Tap:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        tap = cls(reader, writer)
        writer.write(f"Action: Login\r\nUsername: {address.user}\r\nSecret: {address.secret}\r\n\r\n".encode())
        await writer.drain()
        return tap

    async def listen(self) -> None:
        while data := await self.reader.read(1 << 16):
            self.seen += data

    def cut(self) -> bytes:
        """What has come since the last cut, whole messages only."""
        end = self.seen.rfind(b"\r\n\r\n") + 4
        piece = bytes(self.seen[:end])
        del self.seen[:end]
        return piece


def trimmed(raw: bytes) -> bytes:
    kept: list[bytes] = []
    for piece in raw.split(b"\r\n\r\n"):
        frame = piece.lstrip(b"\r\n")  # a TestEvent may end with one line too many
        if not frame.startswith(b"Event: ") or BORING.match(frame):
            continue
        if frame.startswith(b"Event: VarSet") and BORING_VARIABLE.search(frame):
            continue
        kept.append(LANGUAGE.sub(b"", frame))
    return b"\r\n\r\n".join(kept) + b"\r\n\r\n"


def measured(truth: Truth) -> dict[str, float] | None:
    first, client = truth
    if client is None:
        return None
    if first is None or first.channel is None or client.channel is None:
        return {"duration": 0.0}
    assert first.channel.answered is not None
    assert client.channel.ended is not None
    return {"duration": round(client.channel.ended - first.channel.answered, 3)}


async def main(names: list[str]) -> None:
    truths_file = RECORDINGS / "truth.json"
    truths = json.loads(truths_file.read_text()) if truths_file.exists() else {}
    with tempfile.TemporaryDirectory(prefix="perezvon-stories-") as folder:
        async with await PbxSandbox.start(Path(folder)) as pbx, asyncio.TaskGroup() as tasks:
            dialplan = pbx.office.folder / "etc/extensions.conf"
            dialplan.write_text(dialplan.read_text() + (HERE / "stories_extensions.conf").read_text())
            features = pbx.office.folder / "etc/features.conf"
            features.write_text(features.read_text() + (HERE / "stories_features.conf").read_text())
            for command in ("dialplan reload", "module reload features"):
                await pbx.office.ask("Command", ("Command", command))
            address = AmiAddress.parse(pbx.office_ami_all)
            tap = await Tap.open(address)
            listener = tasks.create_task(tap.listen(), name="tap")
            async with await Session.open(address, wanted=frozenset()) as ami:
                for name, story in TOLD.items():
                    if names and name not in names:
                        continue
                    tap.cut()
                    try:
                        truth = measured(await asyncio.wait_for(story.play(pbx, ami), 60))
                    except Exception as error:
                        print(f"{name}: FAILED {error!r}", flush=True)
                        truth = None
                        await pbx.world.reset()
                        continue
                    await pbx.office.silence()
                    await asyncio.sleep(0.2)
                    (RECORDINGS / f"{name}.ami.gz").write_bytes(gzip.compress(trimmed(tap.cut()), mtime=0))
                    truths[name] = truth
                    await pbx.world.reset()
                    print(f"{name}: {truth}", flush=True)
            listener.cancel()
    truths_file.write_text(json.dumps(truths, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
