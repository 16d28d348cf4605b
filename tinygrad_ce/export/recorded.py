"""A program for a batch of any size: recorded at several sizes, and the numbers compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arguments import as_numbers
from ..compiler.guards import bits_of
from ..compiler.ir import Op, Program, is_range, is_uniform
from ..compiler.outside_state import RecordingError
from ..compiler.primitives import sampled
from ..compiler.recorded_call import check_same, lower_call, record_call
from ..engine.array_types import Array
from ..engine.names import printable
from ..engine.tensor import Tensor
from ..nn import Module

SIZES = (13, 17, 19)  # prime, so that few other lengths are the same


@dataclass(frozen=True)
class Length:
    """A number that depends on the size of the batch: factor · N + offset."""

    factor: int
    offset: int = 0

    def __str__(self) -> str:
        factor = "N" if self.factor == 1 else f"{self.factor}N"
        return factor + (f"{self.offset:+d}" if self.offset else "")


@dataclass(frozen=True)
class Repeated:
    """A constant array of a shape that depends on the batch, of which all elements are the same."""

    value: Any
    shape: tuple[Any, ...]


@dataclass(frozen=True)
class Counted:
    """A constant array 0, s, 2s, ... of a shape that depends on the batch."""

    step: int
    shape: tuple[Any, ...]


@dataclass
class Recorded:
    """A program, and what goes in and comes out of it by name.

    Attributes
    ----------
    program
        Its operations; shapes, parameters and constants hold a Length where a number depends on
        the size of the batch, and a constant array is a Repeated or a Counted.
    arguments, results
        The operations for each, by name.
    """

    program: Program
    arguments: dict[str, Op]
    results: dict[str, Op]

    @property
    def needed(self) -> set[Op]:
        """The operations from which results and writes are made; checks of values are not."""
        found: set[Op] = set()
        todo = self.program.wanted
        while todo:
            op = todo.pop()
            if op not in found:
                found.add(op)
                todo += op.inputs
        return found


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Let a Module be in evaluation mode, and put back the modes that its parts had."""
    modules = [*model.modules()] if isinstance(model, Module) else []
    modes = [module.training for module in modules]
    try:
        for module in modules:
            module.training = False
        yield
    finally:
        for module, training in zip(modules, modes, strict=True):
            module.training = training


def record_for_any_batch(
    step: Callable[..., Any], example: tuple[Any, ...], fixed: bool = False
) -> Recorded:
    """Record a step whose arguments hold a batch along their first axes.

    Parameters
    ----------
    step
        A function of arrays.
    example
        Its arguments. Those that are as long as the first one along the first axis hold a batch.
    fixed
        Whether the batch keeps the size that it has in the example.

    Raises
    ------
    ValueError
        The example has no rows, or the step depends on the size of the batch in another way than
        an export can follow.
    RecordingError
        The step does what a replay could not repeat, draws random numbers, or did not compute the
        same when it was recorded twice.
    """
    name = printable(getattr(step, "__name__", type(step).__name__))
    arrays = [as_numbers(x, "an example of an input") for x in example]
    n = len(arrays[0]) if arrays and arrays[0].ndim else None
    if n == 0 and not fixed:
        raise ValueError("the example has no rows: give one row or more, of which values are read")
    sizes = (n,) if fixed or n is None else SIZES
    batches = [[_resized(x, n, size) for x in arrays] for size in sizes]
    again = _record(step, name, batches[0])
    first, *others = (_record(step, name, batch) for batch in batches)
    check_same(name, first.program, again.program)
    if others:
        _compare(name, first, [other.program for other in others])
    return first


def _record(step: Callable[..., Any], name: str, arrays: list[Array]) -> Recorded:
    recording = record_call(step, name, tuple(arrays), {})
    program, results = lower_call(recording, name)
    for op in program.ops:
        if op.primitive is sampled:
            raise RecordingError(
                f"{name} draws random numbers{_where(op)}, and an export cannot: call eval() of "
                "the model first, or leave the layer out"
            )
    computed = dict(zip(map(id, results), program.results, strict=True))
    named = [*_named(recording.result, "")]
    if not named:
        raise TypeError(f"{name} returned no Tensor, and there is no output")
    outputs: dict[str, Op] = {}
    for base, tensor in named:
        if id(tensor) not in computed:
            raise ValueError(f"{name} returned {tensor.label()}, which it has not computed")
        found, number = base, 1
        while found in outputs:
            number += 1
            found = f"{base}_{number}"
        outputs[found] = computed[id(tensor)]
    arguments = [tensor.name or "x" for tensor in recording.inputs]
    return Recorded(program, dict(zip(arguments, program.arguments, strict=True)), outputs)


