"""What a new user sees: the loop on text that every Python has, tasks of ARC, and a report."""

from whet.evaluation.demo.acts import Act, Opening, run_demo
from whet.evaluation.demo.comparison import Comparison
from whet.evaluation.demo.data import DemoSize
from whet.evaluation.demo.inside import Inside
from whet.evaluation.demo.puzzles import Puzzles
from whet.evaluation.demo.reuse import Reuse

__all__ = ["Act", "Comparison", "DemoSize", "Inside", "Opening", "Puzzles", "Reuse", "run_demo"]
