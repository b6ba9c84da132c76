"""The words of the language: one line above a function makes it a primitive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
Constant = int | str

IMAGE, IMAGES = "Image", "Images"
COLOURS: tuple[int, ...] = tuple(range(1, 10))


@dataclass(frozen=True)
class Primitive:
    """A function of one or two values and at most one constant.

    Attributes:
        takes: the type of each value, `Image` or `Images`.
        gives: the type of what it returns; it may return None where it makes no sense.
        constants: what the constant may be; empty if it takes none.
        cost: how unlikely it is in a program; the constant's share included.
        each: whether it may be applied to every image of a list.
        later: what it costs besides on anything but the input.
    """

    name: str
    function: Callable[..., Any]
    takes: tuple[str, ...]
    gives: str
    constants: tuple[Constant, ...]
    cost: float
    each: bool
    later: float


PRIMITIVES: dict[str, Primitive] = {}


def primitive(
    cost: float, constants: tuple[Constant, ...] = (), each: bool = False, later: float = 0.0
) -> Callable[[Function], Function]:
    """Registers a function under its name; its annotations say the types."""

    def register(function: Function) -> Function:
        types = {name: str(kind).split(" ")[0] for name, kind in function.__annotations__.items()}
        gives = types.pop("return")
        takes = tuple(kind for kind in types.values() if kind in (IMAGE, IMAGES))
        name = function.__name__
        PRIMITIVES[name] = Primitive(name, function, takes, gives, constants, cost, each, later)
        return function

    return register
