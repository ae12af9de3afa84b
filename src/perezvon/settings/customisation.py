"""Settings of the integrator's own functions: `[customisation]`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from perezvon.customisation import POINTS, Limits, Point
from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import Wrong
from perezvon.settings.section import SECONDS, AbsolutePath, Section

FOLDER = "customisation"
"""Of the data directory, where the settings name no other."""

MEGABYTES: Final[dict[str, Any]] = {"unit": "MB"}


def _point(text: str) -> str:
    if text not in {point.value for point in POINTS}:
        raise Wrong(Reason("there is no such point; known: {known}", {"known": ", ".join(POINTS)}))
    return text


class CustomisationSettings(Section):
    """The integrator's own Python functions."""

    folder: AbsolutePath = Field(
        default="",
        title="Folder",
        description="Where the Python files with the functions are. Empty: customisation/ in the data directory. Whoever "
        "may write there decides what runs under our user.",
        examples=["/etc/perezvon/customisation"],
    )
    off: tuple[Annotated[str, AfterValidator(_point)], ...] = Field(
        default=(),
        title="Switched off",
        description="Points whose function is not asked, though there is one.",
        examples=[[Point.PROCESS_FINAL_PARAMS.value]],
        json_schema_extra={"known": [point.value for point in POINTS]},
    )
    time_limit: float = Field(
        default=2.0,
        ge=0.1,
        le=60,
        title="Time limit",
        description="A function that takes longer is ended, and what would be done without it is done.",
        examples=[2],
        json_schema_extra=SECONDS,
    )
    card_time_limit: float = Field(
        default=0.3,
        ge=0.05,
        le=5,
        title="Time limit while somebody waits",
        description="The same for functions that are asked before the client's card is shown, while a caller hears the "
        "menu or is connected with an employee, and while a manager brings a third person in.",
        examples=[0.3],
        json_schema_extra=SECONDS,
    )
    memory: int = Field(
        default=256,
        ge=32,
        le=8192,
        title="Memory",
        description="For each of the two processes in which the functions run.",
        examples=[256],
        json_schema_extra=MEGABYTES,
    )

    def place(self, data_dir: Path) -> Path:
        """The folder."""
        return Path(self.folder) if self.folder else data_dir / FOLDER

    def limits(self) -> Limits:
        return Limits(self.time_limit, self.card_time_limit, self.memory * 1024 * 1024, frozenset(self.off))
