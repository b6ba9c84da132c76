"""Several LoRA adapters made one, and one made smaller; the base model is not needed and not touched.

A LoRA adapter adds s B A to a matrix, with s = α / r, or α / √r when it is rank-stabilised. A weighted sum of such
changes is one change again, with the matrices side by side:

    Σ_k w_k s_k B_k A_k = s [w_1 s_1/s B_1, w_2 s_2/s B_2, …] [A_1; A_2; …]

Adapters come and go as PEFT stores them: settings, and tensors `A (r, in)` and `B (out, r)` by name.

Source: the kernel weights and the sum are those of Bertolissi, Hübotter et al. 2025, arXiv 2505.14136 (test-time model
merging), which writes the sum into the base weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from whet.errors import AdapterError, InputError

if TYPE_CHECKING:
    from torch import Tensor

Settings = Mapping[str, Any]
Tensors = Mapping[str, "Tensor"]

_A, _B = ".lora_A.weight", ".lora_B.weight"

_CHANGES_MORE = (
    "alora_invocation_tokens",
    "alpha_pattern",
    "arrow_config",
    "layer_replication",
    "lora_bias",
    "modules_to_save",
    "rank_pattern",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_dora",
    "use_qalora",
)
"""Settings with which an adapter is not s B A with one s and one r, or changes something else too."""

_KEEPS_THE_BASE = (None, True, False, "gaussian", "eva", "orthogonal")
"""First weights with which PEFT leaves the base model's matrices as they are."""


def merge_weights(cosines: ArrayLike, *, beta: float = 0.2, tau: float = 0.01, most: int = 50) -> NDArray[np.float64]:
    """How much each of several adapters counts for a query, `(n,)`, zero for those that are left out.

    In proportion to exp(−(1 − cosine) / β²), with a sum of 1; a share of at most τ is dropped, then all but the
    largest; what is left is scaled to a sum of 1 again. All are zero where every share is at most τ, as many equally
    near adapters have: the answer is then the base model's. Shares are of the adapters given: of more than the nearest
    few, each has less.

    Source: arXiv 2505.14136, with its values of β and τ.

    Args:
        cosines: `(n,)`, of the query with those that the adapters were made for.
        beta: width of the kernel, > 0.
        tau: share up to which an adapter is dropped, 0 to below 1.
        most: how many are kept, at least 1; of equal ones the first.

    Raises:
        InputError: there are no cosines, or one is not finite, or an argument is out of range.
    """
    near = np.asarray(cosines, dtype=np.float64)
    if near.ndim != 1 or not near.size or not np.isfinite(near).all():
        raise InputError(f"cosines have shape {near.shape} or are not finite: give one number for each adapter.")
    if not (beta > 0 and 0 <= tau < 1 and most >= 1):
        raise InputError(f"beta={beta}, tau={tau}, most={most}: give beta > 0, 0 <= tau < 1 and most >= 1.")
    shares = np.exp((near - near.max()) / beta**2)  # less the largest, so that it cannot underflow everywhere
    shares /= shares.sum()
    shares[shares <= tau] = 0
    shares[np.argsort(-shares, kind="stable")[most:]] = 0
    total = shares.sum()
    weights: NDArray[np.float64] = shares / total if total else shares
    return weights


