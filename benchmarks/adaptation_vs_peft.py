"""Many small adapters at once against PEFT query by query: time, memory, and both over the arithmetic that is needed.

    python benchmarks/adaptation_vs_peft.py --json benchmarks/results/adaptation_vs_peft.json
    python benchmarks/adaptation_vs_peft.py --model 3M --case 32x64 --part time
    python benchmarks/adaptation_vs_peft.py --json benchmarks/results/adaptation_vs_peft.json --table

One thread. Each query has four items of random tokens, one gradient step each; LoRA of rank 8 on all linear layers but
the output matrix, Adam, the same first weights. Contestants, in turns within each round:

- `bank`: `Trainer` on an `AdapterBank` with a slot a query, resets included. As PEFT's adapter, the bank is there and
  was used once before.
- `last quarter`: the same with `LoraConfig(layers=0.25)`, what the blocks before compute being kept from a round before
  the first; `cold`: computed as part of it.
- `PEFT reset`: one adapter and one fused Adam, set back in place before each query, no Trainer, the model's own loss;
  with all layers, and with the same last ones.
- `PEFT fresh`: `get_peft_model` and a new Adam a query. Of more than four queries PEFT does the first four, whose time
  is multiplied: it takes them one by one.
- `…, bfloat16`: products with frozen matrices in bfloat16, by `TrainConfig(precision="bfloat16")`; PEFT's by torch's
  autocast. Only on a processor that is faster with them.

Times are medians over the rounds, ratios medians of each round's ratio of processor time. The floor is the arithmetic
(`Work`) at the rate of matrix products in float32 measured in the same round. Memory is the largest resident size of a
fresh process above what it has with the model loaded and used once, for each adapter.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adaptation_loops import Bank, Queries, Work

    from whet.models import LanguageModel

STEPS, SAMPLE, QUARTER = 4, 4, 0.25
CASES = ["1x64", "8x64", "32x64", "64x64", "1x32", "32x32", "32x8-64", "32x128", "8x256", "1x512", "8x512"]
MODELS = ("3M", "15M")
BANK, LAST, COLD = "bank", "last quarter", "last quarter, cold"
RESET, RESET_LAST, FRESH = "PEFT reset", "PEFT reset, last quarter", "PEFT fresh"
LOW = "bfloat16"
BANK_LOW, LAST_LOW, RESET_LOW, FRESH_LOW = (f"{name}, {LOW}" for name in (BANK, LAST, RESET, FRESH))


def data(queries: int, tokens: str, seed: int) -> Queries:
    """Token ids by query and step; `8-64` draws each length from such a range."""
    draw = random.Random(f"{seed} {tokens}")
    least, _, most = tokens.partition("-")
    lengths = [[draw.randint(int(least), int(most or least)) for _ in range(STEPS)] for _ in range(queries)]
    return [[[draw.randrange(4096) for _ in range(length)] for length in row] for row in lengths]


def measure(run: Callable[[], list[float]], share: float = 1.0) -> dict[str, Any]:
    """Times in ms, for all queries where the run was for a share of them, and the losses."""
    wall, cpu = time.perf_counter(), time.process_time()
    losses = run()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"cpu_ms": cpu * 1e3 / share, "wall_ms": wall * 1e3 / share, "losses": losses}


def times(model: LanguageModel, queries: int, tokens: str, options: argparse.Namespace) -> dict[str, Any]:
    """A row of the table of times."""
    from adaptation_loops import Work

    given = data(queries, tokens, options.seed)
    few, share = given[:SAMPLE], min(SAMPLE, queries) / queries
    ours, rounds = banks(model, given), []
    peft_round(model, few[:1], 1)  # loads what is loaded once
    for _ in range(options.rounds):
        rates = {"rate": Work(model).rate(), "rate_low": Work(model).rate(LOW)}
        rounds.append({**rates, **whet_round(ours, given), **peft_round(model, few, share)})
    return {"queries": queries, "tokens": tokens, **summary(rounds, Work(model), given)}


def banks(model: LanguageModel, given: Queries) -> dict[str, Bank]:
    """With all layers and with the last ones, in each precision; used once."""
    from adaptation_loops import Bank

    found = {BANK: Bank(model, len(given)), LAST: Bank(model, len(given), QUARTER)}
    if low_too():
        found[BANK_LOW] = Bank(model, len(given), precision=LOW)
        found[LAST_LOW] = Bank(model, len(given), QUARTER, LOW)
    for bank in found.values():
        bank(given)
    return found


def low_too() -> bool:
    """Whether this processor is faster in bfloat16."""
    from whet.models.precision import computes_in_bfloat16

    return computes_in_bfloat16()


def whet_round(ours: dict[str, Bank], given: Queries) -> dict[str, Any]:
    """The banks; that of the last layers also while it computes the others."""
    row = {name: measure(lambda bank=bank: bank(given)) for name, bank in ours.items()}  # type: ignore[misc]
    ours[LAST].forget()
    return row | {COLD: measure(lambda: ours[LAST](given))}


def peft_round(model: LanguageModel, few: Queries, share: float) -> dict[str, Any]:
    """PEFT reset in place, with all layers and with the last ones, and wrapped anew for each query."""
    from adaptation_loops import PeftFresh, PeftReset

    row, contestants = {}, [(RESET, None, "float32"), (RESET_LAST, QUARTER, "float32"), (RESET_LOW, None, LOW)]
    for name, layers, precision in contestants:
        if precision == LOW and not low_too():
            continue
        run = PeftReset(model, layers, precision)
        run.prepare(len(few))
        run(few[:1])
        row[name] = measure(lambda run=run: run(few), share)  # type: ignore[misc]
        run.close()
    row[FRESH] = measure(lambda: PeftFresh(model)(few), share)
    if low_too():
        row[FRESH_LOW] = measure(lambda: PeftFresh(model, LOW)(few), share)
    return row


def summary(rounds: list[dict[str, Any]], work: Work, given: Queries) -> dict[str, Any]:
    """Medians, ratios and differences of losses."""
    rates = {name: statistics.median(row[name] for row in rounds) / 1e9 for name in ("rate", "rate_low")}
    report: dict[str, Any] = {"gflops": rates["rate"], "gflops_low": rates["rate_low"], "contestants": {}}
    for name in [name for name in rounds[0] if name not in rates]:
        layers = QUARTER if name in (COLD, LAST, RESET_LAST, LAST_LOW) else None
        needed = sum(work.flops(len(ids), layers) for query in given for ids in query)
        report["contestants"][name] = {
            "cpu_ms": statistics.median(row[name]["cpu_ms"] for row in rounds),
            "wall_ms": statistics.median(row[name]["wall_ms"] for row in rounds),
            "floors": statistics.median(row[name]["cpu_ms"] * row["rate"] / needed / 1e3 for row in rounds),
            "reset_over": statistics.median(row[RESET]["cpu_ms"] / row[name]["cpu_ms"] for row in rounds),
            "fresh_over": statistics.median(row[FRESH]["cpu_ms"] / row[name]["cpu_ms"] for row in rounds),
        }
    for ours, theirs in ((BANK, RESET), (LAST, RESET_LAST), (BANK_LOW, BANK), (LAST_LOW, LAST)):
        if ours not in rounds[0]:
            continue
        pairs = zip(rounds[0][ours]["losses"], rounds[0][theirs]["losses"], strict=False)
        report["contestants"][ours]["loss_difference"] = max(abs(one - two) for one, two in pairs)
    return report


def memory(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Growth of a fresh process in MB for each adapter."""
    rows = []
    for size in options.model or MODELS:
        for queries, tokens in ((1, 64), (32, 64), (1, 512), (8, 512)):
            row: dict[str, Any] = {"model": size, "queries": queries, "tokens": str(tokens)}
            for name in (BANK, RESET):
                run = [sys.executable, __file__, "--alone", name, "--model", size, "--case", f"{queries}x{tokens}"]
                done = subprocess.run(run, capture_output=True, text=True, check=True)
                row[name] = float(done.stdout) / (queries if name == BANK else 1)
            rows.append(row)
            print(
                f"{size} {queries:>3} x {tokens:<4} MB an adapter: bank {row[BANK]:.1f}, PEFT {row[RESET]:.1f}",
                flush=True,
            )
    return rows


