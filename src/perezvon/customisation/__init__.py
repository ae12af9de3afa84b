"""The integrator's own Python functions ("hooks"): the points at which they are asked, and the process they run in."""

from perezvon.customisation.answer import Answer, Fate
from perezvon.customisation.call import call_data
from perezvon.customisation.customiser import Customiser
from perezvon.customisation.desk import Limits
from perezvon.customisation.points import POINTS, CallData, Point
from perezvon.customisation.status import CustomisationStatus, PointStatus

__all__ = [
    "POINTS",
    "Answer",
    "CallData",
    "CustomisationStatus",
    "Customiser",
    "Fate",
    "Limits",
    "Point",
    "PointStatus",
    "call_data",
]
