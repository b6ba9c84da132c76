"""What adapter folders hold against what a form expects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from whet.errors import AdapterError

if TYPE_CHECKING:
    from torch import Tensor

    from whet.adaptation.layout import Layout

PREFIX = "base_model.model."
"""What PEFT puts before the names of a model's modules."""


def match(layout: Layout, names: Mapping[str, str], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file by the names of a layout.

    Args:
        layout: what is expected.
        names: names in the file, by those of the layout.
        weights: the file.

    Raises:
        AdapterError: a tensor is missing or of another shape, or there is one more.
    """
    tensors = {}
    for name, shape in layout.shapes.items():
        found = weights.get(names[name])
        if found is None or tuple(found.shape) != shape:
            has = "is missing" if found is None else f"is {tuple(found.shape)} in the file"
            raise AdapterError(f"the adapter does not fit the model: {name}, which is {shape} here, {has}.")
        tensors[name] = found
    more = sorted(weights.keys() - set(names.values()))
    if more:
        raise AdapterError(f"the adapter does not fit the model: {more[0]} belongs to none of its target modules.")
    return tensors
