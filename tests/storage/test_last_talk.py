"""Who talked with a client last."""

from __future__ import annotations

from perezvon.calls.call import Direction
from perezvon.storage import Database, calls
from perezvon.storage.calls import StoredCall

CLIENT = "+79161234567"


def row(
    number: int, started: float, talker: str, *, pbx: str = "main", live: bool = False, client: str = CLIENT
) -> StoredCall:
    return StoredCall(str(number), pbx, Direction.INCOMING, started, live, client=client, last_talker=talker)


async def test_the_newest_talk_of_this_client_on_this_pbx(place: object) -> None:
    async with await Database.open(place) as database:  # type: ignore[arg-type]
        rows = [
            row(1, 10.0, "101"),
            row(2, 20.0, "102"),
            row(3, 30.0, ""),
            row(4, 40.0, "103", live=True),
            row(5, 50.0, "104", pbx="other"),
            row(6, 60.0, "105", client="+79160000000"),
        ]
        await database.write(lambda conn: calls.save(conn, rows))
        async with database.glance() as conn:
            assert await calls.last_talk(conn, "main", CLIENT) == ("102", 20.0)
            assert await calls.last_talk(conn, "other", CLIENT) == ("104", 50.0)
            assert await calls.last_talk(conn, "main", "+79169999999") is None
