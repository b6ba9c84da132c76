"""Training small adapters on a frozen model, and checking that they help."""

from whet.adaptation.guard import check, hold_out
from whet.adaptation.lora import LoraAdapter, LoraConfig
from whet.adaptation.objective import Objective
from whet.adaptation.trainer import TrainConfig, Trainer

__all__ = ["LoraAdapter", "LoraConfig", "Objective", "TrainConfig", "Trainer", "check", "hold_out"]
