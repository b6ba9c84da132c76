"""Forms of adapters: what of a model one adapter changes, and how."""

from whet.adaptation.forms.base import Active, Bound, Form
from whet.adaptation.forms.lora import LoraConfig

__all__ = ["Active", "Bound", "Form", "LoraConfig"]
