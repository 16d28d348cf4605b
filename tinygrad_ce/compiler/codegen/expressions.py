"""What computes each primitive: an operator, a function of NumPy's, or one of this package.

A primitive that none of these tables has is called by its function, which a module takes along.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ...engine import kernels
from ...engine import primitives as p
from ...engine.axes import count_along
from ...engine.kernels import ARRAY_SLOT
from ..ir import Loop, Op
from ..passes import add_at, add_at_flat, adds_rows, copied, is_taken, take, typed
from ..recorder import sampled, verified
from .literals import Text, argument, dtype_name, number, parameter

OPERATORS = {
    p.add: "+", p.subtract: "-", p.multiply: "*", p.divide: "/", p.matmul: "@", p.power: "**",
    p.less: "<", p.less_equal: "<=", p.greater: ">", p.greater_equal: ">=", p.equal: "==",
    p.not_equal: "!=", p.logical_and: "&", p.logical_or: "|",
}  # fmt: skip
FUNCTIONS = {
    p.exp: "np.exp", p.expm1: "np.expm1", p.log: "np.log", p.log1p: "np.log1p", p.sqrt: "np.sqrt",
    p.sin: "np.sin", p.cos: "np.cos", p.tanh: "np.tanh", p.abs_: "np.abs", p.sign: "np.sign",
    p.isfinite: "np.isfinite", p.isnan: "np.isnan", p.maximum: "np.maximum",
    p.minimum: "np.minimum", p.logaddexp: "np.logaddexp",
}  # fmt: skip
REDUCTIONS = {p.sum_: "np.add", p.max_: "np.maximum", p.min_: "np.minimum"}


class Printer(Protocol):
    """What an expression is written for."""

    loop: Loop | None
    generators: dict[np.random.Generator, str]

    def index(self, pattern: tuple[Any, ...], arrays: list[Op], user: Op | None = None) -> str:
        """What stands between the brackets."""


def expression(printer: Printer, op: Op, operands: list[Text]) -> Text:
    """What computes an operation from its operands."""
    primitive, params = op.primitive, op.params
    assert primitive is not None
    if primitive is p.matmul and all(len(x.shape) <= 2 for x in op.inputs):
        return Text(f"{operands[0]}.dot({operands[1].text})")
    if primitive in OPERATORS:
        return Text(f"{operands[0]} {OPERATORS[primitive]} {operands[1]}", False)
    if primitive in FUNCTIONS:
        return Text(f"{FUNCTIONS[primitive]}({', '.join(x.text for x in operands)})")
    if primitive is p.sum_ and _sums_rows_of_tall(op):
        return Text(f'np.einsum("ij->j", {operands[0].text})')
    if primitive in REDUCTIONS:
        return Text(_reduction(REDUCTIONS[primitive], operands[0], params[0], params[1]))
    if primitive in _WRITERS:
        return _WRITERS[primitive](printer, op, operands)
    given = [x.text for x in operands] + [parameter(value) for value in params]
    return Text(f"{primitive.value.__name__}({', '.join(given)})")


def own_function(op: Op) -> Callable[..., Any] | None:
    """The function of this package that computes an operation, if no expression of NumPy's does."""
    if op.primitive is verified:
        check: Callable[..., Any] = op.params[0]
        return check
    if op.primitive is None or op.primitive in (p.scatter, add_at, add_at_flat):
        return kernels.add_rows if adds_rows(op) else None
    written = op.primitive in OPERATORS or op.primitive in FUNCTIONS or op.primitive in REDUCTIONS
    return None if written or op.primitive in _WRITERS else op.primitive.value


def _reduction(ufunc: str, x: Text, axis: Any, keepdims: bool) -> str:
    option = ", keepdims=True" if keepdims else ""
    axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
    return f"{ufunc}.reduce({x.text}, {axis}{option})"


def _sums_rows_of_tall(op: Op) -> bool:
    """Whether it adds up many short rows: einsum adds in the same order as a reduction, faster."""
    x, (axis, keepdims) = op.inputs[0], op.params
    if keepdims or axis not in (0, (0,)) or len(x.shape) != 2 or x.dtype.char not in "fd":
        return False
    return x.in_c_order and x.shape[0] >= 100 and 2 <= x.shape[1] <= 32


# ── How each primitive is written that is no operator and no function of NumPy's ──────────────────


def _write_sample(printer: Printer, op: Op, operands: list[Text]) -> Text:
    generator, method, args, options = op.params
    arrays = iter(operands)
    given = [next(arrays).text if x is ARRAY_SLOT else argument(x) for x in args]
    named = [f"{k}={next(arrays).text if x is ARRAY_SLOT else argument(x)}" for k, x in options]
    call = f"{printer.generators[generator]}.{method}({', '.join(given + named)})"
    return Text(f"{dtype_name(op.dtype)}({call})" if op.kind == "scalar" else call)


def _write_mean(printer: Printer, op: Op, operands: list[Text]) -> Text:
    x, (axis, keepdims) = op.inputs[0], op.params
    n = count_along(x.shape, axis)
    if x.dtype == np.float16:
        total = f"np.add.reduce({operands[0].text}, {axis}, np.float32, keepdims={keepdims})"
        return Text(f"({total} / {n}).astype(np.float16)")
    return Text(f"{_reduction('np.add', operands[0], axis, keepdims)} / {n}", False)


