"""Training small adapters on a frozen model, many at once, and checking that they help."""

from typing import TYPE_CHECKING, Any

from whet.adaptation.forms import BiasNormConfig, Form, FullConfig, LoraConfig, PrefixConfig, PromptConfig, VectorConfig
from whet.adaptation.guard import Guard, GuardConfig
from whet.adaptation.objectives import OBJECTIVES, Objective
from whet.adaptation.trainer import Done, Job, Trace, TrainConfig, Trainer

if TYPE_CHECKING:
    from whet.adaptation.bank import AdapterBank
    from whet.adaptation.features import PooledEncoder
    from whet.adaptation.heads import HeadBank, HeadConfig

__all__ = [
    "OBJECTIVES",
    "AdapterBank",
    "BiasNormConfig",
    "Done",
    "Form",
    "FullConfig",
    "Guard",
    "GuardConfig",
    "HeadBank",
    "HeadConfig",
    "Job",
    "LoraConfig",
    "Objective",
    "PooledEncoder",
    "PrefixConfig",
    "PromptConfig",
    "Trace",
    "TrainConfig",
    "Trainer",
    "VectorConfig",
]

_IMPORT_TORCH = {"AdapterBank": "bank", "HeadBank": "heads", "HeadConfig": "heads", "PooledEncoder": "features"}


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is first asked for."""
    if name not in _IMPORT_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_IMPORT_TORCH[name]}"), name)
