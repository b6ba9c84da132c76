"""Measuring the loop on held-out data, and showing what was measured."""

from whet.evaluation.language import Record, Settings, Text, measure
from whet.evaluation.report import language_report
from whet.evaluation.run import Job, choose_texts, measure_all
from whet.evaluation.summary import Row, save_json, summarise
from whet.evaluation.tuning import Tuned, tune

__all__ = [
    "Job",
    "Record",
    "Row",
    "Settings",
    "Text",
    "Tuned",
    "choose_texts",
    "language_report",
    "measure",
    "measure_all",
    "save_json",
    "summarise",
    "tune",
]
