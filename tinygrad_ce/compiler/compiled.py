"""tg.compile: a step that is recorded once, printed as NumPy source, and run from there."""

from __future__ import annotations

import builtins
import gc
import inspect
import linecache
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import update_wrapper
from itertools import count
from pathlib import Path
from threading import Lock, RLock
from types import MethodType
from typing import Any, overload
from weakref import finalize

import numpy as np

from ..modes import MODE
from ..tensor import Tensor, constant
from .blocks import in_blocks
from .memory import planned
from .passes import simplified
from .program import Op, Program, lowered
from .record import Place, RecordingError, record
from .source import Source, printed

MOST_RECORDINGS = 64  # kinds of arguments; the oldest is forgotten for a further one
MOST_ALIKE = 8  # recordings for one kind, that differ in what the step relies on outside
_number = count(1).__next__
_one_recording = RLock()  # at a time, since it assigns parameters and puts them back


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
    Each call computes anew from its arguments, from Tensors and optimizers outside, and from
    whether Modules are in training; random numbers are drawn anew where `tg.sample` draws them.
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
        update_wrapper(self, step)
        self._step = step
        self._fast = fast
        self._name = getattr(step, "__name__", "step")
        self._found: dict[Any, list[_Replay]] = {}
        self._live: set[Tensor] = set()  # leaves that have been assigned from outside
        self._latest: _Replay | None = None

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
        """Write `source` to a file."""
        Path(path).write_text(self.source, encoding="utf-8")

    def __get__(self, owner: Any, kind: Any = None) -> Any:
        return self if owner is None else MethodType(self, owner)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the step: from its source, once it is recorded for arguments like these."""
        mode = MODE.get()
        if mode.recorder is not None or mode.watch is not None:
            labels = [""] * len(args)
            given, named = _as_tensors(args, kwargs, labels, [], [])
            return self._step(*given, **named)
        values: list[Any] = []
        parts: list[Any] = [mode.grad]
        for argument in args:
            if type(argument) is np.ndarray and argument.flags.c_contiguous and argument.ndim:
                values.append(argument)  # as `_describe` does, without the call
                parts += (argument.dtype, argument.shape)
            else:
                _describe(argument, values, parts)
        for name, argument in kwargs.items():
            parts.append(name)
            _describe(argument, values, parts)
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
            if results is not _DOES_NOT_FIT:
                return replay.rebuilt(results)
        replay = self._recorded(key, args, kwargs)
        return replay.rebuilt(replay.call(*values))

    def _recorded(self, key: Any, args: Any, kwargs: Any) -> _Replay:
        """Record the step and keep it."""
        for replays in self._found.values():
            self._live.update(*(replay.changed() for replay in replays))
        with _one_recording, _collector_paused():
            replay = self._latest = self._written(args, kwargs)
        alike = self._found.setdefault(key, [])
        alike.insert(0, replay)
        del alike[MOST_ALIKE:]
        if len(self._found) > MOST_RECORDINGS:
            del self._found[next(iter(self._found))]
        return replay

    def _written(self, args: Any, kwargs: Any) -> _Replay:
        """Record the step, twice, and write it out."""
        again = self._recorded_program(args, kwargs).program
        recorded = self._recorded_program(args, kwargs)
        _check_same(self._name, recorded.program, again)
        del again
        recorded.program = program = in_blocks(simplified(recorded.program, self._fast), self._fast)
        source = printed(program, planned(program), self._name, recorded.names)
        return _Replay(source, recorded)

    def _recorded_program(self, args: Any, kwargs: Any) -> _Recorded:
        """Record the step, and let go of its values."""
        inputs: list[Tensor] = []
        names: list[str] = []
        labels = _argument_names(self._step, args, kwargs)
        given, named = _as_tensors(args, kwargs, labels, inputs, names)
        recording = record(self._step, inputs, given, named)
        results: list[Tensor] = []
        own = set(inputs)

        def slot(tensor: Tensor) -> Any:
            if tensor not in own and tensor.primitive is None and tensor.index < recording.start:
                return tensor
            results.append(tensor)
            return _Slot(len(results) - 1)

        result = _mapped(slot, recording.result)
        program = lowered(
            recording, results, lambda t: not (t.requires_grad or t.name or t in self._live)
        )
        return _Recorded(program, recording.conditions, result, names)

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


# ── Arguments and results ─────────────────────────────────────────────────────────────────────────


def _describe(argument: Any, values: list[Any], parts: list[Any]) -> None:
    """Add the values of an argument to those that change, and to the key what does not."""
    kind = type(argument)
    if kind is np.ndarray and argument.ndim:
        # An eager step would copy it, and the copy has its axes in order.
        values.append(argument if argument.flags.c_contiguous else argument.copy())
        parts += (argument.dtype, argument.shape)
    elif kind is Tensor and not argument._requires_grad:
        value = argument._value
        values.append(value)
        parts += (type(value), argument.dtype, argument.shape)
        if argument.shape and not value.flags.c_contiguous:
            parts.append(value.strides)
    elif isinstance(argument, np.ndarray | np.generic):
        values.append(np.array(argument)[()])
        parts += (argument.dtype, argument.shape)
    elif kind in (tuple, list):
        parts += (kind, len(argument))
        for part in argument:
            _describe(part, values, parts)
    elif kind is dict:
        parts += (kind, *argument)
        for part in argument.values():
            _describe(part, values, parts)
    elif kind is Tensor and argument.primitive is not None:
        raise TypeError(
            f"{argument.label()} was computed from what requires a gradient, and a compiled step "
            "passes none back: give its detach(), or compile the whole computation"
        )
    else:  # 0.0 == -0.0, and nan is not nan, but not so their digits
        parts += (kind, argument.hex() if kind is float else argument)


def _as_tensors(
    args: Any, kwargs: Any, labels: list[str], inputs: list[Tensor], names: list[str]
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments as the step gets them."""
    given = [_as_inputs(a, n, inputs, names) for a, n in zip(args, labels, strict=False)]
    return given, {n: _as_inputs(a, n, inputs, names) for n, a in kwargs.items()}


