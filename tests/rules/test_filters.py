"""Filters as tables: what is said on the phone on the left, what the portal hears of it on the right."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_plan import PEOPLE, POLICY, T, answer, answered_by, end, ring, run, started, steps, stop, told
from test_turns import courses, obeys_the_portal

from perezvon.calls import Numbering
from perezvon.calls.call import Direction, Outcome, TransferKind
from perezvon.calls.facts import Answered, CallEnded, Fact, Ringing, Transferred
from perezvon.rules import Filter, Filters, NumberList, People, PlanState, Policy, plan
from perezvon.rules.number_lists import client_pattern, extension_pattern, number_pattern

NUMBERING = Numbering()
EVERYBODY = People({**PEOPLE.users, "+79990000101": "11", "104": "14"})


def policy(
    *,
    never: str = "",
    only: str = "",
    never_client: str = "",
    only_client: str = "",
    never_line: str = "",
    only_line: str = "",
    staff: str = "",
    **changes: Any,
) -> Policy:
    """Lists, their entries separated by spaces."""

    def of(text: str, read: Any, numbering: Numbering | None = NUMBERING) -> NumberList:
        return NumberList.of(map(read, text.split()), numbering)

    filters = Filters(
        extensions=Filter("extensions", of(only, extension_pattern, None), of(never, extension_pattern, None)),
        lines=Filter("lines", of(only_line, number_pattern), of(never_line, number_pattern)),
        clients=Filter("clients", of(only_client, client_pattern), of(never_client, client_pattern)),
        staff=of(staff, number_pattern),
        elsewhere=frozenset({"bitrix24"}),
    )
    return replace(POLICY, filters=filters, **changes)


ANSWERED: list[list[Fact]] = [[started()], [ring("101")], [answer("101")], [answered_by("101")]]
TOLD = [("register", 11), ("show", [11]), ("finish", 11, 6, "200")]


@pytest.mark.parametrize(
    ("lists", "reason"),
    [
        ({"never_client": "8916*"}, "the portal is not told: filters.clients.never has 8916*, and here is +79161234567"),
        ({"only_client": "+7495*"}, "the portal is not told: +79161234567 is not in filters.clients.only"),
        (
            {"never_line": "84951234567"},
            "the portal is not told: filters.lines.never has 84951234567, and here is +74951234567",
        ),
        ({"only_line": "+78*"}, "the portal is not told: +74951234567 is not in filters.lines.only"),
        ({"never": "101"}, "the portal is not told: filters.extensions.never has 101, and here is 101"),
        ({"only": "200-299"}, "the portal is not told: 101 is not in filters.extensions.only"),
        ({"only_client": "+7916*", "never_client": "+79161*"}, "filters.clients.never has +79161*"),
    ],
)
def test_a_call_left_out_makes_no_request_and_says_why_once(lists: dict[str, str], reason: str) -> None:
    decisions = run(*ANSWERED, policy=policy(**lists))
    assert steps(decisions) == []
    [made] = [made for made in decisions if made.left_out]
    assert reason in str(made.reason)
    assert made.left_out in reason


@pytest.mark.parametrize(
    "lists",
    [
        {"never_client": "+7495*", "never_line": "8800*", "never": "102 9*"},
        {"only_client": "8916*", "only_line": "office +74951234567", "only": "100-199"},
    ],
)
def test_other_calls_are_told_as_ever(lists: dict[str, str]) -> None:
    assert told(run(*ANSWERED, policy=policy(**lists))) == TOLD


def test_hidden_callers_have_a_word_of_their_own() -> None:
    hidden = [[started(client="", client_raw="anonymous")], *ANSWERED[1:3], [answered_by("101", client="")]]
    assert told(run(*hidden, policy=policy(never_client="hidden"))) == []
    assert told(run(*hidden, policy=policy(only_client="+7*"))) == []
    assert told(run(*hidden, policy=policy(only_client="+7* hidden", never_client="+375*"))) == TOLD


def test_a_line_is_also_what_the_settings_make_of_it() -> None:
    """`office` is an alias of +74950000000; a trunk's line counts where the PBX names no number."""
    by_alias = [[started(line="office", line_raw="office")], *ANSWERED[1:]]
    assert told(run(*by_alias, policy=policy(never_line="+74950000000"))) == []
    assert told(run(*by_alias, policy=policy(never_line="office"))) == []
    unnamed = [[started(line="", line_raw="")], *ANSWERED[1:]]
    trunk = {"carrier": POLICY.lines["office"]}
    assert told(run(*unnamed, policy=policy(never_line="+74950000000", trunk_lines=trunk))) == []
    assert told(run(*unnamed, policy=policy(only_line="+74950000000"))) == [], "its line is not known"
    assert told(run(*unnamed, policy=policy(never_line="+74950000000"))) == TOLD


