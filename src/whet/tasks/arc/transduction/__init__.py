"""Transduction: a small net is shown the demonstrations and answers in one pass, after training on the task itself."""

from whet.tasks.arc.net_file import trained_on
from whet.tasks.arc.transduction.practice import Practice, practise_slots, practised
from whet.tasks.arc.transduction.pretrain import Pretraining, Schedule
from whet.tasks.arc.transduction.reading import Reading, read
from whet.tasks.arc.transduction.sampling import Mixture, Sampler
from whet.tasks.arc.transduction.transduce import transduce

__all__ = [
    "Mixture",
    "Practice",
    "Pretraining",
    "Reading",
    "Sampler",
    "Schedule",
    "practise_slots",
    "practised",
    "read",
    "trained_on",
    "transduce",
]
