"""Settings as JSON: there and back, and what is refused."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.adaptation import OBJECTIVES, GuardConfig, LoraConfig, TrainConfig
from whet.adaptation.objectives import TOO_LONG
from whet.config import EngineConfig
from whet.errors import InputError
from whet.selection import SELECTORS

tolerance = st.floats(0, 9) | st.integers(0, 9) | st.just(float("inf"))
KINDS = {
    LoraConfig: {
        "r": st.integers(1, 64),
        "lora_alpha": st.floats(0.1, 100) | st.integers(1, 100),
        "target_modules": st.just("all-linear") | st.lists(st.text(max_size=9), max_size=3).map(tuple),
        "layers": st.none() | st.integers(1, 9) | st.floats(0.1, 0.9),
        "use_rslora": st.booleans(),
        "use_dora": st.booleans(),
    },
    TrainConfig: {
        "lr": st.floats(1e-6, 1),
        "objective": st.sampled_from(sorted(OBJECTIVES)),
        "too_long": st.sampled_from(TOO_LONG),
        "clip": st.none() | st.floats(0.1, 9) | st.integers(1, 9),
        "reuse_gradients": st.booleans(),
        "checkpointing": st.booleans(),
        "precision": st.sampled_from(["float32", "bfloat16"]),
    },
    GuardConfig: {
        "gain": tolerance,
        "confidence": st.floats(0.5, 0.999),
        "canary": tolerance,
        "safety": tolerance,
        "kl": tolerance,
        "snapshots": st.lists(st.floats(0.01, 0.99), max_size=3).map(tuple),
    },
}
configs = st.fixed_dictionaries(
    {
        "selector": st.sampled_from(sorted(SELECTORS)),
        "noise": st.floats(0, 9) | st.integers(0, 9),
        "picks": st.integers(1, 99),
        "candidates": st.integers(1, 999),
        "alpha": st.none() | st.floats(0.1, 1),
        "lora": st.builds(LoraConfig, **KINDS[LoraConfig]),
        "train": st.builds(TrainConfig, **KINDS[TrainConfig]),
        "guard": st.booleans(),
        "tolerances": st.builds(GuardConfig, **KINDS[GuardConfig]),
        "reuse": st.floats(0.5, 1),
        "warm": st.none() | st.floats(0.1, 0.5),
        "merge": st.integers(1, 9),
        "seed": st.integers(0, 2**63),
    }
)


@given(configs)
def test_there_and_back_they_are_equal(given: dict[str, Any]) -> None:
    config = EngineConfig(**given)
    assert EngineConfig.from_json(config.to_json()) == config
    assert json.loads(json.dumps(config.recipe())) == config.recipe()
    never = replace(config, reuse=None, warm=None)
    assert EngineConfig.from_json(never.to_json()) == never
    assert set(given) == {field.name for field in fields(EngineConfig)}  # so that no field is forgotten here
    for kind, strategies in KINDS.items():
        assert set(strategies) == {field.name for field in fields(kind)}


def test_what_is_not_named_has_its_default() -> None:
    assert EngineConfig.from_json("{}") == EngineConfig()
    some = EngineConfig.from_json('{"picks": 3, "train": {"lr": 1}, "lora": {"target_modules": ["q_proj"]}}')
    lora = replace(LoraConfig(), target_modules=("q_proj",))
    assert some == EngineConfig(picks=3, train=TrainConfig(lr=1.0), lora=lora)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pick": 3}, "pick is no setting. Did you mean picks?"),
        ({"lr": 0.1}, "lr is no setting. Did you mean train.lr?"),
        ({"lora": {"rr": 3}}, "lora.rr is no setting. Did you mean lora.r?"),
        ({"colour": 3}, "colour is no setting. There are selector, noise, picks"),
        ({"picks": "20"}, 'picks="20": the value is of the wrong kind; give int.'),
        ({"picks": 2.5}, "picks=2.5"),
        ({"picks": True}, "picks=true"),
        ({"alpha": "small"}, "give float | None"),
        ({"train": 3}, "train: 3 is no object with fields"),
        ({"lora": {"target_modules": ["q", 1]}}, "lora.target_modules[1]=1"),
        ({"tolerances": {"snapshots": 0.5}}, "tolerances.snapshots=0.5"),
        ({"tolerances": {"snapshots": [0.5, "end"]}}, 'tolerances.snapshots[1]="end"'),
        ({"train": {"too_long": "skip"}}, "too_long='skip': give one of cut, split, refuse"),
        ({"train": {"lr": 0}}, "lr=0.0: the learning rate is a positive number"),
        ({"picks": 0}, "picks=0"),
        ([], "the settings: [] is no object"),
    ],
)
def test_what_is_wrong_is_named(given: object, said: str) -> None:
    with pytest.raises(InputError) as caught:
        EngineConfig.from_json(json.dumps(given))
    assert said in str(caught.value)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(InputError, match="not JSON"):
        EngineConfig.from_json("picks: 3")
