"""Votes against a naive reference and against multisets that were counted by hand."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.decoding.votes import by_score, hierarchical, majority
from whet.errors import InputError

A, B, C, D = "ABCD"


def test_the_most_frequent_come_first_and_of_equals_the_earlier() -> None:
    assert majority("bacabd", 3) == ["b", "a", "c"]
    assert majority("aab", 5) == ["a", "b"]
    assert majority([], 2) == []


def test_arrays_are_candidates_by_their_content() -> None:
    one, two = np.array([[1, 2]]), np.array([[1], [2]])
    first, second = majority([two, one, one.copy()])
    assert first is one
    assert second is two


@given(st.lists(st.integers(0, 5)), st.integers(1, 4))
def test_majority_is_that_of_a_counter(candidates: list[int], k: int) -> None:
    assert majority(candidates, k) == [candidate for candidate, _ in Counter(candidates).most_common(k)]


def test_scores_of_equal_candidates_add_up() -> None:
    assert by_score([("a", -1.0), ("b", -1.5), ("a", -1.0), ("c", -1.8)], 3) == ["b", "c", "a"]
    assert by_score([("a", float("-inf")), ("b", -1e9)], 1) == ["b"]
    assert by_score([("b", -1.0), ("a", -1.0)], 1) == ["b"]


def test_what_is_no_vote_is_refused() -> None:
    with pytest.raises(InputError, match="k is 0"):
        majority("ab", 0)
    with pytest.raises(InputError, match="not a number"):
        by_score([("a", float("nan"))])


def test_a_flat_majority_can_lose_to_agreement_across_groups() -> None:
    """B has 4 of 9 votes, all in one group; A has 3, one in each group."""
    groups = {"identity": [A, C, D], "flip": [A, D, C], "rotate": [B, B, B, B, A]}
    assert majority([grid for grids in groups.values() for grid in grids])[0] == B
    # Together: B, A, C. identity: A, C, D. flip: A, D, C. rotate: B, A, and the majority B again.
    # A: 4 votes, B: 3, C: 3, D: 2. In a tie of the second and the third, C is in the identity group and B is not.
    assert hierarchical(groups) == [A, C]
    assert hierarchical(groups, identity="rotate") == [A, B]


def test_without_the_identity_group_a_tie_goes_to_the_earlier() -> None:
    assert hierarchical({"flip": [B, A], "rotate": [A, B]}, identity="none") == [B, A]


def test_a_unanimous_group_sends_its_grid_three_times() -> None:
    # Together: C, A, B. first: A, B, C. second: C, C, C. So C has 5 votes and A and B have 2.
    groups = {"first": [A, B, C], "second": [C, C]}
    assert hierarchical(groups, identity="first") == [C, A]


def test_a_lone_grid_wins_alone_and_nothing_wins_nothing() -> None:
    assert hierarchical({"identity": [A, A], "flip": [A]}) == [A]
    assert hierarchical({"identity": [A], "flip": []}) == [A]
    assert hierarchical({"identity": []}) == []
    assert hierarchical({}) == []


def test_arrays_go_in_and_arrays_of_the_same_type_come_out() -> None:
    grids = [np.array(rows, np.uint8) for rows in ([[1, 2]], [[3]], [[1, 2]])]
    first, second = hierarchical({"identity": grids})
    assert first.dtype == second.dtype == np.uint8
    assert (first.tolist(), second.tolist()) == ([[1, 2]], [[3]])


def naive(groups: dict[str, list[Any]]) -> list[Any]:
    """The vote as its authors describe it, with majorities by row and by column for what is missing."""

    def commonest(things: list[Any]) -> Any:
        return max(things, key=lambda thing: (things.count(thing), -things.index(thing)))

    def rows(grids: list[Any]) -> Any:
        shape = commonest([np.array(grid).shape for grid in grids])
        stacked = [np.array(grid).tolist() for grid in grids if np.array(grid).shape == shape]
        return tuple(tuple(commonest([grid[i] for grid in stacked])) for i in range(shape[0]))

    def turned(grid: Any) -> Any:
        return tuple(map(tuple, np.array(grid).T.tolist()))

    def top(grids: list[Any]) -> list[Any]:
        different = sorted(set(grids), key=lambda grid: (-grids.count(grid), grids.index(grid)))[:3]
        while len(different) < 3:
            by_row, by_column = rows(grids), turned(rows([turned(grid) for grid in grids]))
            different += [by_column if by_row in different else by_row]
        return different

    every = [grid for grids in groups.values() for grid in grids]
    sent = [grid for grids in [every, *groups.values()] for grid in top(grids)]
    one, two, three = top(sent)
    home = groups.get("identity", [])
    if three != one and sent.count(two) == sent.count(three) and home.count(three) > home.count(two):
        two = three
    return [one] if one == two else [one, two]


small_grids = st.tuples(st.integers(1, 2), st.integers(1, 2)).flatmap(
    lambda shape: st.tuples(*[st.tuples(*[st.integers(0, 1)] * shape[1])] * shape[0])
)


@given(st.dictionaries(st.sampled_from(["identity", "flip", "rotate"]), st.lists(small_grids, min_size=1), min_size=1))
def test_the_hierarchical_vote_is_that_of_its_authors(groups: dict[str, list[Any]]) -> None:
    won = hierarchical(groups)
    assert won == naive(groups)
    as_arrays = hierarchical({name: [np.array(grid) for grid in grids] for name, grids in groups.items()})
    assert [tuple(map(tuple, grid.tolist())) for grid in as_arrays] == won