def _named(result: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """The Tensors in a result: those in a dict by their keys, others by their own names."""
    if isinstance(result, Tensor):
        yield name or result.name or "output", result
    elif isinstance(result, dict):
        for key, part in result.items():
            yield from _named(part, f"{name}_{key}" if name else str(key))
    elif isinstance(result, tuple | list):
        for part in result:
            yield from _named(part, name)


def _where(op: Op) -> str:
    return f" in {printable(op.scope.path, 80)}" if op.scope is not None else ""


def _resized(x: Array, n: int | None, size: int | None) -> Array:
    """The rows of a batch again and again, up to a size."""
    if n == size or n is None or size is None or not x.ndim or len(x) != n:
        return x
    return x[np.arange(size) % n]


# ── What differs ──────────────────────────────────────────────────────────────────────────────────


class _DifferError(Exception):
    """Numbers that are no function of the size of the batch that is known here."""


def _compare(name: str, recorded: Recorded, others: list[Program]) -> None:
    """Put a Length into the program wherever its numbers differ from those of others."""
    first, needed = recorded.program, recorded.needed
    numbers = [{op: i for i, op in enumerate(program.ops)} for program in (first, *others)]
    wanted = [
        [number[op] for op in program.wanted]
        for program, number in zip((first, *others), numbers, strict=True)
    ]
    alike = all(len(program.ops) == len(first.ops) for program in others)
    if not alike or any(places != wanted[0] for places in wanted):
        raise _refusal(name, "computes other things for batches of other sizes")
    for ops in zip(first.ops, *(program.ops for program in others), strict=True):
        op = ops[0]
        if op not in needed and op not in first.arguments:  # a copy, say, of what is used itself
            continue
        sources = [[n[x] for x in o.inputs] for o, n in zip(ops, numbers, strict=True)]
        alike = all(o.primitive is op.primitive and o.kind == op.kind for o in ops)
        if not alike or any(s != sources[0] for s in sources):
            raise _refusal(name, "computes other things for batches of other sizes")
        try:
            shape = _common([o.shape for o in ops])
            params = _common([o.params for o in ops])
            data = _common_constant([constant_of(o) for o in ops], shape)
        except _DifferError:
            what = "a constant" if op.primitive is None else f"a parameter of {op.primitive.name}"
            raise _refusal(
                name, f"has {what}{_where(op)} that depends on the size of the batch"
            ) from None
        op.shape, op.params = shape, params
        if data is not None:
            op.data, op.state = data, None


def _refusal(name: str, why: str) -> ValueError:
    return ValueError(
        f"{name} {why}, which an export for any size cannot follow: export it for the size of the "
        "example, by fixed_batch=True"
    )


def constant_of(op: Op) -> Any:
    """The value of a constant, or None if it is not one."""
    if op.state is not None and op.state.attribute == "value":
        return op.state.content
    return op.data


def _common(values: list[Any]) -> Any:
    """What is common to values of the same form, with a Length for each integer that differs."""
    first = values[0]
    if isinstance(first, tuple | list):
        if any(type(v) is not type(first) or len(v) != len(first) for v in values):
            raise _DifferError
        return type(first)(map(_common, map(list, zip(*values, strict=True))))
    if isinstance(first, slice):
        ends = [[getattr(v, end) for v in values] for end in ("start", "stop", "step")]
        return slice(*map(_common, ends))
    if all(type(v) is type(first) for v in values) and _same(values):
        return first
    if all(isinstance(v, int) and not isinstance(v, bool) for v in values):
        return _length(values)
    raise _DifferError


def _same(values: list[Any]) -> bool:
    if isinstance(values[0], np.ndarray | np.generic):
        return len({(v.dtype, v.shape, bits_of(v)) for v in values}) == 1
    return len({*map(repr, values)}) == 1


def _length(values: list[int]) -> Length:
    factor, rest = divmod(values[1] - values[0], SIZES[1] - SIZES[0])
    offset = values[0] - factor * SIZES[0]
    if rest or any(v != factor * n + offset for v, n in zip(values, SIZES, strict=True)):
        raise _DifferError
    return Length(factor, offset)


def _common_constant(values: list[Any], shape: tuple[Any, ...]) -> Any:
    """A constant: its value where that is the same, or what makes it for a size."""
    first = values[0]
    if first is None or (len({np.shape(v) for v in values}) == 1 and _same(values)):
        return None
    if isinstance(first, np.ndarray):
        flat = [v.reshape(-1) for v in values]
        if all(map(is_range, flat)) and len({int(v[1]) for v in flat}) == 1:
            return Counted(int(flat[0][1]), shape)
        if all(map(is_uniform, flat)) and len({bits_of(v[:1]) for v in flat}) == 1:
            return Repeated(flat[0][0], shape)
        raise _DifferError
    numbers = [float(v) for v in values]
    if all(map(math.isfinite, numbers)) and all(x.is_integer() for x in numbers):
        return _length([int(x) for x in numbers])
    raise _DifferError
