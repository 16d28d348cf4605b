"""Passes: each makes a program smaller, and leaves every bit of its results as it was.

Only `sum_by_blas` changes last digits, and it is left out unless `fast` is asked for.

Floating point arithmetic has few laws. What is used here holds for every bit, signs of zeros
included: the same operation on the same values gives the same result wherever it is, so it can
be done once, now, or before a broadcast in place of after it; and x + 0 is x unless x is -0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from ..engine import kernels
from ..engine import primitives as p
from ..engine.axes import count_along
from ..engine.kernels import ARRAY_SLOT
from ..engine.primitives import Primitive
from ..functional.validation import check_labels, check_range
from .ir import SMALL, Op, Program, constant_op
from .primitives import add_at, add_at_flat, copied, take, typed, verified

Add = Callable[[Op], Op]


def _rewriting(rule: Callable[[Op, Add], Op]) -> Callable[[Program], Program]:
    """A pass that replaces each operation by what a rule makes of it."""

    @wraps(rule)
    def rewrite(program: Program) -> Program:
        return program.rewrite(rule)

    return rewrite


def simplify(program: Program, fast: bool = False, for_numpy: bool = True) -> Program:
    """Run all passes; with `fast`, also the one that changes last digits.

    Those that find what takes NumPy less time are left out where another language is printed.
    """
    for_all = (
        remove_dead, remove_copies, fold, push_down_broadcasts, merge_equal, fuse_scatter_add,
    )  # fmt: skip
    numpys = (flatten_indices, flatten_rows, expand_row_maxima, split_means, type_numbers)
    if fast and for_numpy:
        program = sum_by_blas(program)
    for step in (*for_all, *(numpys if for_numpy else ()), merge_equal):
        program = step(program)
    return remove_dead(program)


# ── Dead code ─────────────────────────────────────────────────────────────────────────────────────


def remove_dead(program: Program) -> Program:
    """Leave out what nothing is made from, and checks of constants, which have been passed."""
    used = {*program.wanted, *program.arguments}
    for op in program.ops:
        if op.facts.effect and not (op.primitive is verified and op.inputs[0].is_constant):
            used.add(op)
    for op in reversed(program.ops):
        if op in used:
            used.update(source for source in op.inputs)
    program.ops = [op for op in program.ops if op in used]
    return program


# ── What changes nothing ──────────────────────────────────────────────────────────────────────────


@_rewriting
def remove_copies(op: Op, add: Add) -> Op:
    """Leave out what returns its argument: identity, a cast or reshape to what it is already."""
    if not op.inputs:
        return op
    x = op.inputs[0]
    if op.primitive in (p.identity, p.stop_gradient):
        return x
    if op.primitive is p.reshape and x.primitive is p.reshape and x.inputs[0].in_c_order:
        op.inputs = [x := x.inputs[0]]
    same = (x.kind, x.dtype, x.shape, x.in_c_order) == (op.kind, op.dtype, op.shape, True)
    if op.primitive in (p.astype, p.reshape, p.broadcast_to) and same:
        return x
    if op.primitive is p.transpose and op.params[0] == tuple(range(len(op.shape))):
        return x
    return op


# ── Constants ─────────────────────────────────────────────────────────────────────────────────────


@_rewriting
def fold(op: Op, add: Add) -> Op:
    """Compute now what depends on constants alone, unless the result is large."""
    return _fold_op(op)


def _fold_op(op: Op) -> Op:
    if op.facts.effect or op.primitive in (None, p.broadcast_to) or op.size > SMALL:
        return op
    if not op.inputs or not all(source.is_constant for source in op.inputs):
        return op
    if not op.in_c_order:  # as an array that is written out would be
        return op
    assert op.primitive is not None
    with np.errstate(all="ignore"):
        return constant_op(op.primitive.value(*(source.data for source in op.inputs), *op.params))


# ── The same twice ────────────────────────────────────────────────────────────────────────────────


def merge_equal(program: Program) -> Program:
    """Compute only once what is computed twice from the same.

    A product of a matrix and its own transpose is left to be one of two matrices if it was one:
    BLAS has another function for the former, which rounds differently.
    """
    first: dict[Any, Op] = {}
    products = [op for op in program.ops if op.primitive is p.matmul]
    of_itself = {op: _is_product_of_itself(op) for op in products}

    def rule(op: Op, add: Add) -> Op:
        if op.facts.effect:
            return op
        if op.is_constant:
            return first.setdefault(_content_key(op.data), op)
        if op.primitive is None:
            return op
        if of_itself.get(op) is False and _is_product_of_itself(op):
            op.inputs = [op.inputs[0], add(op.inputs[1].like(copied, op.inputs[1:], ()))]
        key = (op.primitive, tuple(op.inputs), repr(op.params))
        return first.setdefault(key, op)

    return program.rewrite(rule)


def _is_product_of_itself(op: Op) -> bool:
    a, b = (x.inputs[0] if x.primitive is p.transpose else x for x in op.inputs)
    return a is b


def _content_key(value: Any) -> tuple[Any, ...]:
    """Equal for two constants of which each bit is the same."""
    array = np.asarray(value)
    return (type(value), array.dtype, array.shape, array.tobytes())


# ── Broadcasts ────────────────────────────────────────────────────────────────────────────────────


@_rewriting
def push_down_broadcasts(op: Op, add: Add) -> Op:
    """Let NumPy broadcast where an operand is used, in place of spreading it out before.

    Where all operands are spread out, compute first and spread out the result, which is then pushed
    down in turn.
    """
    if not op.facts.exact or op.kind != "array" or not op.in_c_order:
        return op
    if not any(_is_broadcast(x) for x in op.inputs):
        return op
    if any(x.kind == "array" and not (_is_broadcast(x) or x.in_c_order) for x in op.inputs):
        return op
    cores = [_before_broadcast(x, add) for x in op.inputs]
    shape = np.broadcast_shapes(*(x.shape for x in cores))
    if _promoted(cores) != _promoted(op.inputs):
        return op
    if shape == op.shape:
        op.inputs = cores
        return op
    core = add(_fold_op(_on_cores(op, cores, shape)))
    return op.like(p.broadcast_to, [core], (op.shape,))


def _is_broadcast(op: Op) -> bool:
    return op.primitive is p.broadcast_to


def _before_broadcast(x: Op, add: Add) -> Op:
    """What x was broadcast from; a constant with one element as a number without axes."""
    if not _is_broadcast(x):
        return x
    core = x.inputs[0]
    if core.is_constant and core.kind == "array" and core.size == 1:
        return add(constant_op(core.data.reshape(())[()]))
    return core


def _promoted(operands: list[Op]) -> Any:
    """To what the dtypes of operands promote: Python numbers count less than NumPy's."""
    return [(x.dtype, x.kind == "number") for x in operands]


