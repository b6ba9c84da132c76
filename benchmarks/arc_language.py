"""A small language model that answers ARC token by token: trained from scratch, then on each task before it answers.

    python benchmarks/arc_language.py pretrain --re-arc tasks.jsonl.gz --out runs/language
    python benchmarks/arc_language.py measure runs/language/model --folder MiniARC --every 5 --out runs/mini

`pretrain` draws the episodes that the one-pass net is trained on (`arc_pretrain.py`), with the same forty tasks held
out, and goes on where it was stopped. `measure` answers tasks with and without practice; the outputs of the tests are
known to the judge alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import starmap
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arc_pretrain import held_out
from arc_transduction import lists, report
from safetensors import safe_open
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pad_sequence

from whet.adaptation.bank import AdapterBank
from whet.adaptation.forms import FullConfig, LoraConfig
from whet.models import LanguageModel
from whet.models.precision import low_products
from whet.tasks.arc import Pair, as_grid, load_set, refuse_leak
from whet.tasks.arc.language import VOTES, Answering, minimal, minimal_tokenizer, practise, read
from whet.tasks.arc.language.lessons import token_lesson
from whet.tasks.arc.transduction.corpus import training_tasks
from whet.tasks.arc.transduction.encoding import Question
from whet.tasks.arc.transduction.practice import Practice
from whet.tasks.arc.transduction.pretrain import Schedule
from whet.tasks.arc.transduction.sampling import Mixture, Sampler

IGNORED = -100


def fresh_model(args: argparse.Namespace) -> Any:
    """A Llama for the minimal vocabulary."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = minimal_tokenizer()
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=args.width,
            intermediate_size=args.hidden,
            num_hidden_layers=args.blocks,
            num_attention_heads=args.width // 32,
            max_position_embeddings=2048,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def pairs_of(question: Question, answers: Sequence[Any]) -> list[Pair]:
    """The pairs of an episode that is drawn for the one-pass net, those that it asks for last."""
    return [Pair(as_grid(a), as_grid(b)) for a, b in (*question.context, *zip(question.inputs, answers, strict=True))]


def pretrain(args: argparse.Namespace) -> None:
    args.out.mkdir(parents=True, exist_ok=True)
    model, serialisation = fresh_model(args), minimal(minimal_tokenizer())
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and ".layers." in n]
    others = [p for n, p in model.named_parameters() if not (p.ndim == 2 and ".layers." in n)]
    optimisers: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=0.0, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=0.0, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]
    path = args.out / "state.safetensors"
    step, spent = resume(path, model, optimisers)
    tasks = training_tasks("arc1-training", args.re_arc, never=held_out())
    sampler = Sampler(Mixture(tasks, sides=args.sides, tokens=args.tokens), seed=0)
    schedule = Schedule(args.steps, args.lr, decay=args.decay)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M, step {step}", flush=True)
    losses: list[float] = []
    tokens, began = 0, time.process_time()
    while step < args.steps:
        lessons = [token_lesson(serialisation, pairs) for pairs in starmap(pairs_of, sampler.questions(step))]
        for optimiser in optimisers:
            optimiser.param_groups[0]["lr"] = schedule.rate(step)
        with low_products():
            loss = mean_loss(model, lessons)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        step += 1
        losses.append(loss.item())
        tokens += sum(len(lesson.ids) for lesson in lessons)
        if step % 50 == 0 or step == args.steps:
            spent += time.process_time() - began
            began = time.process_time()
            save(path, model, optimisers, step, spent)
            line = {"step": step, "loss": round(float(np.mean(losses)), 4), "tokens": tokens, "cpu_s": round(spent, 1)}
            print(json.dumps(line | {"clock": time.strftime("%H:%M:%S")}), flush=True)
            losses, tokens = [], 0
    model.save_pretrained(args.out / "model")
    minimal_tokenizer().save_pretrained(args.out / "model")
    (args.out / "model" / "trained_on.json").write_text(json.dumps(sorted(tasks)))


def mean_loss(model: Any, lessons: list[Any]) -> torch.Tensor:
    """The mean over all learnt tokens."""
    ids = pad_sequence([torch.tensor(lesson.ids) for lesson in lessons], batch_first=True)
    targets = torch.full_like(ids, IGNORED)
    for row, lesson in enumerate(lessons):
        places = torch.tensor(lesson.learnt)
        targets[row, places - 1] = ids[row, places]
    hidden = model.base_model(ids, use_cache=False).last_hidden_state  # causal: what stands behind changes nothing
    there = targets != IGNORED
    return cross_entropy(model.lm_head(hidden[there]), targets[there])


