"""Virtual tokens before every sequence, however it is read, against keys and values handed to the model one by one."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, DynamicCache, MambaConfig, MistralConfig

from whet.adaptation import AdapterBank, TrainConfig, Trainer
from whet.adaptation.forms import Form, PrefixConfig, PromptConfig
from whet.adaptation.forms.virtual import read
from whet.decoding import Sampling, generate, score_text
from whet.errors import InputError, ModelError
from whet.models import LanguageModel
from whet.models.packing import Reader
from whet.types import Example

COUNT = 3
FORMS = (PromptConfig(COUNT), PrefixConfig(COUNT))
ROWS = [[0, 5, 6, 7], [0, 9, 8], [0, 1, 2], [0, 4, 4, 4, 4, 4, 1], [0]]
SLOTS = [1, 1, 0, 2, 2]
JOBS = [
    [Example(target="the cat sat on the mat"), Example(target="one")],
    [Example(target="def f(x):\n    return x + 1\n")] * 3,
    [Example(target="a river carries stones"), Example(target="to the plain below the hill")],
]
CONFIG = TrainConfig(lr=0.01, clip=1.0)

forms = pytest.mark.parametrize("form", FORMS, ids=lambda form: type(form).__name__)


def filled(model: LanguageModel, form: Form, slots: int = 3) -> AdapterBank:
    bank = AdapterBank(model.module, form, slots=slots)
    for slot in range(slots):
        bank.reset(slot, seed=slot)
    return bank


def by_hand(model: LanguageModel, bank: AdapterBank, slot: int, row: list[int]) -> torch.Tensor:
    """Logits of a sequence: of prompts, with embeddings put end to end; of prefixes, with a cache made for it."""
    tensors, ids = bank.tensors(slot), torch.tensor([row])
    with torch.inference_mode():
        if "prompt" in tensors:
            embedded = model.module.get_input_embeddings()(ids)
            return model.module(inputs_embeds=torch.cat([tensors["prompt"][None], embedded], 1)).logits[0, COUNT:]
        cache = DynamicCache([(keys[None], values[None]) for keys, values in tensors["prefix"]])
        return model.module(ids, past_key_values=cache).logits[0]


@forms
def test_plain_calls_equal_those_by_hand(tiny_model: LanguageModel, form: Form) -> None:
    bank = filled(tiny_model, form)
    rows = [[0, 5, 6, 7], [9, 8, 3, 3]]
    with bank.using(1), torch.inference_mode():
        found = tiny_model.module(torch.tensor(rows)).logits
        last = tiny_model.module(torch.tensor(rows), use_cache=False, logits_to_keep=1).logits
    for row, logits in zip(rows, found, strict=True):
        torch.testing.assert_close(logits, by_hand(tiny_model, bank, 1, row), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(last[:, 0], found[:, -1], atol=1e-5, rtol=1e-4)


@forms
@pytest.mark.parametrize("packs", [True, False])
def test_sequences_read_together_equal_those_by_hand(tiny_model: LanguageModel, form: Form, packs: bool) -> None:
    """Three slots, two of which have two sequences of different lengths."""
    bank, reader = filled(tiny_model, form), Reader(tiny_model)
    reader.__dict__["packs"] = packs
    with bank.attached(), torch.inference_mode():
        batch = reader.batch(ROWS)
        bank.route([1, 0, 2], [sum(batch.rows[:2]), batch.rows[2], sum(batch.rows[3:])])
        found = reader.logits(reader.hidden(batch)).split(batch.lengths)
    for slot, row, logits in zip(SLOTS, ROWS, found, strict=True):
        torch.testing.assert_close(logits, by_hand(tiny_model, bank, slot, row), atol=1e-5, rtol=1e-4)


@forms
def test_padding_on_the_left_changes_nothing(tiny_model: LanguageModel, form: Form) -> None:
    bank = filled(tiny_model, form)
    for texts in (ROWS[:2], ROWS[1:2]):
        padded = torch.tensor([[0] * (6 - len(row)) + row for row in texts])
        mask = torch.tensor([[0] * (6 - len(row)) + [1] * len(row) for row in texts])
        with bank.using(1), torch.inference_mode():
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            found = tiny_model.module(padded, attention_mask=mask, position_ids=positions).logits
        for row, logits in zip(texts, found, strict=True):
            wanted = by_hand(tiny_model, bank, 1, row)
            torch.testing.assert_close(logits[-len(row) :], wanted, atol=1e-5, rtol=1e-4)


@forms
def test_text_is_generated_and_scored_by_the_model_with_the_tokens(tiny_model: LanguageModel, form: Form) -> None:
    bank, prompt = filled(tiny_model, form), "the cat"
    read = [tiny_model.start, *tiny_model.encode(prompt)]
    drawn: list[int] = []
    for _ in range(6):
        drawn.append(int(by_hand(tiny_model, bank, 2, [*read, *drawn])[-1].argmax()))
    logs = by_hand(tiny_model, bank, 2, [tiny_model.start, *tiny_model.encode(prompt)][:-1]).log_softmax(-1)
    nats = -logs.gather(1, torch.tensor(read[1:])[:, None]).sum().item()
    with bank.using(2):
        assert generate(tiny_model, prompt, Sampling(max_tokens=6)).text == tiny_model.decode(drawn)
        ids = tiny_model.module.generate(torch.tensor([read]), max_new_tokens=6, do_sample=False)
        assert ids[0, len(read) :].tolist() == drawn
        assert score_text(tiny_model, prompt).nats == pytest.approx(nats, rel=1e-4)


@forms
def test_the_context_is_shorter_by_the_tokens_while_they_are_there(tiny_model: LanguageModel, form: Form) -> None:
    bank, text = filled(tiny_model, form), "many words that do not fit at all " * 20
    context = tiny_model.context
    with bank.using(0):
        assert tiny_model.context == context - COUNT
        assert score_text(tiny_model, text).nats > 0
        assert generate(tiny_model, text, Sampling(max_tokens=context)).tokens > 0
        with pytest.raises(InputError, match=f"1 to {context - COUNT} tokens"):
            tiny_model.reader.batch([[0] * context])
    assert tiny_model.context == context
    with pytest.raises(KeyboardInterrupt), bank.attached():
        raise KeyboardInterrupt
    assert tiny_model.context == context


@forms
def test_alone_equals_together(tiny_model: LanguageModel, form: Form) -> None:
    together = filled(tiny_model, form)
    Trainer(tiny_model, together, CONFIG).run({2: JOBS[2], 0: JOBS[0], 1: JOBS[1]})
    for slot, job in enumerate(JOBS):
        alone = AdapterBank(tiny_model.module, form)
        alone.reset(0, seed=slot)
        first = alone.weights.clone()
        traces = Trainer(tiny_model, alone, CONFIG).run({0: job})
        assert traces[0].failed is None
        change = together.weights[slot] - first[0]
        assert (alone.weights[0] - first[0] - change).norm() < 1e-3 * change.norm()


@forms
def test_trained_as_by_hand(tiny_model: LanguageModel, form: Form) -> None:
    """Against Adam on one tensor, with embeddings or a cache put together for each pass."""
    bank = filled(tiny_model, form, slots=1)
    (name, first), module = next(iter(bank.tensors(0).items())), tiny_model.module
    weights = first.clone().requires_grad_(True)
    adam = torch.optim.Adam([weights], lr=0.01)
    for example in JOBS[0]:
        ids = torch.tensor([[tiny_model.start, *tiny_model.encode(example.target)]])
        if name == "prompt":
            embedded = module.get_input_embeddings()(ids[:, :-1])
            logits = module(inputs_embeds=torch.cat([weights[None], embedded], 1)).logits[0, COUNT:]
        else:
            cache = DynamicCache([(keys[None], values[None]) for keys, values in weights])
            logits = module(ids[:, :-1], past_key_values=cache).logits[0]
        adam.zero_grad()
        torch.nn.functional.cross_entropy(logits, ids[0, 1:]).backward()
        adam.step()
    for checkpointing in (False, True):
        bank.reset(0, seed=0)
        Trainer(tiny_model, bank, TrainConfig(lr=0.01, checkpointing=checkpointing)).run({0: JOBS[0]})
        off = bank.tensors(0)[name] - weights.detach()
        assert off.norm() < 1e-3 * (weights.detach() - first).norm()


@forms
def test_base_model_is_back_bit_for_bit(tiny_model: LanguageModel, form: Form) -> None:
    ids = torch.tensor([ROWS[3]])
    with torch.inference_mode():
        before = tiny_model.module(ids).logits
        fingerprint = dict(tiny_model.module.state_dict())
        saved = {name: tensor.clone() for name, tensor in fingerprint.items()}
    bank = filled(tiny_model, form)
    Trainer(tiny_model, bank, CONFIG).run({0: JOBS[0]})
    with torch.inference_mode():
        with bank.using(0):
            assert not torch.allclose(tiny_model.module(ids).logits, before, atol=1e-3)
        with bank.attached():
            assert torch.equal(tiny_model.module(ids).logits, before)
        assert torch.equal(tiny_model.module(ids).logits, before)
    assert all(torch.equal(saved[name], tensor) for name, tensor in tiny_model.module.state_dict().items())


@forms
def test_learns(tiny_model: LanguageModel, form: Form) -> None:
    bank = filled(tiny_model, form, slots=1)
    trace = Trainer(tiny_model, bank, TrainConfig(lr=0.05)).run({0: JOBS[0][:1] * 12})[0]
    assert trace.losses[-1] < 0.97 * trace.losses[0]


@forms
def test_a_sliding_window_slides_over_the_tokens_too(tiny_llama: LanguageModel, form: Form) -> None:
    config = MistralConfig(
        vocab_size=16, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, sliding_window=6, max_position_embeddings=32, initializer_range=0.2,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LanguageModel(AutoModelForCausalLM.from_config(config), tiny_llama.tokenizer, "tiny-mistral")
    bank, reader = filled(model, form), model.reader
    assert reader.packs
    long = [1, 2, 3, 4, 5, 6, 7, 8]
    wanted = by_hand(model, bank, 1, long)
    with bank.using(1), torch.inference_mode():
        for use_cache in (True, False):
            found = model.module(torch.tensor([long]), use_cache=use_cache).logits[0]
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
        found = reader.logits(reader.hidden(reader.batch([long[:3]])))
        torch.testing.assert_close(found, wanted[:3], atol=1e-5, rtol=1e-4)
        with pytest.raises(NotImplementedError, match="sliding window"):
            reader.hidden(reader.batch([long[:4]]))


def test_the_keys_and_values_of_a_pass_are_those_of_the_cache(tiny_model: LanguageModel) -> None:
    ids = torch.tensor(ROWS[:1])
    with torch.inference_mode():
        cache = tiny_model.module(ids, use_cache=True).past_key_values
        found = read(tiny_model.module, tiny_model.module.get_input_embeddings()(ids))
    for layer, (keys, values) in zip(cache.layers, found, strict=True):
        torch.testing.assert_close(keys, layer.keys, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(values, layer.values, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("form", [PromptConfig, PrefixConfig])
def test_what_does_not_fit_is_named(tiny_llama: LanguageModel, form: type[PromptConfig | PrefixConfig]) -> None:
    with pytest.raises(InputError, match="num_virtual_tokens=0"):
        form(0)
    with pytest.raises(InputError, match="num_virtual_tokens=128 leaves no room"):
        form(128).bind(tiny_llama.module)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state_space = AutoModelForCausalLM.from_config(MambaConfig(vocab_size=8, hidden_size=8, num_hidden_layers=1))
    for module in (torch.nn.Linear(2, 2), state_space):
        with pytest.raises(ModelError, match="does not keep keys and values"):
            form().bind(module)
