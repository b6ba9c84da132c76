"""Forms of adapters: what of a model one adapter changes, and how."""

from whet.adaptation.forms.base import Active, Bound, Form
from whet.adaptation.forms.bias_norm import BiasNormConfig
from whet.adaptation.forms.full import FullConfig
from whet.adaptation.forms.lora import LoraConfig
from whet.adaptation.forms.prefix import PrefixConfig
from whet.adaptation.forms.prompt import PromptConfig
from whet.adaptation.forms.vector import VectorConfig

__all__ = [
    "Active",
    "BiasNormConfig",
    "Bound",
    "Form",
    "FullConfig",
    "LoraConfig",
    "PrefixConfig",
    "PromptConfig",
    "VectorConfig",
]