def missed(*rung: str) -> CallEnded:
    return end(rung=rung)


def passed(to: str, *, giver: str = "101") -> Transferred:
    return Transferred("c", T + 4, TransferKind.BLIND, giver, to)


STORIES: list[tuple[str, list[list[Fact]], list[tuple[Any, ...]]]] = [
    (
        "ring group: only the card of who is left out is not shown",
        [[started()], [ring("101"), ring("102")], [answer("102"), stop("101")], [answered_by("102")]],
        [("register", 12), ("show", [12]), ("finish", 12, 6, "200")],
    ),
    (
        "he rings first: nothing is told until somebody else is rung",
        [[started()], [ring("101")], [stop("101")], [ring("102")], [missed("101", "102")]],
        [("register", 12), ("show", [12]), ("finish", 12, 0, "304")],
    ),
    (
        "ring group, he answers: the portal has the call already, it is answered, nobody else gets the credit",
        [[started()], [ring("101"), ring("102")], [answer("101"), stop("102")], [answered_by("101")]],
        [("register", 12), ("show", [12]), ("hide", [12]), ("finish", 1, 6, "200")],
    ),
    (
        "the last rung is left out: missed by who was rung last of the others",
        [[started()], [ring("102")], [stop("102")], [ring("101")], [missed("102", "101")]],
        [("register", 12), ("show", [12]), ("hide", [12]), ("finish", 12, 0, "304")],
    ),
    (
        "he alone is rung and does not answer",
        [[started()], [ring("101")], [missed("101")]],
        [],
    ),
    (
        "nobody is rung at all: a missed call like any other",
        [[started()], [missed()]],
        [("register", 1), ("finish", 1, 0, "304")],
    ),
    (
        "he transfers to a colleague: told from there, as the colleague's",
        [[started()], [ring("101")], [answer("101")], [passed("102")], [ring("102")], [answer("102")],
         [answered_by("101", "102")]],
        [("register", 12), ("show", [12]), ("finish", 12, 6, "200")],
    ),
    (
        "a colleague transfers to him: the colleague's call",
        [[started()], [ring("102")], [answer("102")], [passed("101", giver="102")], [ring("101")], [answer("101")],
         [answered_by("102", "101")]],
        [("register", 12), ("show", [12]), ("finish", 12, 6, "200")],
    ),
    (
        "his own outgoing call",
        [[started(direction=Direction.OUTGOING, extension="101")], [answer("101")],
         [answered_by("101", direction=Direction.OUTGOING)]],
        [],
    ),
    (
        "his outgoing call that is not answered",
        [[started(direction=Direction.OUTGOING, extension="101")],
         [end(direction=Direction.OUTGOING, outcome=Outcome.BUSY)]],
        [],
    ),
    (
        "his own mobile, which the portal knows, is he",
        [[started()], [ring("+79990000101")], [answer("+79990000101")], [answered_by("+79990000101")]],
        [],
    ),
    (
        "he is forwarded to a mobile that nobody knows: he again",
        [[started()], [ring("101")], [stop("101")], [ring("+79995554433")], [answer("+79995554433")],
         [answered_by("+79995554433", forwarded_to="+79995554433", forwarded_by="101")]],
        [],
    ),
    (
        "a mobile that nobody knows, of no one who is left out",
        [[started()], [ring("+79995554433")], [answer("+79995554433")], [answered_by("+79995554433")]],
        [("register", 1), ("finish", 1, 6, "200")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "expected"), [s[1:] for s in STORIES], ids=[s[0] for s in STORIES])
@pytest.mark.parametrize("lists", [{"never": "101"}, {"only": "102-199"}], ids=["black", "white"])
def test_extension_101_is_left_out(lists: dict[str, str], facts: list[list[Fact]], expected: Any) -> None:
    decisions = run(*facts, policy=policy(**lists), people=EVERYBODY)
    assert told(decisions) == expected
    assert [made.unmapped for made in decisions if "101" in made.unmapped] == []
    assert [bool(made.left_out) for made in decisions].count(True) == (0 if expected else 1)


EACH: list[tuple[str, list[list[Fact]], list[tuple[Any, ...]]]] = [
    (
        "he transfers: the portal's first call is the colleague's",
        STORIES[6][1],
        [("register", 12), ("show", [12]), ("finish", 12, 6, "200")],
    ),
    (
        "a colleague transfers to him: one call, the colleague's talk",
        STORIES[7][1],
        [("register", 12), ("show", [12]), ("finish", 12, 1, "200")],
    ),
    (
        "he answers out of a ring group and passes on: answered in nobody's name, then the next one's",
        [[started()], [ring("101"), ring("102")], [answer("101"), stop("102")], [passed("103")], [ring("103")],
         [Answered("c", T + 6, "103", "PJSIP/103-1")], [answered_by("101", "103")]],
        [("register", 12), ("show", [12]), ("hide", [12]), ("finish", 1, 1, "200"),
         ("register", 13), ("show", [13]), ("finish", 13, 3, "200")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "expected"), [s[1:] for s in EACH], ids=[s[0] for s in EACH])
def test_a_portal_call_for_each(facts: list[list[Fact]], expected: Any) -> None:
    decisions = run(*facts, policy=policy(never="101", transfers="each"))
    assert told(decisions) == expected
    leads = [step.params["CRM_CREATE"] for step in steps(decisions) if step.kind == "register"]
    assert leads == [1, 0][: len(leads)], "the first portal call makes the lead, whichever turn it is of"
    assert [made.left_out for made in decisions if made.left_out] == []


CLICK = [
    [started(direction=Direction.OUTGOING, extension="101", expected="u")],
    [answer("101")],
    [answered_by("101", direction=Direction.OUTGOING, recordings=("/a.wav",))],
]


@pytest.mark.parametrize(
    "lists", [{"never_client": "+7916*"}, {"never": "101"}, {"only": "102"}, {"only_line": "+78*"}], ids=str
)
def test_a_click_is_finished_in_the_portal_and_its_recording_stays(lists: dict[str, str]) -> None:
    state = PlanState(portal_call="externalCall.1", shown=("11",))
    assert told(run(*CLICK, policy=policy(**lists), state=state)) == [("finish", 11, 6, "200")]
    reasons: list[str] = []
    for facts in CLICK:
        state, decisions = plan(state, facts, policy(**lists), PEOPLE)
        reasons += [str(made.reason) for made in decisions]
    assert state.recording_stays
    assert reasons[-1].startswith("the recording stays here, because ")


def test_a_clicked_client_who_is_left_out_gives_no_colleague_a_card() -> None:
    state = PlanState(portal_call="externalCall.1", shown=("11",))
    facts = [*CLICK[:2], [passed("102")], [ring("102")], [answer("102")], [answered_by("101", "102")]]
    assert told(run(*facts, policy=policy(never_client="+7916*"), state=state)) == [
        ("hide", [11]),
        ("finish", 12, 6, "200"),
    ]


def recording_stays(chosen: Policy, facts: list[list[Fact]]) -> bool:
    state = PlanState()
    for some in facts:
        state, _ = plan(state, some, chosen, PEOPLE)
    return state.recording_stays


def test_the_recording_goes_with_a_talk_that_is_told() -> None:
    group: list[list[Fact]] = [[started()], [ring("101"), ring("102")]]
    paths = {"recordings": ("/a.wav",)}
    assert recording_stays(policy(never="101"), [*group, [answer("101")], [answered_by("101", **paths)]])
    assert not recording_stays(policy(never="101"), [*group, [answer("102")], [answered_by("102", **paths)]])
    assert not recording_stays(policy(never="101"), [*group, [answer("101")], [answered_by("101", "102", **paths)]])


def test_a_filter_that_comes_while_the_call_runs_leaves_nothing_open() -> None:
    state = PlanState()
    for facts in ANSWERED[:2]:
        state, _ = plan(state, facts, POLICY, PEOPLE)
    chosen = policy(never_client="+7916*")
    assert told(run([answer("101")], [answered_by("101")], policy=chosen, state=state)) == [("finish", 11, 6, "200")]


def test_a_filter_that_goes_while_the_call_runs() -> None:
    state, _ = plan(PlanState(), ANSWERED[0], policy(never_client="+7916*"), PEOPLE)
    assert state.left_out == "filters.clients.never"
    for facts in ANSWERED[1:]:
        state, _ = plan(state, facts, POLICY, PEOPLE)
    assert (state.left_out, state.registered, state.finished) == ("", True, True)


def test_calls_between_employees_have_no_client_and_no_line() -> None:
    facts: list[list[Fact]] = [
        [started(direction=Direction.INTERNAL, extension="102", client="103", client_raw="103", line="", line_raw="")],
        [ring("103")],
        [answer("102")],
        [answered_by("102", direction=Direction.INTERNAL)],
    ]
    lists = {"only_client": "+7*", "only_line": "+7*", "never_client": "1*"}
    assert told(run(*facts, policy=policy(internal_calls=True, **lists)))[0] == ("register", 12)
    assert told(run(*facts, policy=policy(internal_calls=True, only="2*"))) == []
    assert [made.left_out for made in run(*facts, policy=policy(only="2*")) if made.left_out] == []


def test_the_portals_own_line_is_no_extension() -> None:
    facts: list[list[Fact]] = [
        [started()],
        [Ringing("c", T + 1, "bitrix24", "PJSIP/bitrix24-1")],
        [Answered("c", T + 3, "bitrix24", "PJSIP/bitrix24-1")],
        [answered_by("bitrix24")],
    ]
    chosen = policy(only="101", portal_peers=frozenset({"bitrix24"}), own_line="perezvon")
    assert told(run(*facts, policy=chosen)) == [("register", 1), ("finish", 1, 6, "200")]


@pytest.mark.parametrize(("staff", "lead"), [("8 (916)*", 0), ("+79161234567", 0), ("+7495*", 1)])
def test_colleagues_own_phones_make_no_lead(staff: str, lead: int) -> None:
    chosen = policy()
    chosen = replace(chosen, filters=replace(chosen.filters, staff=NumberList.of([number_pattern(staff)], NUMBERING)))
    decisions = run(*ANSWERED, policy=chosen)
    assert told(decisions) == TOLD
    assert steps(decisions)[0].params["CRM_CREATE"] == lead
    assert any("is a colleague" in str(made.reason) for made in decisions) is (lead == 0)


def test_a_thousand_employees_and_patterns_cost_little() -> None:
    people = People({str(1000 + n): str(n + 1) for n in range(1000)} | {f"+7999{n:07d}": str(n + 1) for n in range(1000)})
    chosen = policy(never=" ".join(f"{5000 + n}" for n in range(1000)) + " 9* 7000-7999")
    facts: list[list[Fact]] = [[started()], [ring("1001")], [answer("1001")], [answered_by("1001")]]
    began = time.process_time()
    for _ in range(20):
        state = PlanState()
        for some in facts:
            state, _ = plan(state, some, chosen, people)
    assert (time.process_time() - began) / 20 < 0.05


LISTS = ({"never": "101"}, {"only": "102 199"}, {"never": "10*"}, {"never_client": "+7*"}, {"only_line": "+7812*"})


@given(courses(), st.booleans(), st.sampled_from(LISTS), st.sampled_from(("one", "each")))
def test_whatever_happens_nothing_slips_through_and_nothing_stays_open(
    rounds: list[list[Fact]], click: bool, lists: dict[str, str], transfers: Any
) -> None:
    clicked = PlanState(portal_call="externalCall.x.1", shown=("11",)) if click else PlanState()
    chosen = policy(transfers=transfers, **lists)
    decisions = run(*rounds, policy=chosen, state=clicked)
    asked = steps(decisions)
    assert len({step.key for step in asked}) == len(asked)
    obeys_the_portal(asked, "externalCall.x.1" if click else "")
    left_out = [made.left_out for made in decisions if made.left_out]
    assert len(left_out) == (0 if asked else 1), "each call is told or counted"
    if click:
        return
    silent = {user for extension, user in PEOPLE.users.items() if chosen.filters.employee(extension, PEOPLE.users)}
    for step in asked:
        users: Any = step.params["USER_ID"]
        assert not silent & set(map(str, users if isinstance(users, list) else [users]))
    if "never_client" in lists or "only_line" in lists:
        assert asked == []