def _as_inputs(argument: Any, name: str, inputs: list[Tensor], names: list[str]) -> Any:
    """The argument with Tensors in the place of the values that change, in the same order."""
    if type(argument) in (tuple, list):
        parts = [_as_inputs(a, f"{name}_{i}", inputs, names) for i, a in enumerate(argument)]
        return type(argument)(parts)
    if type(argument) is dict:
        return {k: _as_inputs(a, f"{name}_{k}", inputs, names) for k, a in argument.items()}
    if isinstance(argument, np.ndarray | np.generic):
        array = np.array(argument, order="C")
        tensor = Tensor(array, copy=False) if array.dtype.kind in "biuf" else Tensor(argument)
    elif type(argument) is Tensor and not argument._requires_grad:
        tensor = constant(argument._value)
        name = argument.name or name
    else:
        return argument
    inputs.append(tensor)
    names.append(name)
    return tensor


def _argument_names(step: Callable[..., Any], args: Any, kwargs: Any) -> list[str]:
    """What the step calls its positional arguments."""
    try:
        bound = inspect.signature(step).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):
        return [f"x_{i}" for i in range(len(args))]
    names: list[str] = []
    for name, value in bound.items():
        several = isinstance(value, tuple) and len(names) + len(value) == len(args) > 1
        names += [f"{name}_{i}" for i in range(len(value))] if several else [name]
    return names + [f"x_{i}" for i in range(len(names), len(args))]


class _Slot:
    """The place of a Tensor in a result."""

    def __init__(self, number: int) -> None:
        self.number = number


