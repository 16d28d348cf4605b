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

from ..engine.graph import Node
from ..engine.tensor import constant
from .arguments import Slot, map_tensors
from .codegen.printer import Source
from .ir import Op, Program
from .recorder import StateRef

_number = count(1).__next__

GUARD_FAILED = object()


@dataclass
class Recorded:
    """What is left of a recording without its values.

    Attributes
    ----------
    program
        The operations.
    guards
        What must be as it was, and how it was.
    result
        What the step returned, with a slot in the place of each Tensor.
    names
        Of the arguments.
    """

    program: Program
    guards: list[tuple[StateRef, Any]]
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
    return lambda values: map_tensors(
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
        self._frozen = recorded.program.frozen_leaves
        driver = _Driver(source, recorded)
        self.call = driver.function(namespace[source.name])

    def changed(self) -> list[Node]:
        """The leaves that were taken for constants, and have been assigned since."""
        return [leaf for leaf, value in self._frozen if leaf._value is not value]


class _Driver:
    """Writes the function that reads what a step needs, calls it, and leaves what it has made."""

    def __init__(self, source: Source, recorded: Recorded) -> None:
        self.source = source
        self.program = recorded.program
        self.expected = recorded.guards
        self.namespace: dict[str, Any] = {"GUARD_FAILED": GUARD_FAILED, "fits": _fits}
        self.owners: dict[int, str] = {}

    def function(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """The function: takes the values of the arguments, returns those of the results."""
        arguments = [f"x{i}" for i in range(len(self.program.arguments))]
        reads = [f"v{i}" for i in range(len(self.program.reads))]
        guards = self.guards()
        lines = [f"def call({', '.join(arguments)}):"]
        if guards:
            lines += [f"    if not ({' and '.join(guards)}):", "        return GUARD_FAILED"]
        held: dict[Any, str] = {}
        for v, op in zip(reads, self.program.reads, strict=True):
            assert op.state is not None
            lines.append(f"    {v} = {self.text(op.state)}")
            held[op.state.identity] = v
            self.namespace[f"op_{v}"] = op
            if op.kind == "number":
                self.namespace[f"type_{v}"] = type(op.state.content)
                lines.append(f"    if type({v}) is not type_{v}: return GUARD_FAILED")
            else:
                lines.append(f"    if {v} is not k_{v} and not fits({v}, op_{v}):")
                lines.append("        return GUARD_FAILED")
                self.namespace[f"k_{v}"] = None
        generators = {f"g{i}": g for i, g in enumerate(self.source.generators)}
        self.namespace |= generators
        given = ", ".join([*arguments, *reads, *generators])
        results = [f"r{i}" for i in range(len(self.program.results))]
        written = {id(op): f"w{i}" for i, op in enumerate(self.program.written)}
        out = "".join(f"{name}, " for name in [*results, *written.values()])
        lines.append(f"    {out}= step({given})" if out else f"    step({given})")
        remembered = []
        for ref, new in self.program.writes:
            w = "None" if new is None else written[id(new)]
            lines.append(f"    {self.text(ref)} = {w}")
            if ref.identity in held and new is not None and new.kind != "number":
                remembered.append((f"k_{held[ref.identity]}", w))
        lines += [f"    {k} = {w}" for k, w in remembered]
        lines.append(f"    return {''.join(f'{r}, ' for r in results) or '()'}")
        if remembered:
            lines.insert(1, f"    global {', '.join(k for k, _ in remembered)}")
        self.namespace["step"] = step
        exec("\n".join(lines), self.namespace)
        call: Callable[..., Any] = self.namespace["call"]
        return _one_at_a_time(call) if self.source.keeps else call

    def guards(self) -> list[str]:
        """What must be as it was when the step was recorded."""
        found = []
        for i, (ref, expected) in enumerate(self.expected):
            self.namespace[f"c{i}"] = expected
            how = "is" if expected is None else "=="
            other = self.text(expected) if isinstance(expected, StateRef) else f"c{i}"
            found.append(f"{self.text(ref)} {how} {other}")
        for op in self.program.reads:
            if op.state is not None and op.state.attribute == "_value":
                leaf = op.state.owner
                found.append(f"{self.owner(leaf)}._requires_grad is {leaf._requires_grad}")
        for i, (leaf, value) in enumerate(self.program.frozen_leaves):
            self.namespace[f"f{i}"] = value
            found.append(f"{self.owner(leaf)}._value is f{i}")
        return found

    def text(self, ref: StateRef) -> str:
        """The expression that reads or writes it."""
        text = f"{self.owner(ref.owner)}.{ref.attribute}"
        return text if ref.key is None else f"{text}[{ref.key}]"

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
