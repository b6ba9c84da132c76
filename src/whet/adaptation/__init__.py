"""Training small adapters on a frozen model, many at once, and checking that they help."""

from typing import TYPE_CHECKING, Any

from whet.adaptation.forms import Form, LoraConfig
from whet.adaptation.guard import check, hold_out
from whet.adaptation.objectives import OBJECTIVES, Objective
from whet.adaptation.trainer import Done, Job, Trace, TrainConfig, Trainer

if TYPE_CHECKING:
    from whet.adaptation.bank import AdapterBank

__all__ = [
    "OBJECTIVES",
    "AdapterBank",
    "Done",
    "Form",
    "Job",
    "LoraConfig",
    "Objective",
    "Trace",
    "TrainConfig",
    "Trainer",
    "check",
    "hold_out",
]


def __getattr__(name: str) -> Any:
    if name == "AdapterBank":  # imports torch
        from whet.adaptation.bank import AdapterBank

        return AdapterBank
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
