"""What computes each primitive in C: an expression, or one of NumPy's own inner loops.

Where IEEE 754 says what the result is, C computes it. Where NumPy decides, as for exp, a `Style`
says what does: NumPy's own loop, the one that its ufunc would have chosen; a function of this
package; or the C library.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....engine import primitives as p
from ....engine.kernels import ARRAY_SLOT
from ....engine.primitives import Primitive
from ...ir import Op, is_range, is_uniform
from ...passes import is_taken
from ...primitives import add_at, copied
from ..literals import number

TYPES = {
    np.dtype(np.float32): "float",
    np.dtype(np.float64): "double",
    np.dtype(np.int64): "npy_int64",
    np.dtype(np.bool_): "npy_bool",
}
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
BOOL = np.dtype(np.bool_)

# Operands by number, each converted to the dtype of the result, or of the comparison.
EXPRESSIONS: dict[Primitive | None, str] = {
    p.add: "{0} + {1}",
    p.subtract: "{0} - {1}",
    p.multiply: "{0} * {1}",
    p.divide: "{0} / {1}",
    p.negative: "-{0}",
    p.sqrt: "sqrt{f}({0})",
    p.abs_: "fabs{f}({0})",
    p.sign: "{0} > 0 ? 1 : {0} < 0 ? -1 : {0} == 0 ? 0 : {0}",
    p.where: "{0} ? {1} : {2}",
    p.isnan: "{0} != {0}",
    p.isfinite: "isfinite({0}) != 0",
    p.less: "{0} < {1}",
    p.less_equal: "{0} <= {1}",
    p.greater: "{0} > {1}",
    p.greater_equal: "{0} >= {1}",
    p.equal: "{0} == {1}",
    p.not_equal: "{0} != {1}",
    p.logical_and: "{0} & {1}",
    p.logical_or: "{0} | {1}",
    p.logical_not: "!{0}",
    p.astype: "{0}",
    p.broadcast_to: "{0}",
    copied: "{0}",
}
FUNCTIONS: dict[Primitive | None, str] = {
    p.exp: "fast_exp_{type}({0})",
    p.log: "fast_log_{type}({0})",
    p.tanh: "fast_tanh_{type}({0})",
    p.sigmoid: "fast_sigmoid_{type}({0})",
}
FAST_EXPRESSIONS: dict[Primitive | None, str] = {
    **FUNCTIONS,
    p.maximum: "{0} > {1} || {0} != {0} ? {0} : {1}",
    p.minimum: "{0} < {1} || {0} != {0} ? {0} : {1}",
    p.relu: "{0} < 0 ? 0 : {0}",
}
COMPARISONS = (p.less, p.less_equal, p.greater, p.greater_equal, p.equal, p.not_equal)
LOGICAL = (p.logical_and, p.logical_or, p.logical_not)
COPIES = (p.astype, p.broadcast_to, copied)

# Computed by the loop of NumPy's ufunc of that name, from one operand or from two.
NUMPY_LOOPS: dict[Primitive | None, str] = {
    p.exp: "exp",
    p.expm1: "expm1",
    p.log: "log",
    p.log1p: "log1p",
    p.sin: "sin",
    p.cos: "cos",
    p.tanh: "tanh",
    p.maximum: "maximum",
    p.minimum: "minimum",
    p.logaddexp: "logaddexp",
    p.power: "power",
}


@dataclass(frozen=True)
class Style:
    """What computes where NumPy decides what a result is.

    Attributes
    ----------
    functions
        The expressions that are C's own.
    loops
        The primitives that loops of NumPy compute, and the names of these.
    fast
        Whether last digits may change.
    fewest_rows
        From how many rows on C does what NumPy does in another way for fewer.
    """

    functions: Mapping[Primitive | None, str]
    loops: Mapping[Primitive | None, str]
    fast: bool = False
    fewest_rows: int = 2


EXACT = Style({}, NUMPY_LOOPS)
FAST = Style(FAST_EXPRESSIONS, NUMPY_LOOPS, fast=True)


def expression_of(op: Op, style: Style) -> str | None:
    """The expression of an operation that C computes element by element."""
    if op.primitive in (p.scalar_power, p.root):
        n = op.params[0]
        square = "{0} * {0}" if op.kind == "array" else None  # which of a scalar is a power
        root = "sqrt{f}({0})" if op.kind == "array" or op.primitive is p.root else None
        exponent = 1 / n if op.primitive is p.root and n else n
        return {2: square, 0.5: root}.get(exponent)
    return style.functions.get(op.primitive) or EXPRESSIONS.get(op.primitive)


def operand_dtype(op: Op) -> Any:
    """The dtype to which the operands of an expression are converted, or None where C has none."""
    given = [x for x in op.inputs if x.kind != "number"]
    if op.primitive in (*COMPARISONS, p.isnan, p.isfinite):
        dtype = np.result_type(*[x.dtype for x in given], *[0.0] * (len(given) < len(op.inputs)))
        return dtype if dtype in FLOATS and given else None
    if op.primitive in LOGICAL:
        return BOOL if all(x.dtype == BOOL for x in op.inputs) else None
    if op.primitive in COPIES:
        to_integer = op.primitive is p.astype and op.dtype != op.inputs[0].dtype
        exact = op.dtype in FLOATS or not to_integer
        return op.inputs[0].dtype if exact and op.dtype in TYPES else None
    return op.dtype if op.dtype in FLOATS else None


def literal(value: Any, dtype: Any) -> str:
    """A constant number as C writes it, in a dtype."""
    with np.errstate(all="ignore"):
        value = np.asarray(value).astype(dtype)[()]
    if dtype.kind == "b":
        return str(int(value))
    if dtype.kind == "i":
        return f"{int(value)}" if abs(int(value)) < 2**31 else f"INT64_C({int(value)})"
    if not np.isfinite(value):
        text = "NAN" if np.isnan(value) else "INFINITY"
    elif abs(value) == np.finfo(dtype).max:
        text = "FLT_MAX" if dtype == np.float32 else "DBL_MAX"
    else:
        text = number(abs(value)).text
        text += ".0" * (not set(text) & set(".e")) + "f" * (dtype == np.float32)
    return f"(-{text})" if np.signbit(value) else text


def sizes_text(sizes: Sequence[int]) -> str:
    """A number of elements, as a product of type npy_intp where that does not fit an int."""
    axes = " * ".join(str(n) for n in sizes if n != 1) or "1"
    return f"(npy_intp){axes}" if math.prod(sizes) >= 2**31 else axes


# ── Loops over rows ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Access:
    """How an operation that is done in a loop over rows gets at an operand.

    Attributes
    ----------
    operand
        What is read.
    place
        Which of its elements: "full", that in the same row and column; "row", the one of the row;
        "column", the one of the column; "one", the only one; "line", a whole row; "rows", those
        of the row that an index names.
    """

    operand: Op
    place: str


@dataclass(frozen=True)
class RowOp:
    """An operation that is done in a loop over rows.

    Attributes
    ----------
    rows, width
        Of the loop; no width where it goes over single elements.
    full
        Whether the result has an element in each column, too; else it has one for each row.
    accesses
        What it reads.
    how
        "expression"; "numpy", where NumPy's loop computes it; "reduce", from a row one number;
        "pick", an element of the row that an index names; "put" and "add", what it is added to.
    """

    rows: int
    width: int | None
    full: bool
    accesses: tuple[Access, ...]
    how: str


def row_op(op: Op, style: Style) -> RowOp | None:
    """How an operation is done row by row, or None if it is not."""
    if op.kind != "array" or not op.size or not op.in_c_order or op.dtype not in TYPES:
        return None
    if not op.shape or any(x.dtype not in TYPES and x.kind != "number" for x in op.inputs):
        return None
    if op.primitive in (p.sum_, p.max_, p.min_, p.max_constant):
        return _reduction(op, style.fewest_rows)
    if op.primitive in (p.getitem, p.scatter, add_at):
        return _at_places(op)
    by_numpy = op.primitive in style.loops and op.dtype in FLOATS
    if expression_of(op, style) is not None:
        how = "expression"
        if operand_dtype(op) is None:
            return None
    elif by_numpy and all(x.dtype == op.dtype or x.kind == "number" for x in op.inputs):
        how = "numpy"
    else:
        return None
    rows, width = _space(op.shape)
    places = [_place(x, op.shape, width is not None) for x in op.inputs]
    if None in places or (how == "numpy" and {"row", "column"} & {*places} and width is not None):
        return None
    accesses = tuple(Access(x, place or "") for x, place in zip(op.inputs, places, strict=True))
    return RowOp(rows, width, width is not None, accesses, how)


def _space(shape: tuple[int, ...]) -> tuple[int, int | None]:
    """The rows and the width of a loop over an array."""
    if len(shape) == 1 or shape[-1] == 1:
        return math.prod(shape), None
    return math.prod(shape[:-1]), shape[-1]


def is_single(x: Op) -> bool:
    """Whether an operand is one number, wherever it is used."""
    return x.kind != "array" or not x.shape or (x.is_constant and (x.size == 1 or uniform(x)))


def uniform(x: Op) -> bool:
    """Whether it is a constant of which all elements are the same."""
    return x.is_constant and is_uniform(x.data)


def _place(x: Op, shape: tuple[int, ...], full: bool) -> str | None:
    """Which elements of an operand are those for a row and a column of a result."""
    if is_single(x):
        return "one"
    if not x.in_c_order:
        return None
    padded = (1,) * (len(shape) - len(x.shape)) + x.shape
    if padded == shape:
        return "full" if full else "row"
    if x.size == 1:
        return "column" if full and shape[-1] == 1 else "one"
    if not full:
        return None
    if padded[:-1] == shape[:-1] and padded[-1] == 1:
        return "row"
    return "column" if padded[-1] == shape[-1] and x.size == shape[-1] else None


def split_axes(shape: tuple[int, ...], axis: Any) -> tuple[int, int, int] | None:
    """How many elements are outside of the axes of a reduction, along them, and inside, or None.

    None where these axes are not next to one another.
    """
    axes = range(len(shape)) if axis is None else np.atleast_1d(axis) % max(len(shape), 1)
    chosen = sorted({int(i) for i in axes})
    if not chosen or chosen != [*range(chosen[0], chosen[-1] + 1)]:
        return None
    first, last = chosen[0], chosen[-1] + 1
    return math.prod(shape[:first]), math.prod(shape[first:last]), math.prod(shape[last:])


def _reduction(op: Op, fewest_rows: int) -> RowOp | None:
    x = op.inputs[0]
    split = split_axes(x.shape, op.params[0])
    if split is None or x.dtype != op.dtype or op.dtype not in FLOATS or not x.in_c_order:
        return None
    rows, width, inside = split
    if inside != 1 or rows < fewest_rows:  # an axis of length 1 could be taken for another one
        return None
    return RowOp(rows, width, False, (Access(x, "line"),), "reduce")


def _at_places(op: Op) -> RowOp | None:
    """Elements of rows, and rows, that an index names, which is known to be in range."""
    template = op.params[0]
    if template == (ARRAY_SLOT,) and op.primitive is p.getitem:
        x, index = op.inputs
        if not _is_index(index) or not x.in_c_order or len(x.shape) < 2 or x.dtype not in TYPES:
            return None
        accesses = (Access(x, "rows"), Access(index, "row"))
        return RowOp(index.size, math.prod(x.shape[1:]), True, accesses, "expression")
    if template != (ARRAY_SLOT, ARRAY_SLOT):
        return None
    x, *given, rows, index = op.inputs
    shape = op.shape if op.primitive is p.scatter else x.shape
    of_rows = rows.is_constant and is_range(rows.data) and rows.shape == shape[:1] == index.shape
    if len(shape) != 2 or not of_rows or rows.data[1] != 1 or not _is_index(index):
        return None
    added = x if op.primitive is p.scatter else given[0] if given else None
    if added is not None and not (is_single(added) or added.shape == shape[:1]):
        return None
    if op.primitive is not p.scatter and not x.in_c_order:
        return None
    chosen = [Access(index, "row")]
    if added is not None:
        chosen.append(Access(added, "one" if is_single(added) else "row"))
    if op.primitive is p.scatter:
        return RowOp(*shape, True, tuple(chosen), "put")
    how = "pick" if op.primitive is p.getitem else "add"
    return RowOp(*shape, how == "add", (Access(x, "line"), *chosen), how)


def _is_index(index: Op) -> bool:
    return is_taken(index) and index.dtype == np.int64 and index.in_c_order
