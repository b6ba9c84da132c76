"""A stream of 500 queries whose topics come back, with a cache of adapters: quality and time by threshold.

    python benchmarks/adapter_stream.py ../shared/data/textmix

DATA and the memory are those of `language_textmix.py`; the memory is only read. The stream is cut from `test`
documents, and thresholds are calibrated on one from `validation`. The run logs every finished part in `--work` and goes
on from there when it is called again; at the end the log is made into the JSON, the figure and the tables of the page.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from adapter_stream_choice import choose
from adapter_stream_lab import Lab, Log, single_thread
from adapter_stream_pictures import draw, tables
from adapter_stream_policy import Step, pairs_at_distances, simulate
from adapter_stream_queries import make_stream
from adapter_stream_report import Outcome, by_band, calibration_pairs, merging, threshold_row, warm_starts
from adapter_stream_timing import time_engine
from selection_theory_pictures import fill
from selection_theory_statistics import Row

from whet.adaptation import GuardConfig
from whet.config import EngineConfig
from whet.engine import Engine
from whet.evaluation.files import write_atomically
from whet.memory import Memory, calibrate_thresholds, chunk_text, read_jsonl
from whet.models import WHET_BASE
from whet.types import Example

STREAMS: dict[str, dict[str, int]] = {
    "validation": {"topics": 2, "passages": 3, "restated": 40, "again": 15},
    "test": {"topics": 3, "passages": 5, "restated": 100, "again": 55},
}
THRESHOLDS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
MERGED = 5
MERGED_THRESHOLDS = (0.3, 0.5, 0.7, 0.9)
LEVELS = (0.5, 0.75, 0.9)
"""Shares of the gain that calibration is asked to keep."""
LEAST_GAIN = 0.05
"""Share of the base's bits that a query's own adapter saves, below which there is no telling what another's keeps."""
BANDS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)
WARM_BANDS = (0.2, 0.4, 0.6, 0.8, 0.99)
WARM_EACH = 15
"""Queries of each of these bands that are trained from the nearest adapter as well."""
COUNTS = (5, 10)
TIMED = 20
ROOT = Path(__file__).parents[1]
SETTINGS: dict[str, Any] = {
    "model": WHET_BASE, "streams": STREAMS, "thresholds": THRESHOLDS, "merged": MERGED,
    "merged thresholds": MERGED_THRESHOLDS, "levels": LEVELS, "least gain": LEAST_GAIN, "bands": BANDS,
    "warm bands": WARM_BANDS, "warm each": WARM_EACH, "counts": COUNTS, "timed": TIMED,
    "guard": asdict(GuardConfig()),
}  # fmt: skip


def open_lab(name: str, data: Path, engine: Engine, log: Log, work: Path, limit: int | None) -> Lab:
    """The stream of a split; copies of its texts are barred as the memory would have cut them."""
    files = sorted(data.glob("*.jsonl*"))
    records = [record for file in files for record in read_jsonl(file, where={"split": name})]
    asks = make_stream(records, **STREAMS[name])[:limit]
    texts = [ask.text for ask in asks] + [chunk.text for record in records for chunk in chunk_text(record.text)]
    barred = {Example(target=text).id for text in texts}
    return Lab(engine, asks, barred=barred, log=log, folder=work / "adapters" / name, name=name)


def warm_pairs(lab: Lab) -> list[tuple[int, int]]:
    """Queries of several distances to the nearest adapter of an earlier one, each with that one."""
    nearest, kept = [], lab.kept
    for query in lab.firsts:
        earlier = [other for other in lab.firsts if other < query and kept[other]]
        if earlier:
            other = max(earlier, key=lambda other: float(lab.cosines[query, other]))
            nearest.append((float(lab.cosines[query, other]), query, other))
    rng = np.random.default_rng(0)
    chosen: list[tuple[int, int]] = []
    for low, high in itertools.pairwise(WARM_BANDS):
        inside = [(query, other) for cosine, query, other in nearest if low <= cosine < high]
        chosen += [inside[i] for i in sorted(rng.permutation(len(inside))[:WARM_EACH])]
    return chosen


def measure(labs: dict[str, Lab], log: Log, work: Path) -> None:
    """Train what the report needs, and time the engine; the report tries adapters on other queries as it goes."""
    test = labs["test"]
    test.prepare()
    if "seconds" not in log.values:
        log.put("seconds", time_engine(test, TIMED, work / "timed"))
    test.courses(warm_pairs(test), COUNTS)
    labs["validation"].prepare()


def steps_of(lab: Lab, threshold: float | None, merge: int = 1) -> list[Step]:
    """What a cache with this threshold does with the stream."""
    return simulate(lab.cosines, lab.kept, lambda *pair: lab.trial(*pair).serves, threshold, merge=merge)