def merge_lora(
    adapters: Sequence[tuple[Settings, Tensors]], weights: ArrayLike
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The weighted sum of the changes that LoRA adapters make, as one adapter of the sum of their ranks.

    It is exact up to the rounding of a product, in float32 or the adapters' own type if that is finer. It is scaled as
    the first adapter is, so that adapters of one shape give one of that shape again when it is compressed to their
    rank. Adapters of weight zero are left out.

    Args:
        adapters: settings and tensors of each.
        weights: `(n,)`, one for each; see `merge_weights`.

    Raises:
        AdapterError: one is no plain LoRA adapter, or they do not change the same matrices.
        InputError: the weights are not one finite number for each adapter, or all are zero.
    """
    import torch

    shares = np.asarray(weights, dtype=np.float64)
    if shares.shape != (len(adapters),) or not np.isfinite(shares).all() or not shares.any():
        raise InputError(
            f"weights={shares.tolist()}: give one finite number for each of {len(adapters)} adapters, not all 0."
        )
    parts = [(*adapter, share) for adapter, share in zip(adapters, shares.tolist(), strict=True) if share]
    ranks = [_rank(settings, tensors) for settings, tensors, _ in parts]
    first, first_tensors, _ = parts[0]
    names = _modules(first_tensors)
    for _, tensors, _ in parts[1:]:
        _check_same(first_tensors, tensors)
    scale = _scale(first)
    merged = {}
    for name in names:
        merged[name + _A] = torch.cat([_fine(tensors[name + _A]) for _, tensors, _ in parts])
        merged[name + _B] = torch.cat(
            [_fine(tensors[name + _B]) * (share * _scale(settings) / scale) for settings, tensors, share in parts],
            dim=1,
        )
    return _resized(first, sum(ranks)), merged


def compress_lora(
    settings: Settings, tensors: Tensors, *, rank: int
) -> tuple[dict[str, Any], dict[str, Tensor], float]:
    """The adapter of a given rank that is nearest to one of a higher rank, and the error that it costs.

    Each change is cut to its largest singular values, which are shared evenly between A and B. They are found from QR
    factors of A and B; the product is never formed. Source: Eckart & Young 1936 for the cut.

    Args:
        settings, tensors: the adapter.
        rank: of the result; it has no more than the adapter itself.

    Returns:
        Settings, tensors, and the Frobenius norm of all that was cut as a share of that of the whole change, 0 to 1.

    Raises:
        AdapterError: it is no plain LoRA adapter.
        InputError: rank < 1.
    """
    import torch

    if rank < 1:
        raise InputError(f"rank={rank}: the rank of a LoRA adapter is at least 1.")
    rank = min(rank, _rank(settings, tensors))
    compressed = {}
    cut = whole = 0.0
    for name in _modules(tensors):
        a, b = tensors[name + _A], tensors[name + _B]
        left, left_rest = torch.linalg.qr(b.double())
        right, right_rest = torch.linalg.qr(a.double().T)
        u, values, v = torch.linalg.svd(left_rest @ right_rest.T, full_matrices=False)
        root = values[:rank].sqrt()
        small_b, small_a = left @ u[:, :rank] * root, root[:, None] * (v[:rank] @ right.T)
        missing = rank - len(root)  # where the matrix itself is smaller than the rank
        compressed[name + _A] = torch.nn.functional.pad(small_a, (0, 0, 0, missing)).to(a.dtype)
        compressed[name + _B] = torch.nn.functional.pad(small_b, (0, missing)).to(b.dtype)
        cut += float(values[rank:].square().sum())
        whole += float(values.square().sum())
    return _resized(settings, rank), compressed, math.sqrt(cut / whole) if whole else 0.0


def _rank(settings: Settings, tensors: Tensors) -> int:
    """The rank of an adapter, after a look at whether it is plain LoRA."""
    if settings.get("peft_type") != "LORA" or settings.get("bias", "none") != "none":
        raise AdapterError(
            f"an adapter of type {settings.get('peft_type')!r} with bias {settings.get('bias', 'none')!r} cannot be "
            "merged; whet merges plain LoRA without bias."
        )
    for name in _CHANGES_MORE:
        if settings.get(name):
            raise AdapterError(f"an adapter with {name}={settings[name]!r} cannot be merged; whet merges plain LoRA.")
    if settings.get("init_lora_weights") not in _KEEPS_THE_BASE:
        raise AdapterError(
            f"an adapter with init_lora_weights={settings['init_lora_weights']!r} cannot be merged, as PEFT changes "
            "the base model when it loads one; convert it to plain LoRA with PEFT first."
        )
    rank, alpha = settings.get("r"), settings.get("lora_alpha")
    if not (isinstance(rank, int) and rank >= 1 and isinstance(alpha, int | float) and alpha):
        raise AdapterError(f"an adapter has r={rank!r} and lora_alpha={alpha!r}; its settings are damaged.")
    for name in _modules(tensors):
        a, b = tensors[name + _A], tensors[name + _B]
        if a.ndim != 2 or b.ndim != 2 or len(a) != rank or b.shape[1] != rank:
            raise AdapterError(
                f"an adapter of rank {rank} has matrices of shape {tuple(a.shape)} and {tuple(b.shape)} for {name}; it "
                "is damaged, or no plain LoRA of a linear layer."
            )
    return rank


def _modules(tensors: Tensors) -> list[str]:
    """Names of the modules that an adapter changes, in the order of its tensors."""
    names = [key.removesuffix(_A) for key in tensors if key.endswith(_A)]
    pairs = {name + side for name in names for side in (_A, _B)}
    if not names or pairs != tensors.keys():
        odd = ", ".join(sorted(pairs ^ tensors.keys())) or "nothing"
        raise AdapterError(f"an adapter that is not pairs of A and B cannot be merged: {odd} has no counterpart.")
    return names


def _check_same(first: Tensors, other: Tensors) -> None:
    if first.keys() != other.keys():
        odd = sorted(first.keys() ^ other.keys())
        raise AdapterError(
            f"adapters that change different matrices cannot be merged: {odd[0]} and {len(odd) - 1} more are in one of "
            "two only. Merge adapters of one recipe."
        )
    for key, tensor in first.items():
        of_module = -1 if key.endswith(_A) else 0
        if tensor.shape[of_module] != other[key].shape[of_module]:
            raise AdapterError(
                f"adapters of different models cannot be merged: {key} has shapes {tuple(tensor.shape)} and "
                f"{tuple(other[key].shape)}."
            )


def _scale(settings: Settings) -> float:
    rank = float(settings["r"])
    return float(settings["lora_alpha"]) / (math.sqrt(rank) if settings.get("use_rslora") else rank)


def _resized(settings: Settings, rank: int) -> dict[str, Any]:
    """The settings of an adapter of another rank and the same scale."""
    return {**settings, "r": rank, "lora_alpha": _scale(settings) * rank, "use_rslora": False}


def _fine(tensor: Tensor) -> Tensor:
    """As float32, or float64 if it is that."""
    import torch

    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
