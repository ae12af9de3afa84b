"""Which recordings of a call follow one another, and which hold the same talk twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perezvon.recordings.parts import Part, Talk, arrange, talkers

ONE_TALK = [Talk("101", 20, 80)]
TRANSFERRED = [Talk("101", 20, 40), Talk("102", 45, 80)]


@pytest.mark.parametrize(
    ("story", "talks", "parts", "kept"),
    [
        ("a new file at the transfer", TRANSFERRED, [(0, 20), (40, 35)], [0, 1]),
        ("told in another order than they began", TRANSFERRED, [(40, 35), (0, 20)], [1, 0]),
        ("from before the answer, and a new file at the transfer", TRANSFERRED, [(0, 40.3), (40, 40)], [0, 1]),
        ("three legs, one after the other", TRANSFERRED, [(0, 20), (40, 5.5), (45, 35)], [0, 1, 2]),
        ("both legs' monitors", ONE_TALK, [(20, 60), (20.4, 59.2)], [0]),
        ("both legs' monitors, the longer told second", ONE_TALK, [(20, 59), (20.4, 59.8)], [1]),
        ("the caller's from the first ring, the employee's from the answer", ONE_TALK, [(0, 80), (20, 60)], [0]),
        ("the caller's writes only while they talk, though it was opened earlier", ONE_TALK, [(0, 60), (20, 59.5)], [0]),
        ("the client's whole call, and each leg's own file", TRANSFERRED, [(20, 60), (20, 20), (45, 35)], [0]),
        ("a consultation that was told of only when it was joined", TRANSFERRED, [(20, 60), (42, 50)], [0]),
        ("legs that overlap for a while: nothing is lost", TRANSFERRED, [(20, 30), (40, 40)], [0, 1]),
        ("the talk after the client's leg is gone goes on in its file", TRANSFERRED, [(20, 20), (40, 100)], [0, 1]),
        ("nobody told when they began, and there is room for both", TRANSFERRED, [(None, 20), (None, 35)], [0, 1]),
        ("nobody told when they began, and there is no room for both", ONE_TALK, [(None, 58), (None, 60)], [1]),
        ("of one it is not known when it began: the order told stands", TRANSFERRED, [(45, 30), (None, 20)], [0, 1]),
        ("as long as each other: the first told", ONE_TALK, [(20, 60), (20, 60)], [0]),
        (
            "both were told of after we had been away, by their files one follows the other",
            TRANSFERRED,
            [(50, 30, 80), (50, 22, 42)],
            [1, 0],
        ),
        ("both legs' monitors, by their files too", ONE_TALK, [(20, 60, 80.2), (20.4, 59.2, 80.1)], [0]),
        ("nobody told, the files were closed together", ONE_TALK, [(None, 60, 80), (None, 59, 80)], [0]),
        ("nobody told, by their files one follows the other", TRANSFERRED, [(None, 35, 80), (None, 40, 44)], [1, 0]),
        ("files copied later tell nothing", TRANSFERRED, [(0, 20, 900), (40, 35, 900)], [0, 1]),
        ("one", ONE_TALK, [(20, 60)], [0]),
        ("none", ONE_TALK, [], []),
    ],
)
def test_arrangement(story: str, talks: list[Talk], parts: list[tuple[float | None, float]], kept: list[int]) -> None:
    made = [Part(number, began, seconds or 0.0, *closed) for number, (began, seconds, *closed) in enumerate(parts)]
    arranged = arrange(made, talks, 0, 80)
    assert [part.id for part in arranged.kept] == kept, story
    assert {*arranged.spare, *kept} == set(range(len(parts)))
    assert set(arranged.spare.values()) <= set(kept)


@given(
    st.lists(st.tuples(st.none() | st.floats(0, 100), st.floats(0.1, 100), st.none() | st.floats(0, 200)), max_size=6),
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), max_size=4),
)
def test_every_part_is_heard_or_is_held_by_one_at_least_as_long(
    parts: list[tuple[float | None, float, float | None]], times: list[tuple[float, float]]
) -> None:
    made = {number: Part(number, *part) for number, part in enumerate(parts)}
    talks = [Talk("1", min(pair), max(pair)) for pair in times]
    arranged = arrange(list(made.values()), talks, 0, 100)
    assert sorted([*(part.id for part in arranged.kept), *arranged.spare]) == list(made)
    for spare, twin in arranged.spare.items():
        assert made[twin] in arranged.kept
        assert made[twin].seconds >= made[spare].seconds


def test_who_talked_in_each_part() -> None:
    talks = [*TRANSFERRED, Talk("101", 79.9, 80)]
    assert talkers([Part(1, 0, 20), Part(2, 40, 35)], talks) == [("101",), ("102",)]
    assert talkers([Part(1, 0, 60)], talks) == [("101", "102")]
    assert talkers([Part(1, 0, 60), Part(2, None, 10)], talks) == [(), ()]
