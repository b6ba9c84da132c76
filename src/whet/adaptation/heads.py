"""Heads: linear classifiers of the features of a frozen encoder, many fitted at once.

    p(class | x) = softmax(W x + b),   W = 0 and b = 0 at first

The features do not change, so a head needs no pass through the encoder once they are there. The rows of all slots are
padded to equally many once, and a step of all slots is two batched products.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from whet.adaptation.forms.files import match
from whet.adaptation.layout import Layout
from whet.errors import AdapterError, InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

_KIND = "WHET_HEAD"
_ROWS_A_PASS = 2**16  # padding included


@dataclass(frozen=True)
class HeadConfig:
    """Shape of a head.

    Attributes:
        classes: how many classes there are, at least 2; labels are 0 to `classes - 1`.
        l2: penalty of `l2 / 2` times the sum of squares of W (not of b), beside the mean cross entropy. That is
            scikit-learn's logistic regression with `C = 1 / (examples * l2)`, or twice that of two classes, for
            which it has one row of weights.
    """

    classes: int
    l2: float = 0.0

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise InputError(f"classes={self.classes}: a head tells at least 2 classes apart.")
        if not 0 <= self.l2 < math.inf:
            raise InputError(f"l2={self.l2}: give a number of at least 0.")


class HeadBank:
    """Slots for heads on features of one width; a slot comes out as if it had been fitted alone.

    Args:
        config: shape of the heads.
        width: numbers in a row of features.
        slots: how many heads there is room for.
        device: where they are fitted.

    Raises:
        InputError: the width or the number of slots is below 1.
    """

    def __init__(self, config: HeadConfig, width: int, *, slots: int = 1, device: torch.device | str = "cpu") -> None:
        if width < 1 or slots < 1:
            raise InputError(f"width={width}, slots={slots}: both are at least 1.")
        self.config = config
        self.slots = slots
        self.device = torch.device(device)
        self.layout = Layout({"weight": (config.classes, width), "bias": (config.classes,)})
        self.weights = torch.zeros(slots, self.layout.size, device=self.device)

    def reset(self, slot: int) -> None:
        """Make all classes equally likely again."""
        self.weights[slot] = 0

    def fit(
        self, data: Mapping[int, tuple[ArrayLike | Tensor, ArrayLike | Tensor]], *, steps: int = 100, lr: float = 0.01
    ) -> dict[int, list[float]]:
        """Take steps of Adam on all examples of a slot at once, for all slots together, from where each slot is.

        Args:
            data: features `(n, width)` and labels `(n,)` by slot; slots may have different n.
            steps: how many.
            lr: learning rate, constant.

        Returns:
            Loss of each slot before each step: mean cross entropy in nats, and the penalty.

        Raises:
            InputError: features or labels are of another shape, not finite or out of range, a slot does not exist, or
                there is no step or learning rate.
        """
        if steps < 1 or not 0 < lr < math.inf:
            raise InputError(f"steps={steps}, lr={lr}: give at least one step and a positive learning rate.")
        checked = {}
        for slot, (features, labels) in data.items():
            rows = self._features(slot, features)
            checked[slot] = rows, self._labels(slot, labels, len(rows))
        losses: dict[int, list[float]] = {}
        for slots in _passes({slot: len(x) for slot, (x, _) in checked.items()}):
            losses |= self._fit({slot: checked[slot] for slot in slots}, steps, lr)
        return losses

    def predict_proba(self, features: Mapping[int, ArrayLike | Tensor]) -> dict[int, Tensor]:
        """Probability of each class, `(n, classes)`, of rows of features `(n, width)` by slot.

        Raises:
            InputError: features are of another width or not finite, or a slot does not exist.
        """
        checked = {slot: self._features(slot, x) for slot, x in features.items()}
        found: dict[int, Tensor] = {}
        for slots in _passes({slot: len(x) for slot, x in checked.items()}):
            padded = pad_sequence([checked[slot] for slot in slots], batch_first=True)
            with torch.no_grad():
                shares = torch.softmax(self._logits(self.weights[slots], padded), dim=2)
            found |= {slot: rows[: len(checked[slot])] for slot, rows in zip(slots, shares, strict=True)}
        return {slot: found[slot] for slot in features}

    def tensors(self, slot: int) -> dict[str, Tensor]:
        """A copy of a slot's weight `(classes, width)` and bias `(classes,)`, on the CPU."""
        views = self.layout.views(self.weights[slot : slot + 1])
        return {name: view[0].to("cpu", copy=True) for name, view in views.items()}

    def to_peft(self, slot: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """A slot's head as an adapter folder holds it; PEFT has no such form."""
        return {"peft_type": _KIND, "inference_mode": True}, self.tensors(slot)

    def load_peft(self, slot: int, settings: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """Give a slot the head of an adapter folder.

        Raises:
            AdapterError: it is no head, or one of another shape, or not finite.
        """
        if settings.get("peft_type") != _KIND:
            raise AdapterError(
                f"an adapter of type {settings.get('peft_type')!r} is no head; give what a HeadBank wrote."
            )
        tensors = match(self.layout, {name: name for name in self.layout.shapes}, weights)
        row = torch.cat([tensor.flatten() for tensor in tensors.values()])
        if not bool(row.isfinite().all()):
            raise AdapterError(f"slot {slot} cannot be loaded: the head has numbers that are not finite.")
        self.weights[slot] = row

    def _fit(self, data: Mapping[int, tuple[Tensor, Tensor]], steps: int, lr: float) -> dict[int, list[float]]:
        slots = list(data)
        x = pad_sequence([features for features, _ in data.values()], batch_first=True)
        y = pad_sequence([labels for _, labels in data.values()], batch_first=True)
        shares = pad_sequence(
            [y.new_full((len(labels),), 1 / len(labels), dtype=x.dtype) for _, labels in data.values()]
        )
        rows = self.weights[slots].requires_grad_(True)
        # it treats each number by itself, so one for all slots is one for each
        adam = torch.optim.Adam([rows], lr=lr, fused=True)
        losses = []
        with torch.enable_grad():
            for _ in range(steps):
                logits = self._logits(rows, x)
                nats = cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view_as(y)
                penalty = self.layout.views(rows)["weight"].square().sum((1, 2))
                loss = (nats * shares.T).sum(1) + self.config.l2 / 2 * penalty
                adam.zero_grad()
                loss.sum().backward()
                adam.step()
                losses.append(loss.detach())
        self.weights[slots] = rows.detach()
        return dict(zip(slots, torch.stack(losses, dim=1).tolist(), strict=True))

    def _logits(self, rows: Tensor, x: Tensor) -> Tensor:
        """Logits `(slots, n, classes)` of features `(slots, n, width)` with rows of weights `(slots, size)`."""
        views = self.layout.views(rows)
        return torch.baddbmm(views["bias"][:, None], x, views["weight"].transpose(1, 2))

    def _features(self, slot: int, features: ArrayLike | Tensor) -> Tensor:
        rows = torch.as_tensor(features, dtype=torch.float32, device=self.device)
        width = self.layout.shapes["weight"][1]
        if not 0 <= slot < self.slots or rows.ndim != 2 or rows.shape[1] != width or not len(rows):
            raise InputError(
                f"features of shape {tuple(rows.shape)} for slot {slot}: give at least one row of {width} numbers for "
                f"a slot from 0 to {self.slots - 1}."
            )
        if not bool(rows.isfinite().all()):
            raise InputError(f"the features for slot {slot} are not all finite; leave out such examples.")
        return rows

    def _labels(self, slot: int, labels: ArrayLike | Tensor, count: int) -> Tensor:
        found = torch.as_tensor(labels, device=self.device)
        whole = not (found.is_floating_point() or found.is_complex())
        if not whole or found.shape != (count,) or found.min() < 0 or found.max() >= self.config.classes:
            raise InputError(
                f"labels of shape {tuple(found.shape)} and {found.dtype} for slot {slot}: give one whole number from 0 "
                f"to {self.config.classes - 1} for each of {count} rows."
            )
        return found.long()


def _passes(rows: Mapping[int, int]) -> Iterator[list[int]]:
    """Split slots into passes of a bounded number of rows, equally many rows side by side."""
    together: list[int] = []
    for slot in sorted(rows, key=lambda slot: (rows[slot], slot)):
        if together and (len(together) + 1) * rows[slot] > _ROWS_A_PASS:
            yield together
            together = []
        together.append(slot)
    if together:
        yield together
