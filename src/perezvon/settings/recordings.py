"""Settings of recordings: `[recordings]`. Documents: 000, 1f, 2b and 3c; docs/recordings.md."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from perezvon.recordings.layout import LayoutError, parse
from perezvon.recordings.sides import unfit
from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import Wrong
from perezvon.settings.section import BYTES, DAYS, HOURS, KBIT, HttpUrl, Section, span, template


def _pause_key(text: str) -> str:
    if re.fullmatch(r"([*#][0-9*#]{0,3})?", text) is None:
        raise Wrong(Reason("must begin with * or #, with at most three of the keys 0-9, * and # behind it"))
    return text


def _beside(text: str) -> str:
    if unfit(text):
        raise Wrong(Reason("must be the path of a file below the folder of the recording, with {stem} in it", _STEM))
    return text


def _layout(text: str) -> str:
    try:
        parse(text)
    except LayoutError as error:
        raise Wrong(error.reason) from None
    return text


_STEM = {"stem": "{stem}"}

Beside = Annotated[str, template("stem", "ext"), AfterValidator(_beside)]
Layout = Annotated[str, AfterValidator(_layout)]
"""Of `[[asterisk]]`: where the recordings of a PBX lie that does not tell their names."""


class RecordingSettings(Section):
    """What happens to recordings."""

    mode: Literal["upload", "link", "off"] = Field(
        default="upload",
        title="Recordings",
        description="upload: converted to mp3 and stored in the portal; link: kept here, the portal gets an address "
        "(recordings.md); off: left on the PBX. Applies to calls that end from now on.",
        examples=["link"],
    )
    public_url: HttpUrl = Field(
        default="",
        title="Public address",
        description="Of this service, as the portal and its users reach it (through a proxy with https): the addresses of "
        "recordings begin with it.",
        examples=["https://pbx.example.com"],
    )
    link_in: Literal["record", "activity"] = Field(
        default="record",
        title="Where the link goes",
        description="record: the portal is given the address as the call's recording; it fetches the file once, keeps "
        "it and "
        "has a player for it. activity: the address stands in the text of the call's activity, and the portal keeps "
        "nothing: whoever opens it listens from here.",
        examples=["activity"],
    )
    link_lifetime: float = span(
        720.0,
        most=24 * 366 * 10,
        unit=HOURS,
        title="Life of a link",
        description="After which an address does not work any more. 0: it works as long as the recording is kept.",
        example=0,
    )
    link_format: Literal["mp3", "original"] = Field(
        default="mp3",
        title="What a link leads to",
        description="mp3: converted once and kept here; original: the PBX's file as it is, where that is the only one "
        "of its "
        "call and browsers can play it (wav or mp3), else an mp3.",
        examples=["original"],
    )
    channels: Literal["as_recorded", "mono", "stereo"] = Field(
        default="as_recorded",
        title="Channels",
        description="as_recorded: as the PBX's file; mono: one channel; stereo: the client left, the employee right, "
        "of two "
        "files that the PBX writes beside the recording (below), or of a stereo file. perezvon asterisk install makes "
        "the PBX write them.",
        examples=["stereo"],
    )
    stereo_client: Beside = Field(
        default="client/{stem}{ext}",
        title="File of the received side",
        description="Where MixMonitor's r() file lies, seen from the folder of the recording; {stem} and {ext} are the "
        "recording's name and its ending.",
        examples=["{stem}-r{ext}"],
    )
    stereo_employee: Beside = Field(
        default="employee/{stem}{ext}",
        title="File of the sent side",
        description="The same for MixMonitor's t() file.",
        examples=["{stem}-t{ext}"],
    )
    stereo_leg: Literal["client", "caller"] = Field(
        default="client",
        title="Whose leg is recorded",
        description="client: always the client's, as our dialplan does; caller: that of whoever calls, as FreePBX "
        "does: in an "
        "outgoing call the employee's, and the sides are exchanged.",
        examples=["caller"],
    )
    bitrate: int = Field(
        default=32,
        ge=8,
        le=320,
        title="Bit rate",
        description="Of each channel of the mp3. 32 is plenty for telephone speech: 14 MB an hour.",
        examples=[32],
        json_schema_extra=KBIT,
    )
    quality: int = Field(
        default=5,
        ge=0,
        le=9,
        title="Encoder's care",
        description="From 0 (best, slow) to 9 (fast).",
        examples=[5],
    )
    inline_limit: int = Field(
        default=1_000_000,
        ge=0,
        le=20_000_000,
        title="Inline limit",
        description="A smaller mp3 rides inside the request; a larger one is uploaded in two steps.",
        examples=[1_000_000],
        json_schema_extra=BYTES,
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=64,
        title="Converters",
        description="How many recordings are converted at the same time, each on its own core at low priority.",
        examples=[1],
    )
    deadline: float = Field(
        default=24.0,
        gt=0,
        le=24 * 30,
        title="Deadline",
        description="How long to look for a recording and to try to convert it before it is given up.",
        examples=[24],
        json_schema_extra=HOURS,
    )
    keep_days: int = span(
        0,
        most=36600,
        unit=DAYS,
        title="Kept for",
        description="Days after which our own copies of what the portal has got are deleted, and links to them end. "
        "0: they are kept.",
        example=180,
    )
    delete_at_pbx: bool = Field(
        default=False,
        title="The PBX's files too",
        description="Whether the PBX's own files of these recordings are deleted with them. Our user must be allowed "
        "to write "
        "in its folder.",
        examples=[True],
    )
    pause_key: Annotated[str, AfterValidator(_pause_key)] = Field(
        default="",
        title="Key that pauses",
        description="What an employee presses during a call to have nothing recorded (a card number), and again to go "
        "on. The "
        "recording is silent meanwhile. perezvon asterisk install writes it for the calls that our dialplan records. "
        "Empty: there is none.",
        examples=["*5"],
    )
