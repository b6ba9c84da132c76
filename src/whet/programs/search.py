"""Bottom-up enumeration of programs in the order of their costs, each distinct behaviour once."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from whet.programs.expressions import INPUT, Expression, call
from whet.programs.images import Grid, Image, Value, key
from whet.programs.limits import Meter
from whet.programs.registry import COLOURS, IMAGE, IMAGES, PRIMITIVES, Constant, Primitive

PARTNERS = 70
PARTNER_COST = 4.0
EACH_COST = 0.5
PLACE_COST = 0.05


@dataclass(frozen=True, slots=True)
class State:
    """A program and its values for all inputs: the training ones first, then the test ones."""

    expression: Expression
    values: tuple[Value, ...]
    cost: float


@dataclass(frozen=True, slots=True)
class Step:
    """One way to go on from a value of some type."""

    primitive: Primitive
    constant: Constant | None
    each: bool
    cost: float


def steps(kind: str, colours: Sequence[int], later: bool) -> list[Step]:
    """The ways to go on from one value, cheapest first; colours that the task does not share are no constants.

    Args:
        later: whether the value is another than the input.
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
            out.append(Step(primitive, constant, each, cost))
    return sorted(out, key=lambda step: step.cost)


def enumerate_states(inputs: Sequence[Grid], colours: Sequence[int], meter: Meter) -> Iterator[State]:
    """Distinct programs, the cheapest first, while time is left.

    Two programs are one if they give the same values for all inputs, training and test; the cheaper one is kept. A
    program that fails on any input is dropped.

    Args:
        inputs: those of the training pairs, then those of the tests.
        colours: the constants that a primitive may take as a colour.
        meter: what is left of the time.
    """
    start = State(INPUT, tuple(Image(np.ascontiguousarray(grid, dtype=np.uint8)) for grid in inputs), 0.0)
    ways = {kind: steps(kind, colours, later=True) for kind in (IMAGE, IMAGES)}
    first = steps(IMAGE, colours, later=False)
    joins = [primitive for primitive in PRIMITIVES.values() if len(primitive.takes) == 2]
    seen = {key_of(start.values)}
    heap: list[tuple[float, int, State, int, tuple[Primitive, State] | None]] = []
    serial = 0
    partners: list[State] = []

    def open_state(state: State) -> None:
        nonlocal serial
        options = ways[kind_of(state)] if state.cost else first
        heapq.heappush(heap, (state.cost + options[0].cost, serial, state, 0, None))
        serial += 1
        if kind_of(state) == IMAGE and state.cost <= PARTNER_COST and len(partners) < PARTNERS:
            partners.append(state)
            for other in partners:
                for join in joins:
                    for pair in ((state, other), (other, state)):
                        cost = state.cost + other.cost + join.cost
                        heapq.heappush(heap, (cost, serial, pair[0], -1, (join, pair[1])))
                        serial += 1

    yield start
    open_state(start)
    while heap and meter.go_on():
        cost, _, state, place, pair = heapq.heappop(heap)
        if pair is not None:
            expression = Expression(pair[0].name, (state.expression, pair[1].expression))
            values = _apply(pair[0], list(zip(state.values, pair[1].values, strict=True)), None, False)
        else:
            options = ways[kind_of(state)] if state.cost else first
            step = options[place]
            if place + 1 < len(options):
                heapq.heappush(heap, (state.cost + options[place + 1].cost, serial, state, place + 1, None))
                serial += 1
            expression = Expression(step.primitive.name, (state.expression,), step.constant, step.each)
            values = _apply(step.primitive, [(value,) for value in state.values], step.constant, step.each)
        if values is None:
            continue
        mark = key_of(values)
        if mark in seen:
            continue
        seen.add(mark)
        found = State(expression, values, cost)
        open_state(found)
        yield found


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
