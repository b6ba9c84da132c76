"""Causal attention and its gradient as machine code; imported where numba is installed (`whet[fast]`).

Some rows of a sequence go together: their products with the keys, the softmax and its product with the values stay in
the processor's cache, and what lies above the diagonal is left out but for a few columns. The way back computes the
shares again, from the largest score and the sum: so nothing is kept that grows with the square of the tokens (as in
Dao et al. 2022, arXiv 2205.14135).

Arrays come as the addresses of their first numbers, all contiguous and float32: `query`, `out` and their gradients
`(tokens, heads, size)`; `key`, `value` and theirs `(tokens, shared, size)`, where equally many heads after each other
share keys; `exponents (tokens, heads, 2)`; `cos` and `sin (tokens, size/2)` of rotary positions, 0 if nothing turns.
Sequence s has the tokens from `starts[s]` up to `starts[s + 1]`, int64. A call is for the keys' heads from `first` up
to `last`, those of the first sequence coming first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit

from whet.models.machine import OPTIONS, fetch, floats, integers
from whet.models.softmax import BITS, largest, shares_back, shares_of_two
from whet.models.tiles import ROWS, WIDTH, multiply, transpose

TOGETHER = 4 * ROWS
"""Rows that go together."""
STAIR = max(ROWS, WIDTH)
"""Rows, and columns, by which what they see of each other grows."""
_LINE = 16
"""Numbers in a line of the cache."""
_AHEAD = 16
"""Rows that are fetched before they are read."""
_TERMS = 128
"""States that are gathered before others come to the nearest cache."""
_ONE = np.float32(1)


@njit(inline="always", **OPTIONS)
def _turn(row: Any, cos: Any, sin: Any, way: Any, into: Any) -> None:
    """Turn number i of a row together with i + size/2; the way is 1, or -1 to turn back."""
    half = len(row) // 2
    for j in range(half):
        left, right, c, s = row[j], row[half + j], cos[j], sin[j] * way
        into[j] = left * c - right * s
        into[half + j] = right * c + left * s


@njit(inline="always", **OPTIONS)
def _copy(row: Any, into: Any) -> None:
    for j in range(len(row)):
        into[j] = row[j]


@njit(inline="always", **OPTIONS)
def _scale(row: Any, factor: Any) -> None:
    for j in range(len(row)):
        row[j] *= factor


@njit(inline="always", **OPTIONS)
def _dot(one: Any, two: Any) -> Any:
    total = np.float32(0)
    for j in range(len(one)):
        total += one[j] * two[j]
    return total


@njit(inline="always", **OPTIONS)
def _across(rows: Any, count: int, into: int, width: int) -> None:
    """`rows[:count]` turned into columns; zeros beyond, up to a whole step."""
    whole = count + (-count) % STAIR
    rows[count:whole] = 0
    transpose(rows.ctypes.data, whole, rows.shape[1], into, width)


@njit(inline="always", **OPTIONS)
def _grid(address: int, rows: int, columns: int) -> Any:
    return carray(floats(address), (rows, columns))


@njit(inline="always", **OPTIONS)
def _fetch(states: Any, head: int, t: int) -> None:
    """Have a token's row fetched: a head's rows lie far apart, where the processor would not look ahead by itself."""
    for line in range(0, states.strides[1], 4 * _LINE):
        fetch(states.ctypes.data + t * states.strides[0] + head * states.strides[1] + line)


@njit(inline="always", **OPTIONS)
def _rows(states: Any, head: int, begin: int, count: int, turn: bool, cos: Any, sin: Any, into: Any) -> None:
    """Some tokens of a head, turned."""
    for i in range(count):
        t = begin + i
        _fetch(states, head, t + _AHEAD)
        if turn:
            _turn(states[t, head], cos[t], sin[t], _ONE, into[i])
        else:
            _copy(states[t, head], into[i])


@njit(inline="always", **OPTIONS)
def _rows_back(rows: Any, head: int, begin: int, count: int, turn: bool, cos: Any, sin: Any, into: Any) -> None:
    """The reverse of `_rows`."""
    for i in range(count):
        t = begin + i
        if turn:
            _turn(rows[i], cos[t], sin[t], -_ONE, into[t, head])
        else:
            _copy(rows[i], into[t, head])


@njit(inline="always", **OPTIONS)
def _longest(starts: Any, sequences: int) -> int:
    most = 0
    for s in range(sequences):
        most = max(most, starts[s + 1] - starts[s])
    return most


@njit(**OPTIONS)
def _scores(
    into: int, width: int, states: int, row: int, across: int, size: int, rows: int, low: int, factor: float
) -> None:
    """The products of `states (rows, size)` with the columns `across` that they see, in steps along the diagonal."""
    if low:
        multiply(into, width, states, row, 1, across, width, rows, low, size, factor, 0)
    for i in range(0, rows, STAIR):
        to, left = into + 4 * (i * width + low), states + 4 * i * row
        multiply(to, width, left, row, 1, across + 4 * low, width, min(STAIR, rows - i), i + STAIR, size, factor, 0)


@njit(**OPTIONS)
def _spread(
    sums: int, scores: int, width: int, states: int, row: int, size: int, rows: int, low: int, factor: float
) -> None:
    """Add `states (rows, size)` to the sums of what each of them sees, by its row of scores."""
    if low:
        multiply(sums, size, scores, 1, width, states, row, low, size, rows, factor, 1)
    for i in range(0, rows, STAIR):
        to, left, right = sums + 4 * (low + i) * size, scores + 4 * (i * width + low + i), states + 4 * i * row
        multiply(to, size, left, 1, width, right, row, min(STAIR, rows - i), size, rows - i, factor, 1)


@njit(**OPTIONS)
def _gather(
    into: int, row: int, scores: int, width: int, states: int, size: int, rows: int, low: int, factor: float
) -> None:
    """The sums of `states (low + rows, size)` by rows of scores, of which each sees one more; some terms at a time."""
    for term in range(0, low + rows, _TERMS):
        right, add = states + 4 * term * size, int(term > 0)
        for i in range(0, rows, ROWS):
            few = min(ROWS, rows - i)
            terms = min(_TERMS, low + i + few - term)
            if terms > 0:
                to, left = into + 4 * i * row, scores + 4 * (i * width + term)
                multiply(to, row, left, width, 1, right, size, few, size, terms, factor, add)


@njit(**OPTIONS)
def attend(
    query: int,
    key: int,
    value: int,
    cos: int,
    sin: int,
    out: int,
    exponents: int,
    starts: int,
    sequences: int,
    heads: int,
    shared: int,
    size: int,
    scale: float,
    first: int,
    last: int,
) -> None:
    """What each token gathers of those up to it, `out`; with its largest score and one over the sum, `exponents`."""
    begins, turn, factor = carray(integers(starts), sequences + 1), cos != 0, np.float32(scale)
    bits = factor * BITS  # scores are told as powers of two, which take less time
    tokens, longest = begins[sequences], _longest(begins, sequences)
    width = longest + (-longest) % STAIR
    queries = carray(floats(query), (tokens, heads, size))
    keys, values = carray(floats(key), (tokens, shared, size)), carray(floats(value), (tokens, shared, size))
    cosines, sines = _grid(cos, tokens, size // 2), _grid(sin, tokens, size // 2)
    outs, kept = carray(floats(out), (tokens, heads, size)), carray(floats(exponents), (tokens, heads, 2))
    # one piece of memory, looked at as plain addresses: a view of an array of NumPy is counted at every turn
    space = np.empty((longest + 2 * width + TOGETHER) * size + TOGETHER * width, np.float32)
    own_keys_at = space.ctypes.data
    own_values_at = own_keys_at + 4 * width * size
    across_at = own_values_at + 4 * longest * size
    own_at = across_at + 4 * size * width
    scores_at = own_at + 4 * TOGETHER * size
    own_keys, own_values = _grid(own_keys_at, width, size), _grid(own_values_at, longest, size)
    own = _grid(own_at, TOGETHER, size)
    for item in range(first, last):
        s, g = item // shared, item % shared
        begin, count = begins[s], begins[s + 1] - begins[s]
        _rows(keys, g, begin, count, turn, cosines, sines, own_keys)
        _across(own_keys, count, across_at, width)
        _rows(values, g, begin, count, False, cosines, sines, own_values)
        for h in range(g * heads // shared, (g + 1) * heads // shared):
            for low in range(0, count, TOGETHER):
                rows = min(TOGETHER, count - low)
                _rows(queries, h, begin + low, rows, turn, cosines, sines, own)
                _scores(scores_at, width, own_at, size, across_at, size, rows, low, bits)
                for i in range(rows):
                    row, visible, step = scores_at + 4 * i * width, low + i + 1, low + i - i % STAIR + STAIR
                    top = largest(row, visible)
                    total = shares_of_two(row, visible, step, top)
                    kept[begin + low + i, h, 0], kept[begin + low + i, h, 1] = top, _ONE / total
                into = out + 4 * ((begin + low) * heads + h) * size
                _gather(into, heads * size, scores_at, width, own_values_at, size, rows, low, _ONE)
                for t in range(begin + low, begin + low + rows):
                    _scale(outs[t, h], kept[t, h, 1])
    space[0] = 0  # until here its memory is in use


@njit(**OPTIONS)
def attend_back(
    query: int,
    key: int,
    value: int,
    cos: int,
    sin: int,
    out: int,
    exponents: int,
    d_out: int,
    d_query: int,
    d_key: int,
    d_value: int,
    starts: int,
    sequences: int,
    heads: int,
    shared: int,
    size: int,
    scale: float,
    first: int,
    last: int,
) -> None:
    """The gradients of `attend` with respect to `query`, `key` and `value`."""
    begins, turn, factor = carray(integers(starts), sequences + 1), cos != 0, np.float32(scale)
    bits = factor * BITS  # scores are told as powers of two, which take less time
    tokens, longest = begins[sequences], _longest(begins, sequences)
    width = longest + (-longest) % STAIR
    queries, outs = carray(floats(query), (tokens, heads, size)), carray(floats(out), (tokens, heads, size))
    d_queries, d_outs = carray(floats(d_query), (tokens, heads, size)), carray(floats(d_out), (tokens, heads, size))
    keys, values = carray(floats(key), (tokens, shared, size)), carray(floats(value), (tokens, shared, size))
    d_keys, d_values = carray(floats(d_key), (tokens, shared, size)), carray(floats(d_value), (tokens, shared, size))
    cosines, sines = _grid(cos, tokens, size // 2), _grid(sin, tokens, size // 2)
    kept = carray(floats(exponents), (tokens, heads, 2))
    space = np.empty((2 * longest + 4 * width + 2 * TOGETHER) * size + 2 * TOGETHER * width, np.float32)
    own_keys_at = space.ctypes.data
    own_values_at = own_keys_at + 4 * width * size
    sum_keys_at = own_values_at + 4 * width * size
    sum_values_at = sum_keys_at + 4 * longest * size
    keys_across_at = sum_values_at + 4 * longest * size
    values_across_at = keys_across_at + 4 * size * width
    own_at = values_across_at + 4 * size * width
    d_own_at = own_at + 4 * TOGETHER * size
    scores_at = d_own_at + 4 * TOGETHER * size
    d_scores_at = scores_at + 4 * TOGETHER * width
    own_keys, own_values = _grid(own_keys_at, width, size), _grid(own_values_at, width, size)
    sum_keys, sum_values = _grid(sum_keys_at, longest, size), _grid(sum_values_at, longest, size)
    own, d_own = _grid(own_at, TOGETHER, size), _grid(d_own_at, TOGETHER, size)
    for item in range(first, last):
        s, g = item // shared, item % shared
        begin, count = begins[s], begins[s + 1] - begins[s]
        _rows(keys, g, begin, count, turn, cosines, sines, own_keys)
        _rows(values, g, begin, count, False, cosines, sines, own_values)
        _across(own_keys, count, keys_across_at, width)
        _across(own_values, count, values_across_at, width)
        sum_keys[:count] = 0
        sum_values[:count] = 0
        for h in range(g * heads // shared, (g + 1) * heads // shared):
            for low in range(0, count, TOGETHER):
                rows = min(TOGETHER, count - low)
                _rows(queries, h, begin + low, rows, turn, cosines, sines, own)
                for t in range(begin + low, begin + low + rows):
                    _fetch(outs, h, t)
                above = d_out + 4 * ((begin + low) * heads + h) * size
                _scores(scores_at, width, own_at, size, keys_across_at, size, rows, low, bits)
                _scores(d_scores_at, width, above, heads * size, values_across_at, size, rows, low, _ONE)
                for i in range(rows):
                    t = begin + low + i
                    along = _dot(d_outs[t, h], outs[t, h])
                    row, d_row = scores_at + 4 * i * width, d_scores_at + 4 * i * width
                    visible, step = low + i + 1, low + i - i % STAIR + STAIR
                    shares_back(row, d_row, visible, step, kept[t, h, 0], kept[t, h, 1], along)
                _gather(d_own_at, size, d_scores_at, width, own_keys_at, size, rows, low, factor)
                _rows_back(d_own, h, begin + low, rows, turn, cosines, sines, d_queries)
                _spread(sum_values_at, scores_at, width, above, heads * size, size, rows, low, _ONE)
                _spread(sum_keys_at, d_scores_at, width, own_at, size, size, rows, low, factor)
        _rows_back(sum_keys, g, begin, count, turn, cosines, sines, d_keys)
        _rows_back(sum_values, g, begin, count, False, cosines, sines, d_values)
    space[0] = 0
