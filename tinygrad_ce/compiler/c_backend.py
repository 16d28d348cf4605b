"""A recording that runs as C: at its first call NumPy computes the same, and all is compared."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import finalize

import numpy as np

from . import native
from .codegen.c.printer import generate_c
from .codegen.printer import Source
from .ir import Program
from .passes import simplify
from .runtime import Replay, defined
from .verification import nearly_same, same


class DiffersError(Exception):
    """What C computes is not what NumPy computes. Nothing has been written."""


def c_replay(
    name: str, programs: tuple[Program, Program], reference: Source, result: Any, turn: Any,
    fast: bool, threads: int,
) -> Replay:  # fmt: skip
    """Make a replay in C of a recording.

    Parameters
    ----------
    name
        Of the step.
    programs
        What to compute, as recorded, and as the reference computes it.
    reference
        The source that NumPy runs.
    result, turn
        What the step returns, and the lock of its calls.
    fast, threads
        Whether last digits may change, and on how many threads a large loop runs.
    """
    program, numpys = programs
    program = simplify(program, for_numpy=False)
    source = generate_c(program, name, fast, threads)
    module = native.load(source.text, source.name, fast, threads)
    function = getattr(module, source.name)
    check = _FirstCall(function, reference, program, numpys, turn, nearly_same if fast else same)
    replay = Replay(source, program, result, turn, lambda: check)
    check.done = partial(replay.run_by, function)
    if hasattr(module, "release_memory"):
        finalize(replay, module.release_memory)
    return replay


class _FirstCall:
    """Calls a function in C, and what NumPy runs with the same arguments."""

    def __init__(
        self, function: Callable[..., Any], reference: Source, program: Program, numpys: Program,
        turn: Any, agree: Callable[[Any, Any], bool],
    ) -> None:  # fmt: skip
        self.function, self.turn, self.agree = function, turn, agree
        self.reference, self.program = reference, program
        self.done: Callable[[], None] = lambda: None
        place = {op.state.identity: i for i, op in enumerate(program.reads) if op.state}
        first = len(program.arguments)
        self.order = [*range(first)]
        self.order += [first + place[op.state.identity] for op in numpys.reads if op.state]
        self.n_read = first + len(place)
        self.results = [*zip(_names(program), _places(program), _places(numpys), strict=True)]

    def __call__(self, *given: Any) -> Any:
        generators = given[self.n_read :]
        arguments = [*(given[i] for i in self.order), *generators]
        code = builtins.compile(self.reference.text, "<reference>", "exec")
        with self.turn:
            before = [g.bit_generator.state for g in generators]
            expected = defined(code, self.reference.name)(*arguments)
            drawn = [g.bit_generator.state for g in generators]
            _restore(generators, before)
            found = self.function(*given)
            differing = [
                name for name, i, j in self.results if not self.equal(found[i], expected[j])
            ]
            if repr(drawn) != repr([g.bit_generator.state for g in generators]):
                differing.append("the state of a generator")
            if differing:
                _restore(generators, before)
                raise DiffersError(", ".join(differing))
        self.done()
        return found

    def equal(self, found: Any, expected: Any) -> bool:
        """Whether two results are the same, and lie in memory in the same order."""
        if type(found) is not type(expected) or not self.agree(found, expected):
            return False
        if not isinstance(found, np.ndarray):
            return True
        steps = zip(found.shape, found.strides, expected.strides, strict=True)
        return found.size == 0 or all(a == b for n, a, b in steps if n > 1)


def _restore(generators: Any, states: Any) -> None:
    for generator, state in zip(generators, states, strict=True):
        generator.bit_generator.state = state


def _places(program: Program) -> list[int]:
    """Where what a step returns and leaves behind is in what its function returns."""
    n, written = len(program.results), program.written
    return [*range(n), *(n + written.index(op) for _, op in program.writes if op is not None)]


def _names(program: Program) -> list[str]:
    named = [f"result {i}" if i else "the result" for i in range(len(program.results))]
    return [*named, *(ref.describe() for ref, op in program.writes if op is not None)]
