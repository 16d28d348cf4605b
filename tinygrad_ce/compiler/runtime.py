"""A recording as a function: it reads what is needed, calls the source, and leaves the results."""

from __future__ import annotations

import builtins
import linecache
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from threading import Lock
from typing import Any
from weakref import finalize

import numpy as np

from ..engine.tensor import Tensor, constant
from .arguments import Slot, mapped
from .codegen.printer import Source
from .ir import Op, Program
from .recorder import Place

_number = count(1).__next__

DOES_NOT_FIT = object()


@dataclass
class Recorded:
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
    if isinstance(result, Slot):
        return lambda values: constant(values[0])
    if type(result) is tuple and [_number_of(part) for part in result] == [*range(len(result))]:
        return lambda values: tuple([constant(value) for value in values])
    return lambda values: mapped(
        lambda t: constant(values[t.number]) if isinstance(t, Slot) else t, result
    )


def _number_of(part: Any) -> int | None:
    return part.number if isinstance(part, Slot) else None


class Replay:
    """A recording as a function."""

    def __init__(self, source: Source, recorded: Recorded) -> None:
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

    def __init__(self, source: Source, recorded: Recorded) -> None:
        self.source = source
        self.program = recorded.program
        self.expected = recorded.conditions
        self.namespace: dict[str, Any] = {"DOES_NOT_FIT": DOES_NOT_FIT, "fits": _fits}
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
