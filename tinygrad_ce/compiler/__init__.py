"""The compiler: record a step, simplify the graph, and write it out as NumPy source.

`record` runs the step once and notes what a replay must repeat; `program` holds it as a list of
operations; `passes` make that smaller; `blocks` gathers what is done for some rows at a time;
`memory` finds a place for each result and `names` a name; `source` writes it out, from `text`,
`expressions` and `helpers`; `replay` runs that, and `compiled`, which knows the `arguments`, finds
the right one or has it made.
"""

from .api import Compiled, compile  # noqa: A004
from .recorder import RecordingError

__all__ = ["Compiled", "RecordingError", "compile"]
