"""Bottom-up enumeration of programs, likely ones first, each distinct behaviour once."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from whet.programs.expressions import INPUT, Expression, call
from whet.programs.images import Grid, Image, Value, key
from whet.programs.limits import Meter
from whet.programs.registry import COLOURS, IMAGE, IMAGES, PRIMITIVES, Constant, Primitive

PARTNERS = 70
"""Programs that are joined with each other, the first that are cheap enough."""

PARTNER_COST = 4.0
"""What such a program costs at most."""

EACH_COST = 0.5
"""What it costs to apply a primitive to every image of a list."""

PLACE_COST = 0.05
"""What a word costs more than the one before it among the constants of a primitive."""

LEAST = 0.2
"""What a step counts at least in the order of enumeration, so that a program comes after those that it is made of."""

OVERHEAD = 400
"""Bytes that an image takes besides its cells."""


@dataclass(frozen=True, slots=True)
class State:
    """A program and its values for all inputs: the training ones first, then the test ones.

    Attributes:
        cost: how unlikely it is, whatever the task.
        order: when it is enumerated; its cost, if nothing is known of the task.
    """

    expression: Expression
    values: tuple[Value, ...]
    cost: float
    order: float


@dataclass(frozen=True, slots=True)
class Step:
    """One way to go on from a value of some type."""

    primitive: Primitive
    constant: Constant | None
    each: bool
    cost: float
    order: float


def steps(kind: str, colours: Sequence[int], later: bool, shifts: Mapping[str, float]) -> list[Step]:
    """The ways to go on from one value, first what is likely; colours that the task does not share are no constants.

    Args:
        later: whether the value is another than the input.
        shifts: what is added to the cost of a primitive for the order.
    """
    out = []
    for primitive in PRIMITIVES.values():
        each = kind == IMAGES and primitive.each
        if len(primitive.takes) != 1 or (primitive.takes[0] != kind and not each):
            continue
        for place, constant in enumerate(primitive.constants or (None,)):
            if primitive.constants[-9:] == COLOURS and constant not in (0, *colours):
                continue
            cost = (EACH_COST if each else 0) + (PLACE_COST * place if isinstance(constant, str) else 0)
            cost += primitive.cost + primitive.later * later
            order = max(cost + shifts.get(primitive.name, 0.0), LEAST)
            out.append(Step(primitive, constant, each, cost, order))
    return sorted(out, key=lambda step: step.order)


def enumerate_states(
    inputs: Sequence[Grid],
    colours: Sequence[int],
    meter: Meter,
    memory: float = float("inf"),
    shifts: Mapping[str, float] = MappingProxyType({}),
) -> Iterator[State]:
    """Distinct programs, the likeliest first, while time and memory are left.

    Two programs are one if they give the same values for all inputs, training and test; the first is kept. One that
    comes later and costs less is given too, but no others are made of it. A program that fails on any input is dropped.

    Args:
        inputs: those of the training pairs, then those of the tests.
        colours: the constants that a primitive may take as a colour.
        meter: what is left of the time.
        memory: bytes of values at most.
        shifts: what is added to the cost of each primitive for the order, by name.
    """
    start = State(INPUT, tuple(Image(np.ascontiguousarray(grid, dtype=np.uint8)) for grid in inputs), 0.0, 0.0)
    ways = {kind: steps(kind, colours, True, shifts) for kind in (IMAGE, IMAGES)}
    first = steps(IMAGE, colours, False, shifts)
    joins = [primitive for primitive in PRIMITIVES.values() if len(primitive.takes) == 2]
    seen = {key_of(start.values): 0.0}
    heap: list[tuple[float, int, State, int, tuple[Primitive, State] | None]] = []
    serial = 0
    partners: list[State] = []

    def open_state(state: State) -> None:
        nonlocal serial
        options = ways[kind_of(state)] if state.cost else first
        heapq.heappush(heap, (state.order + options[0].order, serial, state, 0, None))
        serial += 1
        if kind_of(state) == IMAGE and state.cost <= PARTNER_COST and len(partners) < PARTNERS:
            partners.append(state)
            for other in partners:
                for join in joins:
                    for pair in ((state, other), (other, state)):
                        order = state.order + other.order + max(join.cost + shifts.get(join.name, 0.0), LEAST)
                        heapq.heappush(heap, (order, serial, pair[0], -1, (join, pair[1])))
                        serial += 1

    yield start
    open_state(start)
    while heap and memory > 0 and meter.go_on():
        order, _, state, place, pair = heapq.heappop(heap)
        if pair is not None:
            cost = state.cost + pair[1].cost + pair[0].cost
            expression = Expression(pair[0].name, (state.expression, pair[1].expression))
            values = _apply(pair[0], list(zip(state.values, pair[1].values, strict=True)), None, False)
        else:
            options = ways[kind_of(state)] if state.cost else first
            step = options[place]
            if place + 1 < len(options):
                heapq.heappush(heap, (state.order + options[place + 1].order, serial, state, place + 1, None))
                serial += 1
            cost = state.cost + step.cost
            expression = Expression(step.primitive.name, (state.expression,), step.constant, step.each)
            values = _apply(step.primitive, [(value,) for value in state.values], step.constant, step.each)
        if values is None:
            continue
        mark = key_of(values)
        known = mark in seen
        if known and seen[mark] <= cost:
            continue
        seen[mark] = cost
        found = State(expression, values, cost, order)
        memory -= size_of(values)
        if not known:
            open_state(found)
        yield found


def size_of(values: tuple[Value, ...]) -> int:
    """Bytes that the values of a program take, about."""
    images = [image for value in values for image in ((value,) if isinstance(value, Image) else value)]
    return sum(image.cells.nbytes + OVERHEAD for image in images)


def key_of(values: tuple[Value, ...]) -> int:
    """A number that equal behaviours share."""
    return hash(tuple(key(value) for value in values))


def kind_of(state: State) -> str:
    """The type of a state's values."""
    return IMAGE if isinstance(state.values[0], Image) else IMAGES


def _apply(
    primitive: Primitive, arguments: list[tuple[Value, ...]], constant: Constant | None, each: bool
) -> tuple[Value, ...] | None:
    out = []
    for values in arguments:
        value = call(primitive.name, values, constant, each)
        if value is None:
            return None
        out.append(value)
    return tuple(out)