def calibration_plan(lab: Lab) -> list[tuple[int, int]]:
    """Pairs of queries whose own adapter gains something, at several distances."""
    pairs = pairs_at_distances(lab.cosines, lab.kept, bands=BANDS)
    base, own = lab.base, lab.own
    return [(i, j) for i, j in pairs if base[i] - own[i] >= LEAST_GAIN * base[i]]


def calibrated(lab: Lab) -> list[Row]:
    """The threshold for each share of the gain that is to be kept."""
    _, cosines, kept = calibration_pairs(lab, calibration_plan(lab), LEAST_GAIN)
    return [threshold_row(level, calibrate_thresholds(cosines, kept, hit=level, warm=level)) for level in LEVELS]


def report(labs: dict[str, Lab], seconds: Row, unseen: set[str]) -> Row:
    """All numbers of the page."""
    test, validation = labs["test"], labs["validation"]

    def outcome(threshold: float | None, merge: int = 1, lab: Lab = test) -> Outcome:
        steps = steps_of(lab, threshold, merge)
        return Outcome(lab, steps, LEAST_GAIN, seconds, merge=merge, caching=threshold is not None)

    asks = test.asks
    outcomes = {t: outcome(t) for t in THRESHOLDS}
    policies = [{"name": f"{t:g}", "threshold": t, **outcomes[t].row(unseen)} for t in THRESHOLDS]
    policies.append({"name": "always train", "threshold": None, **outcome(None).row(unseen)})
    policies.insert(0, {"name": "never train", "threshold": None, **outcome(None).row(unseen, never=True)})
    pairs = {"validation": calibration_plan(validation), "test": nearest_pairs(test)}
    bands = {name: by_band(labs[name], pairs[name], BANDS, LEAST_GAIN) for name in pairs}
    return {
        "stream": {
            "queries": len(asks),
            "topics": len({ask.topic for ask in asks}),
            "domains": len({ask.domain for ask in asks}),
            "kinds": dict(Counter(ask.kind for ask in asks)),
            "different": len(test.firsts),
            "findings": dict(Counter(test.findings[i] for i in test.firsts)),
            "base bits": float(np.mean(test.base)),
        },
        "policies": policies,
        "choice": choose(outcomes, lambda threshold: outcome(threshold, lab=validation)),
        "merging": [
            {"threshold": t, "merged": MERGED, **merging(outcomes[t], outcome(t, MERGED), unseen)}
            for t in MERGED_THRESHOLDS
        ],
        "bands": [
            {"low": v["low"], "high": v["high"], "validation": v, "test": t}
            for v, t in zip(bands["validation"], bands["test"], strict=True)
        ],
        "promise": [
            {**row, **(outcome(row["threshold"]).promise() if row["threshold"] is not None else {})}
            for row in calibrated(validation)
        ],
        "warm": {"counts": COUNTS, "rows": warm_starts(test, warm_pairs(test), WARM_BANDS)},
        "seconds": seconds,
    }


def nearest_pairs(lab: Lab) -> list[tuple[int, int]]:
    """Each query that some threshold finds an adapter for, with each of these adapters."""
    steps = (pair for t in THRESHOLDS for pair in enumerate(steps_of(lab, t)))
    found = {(i, step.adapters[0]): None for i, step in steps if step.adapters}
    return [(i, j) for i, j in found if lab.asks[i].kind != "again" and lab.kept[i]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--memory", type=Path, default=Path("runs/textmix/memory.whet"))
    parser.add_argument("--work", type=Path, default=Path("runs/adapter_stream"))
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "adapter_stream.json")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    parser.add_argument("--limit", type=int, help="only the first queries of each stream")
    args = parser.parse_args()
    single_thread()
    plain = json.loads(json.dumps({**SETTINGS, "limit": args.limit}))
    log = Log(args.work / "log.jsonl", plain)
    with Memory.open(args.memory) as memory:
        engine = Engine.from_pretrained(WHET_BASE, memory=memory, config=EngineConfig(reuse=None))
        labs = {name: open_lab(name, args.data, engine, log, args.work, args.limit) for name in STREAMS}
        measure(labs, log, args.work)
        domains = json.loads((args.data / "index.json").read_text())
        unseen = {domain["domain"] for domain in domains if not domain["seen_by_base"]}
        found = report(labs, log.values["seconds"], unseen)
    write_atomically(args.json, json.dumps({**found, "config": plain}, indent=1))
    _, cosines, kept = calibration_pairs(labs["validation"], calibration_plan(labs["validation"]), LEAST_GAIN)
    draw(found, cosines, kept, args.docs / "cache_stream.png")
    fill(args.docs / "cache.md", tables(found))


if __name__ == "__main__":
    main()
