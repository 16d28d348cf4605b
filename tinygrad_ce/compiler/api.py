"""tg.compile: a step that is recorded once, printed as source of NumPy or C, and run from there."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import update_wrapper
from html import escape
from operator import attrgetter
from pathlib import Path
from types import MethodType
from typing import Any, overload

import numpy as np

from ..arguments import check_callable, check_flag, check_integer
from ..atomic_files import check_path, write_file
from ..engine.context import MODE, suspends
from ..engine.graph import Node
from ..engine.names import printable
from ..engine.tensor import Tensor
from . import native
from .arguments import Slot, as_tensors, describe, result_template
from .c_backend import DiffersError, c_replay
from .codegen.printer import generate_source
from .ir import Program
from .memory import plan_memory
from .outside_state import Recording, RecordingError
from .passes import simplify
from .recorded_call import check_same, lower_call, one_recording, record_call
from .row_blocks import tile_rows
from .runtime import GUARD_FAILED, Replay, lock_of_process
from .verification import Net

MOST_RECORDINGS = 64  # kinds of arguments; the oldest is forgotten for a further one
MANY = 8  # recordings, of which it warns
VERIFIED = 2  # calls after the first that are verified
MOST_ALIKE = 8  # recordings for one kind, that differ in what the step relies on outside


@overload
def compile(
    step: Callable[..., Any], *, backend: str = "numpy", fast: bool = False, threads: int = 1,
    verify: int | None = None,
) -> Compiled: ...  # fmt: skip
@overload
def compile(
    step: None = None, *, backend: str = "numpy", fast: bool = False, threads: int = 1,
    verify: int | None = None,
) -> Callable[[Callable[..., Any]], Compiled]: ...  # fmt: skip


def compile(
    step: Callable[..., Any] | None = None, *, backend: str = "numpy", fast: bool = False,
    threads: int = 1, verify: int | None = None,
) -> Any:  # fmt: skip
    """Write a step out as source of NumPy or C, and run that in place of the step.

    Parameters
    ----------
    step
        A function of arrays or Tensors: an ordinary training step with forward, backward and
        update, or a function that returns Tensors. It is recorded at the first call, and again
        for other shapes, dtypes and plain arguments.
    backend
        "numpy"; "c", which needs a C compiler and Python's headers; "auto", C where there are both.
    fast
        Allow what changes last digits: sums over an axis of a matrix by BLAS; in C, functions of
        its own for exp, log, tanh and sigmoid, right to 2 ulps, and sums in another order. Left
        out, every bit is as the step itself has it.
    threads
        On how many threads C runs a loop over many rows. No bit depends on it.
    verify
        Run the step itself too at every `verify`-th call of a recording, and compare all that both
        return and leave behind, bit by bit (with `fast`, to within √ε of an array's norm). Left
        out, at its second and third call; 0 for never.

    Returns
    -------
    Compiled
        Takes what the step takes and returns what it returns, Tensors without their graph: to pass
        a gradient back through one is a FreedGraphError, as after backward(). Parameters, gradients
        and the state of optimizers are afterwards, bit for bit, what the step itself would have
        made of them. `source` is the text, `save(path)` writes it to a file.

    Raises
    ------
    CompilerError
        C is asked for, and there is no compiler.
    RecordingError
        At a call: the step does what a replay could not repeat.
    VerificationError
        At a call: the step itself has done something else.

    Notes
    -----
    Each call computes from its arguments and from Tensors and optimizers outside as they are then;
    `tg.sample` draws new random numbers. Once an attribute of a Module or optimizer, or an object
    that the step's code names, is another one, the step is recorded again. docs/compiling.md has
    the whole rule, and what cannot be seen: arrays that are changed in place, say.

    Within a transform (`grad`, `vjp`, ...), the step itself runs, since its graph is needed. A copy
    is one of the step, or of its owner where that is a method, and records by itself. NumPy's
    floating point warnings are off in a replay.

    Also a decorator: ``@tg.compile`` or ``@tg.compile(fast=True)``.

    >>> import numpy as np, tinygrad_ce as tg
    >>> p = tg.Tensor([1.0, 2.0], requires_grad=True, name="p")
    >>> optimizer = tg.optim.SGD([p], lr=0.1)
    >>> @tg.compile
    ... def step(x):
    ...     loss = (p * x).sum()
    ...     optimizer.zero_grad()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> step(np.array([1.0, 1.0])), step(np.array([1.0, 1.0]))
    (Tensor(3., from sum), Tensor(2.8, from sum))
    >>> p.data
    array([0.8, 1.8])
    >>> "p = np.subtract(p, step, out=step)" in step.source
    True
    """
    options = (fast, verify, backend, threads)
    return (lambda step: Compiled(step, *options)) if step is None else Compiled(step, *options)


class Compiled:
    """A step that runs from its source. See `tg.compile`, which makes it."""

    def __init__(
        self, step: Callable[..., Any], fast: bool = False, verify: int | None = None,
        backend: str = "numpy", threads: int = 1,
    ) -> None:  # fmt: skip
        check_callable("a step", step)
        check_flag("fast", fast)
        verify = None if verify is None else check_integer("verify", verify, 0)
        if suspends(step) or suspends(type(step).__call__):
            raise TypeError(
                "compile takes no generators or coroutines, which run after they have returned: "
                "compile what they call"
            )
        # The attributes of a function, and not those of an object, which change.
        update_wrapper(self, step, updated=("__dict__",) * hasattr(step, "__code__"))
        self._backend = native.check_backend(backend, threads)
        self._threads = threads
        self._step = step
        self._fast = fast
        self._verify = verify
        self._reasons: list[str] = []  # why it was recorded
        self._name = printable(getattr(step, "__name__", "step"), 80)
        self._turn = lock_of_process()  # for calls that write
        self._found: dict[Any, list[Replay]] = {}
        self._live: set[Node] = set()  # leaves that have been assigned from outside
        self._latest: Replay | None = None

    @property
    def source(self) -> str:
        """The text of the latest recording: a module that needs NumPy alone, in Python or C.

        Raises
        ------
        RuntimeError
            Nothing has been recorded yet.
        """
        if self._latest is None:
            raise RuntimeError(f"{self._name} has no source yet: call it once with its arguments")
        return self._latest.source.text

    def save(self, path: str | Path) -> None:
        """Write `source` to a file, as a whole or not at all."""
        write_file(check_path(path), self.source.encode())

    def __reduce__(self) -> Any:
        """Copy it as its step is copied: by name or with its owner, but with no recordings."""
        name = getattr(self, "__qualname__", "")
        try:
            found = attrgetter(name)(sys.modules[self.__module__])
        except (AttributeError, KeyError):
            found = None
        return name if found is self else (Compiled, self._options)

    @property
    def _options(self) -> Any:
        return self._step, self._fast, self._verify, self._backend, self._threads

    def __get__(self, owner: Any, kind: Any = None) -> Any:
        return self if owner is None else MethodType(self, owner)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the step: from its source, once it is recorded for arguments like these."""
        mode = MODE.get()
        if mode.recorder is not None or mode.observers or mode.transformed:
            given, named = as_tensors(args, kwargs, [""] * len(args), None)
            return self._step(*given, **named)
        values: list[Any] = []
        parts: list[Any] = [mode.grad]
        for argument in args:
            if type(argument) is np.ndarray and argument.flags.carray and argument.ndim:
                values.append(argument)  # as `describe` does, without the call
                parts += (argument.dtype, argument.shape)
            else:
                describe(argument, values, parts)
        for name, argument in kwargs.items():
            parts.append(name)
            describe(argument, values, parts)
        key = tuple(parts)
        try:
            found = self._found.get(key, ())
        except Exception as error:  # of a __hash__ that is missing or raises
            raise TypeError(
                f"{self._name} got an argument that is neither an array nor hashable, so it cannot "
                "be told whether it has changed: give arrays, numbers, strings or tuples of these"
            ) from error
        for replay in found:
            if replay.net is None:
                results = replay.call(*values)
            else:
                results = self._call_verified(replay, values, args, kwargs)
            if results is not GUARD_FAILED:
                return replay.rebuild(results)
        self._warn_of_many(found)
        replay = self._record_and_keep(key, args, kwargs)
        try:
            results = replay.call(*values)
        except DiffersError as error:
            self._backend = "numpy"
            warnings.warn(
                f"{self._name} in C does not compute what NumPy computes: {error} differ, and so "
                "it runs by NumPy. This is a defect of the compiler, please report it",
                RuntimeWarning,
                stacklevel=2,
            )
            self._found[key].remove(replay)
            replay = self._record_and_keep(key, args, kwargs)
            results = replay.call(*values)
        if results is GUARD_FAILED:
            raise RecordingError(
                f"{self._name} relies on what is another thing at once, and would be recorded at "
                f"each call: {', '.join(replay.failing()) or 'a value that it reads'}"
            )
        return replay.rebuild(results)

    def _call_verified(self, replay: Replay, values: list[Any], args: Any, kwargs: Any) -> Any:
        """Call a replay and, if it is time, the step itself, too."""
        calls = replay.calls + 1  # before this one: the recording was followed by one
        if self._verify and (calls + 1) % self._verify:
            results = replay.call(*values)
        else:
            given, named = as_tensors(args, kwargs, [""] * len(args), None)
            with self._turn, one_recording:  # in this order, as a signal handler can need both
                assert replay.net is not None
                results = replay.net.call(
                    self._name, replay, values, lambda: self._step(*given, **named)
                )
        if results is not GUARD_FAILED:
            replay.calls = calls
            if calls == VERIFIED and self._verify is None:
                replay.net = None
        return results

    def _warn_of_many(self, found: Sequence[Replay]) -> None:
        """Say once, if a step is recorded again and again, why, and what to do about it."""
        changed = [name for replay in found[:1] for name in replay.failing()]
        self._reasons.append(", ".join(changed) or "arguments of another kind or value")
        if len(self._reasons) == MANY:
            warnings.warn(
                f"{self._name} is recorded for the {MANY}th time, the last time because of "
                f"{self._reasons[-1]}. Numbers, lists and strings among the arguments belong to "
                "the recording: give what changes as an array or a Tensor (labels as an array of "
                "integers, a number as np.float64(x)), batches in one shape, and let a Tensor "
                "outside hold what changes there",
                RuntimeWarning,
                stacklevel=3,
            )

    def _record_and_keep(self, key: Any, args: Any, kwargs: Any) -> Replay:
        with one_recording:
            for replays in self._found.values():
                self._live.update(*(replay.changed() for replay in replays))
            replay = self._latest = _with_collector_paused(lambda: self._compile(args, kwargs))
        alike = self._found.setdefault(key, [])
        alike.insert(0, replay)
        del alike[MOST_ALIKE:]
        if len(self._found) > MOST_RECORDINGS:
            del self._found[next(iter(self._found))]
        return replay

    def _compile(self, args: Any, kwargs: Any) -> Replay:
        """Record the step, twice, and write it out."""
        recording = self._record(args, kwargs)
        again, results = self._lower(recording)
        other, made = recording.result, recording.made
        del recording
        _drop_graph(results)  # which are kept for a comparison
        recording = self._record(args, kwargs)
        program, results = self._lower(recording)
        check_same(self._name, program, again)
        made |= recording.made
        slots = {
            tensor: Slot(
                i, program.results[i].kind == "number" or tensor in recording.arrays, tensor
            )
            for i, tensor in enumerate(results)
        }
        result = result_template(recording.result, other, slots)
        del again, recording, other, results, slots
        recorded = program.copy() if self._backend == "c" else None
        program = tile_rows(simplify(program, self._fast), self._fast)
        source = generate_source(program, plan_memory(program), self._name)
        self._refuse_leaks(made)
        if recorded is None:
            replay = Replay(source, program, result, self._turn)
        else:
            programs, options = (recorded, program), (self._fast, self._threads)
            replay = c_replay(self._name, programs, source, result, self._turn, *options)
        if self._verify != 0:
            replay.net = Net(program, source.generators, self._fast)
        return replay

    def _refuse_leaks(self, made: set[int]) -> None:
        """Refuse a step that keeps a Tensor elsewhere than in its result.

        The collector was paused, so what was made since is in its youngest generation.
        """
        kept = [x for x in gc.get_objects(0) if type(x) is Tensor and x.index in made]
        if kept:
            raise RecordingError(
                f"{self._name} keeps {kept[0].label()} elsewhere than in its result, in a list or "
                "an attribute outside, say, and a replay would not: return it, and keep it after "
                "the call"
            )

    def _record(self, args: Any, kwargs: Any) -> Recording:
        return record_call(self._step, self._name, args, kwargs)

    def _lower(self, recording: Recording) -> tuple[Program, list[Tensor]]:
        return lower_call(recording, self._name, self._live)

    def __repr__(self) -> str:
        n = sum(map(len, self._found.values()))
        recorded = f"{n} recording{'' if n == 1 else 's'}" if n else "not recorded yet"
        return f"<compiled {self._name}: backend {self._backend}, {recorded}>"

    def _repr_html_(self) -> str | None:
        """The source, to be opened by a click, once there is one."""
        if self._latest is None:
            return None
        summary = f"<summary><code>{escape(repr(self))}</code></summary>"
        return f"<details>{summary}<pre>{escape(self.source)}</pre></details>"


def _drop_graph(tensors: list[Tensor]) -> None:
    for tensor in tensors:
        tensor.inputs, tensor._arguments = None, ()


def _with_collector_paused(compile: Callable[[], Replay]) -> Replay:
    """Look for no reference cycles meanwhile: nodes form none, and there can be 100,000 of them."""
    resume = gc.enable if gc.isenabled() else gc.disable
    try:
        try:
            gc.disable()
            return compile()
        finally:
            resume()
    finally:  # once more, as an interruption can come in the midst of it
        resume()
