"""A program as a function: it reads what is needed, calls the source, and leaves the results."""

from __future__ import annotations

import builtins
import linecache
from collections.abc import Callable
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


class Replay:
    """A recording as a function.

    `call` takes the values of the arguments, and returns those of the results, or GUARD_FAILED;
    `rebuild` makes of these what the step returned.
    """

    def __init__(self, source: Source, program: Program, result: Any) -> None:
        self.source = source
        self.rebuild = _rebuilder(result)
        file = f"<tinygrad_ce {source.name} {_number()}>"  # for tracebacks and debuggers
        lines = source.text.splitlines(keepends=True)
        linecache.cache[file] = (len(source.text), None, lines, file)
        finalize(self, linecache.cache.pop, file, None)
        namespace: dict[str, Any] = {}
        exec(builtins.compile(source.text, file, "exec"), namespace)
        self._frozen = program.frozen_leaves
        self.call = _Driver(namespace[source.name]).function(source, program)

    def changed(self) -> list[Node]:
        """The leaves that were taken for constants, and have been assigned since."""
        return [leaf for leaf, value in self._frozen if leaf._value is not value]


def _rebuilder(result: Any) -> Callable[[Any], Any]:
    """From the values that a replay returns, what the step returns, with new Tensors."""
    # One Tensor, or a tuple of them, is by far the most frequent (tests/benchmarks, 4-16-3).
    if isinstance(result, Slot):
        return lambda values: constant(values[0])
    if type(result) is tuple and all(isinstance(part, Slot) for part in result):
        return lambda values: tuple([constant(value) for value in values])
    return lambda values: map_tensors(
        lambda t: constant(values[t.number]) if isinstance(t, Slot) else t, result
    )


class _Driver:
    """Writes the function that reads what a step needs, calls it, and leaves what it has made.

    The letters in its text: x is an argument, v a value that is read, k the value that the last
    call left there, g a generator, r a result, w a value that is written, o the owner of an
    attribute, c what a guard expects, and f the value of a frozen leaf.
    """

    def __init__(self, step: Callable[..., Any]) -> None:
        self.namespace: dict[str, Any] = {"GUARD_FAILED": GUARD_FAILED, "fits": _fits, "step": step}
        self.owners: dict[int, str] = {}

    def function(self, source: Source, program: Program) -> Callable[..., Any]:
        """The function: takes the values of the arguments, returns those of the results."""
        arguments = [f"x{i}" for i in range(len(program.arguments))]
        results = [f"r{i}" for i in range(len(program.results))]
        written = {id(op): f"w{i}" for i, op in enumerate(program.written)}
        generators = {f"g{i}": g for i, g in enumerate(source.generators)}
        self.namespace |= generators
        lines = []
        guards = self.guards(program)
        if guards:
            lines += [f"    if not ({' and '.join(guards)}):", "        return GUARD_FAILED"]
        read: dict[Any, str] = {}
        for i, op in enumerate(program.reads):
            assert op.state is not None
            read[op.state.identity] = f"v{i}"
            lines += [f"    v{i} = {self.text(op.state)}"]
            if op.kind == "number":
                self.namespace[f"type_{i}"] = type(op.state.content)
                lines += [f"    if type(v{i}) is not type_{i}: return GUARD_FAILED"]
            else:
                self.namespace |= {f"op_{i}": op, f"k{i}": None}
                lines += [f"    if v{i} is not k{i} and not fits(v{i}, op_{i}):"]
                lines += ["        return GUARD_FAILED"]
        out = "".join(f"{name}, " for name in [*results, *written.values()])
        given = ", ".join([*arguments, *read.values(), *generators])
        lines += [f"    {out}= step({given})" if out else f"    step({given})"]
        remembered = {}
        for ref, new in program.writes:
            w = "None" if new is None else written[id(new)]
            lines += [f"    {self.text(ref)} = {w}"]
            if ref.identity in read and new is not None and new.kind != "number":
                remembered[read[ref.identity].replace("v", "k")] = w
        lines += [f"    {k} = {w}" for k, w in remembered.items()]
        lines += [f"    return {''.join(f'{r}, ' for r in results) or '()'}"]
        if remembered:
            lines = [f"    global {', '.join(remembered)}", *lines]
        exec("\n".join([f"def call({', '.join(arguments)}):", *lines]), self.namespace)
        call: Callable[..., Any] = self.namespace["call"]
        return _one_at_a_time(call) if source.keeps else call

    def guards(self, program: Program) -> list[str]:
        """What must be as it was when the step was recorded."""
        found = []
        for i, (ref, expected) in enumerate(program.guards):
            self.namespace[f"c{i}"] = expected
            other = self.text(expected) if isinstance(expected, StateRef) else f"c{i}"
            found.append(f"{self.text(ref)} {'is' if expected is None else '=='} {other}")
        for op in program.reads:
            if op.state is not None and op.state.attribute == "_value":
                leaf = op.state.owner
                found.append(f"{self.owner(leaf)}._requires_grad is {leaf._requires_grad}")
        for i, (leaf, value) in enumerate(program.frozen_leaves):
            self.namespace[f"f{i}"] = value
            found.append(f"{self.owner(leaf)}._value is f{i}")
        return found

    def text(self, ref: StateRef) -> str:
        """What is written to read it or to assign it."""
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