def _mapped(f: Callable[[Any], Any], tree: Any) -> Any:
    """A result with each Tensor in it, or its place, replaced."""
    if isinstance(tree, Tensor | _Slot):
        return f(tree)
    if type(tree) in (tuple, list):
        return type(tree)([_mapped(f, part) for part in tree])
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*[_mapped(f, part) for part in tree])
    if type(tree) is dict:
        return {key: _mapped(f, part) for key, part in tree.items()}
    return tree


def _check_same(name: str, one: Program, other: Program) -> None:
    """Refuse a step that does something else each time."""
    place = {id(op): i for p in (one, other) for i, op in enumerate(p.ops)}

    def spelled(op: Op) -> Any:
        data = np.asarray(op.data).tobytes() if op.is_constant else None
        if op.place is not None and op.place.attribute == "value":
            data = np.asarray(op.place.content).tobytes()
        return op.primitive, [place[id(x)] for x in op.inputs], repr(op.params), op.shape, data

    same = len(one.ops) == len(other.ops)
    for a, b in zip(one.ops, other.ops, strict=False):
        same = same and spelled(a) == spelled(b)
    if not same:
        raise RecordingError(
            f"{name} was recorded twice, and did not compute the same: it draws random numbers or "
            "counts its calls, say, and a replay would not; draw by tg.sample from a generator "
            "that is made outside, or give such values as arguments"
        )


# ── Replay ────────────────────────────────────────────────────────────────────────────────────────

_DOES_NOT_FIT = object()


@dataclass
class _Recorded:
    """What is left of a recording without its values.

    Attributes
    ----------
    program
        The operations.
    conditions
        What must be as it was, and how it was.
    result
        What the step returned, with a slot in the place of each Tensor.
    names
        Of the arguments.
    """

    program: Program
    conditions: list[tuple[Place, Any]]
    result: Any
    names: list[str]


def _builder(result: Any) -> Callable[[Any], Any]:
    """From the values that a replay returns, what the step returns, with new Tensors."""
    # One Tensor, or a tuple of them, is by far the most frequent, and is built in a tenth of the
    # time.
    if isinstance(result, _Slot):
        return lambda values: constant(values[0])
    if type(result) is tuple and [_number_of(part) for part in result] == [*range(len(result))]:
        return lambda values: tuple([constant(value) for value in values])
    return lambda values: _mapped(
        lambda t: constant(values[t.number]) if isinstance(t, _Slot) else t, result
    )


def _number_of(part: Any) -> int | None:
    return part.number if isinstance(part, _Slot) else None


class _Replay:
    """A recording as a function."""

    def __init__(self, source: Source, recorded: _Recorded) -> None:
        self.source = source
        self.rebuilt = _builder(recorded.result)
        file = f"<tinygrad_ce {source.name} {_number()}>"  # for tracebacks and debuggers
        lines = source.text.splitlines(keepends=True)
        linecache.cache[file] = (len(source.text), None, lines, file)
        finalize(self, linecache.cache.pop, file, None)
        namespace: dict[str, Any] = {}
        exec(builtins.compile(source.text, file, "exec"), namespace)
        self._fixed = recorded.program.fixed
        driver = _Driver(source, recorded)
        self.call = driver.function(namespace[source.name])

    def changed(self) -> list[Tensor]:
        """The leaves that were taken for constants, and have been assigned since."""
        return [leaf for leaf, value in self._fixed if leaf._value is not value]