def alone(name: str, size: str, queries: int, tokens: str) -> float:
    """Largest resident size in MB while a contestant works, above that before it."""
    from adaptation_loops import Bank, PeftReset, load

    model = load(size)

    def work(queries: int, tokens: str) -> None:
        given = data(queries, tokens, 0)
        if name == BANK:
            Bank(model, queries)(given)
            return
        run = PeftReset(model)
        run.prepare(1)
        run(given[:1])
        run.close()

    work(1, "8")
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    work(queries, tokens)
    return resident("VmHWM") - before


def resident(field: str) -> float:
    """A field of the process's status in MB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def lines(row: dict[str, Any]) -> list[str]:
    """A row of the report as text."""
    rates = f"{row['gflops']:.0f} GFLOP/s, in {LOW} {row['gflops_low']:.0f}"
    found = [f"{row['model']} {row['queries']} queries of {row['tokens']} tokens, {rates}"]
    for name, entry in row["contestants"].items():
        line = (
            f"  {name:<26} {entry['cpu_ms']:>9.0f} ms CPU {entry['wall_ms']:>9.0f} wall {entry['floors']:>6.2f} floors"
        )
        line += f"  reset {entry['reset_over']:>5.2f}x, fresh {entry['fresh_over']:>5.2f}x"
        if "loss_difference" in entry:
            line += f"  losses within {entry['loss_difference']:.0e} bits"
        found.append(line)
    return found


def tables(report: dict[str, Any]) -> list[str]:
    """The tables of docs/adaptation_peer.md."""
    found = [
        "| model | queries | tokens | PEFT reset, ms | PEFT fresh, ms | bank, ms | bank, times | floors "
        "| last quarter, times | floors |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in report["time"]:
        bank, last, reset, fresh = (row["contestants"][name] for name in (BANK, LAST, RESET, FRESH))
        found.append(
            f"| {row['model']} | {row['queries']} | {row['tokens']} | {reset['cpu_ms']:,.0f} | {fresh['cpu_ms']:,.0f} "
            f"| {bank['cpu_ms']:,.0f} | **{bank['reset_over']:.2f}** / {bank['fresh_over']:.1f} | {bank['floors']:.2f} "
            f"| **{last['reset_over']:.1f}** / {last['fresh_over']:.1f} | {last['floors']:.2f} |"
        )
    low_rows = [row for row in report["time"] if BANK_LOW in row["contestants"]]
    if low_rows:
        found += [
            "",
            "| model | queries | tokens | rate, times | PEFT reset, ms | PEFT fresh, ms | bank, ms | bank, times "
            "| floors | last quarter, times | floors | losses |",
            "|---|---|---|---|---|---|---|---|---|---|---|---|",
        ]
    for row in low_rows:
        found_of = row["contestants"]
        bank, last, low, fresh = (found_of[name] for name in (BANK_LOW, LAST_LOW, RESET_LOW, FRESH_LOW))
        # against PEFT in whichever precision is faster for it
        reset_share, fresh_share = (
            min(1.0, found_of[lower]["cpu_ms"] / found_of[name]["cpu_ms"])
            for name, lower in ((RESET, RESET_LOW), (FRESH, FRESH_LOW))
        )
        found.append(
            f"| {row['model']} | {row['queries']} | {row['tokens']} | {row['gflops_low'] / row['gflops']:.1f} "
            f"| {low['cpu_ms']:,.0f} | {fresh['cpu_ms']:,.0f} | {bank['cpu_ms']:,.0f} "
            f"| **{reset_share * bank['reset_over']:.2f}** / {fresh_share * bank['fresh_over']:.1f} "
            f"| {bank['floors']:.2f} "
            f"| **{reset_share * last['reset_over']:.1f}** / {fresh_share * last['fresh_over']:.1f} "
            f"| {last['floors']:.2f} "
            f"| {bank['loss_difference']:.3f} |"
        )
    memory_rows = report.get("memory", [])
    if memory_rows:
        found += [
            "",
            "| model | queries | tokens | bank, MB an adapter | PEFT, MB | share |",
            "|---|---|---|---|---|---|",
        ]
    for row in memory_rows:
        found.append(
            f"| {row['model']} | {row['queries']} | {row['tokens']} | {row[BANK]:.1f} | {row[RESET]:.1f} "
            f"| {row[BANK] / row[RESET]:.2f} |"
        )
    return found


def main() -> None:
    """Measure, print, and write the JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, action="append", help="all unless given")
    parser.add_argument("--case", action="append", help="QUERIESxTOKENS, such as 8x64 or 8x32-64; all unless given")
    parser.add_argument("--part", choices=("time", "memory"), action="append", help="both unless given")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="where to write the report; what it holds of other cases stays")
    parser.add_argument("--table", action="store_true", help="measure nothing; print the tables of the JSON")
    parser.add_argument("--alone", help=argparse.SUPPRESS)  # of a process whose memory is measured
    options = parser.parse_args()

    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is first imported
    warnings.filterwarnings("ignore")
    import torch
    from adaptation_loops import load

    torch.set_num_threads(1)
    cases = [(int(queries), tokens) for queries, tokens in (case.split("x") for case in options.case or CASES)]
    if options.alone:
        print(alone(options.alone, options.model[0], *cases[0]))
        return
    report = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    if options.table:
        print(*tables(report), sep="\n")
        return
    for part in options.part or ("time", "memory"):
        if part == "memory":
            keep(report, "memory", memory(options), options.json)
            continue
        for size in options.model or MODELS:
            model = load(size)
            for queries, tokens in cases:
                row = {"model": size, **times(model, queries, tokens, options)}
                print(*lines(row), sep="\n", flush=True)
                keep(report, "time", [row], options.json)


def processor() -> str:
    """Its name, and on Linux its family and model, for virtual machines hide much of a name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    said = dict(reversed([tuple(map(str.strip, line.split(":", 1))) for line in lines if ":" in line]))  # type: ignore[misc]
    return f"{said.get('model name', '?')}, family {said.get('cpu family', '?')}, model {said.get('model', '?')}"


def keep(report: dict[str, Any], part: str, rows: list[dict[str, Any]], file: Path | None) -> None:
    """Put rows in the place of those of the same case, and write the report."""
    case = ("model", "queries", "tokens")
    new = {tuple(row[key] for key in case): row for row in rows}
    old = {tuple(row[key] for key in case): row for row in report.get(part, [])}
    report[part] = list((old | new).values())
    report["machine"] = processor()
    if file:
        file.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
