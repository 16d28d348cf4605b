"""The compiler: record a step, simplify its graph, and write it out as NumPy source.

The order of the work, and where it is done:

1. `api` is called with a step and its `arguments`, and looks for a recording that fits.
2. `recorder` runs the step once, and notes what a replay must repeat, read and write; `guards`
   knows what the step relies on besides.
3. `ir` lowers the recording to a program: a list of operations, whose `primitives` it knows.
4. `passes` make the program smaller, and `row_blocks` gathers what is done for some rows at a time.
5. `memory` plans where each result is put.
6. `codegen` writes it out: `naming` finds the names, `expressions` and `literals` the pieces,
   `printer` the statements, and `bundled_helpers` the functions that the module takes along.
7. `runtime` makes a function of the source, which reads, checks and writes what is outside;
   `verification` runs the step itself too, at first, and compares.

In C, `codegen.c` does 4 to 6 in its own way: `schedule` finds what shares a loop, and where results
are put, and `printer` writes it out. `native` compiles and loads the source, and `c_backend` has
NumPy compute the same at the first call.
"""

from .api import Compiled, compile  # noqa: A004
from .native import CompilerError
from .outside_state import RecordingError
from .verification import VerificationError

__all__ = ["Compiled", "CompilerError", "RecordingError", "VerificationError", "compile"]