class _Driver:
    """Writes the function that reads what a step needs, calls it, and leaves what it has made."""

    def __init__(self, source: Source, recorded: _Recorded) -> None:
        self.source = source
        self.program = recorded.program
        self.expected = recorded.conditions
        self.namespace: dict[str, Any] = {"DOES_NOT_FIT": _DOES_NOT_FIT, "fits": _fits}
        self.owners: dict[int, str] = {}

    def function(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """The function: takes the values of the arguments, returns those of the results."""
        arguments = [f"x{i}" for i in range(len(self.program.arguments))]
        reads = [f"v{i}" for i in range(len(self.source.reads))]
        conditions = self.conditions()
        lines = [f"def call({', '.join(arguments)}):"]
        if conditions:
            lines += [f"    if not ({' and '.join(conditions)}):", "        return DOES_NOT_FIT"]
        held: dict[Any, str] = {}
        for v, op in zip(reads, self.source.reads, strict=True):
            assert op.place is not None
            lines.append(f"    {v} = {self.place(op.place)}")
            held[op.place.identity] = v
            self.namespace[f"op_{v}"] = op
            if op.kind == "number":
                self.namespace[f"type_{v}"] = type(op.place.content)
                lines.append(f"    if type({v}) is not type_{v}: return DOES_NOT_FIT")
            else:
                lines.append(f"    if {v} is not k_{v} and not fits({v}, op_{v}):")
                lines.append("        return DOES_NOT_FIT")
                self.namespace[f"k_{v}"] = None
        generators = {f"g{i}": g for i, g in enumerate(self.source.generators)}
        self.namespace |= generators
        given = ", ".join([*arguments, *reads, *generators])
        results = [f"r{i}" for i in range(len(self.program.results))]
        written = {id(op): f"w{i}" for i, op in enumerate(self.program.written)}
        out = "".join(f"{name}, " for name in [*results, *written.values()])
        lines.append(f"    {out}= step({given})" if out else f"    step({given})")
        remembered = []
        for place, new in self.program.writes:
            w = "None" if new is None else written[id(new)]
            lines.append(f"    {self.place(place)} = {w}")
            if place.identity in held and new is not None and new.kind != "number":
                remembered.append((f"k_{held[place.identity]}", w))
        lines += [f"    {k} = {w}" for k, w in remembered]
        lines.append(f"    return {''.join(f'{r}, ' for r in results) or '()'}")
        if remembered:
            lines.insert(1, f"    global {', '.join(k for k, _ in remembered)}")
        self.namespace["step"] = step
        exec("\n".join(lines), self.namespace)
        call: Callable[..., Any] = self.namespace["call"]
        return _one_at_a_time(call) if self.source.keeps else call

    def conditions(self) -> list[str]:
        """What must be as it was when the step was recorded."""
        found = []
        for i, (place, expected) in enumerate(self.expected):
            self.namespace[f"c{i}"] = expected
            how = "is" if expected is None else "=="
            other = self.place(expected) if isinstance(expected, Place) else f"c{i}"
            found.append(f"{self.place(place)} {how} {other}")
        for op in self.source.reads:
            if op.place is not None and op.place.attribute == "_value":
                leaf = op.place.owner
                found.append(f"{self.owner(leaf)}._requires_grad is {leaf._requires_grad}")
        for i, (leaf, value) in enumerate(self.program.fixed):
            self.namespace[f"f{i}"] = value
            found.append(f"{self.owner(leaf)}._value is f{i}")
        return found

    def place(self, place: Place) -> str:
        """A place, as it is written."""
        text = f"{self.owner(place.owner)}.{place.attribute}"
        return text if place.key is None else f"{text}[{place.key}]"

    def owner(self, owner: Any) -> str:
        """The name of an object in the function's namespace."""
        name = self.owners.setdefault(id(owner), f"o{len(self.owners)}")
        self.namespace[name] = owner
        return name


def _fits(value: Any, op: Op) -> bool:
    """Whether a value is of the kind for which the source was written."""
    if op.kind == "scalar":
        return isinstance(value, np.generic) and value.dtype == op.dtype
    if not isinstance(value, np.ndarray) or (value.dtype, value.shape) != (op.dtype, op.shape):
        return False
    return bool(value.flags.c_contiguous) if op.in_c_order else value.strides == op.strides


def _one_at_a_time(call: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose calls share buffers."""
    lock = Lock()

    def locked(*args: Any) -> Any:
        with lock:
            return call(*args)

    return locked
