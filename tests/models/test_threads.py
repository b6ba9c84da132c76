"""Kernels in threads."""

from __future__ import annotations

import multiprocessing

from whet.models.threads import in_threads


def doubled(numbers: list[int]) -> list[int]:
    found: list[int] = []
    in_threads(lambda seen, number: seen.append(2 * number), (found,), [(number,) for number in numbers])
    return sorted(found)


def test_each_part_is_done_once() -> None:
    assert doubled([3]) == [6]
    assert doubled([3, 1, 2]) == [2, 4, 6]


def test_a_forked_process_has_threads_of_its_own() -> None:
    doubled([1, 2])
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=lambda: queue.put(doubled([1, 2])), daemon=True)
    child.start()
    child.join(20)
    assert child.exitcode == 0
    assert queue.get() == [2, 4]
