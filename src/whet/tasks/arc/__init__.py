"""ARC: grids in, grids out, a few demonstrations of the rule between them."""

from whet.tasks.arc.grids import Grid, as_grid
from whet.tasks.arc.leak import overlap, refuse_leak
from whet.tasks.arc.results import TaskResult, append_result, read_results
from whet.tasks.arc.scoring import ArcScore, TaskScore, score, wilson
from whet.tasks.arc.sets import ArcSet, load_set
from whet.tasks.arc.submission import Attempts, Submission, attempts, read_submission, write_submission
from whet.tasks.arc.task import ArcTask, Episode, Pair

__all__ = [
    "ArcScore",
    "ArcSet",
    "ArcTask",
    "Attempts",
    "Episode",
    "Grid",
    "Pair",
    "Submission",
    "TaskResult",
    "TaskScore",
    "append_result",
    "as_grid",
    "attempts",
    "load_set",
    "overlap",
    "read_results",
    "read_submission",
    "refuse_leak",
    "score",
    "wilson",
    "write_submission",
]
