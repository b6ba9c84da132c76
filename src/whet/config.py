"""How the loop is run: the one place where its settings and their defaults stand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, is_dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Any, Self, TypeVar, get_args, get_origin, get_type_hints

from whet.adaptation import GuardConfig, LoraConfig, TrainConfig
from whet.errors import InputError
from whet.selection import SELECTORS

_T = TypeVar("_T")


@dataclass(frozen=True)
class EngineConfig:
    """How the loop is run.

    Attributes:
        selector: name of the selector, one of `whet.selection.SELECTORS`.
        noise: λ of the surrogate: small asks for diversity, large for nearness.
        picks: the most examples to choose for a query.
        candidates: how many examples the memory proposes for a query.
        alpha: with a number, selection stops early by the adaptive rule of SIFT; None takes all picks.
        lora: shape of the adapter.
        train: how it is trained.
        guard: judge an adapter before it answers, and roll back where it does not help.
        tolerances: by what the guard judges.
        reuse: cosine of two queries from which on the adapter of the one serves the other; None trains always
            and remembers nothing.
        warm: cosine from which on training starts from the adapter of the other query; None always starts afresh.
        merge: how many of the nearest adapters are merged, by kernel weights, where one would be reused.
        seed: fixes the first weights of the adapter and every other draw.
    """

    selector: str = "sift"
    noise: float = 0.1
    picks: int = 20
    candidates: int = 200
    alpha: float | None = None
    lora: LoraConfig = field(default_factory=LoraConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    guard: bool = True
    tolerances: GuardConfig = field(default_factory=GuardConfig)
    reuse: float | None = 0.95
    warm: float | None = None
    merge: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.selector not in SELECTORS:
            raise InputError(f"selector={self.selector!r}: give one of {', '.join(sorted(SELECTORS))}.")
        if self.picks < 1 or self.candidates < 1:
            raise InputError(f"picks={self.picks}, candidates={self.candidates}: both are at least 1.")
        if self.reuse is not None and not 0 < self.reuse <= 1:
            raise InputError(f"reuse={self.reuse}: give a cosine above 0 and up to 1, or None to always train.")

        if self.warm is not None and not (self.reuse is not None and 0 < self.warm <= self.reuse):
            raise InputError(f"warm={self.warm}: give a cosine above 0 and up to reuse={self.reuse}, or None.")
        if self.merge < 1:
            raise InputError(f"merge={self.merge}: merge at least 1 adapter.")

    def to_json(self) -> str:
        """All settings, as `from_json` reads them."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Settings from a JSON object; those that it does not name have their defaults.

        Raises:
            InputError: it is no JSON object, names an unknown setting, or a value is of the wrong kind or out of range.

        >>> EngineConfig.from_json('{"picks": 30, "train": {"lr": 0.01}}').train.lr
        0.01
        """
        try:
            given = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(
                f'the settings are not JSON ({error}); write an object such as {{"picks": 20}}.'
            ) from error
        return _read(cls, given, "")

    def recipe(self) -> dict[str, Any]:
        """What decides how an adapter comes out, besides the query and the memory; plain values, as JSON gives them."""
        targets = self.lora.target_modules
        return {
            "selector": self.selector,
            "noise": self.noise,
            "picks": self.picks,
            "candidates": self.candidates,
            "alpha": self.alpha,
            "lora": {**asdict(self.lora), "target_modules": targets if isinstance(targets, str) else list(targets)},
            "train": asdict(self.train),
            "seed": self.seed,
        }


def _read(kind: type[_T], given: object, place: str) -> _T:
    """A dataclass from the fields that are given; `place` is its dotted name, with a dot at the end."""
    if not isinstance(given, dict):
        raise InputError(
            f"{place.rstrip('.') or 'the settings'}: {json.dumps(given)[:40]} is no object with fields; "
            'give one such as {"picks": 20, "train": {"lr": 0.003}}.'
        )
    hints = get_type_hints(kind)
    for name in given:
        if name not in hints:
            raise InputError(f"{place}{name} is no setting. {_nearest(name)}")
    return kind(**{name: _value(hints[name], value, place + name) for name, value in given.items()})


def _value(hint: Any, value: Any, name: str) -> Any:
    """A value of JSON as a field of this type holds it."""
    if is_dataclass(hint) and isinstance(hint, type):
        return _read(hint, value, f"{name}.")
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if type(value) in kinds:
        return value
    if type(value) is int and float in kinds:
        return float(value)
    parts = [get_args(kind)[0] for kind in kinds if get_origin(kind) is tuple]
    if isinstance(value, list) and parts:
        return tuple(_value(parts[0], part, f"{name}[{place}]") for place, part in enumerate(value))
    wanted = hint.__name__ if isinstance(hint, type) else str(hint)
    raise InputError(f"{name}={json.dumps(value)[:40]}: the value is of the wrong kind; give {wanted}.")


def _nearest(name: str) -> str:
    """What may have been meant by a name that is no setting."""
    known = {dotted.rpartition(".")[2]: dotted for dotted in _names(EngineConfig)}
    near = get_close_matches(name, known, n=1)
    return f"Did you mean {known[near[0]]}?" if near else f"There are {', '.join(known.values())}."


def _names(kind: type) -> Iterator[str]:
    for name, hint in get_type_hints(kind).items():
        inner = _names(hint) if is_dataclass(hint) and isinstance(hint, type) else ()
        yield from (f"{name}.{part}" for part in inner) if inner else (name,)
