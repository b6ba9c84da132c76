"""Settings as JSON: there and back, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.adaptation import LoraConfig, TrainConfig
from whet.config import EngineConfig
from whet.errors import InputError

loras = st.builds(
    LoraConfig,
    r=st.integers(1, 64),
    lora_alpha=st.floats(0.1, 100),
    target_modules=st.sampled_from(["all-linear", ("q_proj", "v_proj")]),
    layers=st.none() | st.integers(1, 9) | st.floats(0.1, 0.9),
)
trainings = st.builds(TrainConfig, lr=st.floats(1e-6, 1), clip=st.none() | st.floats(0.1, 9))
configs = st.builds(
    EngineConfig,
    selector=st.sampled_from(["sift", "nearest"]),
    noise=st.floats(0, 9),
    picks=st.integers(1, 99),
    alpha=st.none() | st.floats(0.1, 1),
    lora=loras,
    train=trainings,
    guard=st.booleans(),
    reuse=st.none() | st.floats(0.1, 1),
    seed=st.integers(0, 9),
)


@given(configs)
def test_there_and_back_they_are_equal(config: EngineConfig) -> None:
    assert EngineConfig.from_json(config.to_json()) == config


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