def _on_cores(op: Op, cores: list[Op], shape: tuple[int, ...]) -> Op:
    sample: Any = np.empty(shape, op.dtype)
    return Op(op.primitive, cores, op.params, sample[()] if not shape else sample)


# ── Scatters ──────────────────────────────────────────────────────────────────────────────────────


def fuse_scatter_add(program: Program) -> Program:
    """Add a gradient at its places to the rest, in place of adding an array that is mostly zeros.

    That is -0 where the rest is -0, and not 0; so it must be known that no element is -0.
    """
    uses: dict[Op, int] = {}
    for op in program.ops:
        for source in op.inputs:
            uses[source] = uses.get(source, 0) + 1
    kept = set(program.wanted)
    unsigned: dict[Op, bool] = {}

    def rule(op: Op, add: Add) -> Op:
        unsigned[op] = _is_unsigned(op, unsigned)
        if op.primitive is not p.add or op.inputs[0].shape != op.inputs[1].shape:
            return op
        for scattered, rest in (op.inputs, op.inputs[::-1]):
            once = uses.get(scattered) == 1 and scattered not in kept
            if scattered.primitive is p.scatter and once and unsigned.get(rest):
                same = rest.dtype == scattered.dtype == op.dtype and rest.in_c_order
                if same and _names_no_place_twice(scattered):
                    g, *index = scattered.inputs
                    template = scattered.params[0]
                    number = g.inputs[0] if _is_broadcast(g) and not g.inputs[0].shape else g
                    return op.like(add_at, [rest, number, *index], (template,))
        return op

    return program.rewrite(rule)


