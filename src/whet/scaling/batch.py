"""Answering many queries one after the other, so that being killed costs at most the answer being made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from whet.errors import WhetError
from whet.scaling.answers import AnswerFile
from whet.scaling.queries import BatchQuery
from whet.types import Answer


@dataclass(frozen=True)
class BatchReport:
    """What came of a batch.

    Attributes:
        answered: queries that were answered now.
        found: queries whose answers were there already.
    """

    answered: int
    found: int


def answer_all(
    queries: Sequence[BatchQuery],
    answers: AnswerFile,
    answer: Callable[[str], Answer],
    *,
    progress: Callable[[int], None] | None = None,
) -> BatchReport:
    """Answer, in order, the queries that the file holds no answer to; each answer is on disk before the next begins.

    Args:
        queries: with different ids.
        answers: where the answers go; see `answer_line` for their fields.
        answer: answers a prompt.
        progress: told how many queries are done so far, those of earlier runs among them.

    Raises:
        InputError: the file holds the answer to another query of the same id; nothing has been answered then.
        StoreError: an answer cannot be written.
        WhetError: whatever `answer` raises, with a note that names the query.
    """
    left = [query for query in queries if not answers.holds(query)]
    found = len(queries) - len(left)
    if progress is not None:
        progress(found)
    for done, query in enumerate(left, start=found + 1):
        try:
            result = answer(query.text)
        except WhetError as error:
            error.add_note(f"This was the query {query.id!r}; the answers before it are in {answers.path}.")
            raise
        answers.append(query, answer_line(result))
        if progress is not None:
            progress(done)
    return BatchReport(answered=len(left), found=found)


def answer_line(answer: Answer) -> dict[str, Any]:
    """The fields of an answer in a batch, as plain values.

    `text`; `rung`; `picks`, the ids of the examples in order; `uncertainty`, the posterior variance after the last
    pick; `guard`, its status; `seconds`, in all; `notes`.
    """
    return {
        "text": answer.text,
        "rung": answer.plan.rung,
        "picks": [pick.example.id for pick in answer.picks],
        "uncertainty": answer.uncertainty[-1],
        "guard": answer.guard.status,
        "seconds": round(sum(answer.cost.seconds.values()), 6),
        "notes": list(answer.notes),
    }
