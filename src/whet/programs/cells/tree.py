"""Decision trees that reproduce every training cell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from whet.programs.compiled import compiled

LEAVES = 24


@compiled
def _bits(counts: NDArray[np.float64], total: float) -> float:
    """Entropy times the number, in nats."""
    out = 0.0
    for label in range(counts.shape[0]):
        if counts[label] > 0:
            out -= counts[label] * np.log(counts[label] / total)
    return out


@compiled
def grow(
    features: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    options: NDArray[np.uint8],
    costs: NDArray[np.float64],
    used: NDArray[np.bool_],
    most: int,
) -> tuple[NDArray[np.int32], int]:
    """A tree whose leaves are pure, by the greatest drop of entropy at each node.

    Args:
        features: `(F, N)`, below 64.
        labels: `(N,)`, below 16; splits make them pure.
        options: `(A, N)`: 1 where an action gives the right colour; a leaf needs one action that is right for all.
        costs: `(F,)`, preferring cheaper features among equal ones.
        used: `(F,)`, the features that may be asked for.
        most: nodes at most.

    Returns:
        `(nodes, 5)`: the feature, or -1 for a leaf; 0 for `==` and 1 for `<=`; the value; then the nodes for yes and
        no, or the action of a leaf and -1. And the number of nodes, 0 if no tree was found.
    """
    size, total = features.shape
    nodes = np.full((most, 5), -1, np.int32)
    members = np.arange(total)
    spare = np.empty(total, np.int64)
    start = np.zeros(most, np.int64)
    stop = np.zeros(most, np.int64)
    stop[0] = total
    number, node = 1, 0
    counts = np.zeros((64, 16), np.float64)
    while node < number:
        first, last = start[node], stop[node]
        action = -1
        for one in range(options.shape[0]):
            right = True
            for place in range(first, last):
                if not options[one, members[place]]:
                    right = False
                    break
            if right:
                action = one
                break
        if action >= 0:
            nodes[node, 3] = action
            node += 1
            continue
        if number + 2 > most:
            return nodes, 0
        whole = np.zeros(16, np.float64)
        for place in range(first, last):
            whole[labels[members[place]]] += 1
        base = _bits(whole, last - first)
        best, best_feature, best_value, best_kind = 1e-9, -1, 0, 0
        for feature in range(size):
            if not used[feature]:
                continue
            counts[:] = 0
            high = 0
            low = 63
            for place in range(first, last):
                value = features[feature, members[place]]
                counts[value, labels[members[place]]] += 1
                high = max(high, value)
                low = min(low, value)
            if low == high:
                continue
            below = np.zeros(16, np.float64)
            for value in range(low, high + 1):
                inside = counts[value].sum()
                if inside == 0:
                    continue
                below += counts[value]
                for kind in range(2):
                    yes = counts[value] if kind == 0 else below
                    yes_total = yes.sum()
                    no_total = last - first - yes_total
                    if no_total == 0 or (kind == 1 and value == low):
                        continue
                    gain = base - _bits(yes, yes_total) - _bits(whole - yes, no_total) - costs[feature]
                    if gain > best:
                        best, best_feature, best_value, best_kind = gain, feature, value, kind
        if best_feature < 0:
            return nodes, 0
        yes_place, no_place = first, 0
        for place in range(first, last):
            member = members[place]
            value = features[best_feature, member]
            if (best_kind == 0 and value == best_value) or (best_kind == 1 and value <= best_value):
                members[yes_place] = member
                yes_place += 1
            else:
                spare[no_place] = member
                no_place += 1
        members[yes_place:last] = spare[:no_place]
        nodes[node, 0], nodes[node, 1], nodes[node, 2] = best_feature, best_kind, best_value
        nodes[node, 3], nodes[node, 4] = number, number + 1
        start[number], stop[number] = first, yes_place
        start[number + 1], stop[number + 1] = yes_place, last
        number += 2
        node += 1
    return nodes, number


@compiled
def follow(nodes: NDArray[np.int32], features: NDArray[np.uint8]) -> NDArray[np.int32]:
    """The action of every cell, `(N,)`."""
    out = np.empty(features.shape[1], np.int32)
    for cell in range(features.shape[1]):
        node = 0
        while nodes[node, 0] >= 0:
            value = features[nodes[node, 0], cell]
            yes = value == nodes[node, 2] if nodes[node, 1] == 0 else value <= nodes[node, 2]
            node = nodes[node, 3] if yes else nodes[node, 4]
        out[cell] = nodes[node, 3]
    return out


@compiled
def uncertainty(features: NDArray[np.uint8], labels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Entropy of the labels given each feature, summed over the cells, in nats, `(F,)`.

    Args:
        features: `(F, N)`, at most 15.
        labels: `(N,)`, at most 15.
    """
    out = np.empty(features.shape[0], np.float64)
    counts = np.zeros((16, 16), np.float64)
    for feature in range(features.shape[0]):
        counts[:] = 0
        for cell in range(features.shape[1]):
            counts[features[feature, cell], labels[cell]] += 1
        out[feature] = 0.0
        for value in range(16):
            out[feature] += _bits(counts[value], counts[value].sum())
    return out
