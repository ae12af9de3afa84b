"""What should be done: call facts, settings and what the portal knows in; decisions, each with its reason, out. Pure."""

from perezvon.rules.plan import Decision, plan, refuse_click
from perezvon.rules.policy import Line, MissedTasks, People, Policy, Telling
from perezvon.rules.state import PlanState
from perezvon.rules.vocabulary import Json, Kind, Priority, Reason, Ref, StepDraft

__all__ = [
    "Decision",
    "Json",
    "Kind",
    "Line",
    "MissedTasks",
    "People",
    "PlanState",
    "Policy",
    "Priority",
    "Reason",
    "Ref",
    "StepDraft",
    "Telling",
    "plan",
    "refuse_click",
]
