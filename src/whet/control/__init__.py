"""What a query may cost, what it did cost, and when enough is enough."""

from whet.control.budget import Budget
from whet.control.limits import TimeLimit
from whet.control.meter import Meter
from whet.control.stopping import AdaptiveStop, MinimumGain, VarianceTarget

__all__ = ["AdaptiveStop", "Budget", "Meter", "MinimumGain", "TimeLimit", "VarianceTarget"]
