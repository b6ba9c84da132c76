"""Pretrain `whet-base`: a byte-level BPE tokenizer and a small Llama, from a folder of text.

    python benchmarks/pretrain_base.py TEXT… --out runs/base --steps 1600

TEXT is a file or folder of `.jsonl[.gz]` (records with `text`; only those whose `split` is `train`, where a record
has one) and of source or text files. `--never PATH…` names text that must not be learnt: a training document that
shares a long line with it is dropped. The run writes a checkpoint every `--save-every` steps and goes on from it
when it is called again; the learning rate is constant after the warm-up and falls linearly to zero over the last
`--decay` share of the steps, so a longer run can continue from the constant part of a shorter one.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

END = "<|end|>"
LINE_BYTES = 48  # a line this long that occurs in forbidden text marks a document as leaked


def documents(path: Path, split: str) -> Iterator[str]:
    """Texts under `path`; the records of one document (`doc`) that follow each other are joined."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        name = file.name.removesuffix(".gz")
        if name.endswith(".jsonl"):
            yield from _joined(file, split)
        elif split == "train" and name.endswith((".py", ".txt", ".md", ".rst")):
            yield file.read_text(encoding="utf-8", errors="ignore")


def _joined(file: Path, split: str) -> Iterator[str]:
    opener = gzip.open if file.suffix == ".gz" else open
    parts: list[str] = []
    last: object = None
    with opener(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            record = json.loads(line)
            if record.get("split", split) != split:
                continue
            doc = record.get("doc", object())
            if parts and doc != last:
                yield "\n\n".join(parts)
                parts = []
            parts.append(record["text"])
            last = doc
    if parts:
        yield "\n\n".join(parts)


def long_lines(text: str) -> set[int]:
    return {hash(s) for line in text.split("\n") if len(s := line.strip()) >= LINE_BYTES}


def prepare(args: argparse.Namespace) -> None:
    """Write `tokenizer.json`, `train.npy` and `valid.npy` (uint16 token ids) and `data.json` to `args.out`."""
    forbidden: set[int] = set()
    for path in args.never:
        for split in ("test", "validation"):
            for text in documents(path, split):
                forbidden |= long_lines(text)
    texts, dropped = [], 0
    for path in args.text:
        for text in documents(path, "train"):
            leaked = long_lines(text) & forbidden
            # a licence header or an import line may be shared; several long lines may not
            if len(leaked) > 2:
                dropped += 1
            else:
                texts.append(text)
    valid = [t for path in args.text for t in documents(path, "validation")] if args.valid else []
    order = np.random.default_rng(args.seed).permutation(len(texts))
    texts = [texts[i] for i in order]

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=args.vocab,
            special_tokens=[END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    bpe.save(str(args.out / "tokenizer.json"))
    end = bpe.token_to_id(END)
    sizes = {}
    for name, part in (("train", texts), ("valid", valid)):
        ids = [i for e in bpe.encode_batch(part) for i in [end, *e.ids]]
        np.save(args.out / f"{name}.npy", np.array(ids, dtype=np.uint16))
        sizes[name] = {"documents": len(part), "bytes": sum(len(t.encode()) for t in part), "tokens": len(ids)}
    (args.out / "data.json").write_text(json.dumps({**sizes, "dropped": dropped}, indent=1))
    print(json.dumps(sizes), "dropped", dropped, flush=True)


def build(args: argparse.Namespace) -> LlamaForCausalLM:
    torch.manual_seed(args.seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=args.vocab,
            hidden_size=args.width,
            intermediate_size=args.ffn,
            num_hidden_layers=args.layers,
            num_attention_heads=args.width // 32,
            num_key_value_heads=args.width // 32,
            max_position_embeddings=args.context,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=0,
        )
    )


def rate(step: int, args: argparse.Namespace) -> float:
    warm = min(1.0, (step + 1) / args.warmup)
    left = (args.steps - step) / max(1.0, args.decay * args.steps)
    return warm * min(1.0, left)


def batch_of(ids: np.ndarray, step: int, args: argparse.Namespace) -> torch.Tensor:
    """Batch `step` of an endless pass over the windows, reshuffled (and shifted) every epoch: `(batch, context+1)`."""
    windows = (len(ids) - args.context - 1) // args.context
    per_epoch = windows // args.batch
    epoch, i = divmod(step, per_epoch)
    rng = np.random.default_rng((args.seed, epoch))
    shift = int(rng.integers(args.context))
    chosen = rng.permutation(windows)[i * args.batch : (i + 1) * args.batch]
    rows = [ids[shift + w * args.context : shift + (w + 1) * args.context + 1] for w in chosen]
    rows = [r for r in rows if len(r) == args.context + 1]
    return torch.from_numpy(np.stack(rows).astype(np.int64))


@torch.no_grad()
def bits_per_byte(model: LlamaForCausalLM, args: argparse.Namespace, limit: int) -> float:
    """Bits per byte of the held-out text, in windows of the context without overlap (an upper bound)."""
    ids = np.load(args.out / "valid.npy")
    tokenizer = Tokenizer.from_file(str(args.out / "tokenizer.json"))
    total, count = 0.0, 0
    windows = len(ids) // args.context
    for w in range(0, windows, max(1, windows // limit)):
        row = ids[w * args.context : (w + 1) * args.context].astype(np.int64)
        logits = model(torch.from_numpy(row)[None]).logits[0, :-1]
        total += F.cross_entropy(logits, torch.from_numpy(row[1:]), reduction="sum").item()
        count += len(tokenizer.decode(row[1:].tolist()).encode())
    return total / math.log(2) / count


def save(path: Path, state: dict[str, object]) -> None:
    temporary = path.with_suffix(".tmp")
    torch.save(state, temporary)
    temporary.replace(path)


def train(args: argparse.Namespace) -> None:
    model = build(args).to(args.device)
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    optimisers = [
        torch.optim.Muon(matrices, lr=args.lr, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=args.lr, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    ]
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters", flush=True)
    ids = np.load(args.out / "train.npy", mmap_mode="r")
    checkpoint, start = args.out / "checkpoint.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=args.device, weights_only=True)
        model.load_state_dict(state["model"])
        for o, s in zip(optimisers, state["optimisers"], strict=True):
            o.load_state_dict(s)
        start = state["step"]
        print(f"going on from step {start}", flush=True)
    began, seen, running = time.perf_counter(), 0, None
    for step in range(start, args.steps):
        for o in optimisers:
            for group in o.param_groups:
                group["lr"] = args.lr * rate(step, args)
        block = batch_of(ids, step, args).to(args.device)
        with torch.autocast(args.device, torch.bfloat16, enabled=args.device == "cuda"):
            logits = model(block[:, :-1]).logits
        loss = F.cross_entropy(logits.flatten(0, 1).float(), block[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for o in optimisers:
            o.step()
            o.zero_grad(set_to_none=True)
        seen += block.shape[0] * args.context
        running = loss.item() if running is None else 0.95 * running + 0.05 * loss.item()
        if (step + 1) % 20 == 0:
            speed = seen / (time.perf_counter() - began)
            print(f"step {step + 1} loss {loss.item():.3f} mean {running:.3f} {speed:.0f} tok/s", flush=True)
        if (step + 1) % args.save_every == 0 or step + 1 == args.steps:
            save(
                checkpoint,
                {
                    "model": model.state_dict(),
                    "optimisers": [o.state_dict() for o in optimisers],
                    "step": step + 1,
                },
            )
            if args.valid:
                model.eval()
                print(f"step {step + 1} held-out {bits_per_byte(model, args, 60):.4f} bits per byte", flush=True)
                model.train()
    model.eval()
    folder = args.out / "whet-base"
    model.half().save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_file=str(args.out / "tokenizer.json"),
        bos_token=END,
        eos_token=END,
        model_max_length=args.context,
    ).save_pretrained(folder)
    print(f"written to {folder}", flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="+", type=Path)
    parser.add_argument("--never", nargs="*", type=Path, default=[])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--valid", action=argparse.BooleanOptionalAction, default=True)
    for name, kind, default in (
        ("vocab", int, 4096),
        ("width", int, 192),
        ("ffn", int, 512),
        ("layers", int, 6),
        ("context", int, 1024),
        ("batch", int, 8),
        ("steps", int, 1600),
        ("warmup", int, 50),
        ("decay", float, 0.3),
        ("lr", float, 4e-3),
        ("seed", int, 0),
        ("save-every", int, 100),
        ("device", str, "cpu"),
    ):
        parser.add_argument(f"--{name}", type=kind, default=default)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    if not (args.out / "data.json").exists():
        prepare(args)
    train(args)


if __name__ == "__main__":
    main()
