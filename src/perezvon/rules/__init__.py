"""What should be done: call facts, settings and what the portal knows in; decisions, each with its reason, out. Pure."""

from perezvon.rules.filters import Filter, Filters
from perezvon.rules.finishing import refuse_click
from perezvon.rules.number_lists import NumberList
from perezvon.rules.numbers import NumberRule, Towards
from perezvon.rules.orders import Order, Ordered
from perezvon.rules.plan import pick_up, plan
from perezvon.rules.policy import Line, MissedTasks, People, Policy, Telling
from perezvon.rules.state import PlanState
from perezvon.rules.triggers import Triggers
from perezvon.rules.vocabulary import Decision, Json, Kind, Priority, Reason, Ref, StepDraft

__all__ = [
    "Decision",
    "Filter",
    "Filters",
    "Json",
    "Kind",
    "Line",
    "MissedTasks",
    "NumberList",
    "NumberRule",
    "Order",
    "Ordered",
    "People",
    "PlanState",
    "Policy",
    "Priority",
    "Reason",
    "Ref",
    "StepDraft",
    "Telling",
    "Towards",
    "Triggers",
    "pick_up",
    "plan",
    "refuse_click",
]
