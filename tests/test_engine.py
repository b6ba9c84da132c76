"""The whole loop on tiny models of four architectures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fake_clock import FakeClock
from fakes import HashEmbedder

from whet.adaptation import LoraConfig, TrainConfig
from whet.config import EngineConfig
from whet.control import Budget
from whet.decoding import Sampling, generate
from whet.engine import Engine
from whet.errors import EmptyMemoryError, InputError, ModelError
from whet.memory import Forgotten, Memory, forget
from whet.models import LanguageModel
from whet.types import Answer, Example, GuardReport

CONFIG = EngineConfig(picks=6, candidates=20, train=TrainConfig(lr=0.01), lora=LoraConfig(r=4))
SHORT = Sampling(max_tokens=8)
PROMPT = "The cat sat on the"


def fill(path: Path) -> Memory:
    memory = Memory.create(path, embedder=HashEmbedder())
    animals, places = ("cat", "dog", "bird", "fish", "horse"), ("mat", "door", "tree", "sea")
    memory.add([Example(target=f"The {a} sat on the {p} for {len(a + p)} days.") for a in animals for p in places])
    return memory


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return fill(tmp_path / "m.whet")


def plain(answer: Answer) -> Answer:
    """An answer without what differs from run to run."""
    return replace(answer, cost=replace(answer.cost, seconds={}), adapter_id=None)


def weights(model: LanguageModel) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.module.state_dict().items()}


def test_the_loop_on_every_architecture(tiny_model: LanguageModel, memory: Memory) -> None:
    before, greedy = weights(tiny_model), generate(tiny_model, PROMPT, SHORT).text
    engine = Engine(tiny_model, memory, CONFIG)
    answer = engine.answer(PROMPT, sampling=SHORT)
    assert len(answer.picks) == 6
    assert len(answer.uncertainty) == 7
    assert answer.uncertainty[0] == 1.0
    assert list(answer.uncertainty) == sorted(answer.uncertainty, reverse=True)
    assert [pick.variance for pick in answer.picks] == list(answer.uncertainty[1:])
    assert answer.plan.rung in ("adapt", "base")
    assert answer.plan.steps == len(answer.losses) == 6
    assert set(answer.cost.seconds) >= {"embed", "search", "select", "train", "guard", "generate"}
    assert answer.cost.tokens["train"] > 0
    assert answer.cost.flops > 0
    after = tiny_model.module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert generate(tiny_model, PROMPT, SHORT).text == greedy


def test_the_same_seed_gives_the_same_answer(tiny_llama: LanguageModel, tmp_path: Path) -> None:
    one, two = (Engine(tiny_llama, fill(tmp_path / name), CONFIG).answer(PROMPT, sampling=SHORT) for name in "ab")
    assert plain(one) == plain(two)


def test_a_nearby_query_reuses_the_adapter(tiny_llama: LanguageModel, memory: Memory) -> None:
    engine = Engine(tiny_llama, memory, replace(CONFIG, guard=False))
    first = engine.answer(PROMPT, sampling=SHORT)
    again = engine.answer(PROMPT, sampling=SHORT)
    assert first.adapter_id is not None
    assert again.plan.rung == "reuse"
    assert again.adapter_id == first.adapter_id
    assert again.text == first.text
    assert "train" not in again.cost.seconds
    assert engine.answer("1 2 3 4 5 6 7 8 9", sampling=SHORT).plan.rung == "adapt"


def test_another_recipe_or_model_reuses_nothing(tiny_llama: LanguageModel, memory: Memory) -> None:
    config = replace(CONFIG, guard=False)
    Engine(tiny_llama, memory, config).answer(PROMPT, sampling=SHORT)
    other = Engine(tiny_llama, memory, replace(config, picks=3))
    assert other.answer(PROMPT, sampling=SHORT).plan.rung == "adapt"
    with torch.no_grad():
        weight = tiny_llama.module.get_input_embeddings().weight
        weight[0, 0] += 1
    changed = LanguageModel(tiny_llama.module, tiny_llama.tokenizer, "changed")
    try:
        assert Engine(changed, memory, config).answer(PROMPT, sampling=SHORT).plan.rung == "adapt"
    finally:
        with torch.no_grad():
            weight[0, 0] -= 1


def test_reuse_turned_off_remembers_nothing(tiny_llama: LanguageModel, memory: Memory) -> None:
    answer = Engine(tiny_llama, memory, replace(CONFIG, reuse=None)).answer(PROMPT, sampling=SHORT)
    assert answer.adapter_id is None
    assert len(memory.adapters) == 0


def test_a_rolled_back_adapter_answers_as_the_base_and_is_not_kept(
    tiny_llama: LanguageModel, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = GuardReport("rolled_back", 1.0, 2.0, "it harms")
    monkeypatch.setattr("whet.adaptation.Guard.judge", lambda *_, **__: report)
    engine = Engine(tiny_llama, memory, CONFIG)
    answer = engine.answer(PROMPT, sampling=SHORT)
    assert engine.guarded == {"rolled_back": 1}
    assert answer.guard.status == "rolled_back"
    assert answer.guard.after is not None
    assert answer.plan.rung == "base"
    assert answer.text == generate(tiny_llama, PROMPT, SHORT).text
    assert len(memory.adapters) == 0


def test_forgetting_an_example_removes_the_adapters_that_learnt_from_it(
    tiny_llama: LanguageModel, memory: Memory
) -> None:
    engine = Engine(tiny_llama, memory, replace(CONFIG, guard=False))
    answer = engine.answer(PROMPT, sampling=SHORT)
    learnt = answer.picks[0].example
    unrelated = next(e for e in memory if e.id not in {pick.example.id for pick in answer.picks})
    assert forget(memory, [unrelated.id]) == Forgotten(examples=1, adapters=0)
    assert forget(memory, [learnt.id]) == Forgotten(examples=1, adapters=1)
    assert learnt.id not in memory
    assert engine.answer(PROMPT, sampling=SHORT).plan.rung == "adapt"


def test_steps_are_kept_to_the_budget(tiny_llama: LanguageModel, memory: Memory) -> None:
    answer = Engine(tiny_llama, memory, CONFIG).answer(PROMPT, sampling=SHORT, budget=Budget(steps=2))
    assert answer.plan.steps == 2
    assert len(answer.picks) == 2


def test_no_time_is_no_training(tiny_llama: LanguageModel, memory: Memory) -> None:
    clock = FakeClock()
    engine = Engine(tiny_llama, memory, CONFIG, clock=clock)
    ticking = memory.embed

    def slow(texts):
        clock.sleep(9)
        return ticking(texts)

    memory.embed = slow  # type: ignore[method-assign]
    answer = engine.answer(PROMPT, sampling=SHORT, budget=Budget(seconds=5))
    assert answer.plan.rung == "base"
    assert answer.plan.steps == 0
    assert "budget in seconds" in answer.plan.reason
    assert answer.cost.seconds["embed"] == 9


def test_adaptive_stop_picks_fewer(tiny_llama: LanguageModel, memory: Memory) -> None:
    answer = Engine(tiny_llama, memory, replace(CONFIG, alpha=0.9, reuse=None)).answer(PROMPT, sampling=SHORT)
    assert len(answer.picks) < 6
    for n, variance in enumerate(answer.uncertainty[1:], start=1):
        assert variance**0.5 <= 1 / (0.9 * n)


def test_an_exact_copy_of_the_query_is_said(tiny_llama: LanguageModel, memory: Memory) -> None:
    memory.add([Example(target=PROMPT)])
    answer = Engine(tiny_llama, memory, CONFIG).answer(PROMPT, sampling=SHORT)
    assert "exact copy" in answer.notes[0]
    assert answer.guard.status in ("kept", "rolled_back", "skipped")


def test_a_prompt_longer_than_the_context_is_said(tiny_llama: LanguageModel, memory: Memory) -> None:
    answer = Engine(tiny_llama, memory, CONFIG).answer(PROMPT * 100, sampling=SHORT)
    assert any("longer than the context" in note for note in answer.notes)


def test_bad_input(tiny_llama: LanguageModel, memory: Memory, tmp_path: Path) -> None:
    engine = Engine(tiny_llama, memory, CONFIG)
    with pytest.raises(InputError, match="empty"):
        engine.answer("  \n")
    with pytest.raises(EmptyMemoryError, match="empty"):
        Engine(tiny_llama, Memory.create(tmp_path / "empty.whet", embedder=HashEmbedder()), CONFIG).answer(PROMPT)
    with pytest.raises(ModelError, match="target_modules=c_attn: the model has no such linear module"):
        Engine(tiny_llama, memory, replace(CONFIG, lora=LoraConfig(target_modules=("c_attn",)))).answer(PROMPT)
    with pytest.raises(InputError, match="selector='best'"):
        EngineConfig(selector="best")
    with pytest.raises(InputError, match="reuse"):
        EngineConfig(reuse=1.5)


def test_a_damaged_adapter_is_named_and_another_trained(tiny_llama: LanguageModel, memory: Memory) -> None:
    engine = Engine(tiny_llama, memory, replace(CONFIG, guard=False))
    answer = engine.answer(PROMPT, sampling=SHORT)
    folder = memory.adapters.folder / str(answer.adapter_id)
    (folder / "adapter_model.safetensors").write_bytes(b"not tensors")
    again = engine.answer(PROMPT, sampling=SHORT)
    assert any("damaged" in note and "Remove that folder" in note for note in again.notes)
    assert again.plan.rung == "adapt"
    assert again.text == answer.text
    assert engine.answer(PROMPT, sampling=SHORT).adapter_id == again.adapter_id


def test_training_may_start_from_the_adapter_of_a_nearby_query(tiny_llama: LanguageModel, memory: Memory) -> None:
    config = replace(CONFIG, guard=False, reuse=0.9999, warm=0.3)
    engine = Engine(tiny_llama, memory, config)
    first = engine.answer(PROMPT, sampling=SHORT)
    second = engine.answer("The dog sat on the", sampling=SHORT)
    assert "from the adapter of a query with cosine" in second.plan.reason
    cold = Engine(tiny_llama, memory, replace(config, reuse=None, warm=None)).answer("The dog sat on the")
    assert second.losses[0] != cold.losses[0]
    # what the first learnt from is in the second too, so forgetting it must find both
    assert forget(memory, [first.picks[0].example.id]).adapters == 2


def test_several_adapters_may_be_merged(tiny_llama: LanguageModel, memory: Memory) -> None:
    config = replace(CONFIG, guard=False)
    prompts = (PROMPT, "The dog sat on the", "The bird sat on the")
    for prompt in prompts:
        Engine(tiny_llama, memory, replace(config, reuse=0.9999)).answer(prompt, sampling=SHORT)
    assert len(memory.adapters) == 3
    engine = Engine(tiny_llama, memory, replace(config, reuse=0.3, merge=3))
    answer = engine.answer(PROMPT, sampling=SHORT)
    assert answer.plan.rung == "reuse"
    assert "2 more" in answer.plan.reason
    found = engine.recall.find(memory.embed([PROMPT])[0], engine.bank)
    assert found.bank is not None
    assert found.bank.form.r == 12
    ids = torch.tensor([[1, 2, 3]])
    with torch.inference_mode():
        with found.bank.using(0):
            merged = tiny_llama.module(ids).logits
        with engine.bank.using(0):
            assert not torch.allclose(tiny_llama.module(ids).logits, merged, atol=1e-5)


def test_a_full_cache_costs_no_answer(tiny_llama: LanguageModel, memory: Memory) -> None:
    memory.adapters.limit_bytes = 10
    answer = Engine(tiny_llama, memory, replace(CONFIG, guard=False)).answer(PROMPT, sampling=SHORT)
    assert answer.plan.rung == "adapt"
    assert answer.adapter_id is None
    assert any("limited to 10" in note for note in answer.notes)


@pytest.mark.parametrize("wrong", [{"warm": 0.99}, {"reuse": None, "warm": 0.5}, {"merge": 0}])
def test_settings_of_the_cache_are_checked(wrong: dict[str, float | None]) -> None:
    with pytest.raises(InputError, match=r"warm|merge"):
        EngineConfig(**wrong)


def test_a_draft_left_by_a_killed_process_is_no_adapter(tiny_llama: LanguageModel, memory: Memory) -> None:
    draft = memory.adapters.folder / ".0123"
    draft.mkdir(parents=True)
    (draft / "whet.json").write_text(json.dumps({}))
    assert len(memory.adapters) == 0
    assert Engine(tiny_llama, memory, CONFIG).answer(PROMPT, sampling=SHORT).text is not None


def test_what_the_guard_is_against_is_not_reused_but_trained_anew(
    tiny_llama: LanguageModel, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(tiny_llama, memory, replace(CONFIG, guard=False))
    engine.answer(PROMPT, sampling=SHORT)
    guarded = Engine(tiny_llama, memory, CONFIG)
    findings = iter([GuardReport("rolled_back", 1.0, 2.0, "it harms"), GuardReport("kept", 2.0, 1.0, "it helps")])
    monkeypatch.setattr("whet.adaptation.Guard.judge", lambda *_, **__: next(findings))
    answer = guarded.answer(PROMPT, sampling=SHORT)
    assert answer.plan.rung == "adapt"
    assert answer.guard.status == "kept"
    assert guarded.guarded == {"rolled_back": 1, "kept": 1}


def test_private_examples_reach_the_guard(tiny_llama: LanguageModel, memory: Memory) -> None:
    refusal = Example(input="Tell me a secret. ", target="No, I will not.")
    engine = Engine(tiny_llama, memory, CONFIG, safety=[refusal])
    assert engine.answer(PROMPT, sampling=SHORT).guard.safety is not None
    assert Engine(tiny_llama, memory, replace(CONFIG, reuse=None)).answer(PROMPT, sampling=SHORT).guard.safety is None