def _is_unsigned(op: Op, known: dict[Op, bool]) -> bool:
    """Whether no element has its sign bit set, nan aside."""
    if op.is_constant:
        return op.dtype.kind in "uf" and not np.any(np.signbit(op.data))
    operands = op.inputs[:1] if op.primitive is p.getitem else op.inputs
    inherits = op.facts.unsigned == "inherited"
    return op.facts.unsigned == "always" or (
        inherits and all(known.get(x, False) for x in operands)
    )


def _names_no_place_twice(scattered: Op) -> bool:
    """Whether the constants among the index arrays already tell all places apart."""
    arrays = scattered.inputs[1:]
    if not arrays or any(x.dtype.kind == "b" for x in arrays):
        return False
    if any(part is not ARRAY_SLOT for part in scattered.params[0]):
        return False
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    known = [np.broadcast_to(x.data, shape).ravel() for x in arrays if x.is_constant]
    if not known or any((column < 0).any() for column in known):
        return False
    return len(np.unique(np.stack(known, 1), axis=0)) == known[0].size


# ── Indices ───────────────────────────────────────────────────────────────────────────────────────


LARGEST_TABLE = 2**16  # elements, each of 8 bytes


def flatten_indices(program: Program) -> Program:
    """Where one index array for each axis picks elements, count the places through the array.

    One index array in place of several: a quarter of NumPy's time. All indices must be known to be
    in range and not negative: they are constants, or a check has passed them.
    """
    bounds: dict[Op, int] = {}

    def rule(op: Op, add: Add) -> Op:
        if op.primitive is verified and upper_bound(op) is not None:
            bounds[op.inputs[0]] = upper_bound(op) or 0
        if op.primitive not in (p.getitem, add_at):
            return op
        x, indices = op.inputs[0], op.inputs[1 + (op.primitive is add_at) :]
        everywhere = all(part is ARRAY_SLOT for part in op.params[0])
        if not everywhere or len(indices) != len(x.shape) or len(indices) < 2 or not x.in_c_order:
            return op
        limits = zip(indices, x.shape, strict=True)
        if not all(_in_range(index, n, bounds.get(index)) for index, n in limits):
            return op
        places = _flat_places(op, indices, x.shape, add)
        if op.primitive is add_at:
            g, sign = op.inputs[1], "+"
            if g.is_constant and g.kind == "scalar" and np.signbit(g.data):
                g, sign = add(constant_op(-g.data)), "-"
            return op.like(add_at_flat, [x, g, places], (sign,))
        return op.like(take, [x, places], ())

    return program.rewrite(rule)


def upper_bound(op: Op) -> int | None:
    """How many values a check lets pass: those from 0 to this number."""
    check, args, _ = op.params
    if check is check_range or (check is check_labels and args[1:] == (None,)):
        return int(args[0])
    return None


def _in_range(index: Op, n: int, bound: int | None) -> bool:
    if not is_taken(index):
        return False
    if index.is_constant:
        return bool(index.size and index.data.min() >= 0 and index.data.max() < n)
    return bound is not None and bound <= n


