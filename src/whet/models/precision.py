"""Products in bfloat16, two to three times faster where the processor has instructions for them.

8 bits of each factor count; sums are kept in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import torch


@cache
def computes_in_bfloat16() -> bool:
    """Whether this processor has instructions for products in bfloat16."""
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def low_products() -> torch.autocast:
    """Within this block the processor makes products of float32 matrices in bfloat16, if it has instructions for it."""
    return torch.autocast("cpu", torch.bfloat16, enabled=computes_in_bfloat16())