def save(path: Path, model: Any, optimisers: list[torch.optim.Optimizer], step: int, spent: float) -> None:
    """All that is needed to go on, whole or not at all."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for index, optimiser in enumerate(optimisers):
        for number, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{number}.{name}": tensor for name, tensor in state.items()}
    draft = path.with_suffix(".draft")
    save_file(tensors, draft, {"step": str(step), "cpu_s": str(spent)})
    draft.replace(path)


def resume(path: Path, model: Any, optimisers: list[torch.optim.Optimizer]) -> tuple[int, float]:
    """Steps and processor seconds so far."""
    if not path.exists():
        return 0, 0.0
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        meta = file.metadata()
    model.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")})
    for index, optimiser in enumerate(optimisers):
        states: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in tensors.items():
            if name.startswith(f"optimiser.{index}."):
                number, key = name.split(".")[2:]
                states.setdefault(int(number), {})[key] = tensor
        optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(meta["step"]), float(meta["cpu_s"])


def measure(args: argparse.Namespace) -> None:
    """Answer every so manieth task of a folder at each stage; each task is on disk at once."""
    model = LanguageModel.from_pretrained(args.model)
    serialisation = minimal(model.tokenizer)
    tasks = list(load_set(str(args.folder)))[:: args.every]
    refuse_leak(set(json.loads((args.model / "trained_on.json").read_text())), {task.id for task in tasks})
    forms = {"untrained": None, "slots": LoraConfig(r=16, lora_alpha=32.0), "full": FullConfig()}
    rates = {"slots": args.slot_lr, "full": args.lr}
    how = Answering(args.views, args.above)
    args.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in args.stages:
        path = args.out / f"{name}.jsonl"
        done = {line["id"]: line for line in map(json.loads, path.open())} if path.exists() else {}
        left = [task for task in tasks if task.id not in done]
        together = args.together if name == "slots" else 1
        form = forms[name]
        bank = AdapterBank(model.module, form or LoraConfig(r=1), slots=together)
        for start in range(0, len(left), together):
            part, began = left[start : start + together], time.process_time()
            if form is not None:
                practice = Practice(args.steps, args.episodes, rates[name], left_out=args.left_out)
                practise(model, serialisation, bank, part, practice)
            readings = []
            for slot, task in enumerate(part):
                with bank.using(slot) if form is not None else nullcontext():
                    readings.append(read(model, serialisation, task, how))
            spent = (time.process_time() - began) / len(part)
            with path.open("a") as file:
                for task, found in zip(part, readings, strict=True):
                    votes = {vote: [lists(choose(one)) for one in found] for vote, choose in VOTES.items()}
                    votes["any candidate"] = [lists(one.candidates) for one in found]
                    done[task.id] = {"id": task.id, "cpu_s": spent, "votes": votes}
                    print(json.dumps(done[task.id]), file=file, flush=True)
        rows.append(report(name, [done[task.id] for task in tasks], str(args.folder)))
    (args.out / "report.json").write_text(json.dumps({**vars(args), "rows": rows}, default=str))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("pretrain")
    training.add_argument("--re-arc", type=Path, required=True)
    training.add_argument("--out", type=Path, required=True)
    training.add_argument("--steps", type=int, default=900)
    training.add_argument("--decay", type=int, default=120)
    training.add_argument("--lr", type=float, default=2e-3)
    training.add_argument("--tokens", type=int, default=3000)
    training.add_argument("--sides", type=int, nargs="*", default=[4, 5])
    training.add_argument("--width", type=int, default=128)
    training.add_argument("--blocks", type=int, default=6)
    training.add_argument("--hidden", type=int, default=384)
    measuring = commands.add_parser("measure")
    measuring.add_argument("model", type=Path)
    measuring.add_argument("--folder", type=Path, required=True)
    measuring.add_argument("--out", type=Path, required=True)
    measuring.add_argument("--every", type=int, default=5, help="take every so manieth task")
    measuring.add_argument("--stages", nargs="*", default=["untrained", "slots"])
    measuring.add_argument("--steps", type=int, default=Practice.steps)
    measuring.add_argument("--episodes", type=int, default=Practice.episodes)
    measuring.add_argument("--lr", type=float, default=1e-3)
    measuring.add_argument("--slot-lr", type=float, default=3e-3)
    measuring.add_argument("--left-out", type=int, default=2)
    measuring.add_argument("--together", type=int, default=5)
    measuring.add_argument("--views", type=int, default=16)
    measuring.add_argument("--above", type=float, default=0.1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    {"pretrain": pretrain, "measure": measure}[args.command](args)


if __name__ == "__main__":
    main()
