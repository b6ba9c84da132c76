"""Which modules of a model an adapter changes."""

from __future__ import annotations

import math
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from whet.errors import InputError, ModelError

if TYPE_CHECKING:
    from torch import nn

ALL_LINEAR = "all-linear"
Layers = int | float | None
_NUMBERED = re.compile(r"^(.*?\.?)(\d+)\.")


def find_targets(module: nn.Module, wanted: str | tuple[str, ...], layers: Layers = None) -> dict[str, nn.Module]:
    """The modules whose names end in one of `wanted` (or every linear one below the head), by name, in order.

    Args:
        module: the model.
        wanted: last parts of names, or `all-linear`.
        layers: only the last so many of the model's numbered blocks, or with a share below 1 that share of them,
            rounded up.

    Raises:
        ModelError: a name is not there; the message says which ones are, and the nearest.
        InputError: `layers` is below 1, or above what there is.
    """
    there = {name: part for name, part in module.named_modules() if is_adaptable(part)}
    if wanted == ALL_LINEAR:
        output, below = output_matrix(module), _below_the_head(module)
        chosen = {
            n: part
            for n, part in there.items()
            if part is not output and not is_convolution(part) and n.startswith(below)
        }
    else:
        names = (wanted,) if isinstance(wanted, str) else wanted
        chosen = {n: part for n, part in there.items() if n.rsplit(".", 1)[-1] in names}
        lacking = sorted(set(names) - {n.rsplit(".", 1)[-1] for n in chosen})
        if lacking or not chosen:
            raise _unknown(lacking, {n.rsplit(".", 1)[-1] for n in there}, "linear ", f", or '{ALL_LINEAR}'")
    if not chosen:
        raise ModelError(f"{type(module).__name__} has no linear module to adapt; name its modules as target_modules.")
    if layers is None:
        return chosen
    first, _ = last_blocks(module, layers)
    return {n: part for n, part in chosen.items() if (place := block_of(n)) is not None and place >= first}


def find_within(module: nn.Module, wanted: str | tuple[str, ...] | None, layers: Layers = None) -> dict[str, nn.Module]:
    """The modules that bear one of these names, and all that lie within them, by full name, in order.

    Args:
        module: the model.
        wanted: last parts of names (`mlp`, `q_proj`), or None for the whole model.
        layers: as in `find_targets`.

    Raises:
        ModelError: a name is not there; the message says which ones are, and the nearest.
        InputError: `layers` is below 1, or above what there is.
    """
    there = {name: set(name.split(".")) for name, _ in module.named_modules()}
    names = {wanted} if isinstance(wanted, str) else None if wanted is None else set(wanted)
    known = set().union(*there.values())
    if names is not None and not (names and names <= known):
        raise _unknown(sorted(names - known), {name for name in known if name and not name.isdigit()})
    first = 0 if layers is None else last_blocks(module, layers)[0]
    return {
        name: part
        for name, part in module.named_modules()
        if (names is None or names & there[name])
        and (layers is None or ((place := block_of(name)) is not None and place >= first))
    }


def last_blocks(module: nn.Module, layers: int | float) -> tuple[int, int]:
    """Number of the first block that belongs to the last `layers`, and how many blocks there are.

    Raises:
        InputError: there are not so many blocks, or none.
    """
    total = max((n for name, _ in module.named_modules() if (n := block_of(name)) is not None), default=-1) + 1
    count = math.ceil(layers * total) if isinstance(layers, float) and 0 < layers < 1 else layers
    if count != int(count) or not 1 <= count <= total:
        raise InputError(
            f"layers={layers}: give a number from 1 to {total} (the blocks that {type(module).__name__} has), "
            "a share between 0 and 1, or None for all."
        )
    return total - int(count), total


def block_of(name: str) -> int | None:
    """The number of the block that a module belongs to: the first number in its name."""
    found = _NUMBERED.match(f"{name}.")
    return int(found[2]) if found else None


def output_matrix(module: nn.Module) -> nn.Module | None:
    """The matrix that makes logits of hidden states, where the model is a language model."""
    find = getattr(module, "get_output_embeddings", None)
    return find() if find is not None else None


def _below_the_head(module: nn.Module) -> str:
    """What the names of a `transformers` model begin with but for its head; a head reads chosen rows only."""
    name = getattr(module, "base_model_prefix", "")
    return f"{name}." if name and hasattr(module, name) else ""


def is_transposed(module: nn.Module) -> bool:
    """Whether it is GPT-2's linear layer, which keeps its weight as `(in, out)`."""
    return type(module).__name__ == "Conv1D"


def is_convolution(module: nn.Module) -> bool:
    """Whether it is a convolution in 1, 2 or 3 dimensions."""
    from torch import nn

    return isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d)


def is_adaptable(module: nn.Module) -> bool:
    """Whether it is a linear layer or a convolution."""
    from torch import nn

    return isinstance(module, nn.Linear) or is_transposed(module) or is_convolution(module)


def _unknown(lacking: list[str], known: set[str], kind: str = "", otherwise: str = "") -> ModelError:
    near = get_close_matches(lacking[0], known, n=1) if lacking else []
    hint = f" Did you mean {near[0]}?" if near else ""
    return ModelError(
        f"target_modules={', '.join(lacking) or '(none given)'}: the model has no such {kind}module; "
        f"it has {', '.join(sorted(known))}.{hint} Give some of these{otherwise}."
    )
