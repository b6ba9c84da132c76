"""Many queries in one go: runs that survive being killed."""

from whet.scaling.answers import AnswerFile, open_answers
from whet.scaling.batch import BatchReport, answer_all
from whet.scaling.queries import BatchQuery, read_queries

__all__ = ["AnswerFile", "BatchQuery", "BatchReport", "answer_all", "open_answers", "read_queries"]