def _flat_places(op: Op, indices: list[Op], shape: tuple[int, ...], add: Add) -> Op:
    """Σ index · stride, with the part that is constant computed now."""

    def combined(primitive: Primitive, a: Op, b: Op) -> Op:
        shape = np.broadcast_shapes(a.shape, b.shape)
        dtype = a.dtype if b.kind == "number" else np.result_type(a.dtype, b.dtype)
        return add(op.beside(primitive, [a, b], (), np.empty(shape, dtype)))

    strides = [int(np.prod(shape[i + 1 :])) for i in range(len(shape))]
    pairs = list(zip(indices, strides, strict=True))
    known = [index.data * stride for index, stride in pairs if index.is_constant]
    total = None
    if known:
        total = add(constant_op(sum(known)))
        total.name = "starts"
    for index, stride in pairs:
        if not index.is_constant:
            if stride != 1:
                index = combined(p.multiply, index, add(constant_op(stride)))
            total = index if total is None else combined(p.add, total, index)
    assert total is not None
    total.name = "places"
    return total


@_rewriting
def flatten_rows(op: Op, add: Add) -> Op:
    """Where rows are added to rows that an index names, count the places of all their elements.

    np.add.at has a loop of its own for single elements, which takes a third of the time. The
    module holds a table of their places; where that would be large, they are counted again.
    """
    small = adds_rows(op) and 0 < op.size <= LARGEST_TABLE
    if not small or not op.inputs[0].in_c_order:
        return op
    g, rows = op.inputs
    if g.primitive is p.reshape and g.inputs[0].in_c_order:
        g = g.inputs[0]
    width = math.prod(op.shape[1:])
    table = add(constant_op(np.arange(op.size).reshape(-1, width)))
    table.name = "places_of_rows"
    picked = np.empty((*rows.shape, width), np.intp)
    elements = add(op.beside(p.getitem, [table, rows], ((ARRAY_SLOT,),), picked))
    elements.name = "elements"
    n = picked.size
    places = add(op.beside(p.reshape, [elements], ((n,),), np.empty(n, np.intp)))
    values = add(op.beside(p.reshape, [g], ((n,),), np.empty(n, g.dtype)))
    given = ((ARRAY_SLOT,), (op.size,))
    total = add(op.beside(p.scatter, [values, places], given, np.empty(op.size, op.dtype)))
    return op.like(p.reshape, [total], (op.shape,))


def adds_rows(op: Op) -> bool:
    """Whether it adds rows at places along the first axis."""
    if op.primitive is not p.scatter or op.params[0] != (ARRAY_SLOT,) or len(op.shape) < 2:
        return False
    g, rows = op.inputs
    return is_taken(rows) and g.shape == rows.shape + op.shape[1:]


def is_taken(index: Op) -> bool:
    """Whether an index is an array of integers that `take` accepts: no unsigned ones of 64 bits."""
    return index.kind == "array" and index.dtype.kind in "iu" and index.dtype != np.uint64


# ── The largest of each row ───────────────────────────────────────────────────────────────────────


# An argument can be read-only, and argmax then copies it; of up to so many elements, no matter.
# Where 0 and -0 tie, argmax and the maximum may find zeros of different signs. Nothing shows which:
# two logits tie, so the sum of the exponentials is at least 2, and its logarithm is no zero.
LARGEST_COPY = 2**18


@_rewriting
def expand_row_maxima(op: Op, add: Add) -> Op:
    """Write out how the largest of each row is found: its place by argmax, then the value there.

    So the index of where each row begins can be shared with others that pick from the same rows.
    """
    if op.primitive is not p.max_constant or not _is_row_maximum(op):
        return op
    x = op.inputs[0]
    n, classes = x.shape
    starts = add(constant_op(kernels.row_starts(n, classes)))
    starts.name = "starts"
    where = add(op.beside(p.argmax, [x], (-1, False), np.empty(n, np.intp)))
    where.name = "places_of_maxima"
    places = add(op.beside(p.add, [where, starts], (), np.empty(n, np.intp)))
    places.name = "places_of_maxima"
    found = add(op.beside(take, [x, places], (), np.empty(n, x.dtype)))
    lowest = add(constant_op(x.dtype.type(op.params[1])))
    lowest.name = "lowest"
    finite = add(op.beside(p.maximum, [found, lowest], (), np.empty(n, x.dtype)))
    found.name = finite.name = "maxima"
    return op.like(p.reshape, [finite], ((n, 1),))


