"""A program: the recorded graph as a list of operations, each on the results of earlier ones.

This is what the passes rewrite. An `Op` knows of its result what decides about the code that
computes it: dtype, shape, whether it is an array, a NumPy scalar or a Python number, and the order
of its axes in memory, since the order in which NumPy adds up depends on that.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..engine.graph import Node, Scope, topological_order
from ..engine.primitives import Primitive
from .guards import StateRef
from .outside_state import Recording
from .primitives import FACTS, NOTHING_KNOWN, Facts

SMALL = 64  # elements of a constant that is written out in the source


class Op:
    """One operation of a program, or an input, or a constant.

    Attributes
    ----------
    primitive
        None for an input and a constant.
    inputs, params
        The operations whose results it takes, and what else the primitive is called with.
    data
        The value of a constant, else None.
    state
        What an input is read from at each call; None for an argument of the step.
    kind
        "array", "scalar" (a NumPy scalar) or "number" (a Python number).
    shape, dtype, strides
        Of the result.
    name, scope
        What the user called it, and where it was made.
    gradient_of
        The operations of which this is the gradient.
    forward_op
        The operation whose derivative rule made it, if one did.
    """

    __slots__ = (
        "data", "dtype", "forward_op", "gradient_of", "inputs", "kind", "name", "params",
        "primitive", "scope", "shape", "state", "strides",
    )  # fmt: skip

    def __init__(
        self, primitive: Primitive | None, inputs: list[Op], params: tuple[Any, ...], value: Any
    ) -> None:
        self.primitive = primitive
        self.inputs = inputs
        self.params = params
        self.data: Any = None
        self.state: StateRef | None = None
        self.name: str | None = None
        self.scope: Scope | None = None
        self.gradient_of: tuple[Op, ...] = ()
        self.forward_op: Op | None = None
        if isinstance(value, np.ndarray):
            self.kind = "array"
            self.shape: tuple[int, ...] = value.shape
            self.dtype = value.dtype
            self.strides: tuple[int, ...] = value.strides
        else:
            self.kind = "scalar" if isinstance(value, np.generic) else "number"
            self.shape = self.strides = ()
            self.dtype = np.result_type(value)

    @property
    def size(self) -> int:
        """The number of elements of the result."""
        return math.prod(self.shape)

    @property
    def in_c_order(self) -> bool:
        """Whether the result lies in memory without gaps, its last axis in one piece."""
        expected = self.dtype.itemsize
        for n, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if n > 1 and stride != expected:
                return False
            expected *= n
        return True

    @property
    def is_constant(self) -> bool:
        """Whether the result is known now."""
        return self.data is not None

    def like(self, primitive: Primitive | None, inputs: list[Op], params: tuple[Any, ...]) -> Op:
        """An operation with the same result, computed in another way."""
        op = Op.__new__(Op)
        for slot in Op.__slots__:
            setattr(op, slot, getattr(self, slot))
        op.primitive, op.inputs, op.params = primitive, inputs, params
        return op

    def beside(self, primitive: Primitive, inputs: list[Op], params: Any, value: Any) -> Op:
        """A further operation, in the scope of this one."""
        op = Op(primitive, inputs, params, value)
        op.scope, op.forward_op = self.scope, self.forward_op
        return op

    @property
    def facts(self) -> Facts:
        """What is known of the primitive."""
        return FACTS.get(self.primitive, NOTHING_KNOWN)

    def __repr__(self) -> str:
        what = self.primitive.name if self.primitive else "constant" if self.is_constant else "in"
        return f"<{what} {self.dtype}{list(self.shape)}>"


def constant_op(value: Any) -> Op:
    """Return a constant."""
    op = Op(None, [], (), value)
    op.data = value
    return op


def _constant(value: Any) -> Op:
    op = Op(None, [], (), value)
    if op.in_c_order and (op.size <= SMALL or is_range(value) or is_uniform(value)):
        return constant_op(value)
    op.state = StateRef(SimpleNamespace(value=value), "value")  # too large to be written out, say
    return op


def is_range(value: Any) -> bool:
    """Whether an array is 0, s, 2s, ..., along one axis."""
    return bool(
        isinstance(value, np.ndarray)
        and value.dtype == np.intp
        and max(value.shape, default=0) == value.size > 1
        and value.flags.c_contiguous
        and value.flat[1] > 0
        and np.array_equal(value.ravel(), np.arange(value.size) * value.flat[1])
    )


def is_uniform(value: Any) -> bool:
    """Whether all elements of an array are the same, bit by bit."""
    array = np.asarray(value)
    if array.size < 2 or not array.flags.c_contiguous:
        return False
    bits = array.reshape(-1, 1).view(np.uint8)
    return bool((bits == bits[0]).all())


@dataclass
class Loop:
    """Operations that are done for a block of rows, and then for the next.

    Attributes
    ----------
    ops
        The operations, one after the other in the program.
    n, block
        The number of rows, and how many of them are a block.
    relative
        Those that count from the first row of the block.
    kept
        Those whose results are needed after the loop.
    """

    ops: list[Op]
    n: int
    block: int
    relative: set[Op]
    kept: set[Op]

    @cached_property
    def inside(self) -> set[Op]:
        """All of them."""
        return set(self.ops)

    @cached_property
    def local(self) -> set[Op]:
        """Those of whose results there is a block at a time."""
        return self.inside - self.kept


@dataclass(eq=False)
class Program:
    """Operations in the order of their computation, and what is wanted of them.

    Attributes
    ----------
    ops
        All of them, inputs and constants too.
    arguments
        The inputs that the step is called with.
    results
        What the step returns.
    writes
        What it leaves outside; None clears a gradient.
    settings
        Attributes that it assigns plain values to.
    guards
        What must be as it was at the recording, and how it was.
    frozen_leaves
        The leaves from outside that were taken for constants, and their values.
    loops
        The stretches of operations that are done in blocks of rows.
    """

    ops: list[Op]
    arguments: list[Op]
    results: list[Op]
    writes: list[tuple[StateRef, Op | None]]
    settings: list[tuple[StateRef, Any]]
    guards: list[tuple[StateRef, Any]]
    frozen_leaves: list[tuple[Node, Any]]
    loops: list[Loop] = field(default_factory=list)

    @property
    def wanted(self) -> list[Op]:
        """All that must be computed for its own sake."""
        return [*self.results, *self.written]

    @property
    def written(self) -> list[Op]:
        """What it leaves outside, each once: several counts can be the same."""
        return list(dict.fromkeys(op for _, op in self.writes if op is not None))

    @property
    def reads(self) -> list[Op]:
        """The inputs that are read from outside."""
        return [op for op in self.ops if op.state is not None]

    def copy(self) -> Program:
        """The same program of other operations."""
        new: dict[Op, Op] = {}
        for op in self.ops:
            new[op] = op.like(op.primitive, [new[x] for x in op.inputs], op.params)
        for op in new.values():
            op.gradient_of = tuple(new.get(node, node) for node in op.gradient_of)
            op.forward_op = op.forward_op and new.get(op.forward_op, op.forward_op)
        return Program(
            list(new.values()),
            [new[op] for op in self.arguments],
            [new[op] for op in self.results],
            [(ref, op and new[op]) for ref, op in self.writes],
            self.settings,
            self.guards,
            self.frozen_leaves,
        )

    def rewrite(self, rule: Callable[[Op, Callable[[Op], Op]], Op]) -> Program:
        """Return the program with each operation replaced by what a rule makes of it.

        Parameters
        ----------
        rule
            Called with an operation, whose inputs have been replaced already, and a function that
            adds a further operation in front of it. Returns the operation or another one.
        """
        replaced: dict[Op, Op] = {}
        inherited: dict[Op, list[Op]] = {}
        ops: dict[Op, None] = {}
        now = replaced.get

        def add(op: Op) -> Op:
            ops[op] = None
            return op

        for op in self.ops:
            if replaced:
                op.inputs = [now(source, source) for source in op.inputs]
            replacement = rule(op, add)
            if replacement is not op:
                if replacement.primitive is not None:
                    replacement.name = replacement.name or op.name
                    if op.gradient_of and replacement.gradient_of is not op.gradient_of:
                        known = inherited.setdefault(replacement, [*replacement.gradient_of])
                        known += op.gradient_of
                replaced[op] = add(replacement)
            else:
                ops[op] = None
        for op in ops:
            op.gradient_of = tuple(now(node, node) for node in inherited.get(op, op.gradient_of))
            op.forward_op = op.forward_op and now(op.forward_op, op.forward_op)
        return Program(
            list(ops),
            [now(op, op) for op in self.arguments],
            [now(op, op) for op in self.results],
            [(ref, op and now(op, op)) for ref, op in self.writes],
            self.settings,
            self.guards,
            self.frozen_leaves,
        )


def lower(
    recording: Recording, results: Sequence[Node], is_frozen: Callable[[Node], bool]
) -> Program:
    """Make a program of a recording.

    Parameters
    ----------
    recording
        What the step did.
    results
        The Tensors in what it returned.
    is_frozen
        Whether a leaf from outside, which the step does not assign, counts as a constant.
    """
    ops: dict[Node, Op] = {}
    inputs = dict.fromkeys(recording.inputs)
    written = [tensor for _, tensor in recording.writes if tensor is not None]
    assigned = {id(ref.owner) for ref, _ in recording.writes if ref.attribute == "_value"}
    makers = _makers(recording)
    stubs: dict[Node, Op] = {}
    listed: list[Op] = []
    taken: list[tuple[Node, Any]] = []
    outputs = [*results, *written, *recording.effects, *recording.versions.values()]
    for tensor in topological_order(*inputs, *outputs):
        if tensor.primitive is not None:
            op = _operation(tensor, recording, ops)
            maker = makers(tensor.index)
            if maker is not None:  # which need not be part of the program
                op.forward_op = ops.get(maker) or stubs.setdefault(maker, _stub(maker))
        elif tensor in inputs:
            op = Op(None, [], (), tensor._value)
        elif tensor in recording.reads:
            op = Op(None, [], (), tensor._value)
            op.state = recording.reads[tensor]
        elif tensor.index >= recording.start:
            op = _constant(tensor._value)
        elif id(tensor) not in assigned and is_frozen(tensor):
            op = _constant(tensor._value)
            taken.append((tensor, tensor._value))
        else:
            op = Op(None, [], (), tensor._value)
            op.state = StateRef(tensor, "_value")
        op.name, op.scope = tensor.name, tensor.scope
        ops[tensor] = op
        listed.append(op)
    for leaf, tensor in recording.assigned.items():
        if leaf.index >= recording.start and tensor in ops:  # a copy that the step has made
            ops[leaf] = ops[tensor]
            ops[leaf].name = ops[leaf].name or leaf.name
    gradients: dict[Op, list[Op]] = {}
    for _, node, g in recording.gradients:
        if g is not None and g in ops and node in ops:
            gradients.setdefault(ops[g], []).append(ops[node])
    for op, nodes in gradients.items():
        op.gradient_of = tuple(nodes)
    return Program(
        listed,
        [ops[tensor] for tensor in recording.inputs],
        [ops[tensor] for tensor in results],
        [(ref, None if t is None else ops[t]) for ref, t in recording.writes],
        recording.settings,
        recording.guards,
        taken,
    )


def _stub(tensor: Node) -> Op:
    op = Op(tensor.primitive, [], (), tensor._value)
    op.name, op.scope = tensor.name, tensor.scope
    return op


def _operation(tensor: Node, recording: Recording, ops: dict[Node, Op]) -> Op:
    assert tensor.inputs is not None
    n = len(tensor.inputs)
    arguments = zip(tensor.inputs, tensor._arguments, strict=False)
    inputs = [ops[recording.source_of(source, value)] for source, value in arguments]
    return Op(tensor.primitive, inputs, tensor._arguments[n:], tensor._value)


def _makers(recording: Recording) -> Callable[[int], Node | None]:
    """For the index of a node, the node whose derivative rule made it, or None."""
    starts = [index for index, _, _ in recording.gradients]
    nodes = [None if g is None else node for _, node, g in recording.gradients]

    def maker(index: int) -> Node | None:
        i = bisect_left(starts, index) - 1
        node = nodes[i] if i >= 0 else None
        return node if node is not None and node.primitive is not None else None

    return maker