def _write_peak(printer: Printer, op: Op, operands: list[Text]) -> Text:
    axis, initial = op.params
    options = f"keepdims=True, initial={number(initial).text}"
    return Text(f"np.maximum.reduce({operands[0].text}, {axis}, {options})")


def _write_getitem(printer: Printer, op: Op, operands: list[Text]) -> Text:
    pattern = op.params[0]
    if (
        pattern == (ARRAY_SLOT,)
        and op.in_c_order
        and op.inputs[0].in_c_order
        and is_taken(op.inputs[1])
    ):
        return Text(f"{operands[0]}.take({operands[1].text}, 0)")
    scalar = op.kind == "scalar" and any(part is ARRAY_SLOT or part is Ellipsis for part in pattern)
    return Text(f"{operands[0]}[{printer.index(pattern, op.inputs[1:], op)}]" + "[()]" * scalar)


def _write_broadcast(printer: Printer, op: Op, operands: list[Text]) -> Text:
    (shape,) = op.params
    if op.size > kernels.LARGEST_FILLED:  # a view, as in the eager step
        return Text(f"np.broadcast_to({operands[0].text}, {shape})")
    return Text(f"np.full({shape}, {operands[0].text}, {dtype_name(op.dtype)})")


def _write_reshape(printer: Printer, op: Op, operands: list[Text]) -> Text:
    sizes = op.shape if printer.loop is None else (-1, *op.shape[1:])
    shape = ", ".join(map(str, sizes)) or "()"
    scalar = "[()]" * (op.kind == "scalar")
    return Text(f"{operands[0]}.reshape({shape}){scalar}")


def _write_transpose(printer: Printer, op: Op, operands: list[Text]) -> Text:
    axes = op.params[0]
    if axes == tuple(range(len(axes)))[::-1]:
        return Text(f"{operands[0]}.T")
    return Text(f"{operands[0]}.transpose({', '.join(map(str, axes))})")


def _write_cast(printer: Printer, op: Op, operands: list[Text]) -> Text:
    return Text(f"{operands[0]}.astype({dtype_name(op.params[0])})")


def _write_arg(function: str) -> Callable[[Printer, Op, list[Text]], Text]:
    def write(printer: Printer, op: Op, operands: list[Text]) -> Text:
        axis, keepdims = op.params
        option = ", keepdims=True" if keepdims else ""
        if op.inputs[0].kind == "array":
            return Text(f"{operands[0]}.{function}({axis}{option})")
        return Text(f"np.{function}({operands[0].text}, {axis}{option})")

    return write


def _write_where(printer: Printer, op: Op, operands: list[Text]) -> Text:
    scalar = "[()]" * (op.kind != "array")
    return Text(f"np.where({', '.join(x.text for x in operands)}){scalar}")


def _write_concatenate(printer: Printer, op: Op, operands: list[Text]) -> Text:
    parts = ", ".join(x.text for x in operands) + "," * (len(operands) == 1)
    return Text(f"np.concatenate(({parts}), {op.params[0]})")


def _write_einsum(printer: Printer, op: Op, operands: list[Text]) -> Text:
    optimize = ", optimize=True" if len(operands) > 2 else ""
    given = ", ".join(x.text for x in operands)
    return Text(f'np.einsum("{op.params[0]}", {given}{optimize})[()]')


_WRITERS: dict[Any, Callable[[Printer, Op, list[Text]], Text]] = {
    sampled: _write_sample,
    p.mean: _write_mean,
    p.max_constant: _write_peak,
    p.getitem: _write_getitem,
    p.broadcast_to: _write_broadcast,
    p.reshape: _write_reshape,
    p.transpose: _write_transpose,
    p.astype: _write_cast,
    p.argmax: _write_arg("argmax"),
    p.argmin: _write_arg("argmin"),
    p.argsort: lambda _, op, x: Text(f'np.argsort({x[0].text}, {op.params[0]}, kind="stable")'),
    p.cumsum: lambda _, op, x: Text(f"np.cumsum({x[0].text}, {op.params[0]})"),
    p.where: _write_where,
    copied: lambda _, op, x: Text(f"np.copy({x[0].text})"),
    take: lambda _, op, x: Text(f"{x[0]}.take({x[1].text})"),
    typed: lambda _, op, x: Text(f"np.array({x[0].text}, {dtype_name(op.dtype)})"),
    p.concatenate: _write_concatenate,
    p.einsum: _write_einsum,
    p.negative: lambda _, op, x: Text(f"-{x[0]}", False),
    p.logical_not: lambda _, op, x: Text(f"~{x[0]}", False),
    p.scalar_power: lambda _, op, x: Text(f"{x[0]} ** {number(op.params[0])}", False),
    p.relu: lambda _, op, x: Text(f"np.maximum({x[0].text}, 0)"),
    p.clip: lambda _, op, x: Text(
        f"np.clip({x[0].text}, {parameter(op.params[0])}, {parameter(op.params[1])})"
    ),
}
