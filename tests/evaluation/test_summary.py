"""Rows against plain arithmetic, and intervals against the normal approximation."""

from __future__ import annotations

import numpy as np
import pytest

from whet.evaluation import Record, Row, summarise


def record(index: int, group: str, method: str, bits: float, **more) -> Record:
    return Record(
        f"{index:04x}",
        group,
        more.pop("mode", "whole"),
        method,
        more.pop("picks", 0),
        bits,
        None,
        more.pop("seconds", {}),
    )


def find(rows: list[Row], domain: str, method: str, mode: str = "whole") -> Row:
    (row,) = [r for r in rows if (r.domain, r.method, r.mode) == (domain, method, mode)]
    return row


def test_means_are_per_group_and_paired() -> None:
    records = [
        record(0, "a", "base", 2.0),
        record(1, "a", "base", 4.0),
        record(2, "b", "base", 1.0),
        record(0, "a", "sift", 1.0, picks=5, seconds={"train": 1.0}),
        record(1, "a", "sift", 2.0, picks=5, seconds={"train": 3.0}),
    ]
    rows = summarise(records, {"both": {"a", "b"}})
    row = find(rows, "a", "sift")
    assert (row.bits_per_byte, row.percent_of_base, row.difference, row.queries) == (1.5, 50.0, -1.5, 2)
    assert row.seconds_per_query == {"train": 2.0}
    assert find(rows, "all", "base").bits_per_byte == pytest.approx(7 / 3)
    # the method was not run on group b: it is compared with the base on the queries that it was run on
    assert find(rows, "both", "sift").percent_of_base == 50.0
    assert find(rows, "b", "base").ci95 is None


def test_modes_are_apart() -> None:
    records = [record(0, "a", "base", 2.0), record(0, "a", "base", 1.0, mode="halves")]
    rows = summarise(records)
    assert find(rows, "a", "base").bits_per_byte == 2.0
    assert find(rows, "a", "base", "halves").bits_per_byte == 1.0


def test_interval_is_that_of_the_normal_approximation() -> None:
    rng = np.random.default_rng(4)
    base = rng.normal(2.0, 0.3, size=400)
    ours = base - rng.normal(0.2, 0.1, size=400)
    records = [record(i, "a", "base", b) for i, b in enumerate(base)]
    records += [record(i, "a", "sift", o, picks=5) for i, o in enumerate(ours)]
    row = find(summarise(records), "a", "sift")
    half = 1.96 * (ours - base).std(ddof=1) / 20
    assert row.difference_ci95 == pytest.approx((row.difference - half, row.difference + half), abs=0.002)
    assert row.ci95 is not None
    assert row.ci95[0] < row.percent_of_base < row.ci95[1]


def test_base_is_exactly_a_hundred() -> None:
    rows = summarise([record(i, "a", "base", 1.0 + i) for i in range(5)])
    assert find(rows, "a", "base").percent_of_base == 100.0
    assert find(rows, "a", "base").ci95 == (100.0, 100.0)
    assert find(rows, "a", "base").difference_ci95 == (0.0, 0.0)
