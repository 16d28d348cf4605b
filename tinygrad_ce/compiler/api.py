"""tg.compile: a step that is recorded once, printed as NumPy source, and run from there."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from operator import attrgetter
from pathlib import Path
from types import MethodType
from typing import Any, overload

import numpy as np

from ..atomic_files import write_file
from ..engine.context import MODE, suspends
from ..engine.graph import Node
from ..engine.names import printable
from ..engine.tensor import Tensor
from .arguments import Slot, argument_names, as_tensors, describe, result_template, tensors_in
from .codegen.printer import generate_source
from .ir import Op, Program, lower
from .memory import plan_memory
from .passes import simplify
from .recorder import Recording, RecordingError, record
from .row_blocks import tile_rows
from .runtime import GUARD_FAILED, Replay, lock_of_process

MOST_RECORDINGS = 64  # kinds of arguments; the oldest is forgotten for a further one
MOST_ALIKE = 8  # recordings for one kind, that differ in what the step relies on outside
_one_recording = lock_of_process()  # at a time, since it assigns parameters and puts them back


@overload
def compile(step: Callable[..., Any], *, fast: bool = False) -> Compiled: ...
@overload
def compile(
    step: None = None, *, fast: bool = False
) -> Callable[[Callable[..., Any]], Compiled]: ...


def compile(step: Callable[..., Any] | None = None, *, fast: bool = False) -> Any:
    """Write a step out as NumPy source, and run that in place of the step.

    Parameters
    ----------
    step
        A function of arrays or Tensors: an ordinary training step with forward, backward and
        update, or a function that returns Tensors. It is recorded at the first call, and again
        for other shapes, dtypes and plain arguments.
    fast
        Allow what changes last digits: sums over an axis of a matrix by BLAS. Left out, every bit
        is as the step itself has it.

    Returns
    -------
    Compiled
        Takes what the step takes and returns what it returns, Tensors without a graph. Parameters,
        gradients and the state of optimizers are afterwards, bit for bit, what the step itself
        would have made of them. `source` is the text, `save(path)` writes it to a file.

    Notes
    -----
    Each call computes from its arguments, from Tensors and optimizers outside as they are then,
    and from whether Modules are in training; `tg.sample` draws new random numbers at each call.
    All else that the step takes from outside stays what it was at the recording: NumPy arrays and
    Python numbers. So give them as arguments.

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
    (Tensor(3.), Tensor(2.8))
    >>> p.data
    array([0.8, 1.8])
    >>> "p = np.subtract(p, step, out=step)" in step.source
    True
    """
    if step is None:
        return lambda step: Compiled(step, fast)
    return Compiled(step, fast)


class Compiled:
    """A step that runs from its source. See `tg.compile`, which makes it."""

    def __init__(self, step: Callable[..., Any], fast: bool = False) -> None:
        if not callable(step):
            raise TypeError(f"compile takes a function, got {type(step).__name__}")
        if suspends(step) or suspends(type(step).__call__):
            raise TypeError(
                "compile takes no generators or coroutines, which run after they have returned: "
                "compile what they call"
            )
        # The attributes of a function, and not those of an object, which change.
        update_wrapper(self, step, updated=("__dict__",) * hasattr(step, "__code__"))
        self._step = step
        self._fast = fast
        self._name = printable(getattr(step, "__name__", "step"), 80)
        self._turn = lock_of_process()  # for calls that write
        self._found: dict[Any, list[Replay]] = {}
        self._live: set[Node] = set()  # leaves that have been assigned from outside
        self._latest: Replay | None = None

    @property
    def source(self) -> str:
        """The text of the latest recording: a module that needs NumPy alone.

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
        write_file(Path(path), self.source.encode())

    def __reduce__(self) -> Any:
        """Copy it as its step is copied: by name or with its owner, but with no recordings."""
        name = getattr(self, "__qualname__", "")
        try:
            found = attrgetter(name)(sys.modules[self.__module__])
        except (AttributeError, KeyError):
            found = None
        return name if found is self else (Compiled, (self._step, self._fast))

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
        except TypeError as error:
            raise TypeError(
                f"{self._name} got an argument that is neither an array nor hashable, so it cannot "
                "be told whether it has changed: give arrays, numbers, strings or tuples of these"
            ) from error
        for replay in found:
            results = replay.call(*values)
            if results is not GUARD_FAILED:
                return replay.rebuild(results)
        replay = self._record_and_keep(key, args, kwargs)
        return replay.rebuild(replay.call(*values))

    def _record_and_keep(self, key: Any, args: Any, kwargs: Any) -> Replay:
        with _one_recording, _collector_paused():
            for replays in self._found.values():
                self._live.update(*(replay.changed() for replay in replays))
            replay = self._latest = self._compile(args, kwargs)
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
        other = recording.result
        del recording
        for tensor in results:  # which are kept for a comparison, but not their graph
            tensor.inputs, tensor._arguments = None, ()
        recording = self._record(args, kwargs)
        program, results = self._lower(recording)
        _check_same(self._name, program, again)
        slots = {tensor: Slot(i) for i, tensor in enumerate(results)}
        result = result_template(recording.result, other, slots)
        del again, recording, other, results, slots
        program = tile_rows(simplify(program, self._fast), self._fast)
        source = generate_source(program, plan_memory(program), self._name)
        return Replay(source, program, result, self._turn)

    def _record(self, args: Any, kwargs: Any) -> Recording:
        inputs: list[Tensor] = []
        given, named = as_tensors(args, kwargs, argument_names(self._step, args, kwargs), inputs)
        return record(self._step, inputs, given, named)

    def _lower(self, recording: Recording) -> tuple[Program, list[Tensor]]:
        """Return the program of a recording, and the Tensors that it returns and has computed."""
        own = set(recording.inputs)

        def is_frozen(leaf: Node) -> bool:
            return not (leaf._requires_grad or leaf.name or leaf in self._live)

        results = [
            tensor
            for tensor in dict.fromkeys(tensors_in(recording.result))
            if tensor in own or tensor.primitive is not None or tensor.index >= recording.start
        ]
        return lower(recording, results, is_frozen), results

    def __repr__(self) -> str:
        return f"<compiled {self._name}>"


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Look for no reference cycles meanwhile: nodes form none, and there can be 100,000 of them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _check_same(name: str, one: Program, other: Program) -> None:
    """Refuse a step that does something else each time."""
    place = {id(op): i for p in (one, other) for i, op in enumerate(p.ops)}

    def spelled(op: Op) -> Any:
        data = np.asarray(op.data).tobytes() if op.is_constant else None
        if op.state is not None and op.state.attribute == "value":
            data = np.asarray(op.state.content).tobytes()
        return op.primitive, [place[id(x)] for x in op.inputs], repr(op.params), op.shape, data

    same = len(one.ops) == len(other.ops)
    returned = [[place[id(op)] for op in program.results] for program in (one, other)]
    same = same and returned[0] == returned[1]
    for a, b in zip(one.ops, other.ops, strict=False):
        same = same and spelled(a) == spelled(b)
    if not same:
        raise RecordingError(
            f"{name} was recorded twice, and did not compute the same: it draws random numbers or "
            "counts its calls, say, and a replay would not; draw by tg.sample from a generator "
            "that is made outside, or give such values as arguments"
        )
