"""Loading language models, the one that ships with whet, and counting what a pass through them costs."""

from whet.models.flops import forward_flops
from whet.models.language import WHET_BASE, LanguageModel

__all__ = ["WHET_BASE", "LanguageModel", "forward_flops"]
