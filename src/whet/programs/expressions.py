"""Programs as text: what the search writes, a person reads and `run` runs again."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from whet.errors import InputError
from whet.programs import primitives as _registered  # noqa: F401
from whet.programs.combiners import COMBINERS
from whet.programs.images import Grid, Image, Value
from whet.programs.registry import PRIMITIVES


@dataclass(frozen=True, slots=True)
class Expression:
    """A primitive or combiner applied to the values of other expressions.

    Attributes:
        name: `input`, the name of a primitive or of a combiner.
        constant: what was chosen or learnt; None if it takes nothing.
        each: whether the primitive is applied to every image of a list.
    """

    name: str = "input"
    arguments: tuple[Expression, ...] = ()
    constant: Any = None
    each: bool = False

    def __str__(self) -> str:
        if self.name == "input":
            return "input"
        parts = [str(argument) for argument in self.arguments]
        parts += [self.name] if self.each else []
        parts += [] if self.constant is None else [repr(self.constant)]
        return f"{'each' if self.each else self.name}({', '.join(parts)})"


INPUT = Expression()


def call(name: str, values: Sequence[Any], constant: Any, each: bool) -> Value | None:
    """One primitive or combiner on values, or on every image of the first value."""
    if name in COMBINERS:
        return COMBINERS[name](values, constant)
    function = PRIMITIVES[name].function
    constants = () if constant is None else (constant,)
    if not each:
        value: Value | None = function(*values, *constants)
        return value
    out = []
    for image in values[0]:
        changed = function(image, *constants)
        if changed is None:
            return None
        out.append(changed)
    return tuple(out)


def parse(text: str) -> Expression:
    """The expression that prints as the text.

    Raises:
        InputError: the text is not a program.
    """
    try:
        return _expression(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"{text!r} is not a program: {error}. Programs look like `crop(only(input, 3))`.") from error


def _expression(node: ast.expr) -> Expression:
    if isinstance(node, ast.Name) and node.id == "input":
        return INPUT
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.keywords:
        raise SyntaxError(f"{ast.unparse(node)!r} is no call of a primitive")
    name, arguments = node.func.id, list(node.args)
    each = name == "each"
    if each:
        word = arguments.pop(1)
        name = word.id if isinstance(word, ast.Name) else ""
    if name not in PRIMITIVES and name not in COMBINERS:
        raise SyntaxError(f"there is no primitive {name!r}")
    constant = None
    if isinstance(arguments[-1], (ast.Constant, ast.Dict, ast.Tuple)):
        constant = ast.literal_eval(arguments.pop())
    return Expression(name, tuple(_expression(argument) for argument in arguments), constant, each)


def evaluate(expression: Expression, grid: Grid) -> Value | None:
    """The value of a program for one input; None where it makes no sense."""
    if expression.name == "input":
        return Image(grid)
    values = []
    for argument in expression.arguments:
        value = evaluate(argument, grid)
        if value is None:
            return None
        values.append(value)
    return call(expression.name, values, expression.constant, expression.each)


def run(text: str, grid: Grid) -> Grid | None:
    """What a program gives for one input; None where it makes no sense there.

    Raises:
        InputError: the text is not a program.
    """
    value = evaluate(parse(text), grid)
    return value.cells if isinstance(value, Image) else None
