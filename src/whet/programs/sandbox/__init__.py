"""Running Python programs that nobody has read: in locked processes, which only compute.

The kernel keeps the locks, not Python: a program may get hold of any object of its process and still reach no file, no
network and no other process. What is promised, and what is not, is in docs/sandbox.md.
"""

from whet.programs.sandbox.capabilities import Capabilities
from whet.programs.sandbox.inside.kinds import Kind
from whet.programs.sandbox.limits import Limits
from whet.programs.sandbox.outcome import Failure, Outcome
from whet.programs.sandbox.sandbox import MODULES, Job, Sandbox

__all__ = ["MODULES", "Capabilities", "Failure", "Job", "Kind", "Limits", "Outcome", "Sandbox"]
