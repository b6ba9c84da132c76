"""Many adapters beside one frozen model, trained and used in the same passes.

Each slot's weights are one row of a matrix. A pass gathers the rows of the slots that it is for, so which other slots
there are, and in which order, makes no difference to a slot: it has its own first weights, its own mean loss, its own
clipping and its own optimiser. Slots that are not in a pass cost nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any
from weakref import ref

import torch

from whet.adaptation.forms.base import Active, Form
from whet.adaptation.fused import hooked
from whet.adaptation.routing import Routing
from whet.errors import InputError
from whet.models.allocator import keep_freed_memory

if TYPE_CHECKING:
    from torch import Tensor, nn


class AdapterBank:
    """Slots for adapters of one form on one model.

    Args:
        module: the model; its own weights are never written.
        form: what an adapter is, such as `LoraConfig(r=8)`.
        slots: how many adapters there is room for.

    Raises:
        InputError: there is no slot, or the form does not suit the model.
        ModelError: the model lacks what the form changes.
    """

    def __init__(self, module: nn.Module, form: Form, *, slots: int = 1) -> None:
        if slots < 1:
            raise InputError(f"slots={slots}: a bank has at least 1 slot.")
        self.module = module
        self.form = form
        self.bound = form.bind(module)
        self.slots = slots
        weight = next(module.parameters())
        self.device = weight.device
        if self.device.type == "cpu":
            keep_freed_memory()
        self._dtype = weight.dtype
        # of a model in half precision adapters are kept and updated in float32, and compute as the model does
        kept = torch.promote_types(weight.dtype, torch.float32)
        self.weights = torch.zeros(slots, self.bound.layout.size, dtype=kept, device=self.device)
        self._rows = list(self.weights)
        self._optimisers: dict[int, torch.optim.Optimizer] = {}  # several slots may share one
        self._make: Callable[[list[Tensor]], torch.optim.Optimizer] | None = None
        self._newest: torch.optim.Optimizer
        self._first: tuple[int, Tensor] | None = None  # the last seed and its row: queries mostly have the same seed
        self._active = Active()
        self._attached = False
        self._routed: tuple[int, ...] = ()
        self._gradients = torch.empty(0)
        self._room = torch.empty(0)
        self._place: tuple[tuple[int, ...], int] | None = None
        self._leaves: dict[str, Tensor] = {}

    def reset(self, slot: int, *, seed: int) -> None:
        """Give a slot fresh weights, which change nothing yet; they depend on the seed alone."""
        if self._first is None or self._first[0] != seed:
            self._first = seed, self.bound.layout.row(self.bound.fresh(torch.Generator().manual_seed(seed)))
        self._put(slot, self._first[1])

    def load(self, slot: int, tensors: Mapping[str, Tensor]) -> None:
        """Give a slot the weights of an adapter, by the names of the form's layout.

        Raises:
            AdapterError: a tensor is missing, of another shape, or not finite.
        """
        self._put(slot, self.bound.layout.row(tensors))

    def tensors(self, slot: int) -> dict[str, Tensor]:
        """A copy of a slot's weights by name, on the CPU."""
        views = self.bound.layout.views(self.weights[slot : slot + 1])
        return {name: view[0].detach().to("cpu", copy=True) for name, view in views.items()}

    def to_peft(self, slot: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """A slot's adapter as a folder holds it: settings, and tensors under PEFT's names."""
        settings, weights = self.bound.to_peft(self.tensors(slot))
        return {**settings, "inference_mode": True}, weights

    def load_peft(self, slot: int, settings: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """Give a slot the adapter of a PEFT folder.

        Raises:
            AdapterError: it is of another form, damaged, or does not fit the model.
        """
        self.load(slot, self.bound.from_peft(settings, weights))

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Within this block the model computes with the slots that are routed; after it, with its own weights alone.

        At first, and within a block inside of such a block, no slot is routed; after the inner block it is as before.
        One model carries one set of hooks, so a model may not be used by several threads meanwhile.
        """
        before, routed = (self._active.tensors, self._active.routing), self._routed
        with nullcontext() if self._attached else hooked(self.bound, self._active):
            outermost, self._attached = not self._attached, True
            self.release()
            try:
                yield
            finally:
                (self._active.tensors, self._active.routing), self._routed = before, routed
                self._attached = not outermost

    @contextmanager
    def using(self, slot: int) -> Iterator[None]:
        """Within this block the model computes with this slot's adapter, whatever it is given."""
        with self.attached():
            self.route([slot], [1])
            yield

    def route(self, slots: Sequence[int], rows: Sequence[int], *, learn: bool = False) -> None:
        """Say to which slots the rows of the next passes belong: the first `rows[0]` to `slots[0]`, and so on.

        Args:
            slots: different slots, in the order in which their rows lie in the batch.
            rows: how many rows each has.
            learn: whether gradients are wanted.

        Raises:
            InputError: a slot does not exist or comes twice, or there are no rows for it.
        """
        if len(set(slots)) != len(slots) or len(slots) != len(rows) or not set(slots) <= set(range(self.slots)):
            raise InputError(
                f"slots={list(slots)}, rows={list(rows)}: give different slots from 0 to {self.slots - 1}, "
                "and for each its number of rows."
            )
        routing = Routing(rows, self.device)
        tensors = self._learning(tuple(slots)) if learn else self.bound.layout.views(self._gathered(slots))
        if self._dtype != self.weights.dtype:
            tensors = {name: tensor.to(self._dtype) for name, tensor in tensors.items()}
        self._active.tensors = tensors
        self._active.routing, self._routed = routing, tuple(slots)

    def release(self) -> None:
        """Route to no slot: the model computes as without adapters."""
        self._active.tensors, self._active.routing, self._routed = {}, None, ()

    @property
    def routing(self) -> Routing:
        """The rows of the slots that are routed.

        Raises:
            InputError: none is.
        """
        if self._active.routing is None:
            raise InputError("no slot is routed; call route(slots, rows) first.")
        return self._active.routing

    def step(self, make: Callable[[list[Tensor]], torch.optim.Optimizer], *, clip: float | None = None) -> list[int]:
        """Move the routed slots by the gradients that `backward` left, each with its own state of the optimiser.

        Args:
            make: called with a list of tensors, one a slot, makes an optimiser that treats each for itself, as those of
                torch do but LBFGS (`lambda rows: torch.optim.Adam(rows, lr=0.003)`). It is for slots that have none
                yet; a slot's state in it lives until the slot is reset or loaded.
            clip: largest norm of a slot's gradient; longer ones are shortened to it.

        Returns:
            The slots that were moved: all whose gradient is finite.
        """
        norms = torch.linalg.vector_norm(self._gradients, dim=1)
        if clip is not None:
            self._gradients.mul_((clip / norms).clamp_(max=1.0)[:, None])
        found = zip(self._routed, self._gradients, norms.tolist(), strict=True)
        moved = {slot: gradient for slot, gradient, norm in found if math.isfinite(norm)}
        self._move(moved, make)
        return list(moved)

    def gradient(self, place: int) -> Tensor:
        """A copy of the gradient that the last step of the slot routed at this place went along, `(size,)`."""
        return self._gradients[place].clone()

    def nudge(self, slot: int, gradient: Tensor, make: Callable[[list[Tensor]], torch.optim.Optimizer]) -> None:
        """Move a slot along a given gradient `(size,)`; see `step`."""
        self._move({slot: gradient}, make)

    def _move(self, gradients: Mapping[int, Tensor], make: Callable[[list[Tensor]], torch.optim.Optimizer]) -> None:
        """Move slots along their gradients `(size,)`; those that begin with an equal `make` share an optimiser."""
        fresh = [slot for slot in gradients if slot not in self._optimisers]
        if fresh:
            rows = [self._rows[slot] for slot in fresh]
            if self._make is not None and make == self._make:
                self._newest.param_groups[0]["params"] += rows
            else:
                self._make, self._newest = make, make(rows)
            self._optimisers.update(dict.fromkeys(fresh, self._newest))
        for slot, gradient in gradients.items():
            self._rows[slot].grad = gradient
        for optimiser in {id(self._optimisers[slot]): self._optimisers[slot] for slot in gradients}.values():
            optimiser.step()  # rows without a gradient stay as they are
        for slot in gradients:
            self._rows[slot].grad = None

    def _put(self, slot: int, row: Tensor) -> None:
        """Give a slot these weights `(size,)`, and no state of an optimiser."""
        self.weights[slot].copy_(row)
        optimiser = self._optimisers.pop(slot, None)
        if optimiser is not None:
            own = self._rows[slot]
            optimiser.state.pop(own, None)
            for group in optimiser.param_groups:
                group["params"] = [each for each in group["params"] if each is not own]

    def _learning(self, slots: tuple[int, ...]) -> dict[str, Tensor]:
        """The tensors of these slots, with gradients of zero that lie in `_gradients`."""
        rows = self._gathered(slots)
        gradients = self._zeroed(len(slots))
        place = slots, gradients.data_ptr()
        if place == self._place:  # as in the pass before
            return self._leaves
        leaves = self.bound.layout.views(rows)
        for name, gradient in self.bound.layout.views(gradients).items():
            leaf = leaves[name] = leaves[name].detach().requires_grad_(True)
            leaf.grad = gradient
            if len(slots) > 1:
                _add_apart(leaf, gradient)
        # a copy of rows that lie apart is not kept: the slots go on without it
        self._place, self._leaves = (place if rows.data_ptr() == self._rows[slots[0]].data_ptr() else None), leaves
        return leaves

    def _gathered(self, slots: Sequence[int]) -> Tensor:
        """The rows of these slots: a view where they lie side by side, else a copy."""
        first = slots[0]
        if list(slots) == list(range(first, first + len(slots))):
            return self.weights[first : first + len(slots)]
        return self.weights[list(slots)]

    def _zeroed(self, slots: int) -> Tensor:
        if len(self._room) < slots:
            self._room = self.weights.new_empty(slots, self.bound.layout.size)
        self._gradients = self._room[:slots].zero_()
        return self._gradients


def _add_apart(leaf: Tensor, gradient: Tensor) -> None:
    """Have autograd leave additions to this gradient to us: it warns of gradients whose rows lie apart."""
    weak = ref(leaf)  # a hook that held its tensor would keep both alive

    def before(found: Tensor | None) -> None:
        own = weak()
        if found is not None and own is not None:  # otherwise a kernel has added to the gradient by itself
            own.grad = None

    def after(own: Tensor) -> None:
        if own.grad is not None and own.grad is not gradient:
            gradient.add_(own.grad)
            own.grad = gradient

    leaf.register_hook(before)
    leaf.register_post_accumulate_grad_hook(after)