def _is_row_maximum(op: Op) -> bool:
    x, axis = op.inputs[0], op.params[0]
    rows = x.kind == "array" and len(x.shape) == 2 and axis == -1 and 0 not in x.shape
    if x.primitive is None and x.size > LARGEST_COPY:
        return False
    return rows and x.in_c_order


# ── Sums ──────────────────────────────────────────────────────────────────────────────────────────


@_rewriting
def split_means(op: Op, add: Add) -> Op:
    """Write a mean as the sum and a division, which can be written over the sum."""
    kinds = {(x.kind, x.dtype.char) for x in (op, *op.inputs[:1])}
    if op.primitive is not p.mean or kinds not in ({("array", "f")}, {("array", "d")}):
        return op
    x, (axis, _) = op.inputs[0], op.params
    total = add(op.beside(p.sum_, [x], op.params, np.empty(op.shape, op.dtype)))
    number = add(constant_op(count_along(x.shape, axis)))
    mean = op.like(p.divide, [total, number], ())
    total.name = mean.name = op.name or "mean"
    return mean


@_rewriting
def sum_by_blas(op: Op, add: Add) -> Op:
    """Add up the rows or the columns of a matrix by multiplying it with ones.

    BLAS takes a third to a tenth of the time that NumPy takes to reduce a matrix. It adds up in
    another order, so the last digits change, and no more than those: the errors are as large.
    """
    x = op.inputs[0] if op.primitive in (p.sum_, p.mean) else None
    if x is None or len(x.shape) != 2 or not x.in_c_order or x.dtype.char not in "fd":
        return op
    axis, keepdims = op.params
    axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
    if axis not in (0, 1, -1) or keepdims:
        return op
    axis = axis % 2
    ones = add(constant_op(np.ones(x.shape[axis], x.dtype)))
    ones.name = "ones"
    operands = [x, ones] if axis else [ones, x]
    if op.primitive is p.sum_:
        return op.like(p.matmul, operands, ())
    total = add(op.beside(p.matmul, operands, (), np.empty(op.shape, op.dtype)))
    return op.like(p.divide, [total, add(constant_op(x.shape[axis]))], ())


# ── Numbers ───────────────────────────────────────────────────────────────────────────────────────

ARITHMETIC = (p.add, p.subtract, p.multiply, p.divide, p.maximum, p.minimum)
FEW = 2**14  # elements, below which it matters how long NumPy takes to look at a number


@_rewriting
def type_numbers(op: Op, add: Add) -> Op:
    """Convert a number to the dtype of the arrays that it is combined with once, not at each use.

    NumPy looks at a Python number for as long as it computes with 500 elements.
    """
    small = op.primitive in ARITHMETIC or op.primitive is add_at_flat
    if not small or op.kind != "array" or op.dtype.kind != "f" or op.size > FEW:
        return op
    if any(x.kind == "array" and x.dtype == op.dtype for x in op.inputs):
        op.inputs = [_typed(x, op.dtype, add) for x in op.inputs]
    return op


def _typed(x: Op, dtype: Any, add: Add) -> Op:
    if x.is_constant and (x.kind == "number" or (x.kind == "scalar" and x.dtype == dtype)):
        new = constant_op(np.array(x.data, dtype))
        new.name = x.name
    elif x.kind == "number":
        new = Op(typed, [x], (dtype,), np.array(0, dtype))
        new.name = f"{x.name or (x.state and x.state.attribute) or 'number'}_array"
    else:
        return x
    return add(new)
