"""Judging adapters before they answer."""

from whet.adaptation.guard.guard import Guard
from whet.adaptation.guard.snapshots import Snapshots
from whet.adaptation.guard.verdict import Finding, Gain, GuardConfig, decide

__all__ = ["Finding", "Gain", "Guard", "GuardConfig", "Snapshots", "decide"]
