"""What computes each primitive: an operator, a function of NumPy's, or one of this package.

A primitive that the compiler knows no expression for is called by its function, which a module
takes along.
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
from ..passes import adds_rows, is_taken
from ..primitives import add_at, add_at_flat, sampled, verified
from .literals import Text, argument, dtype_name, parameter


class Printer(Protocol):
    """What an expression is written for."""

    loop: Loop | None
    generators: dict[np.random.Generator, str]

    def index(self, template: tuple[Any, ...], arrays: list[Op], user: Op | None = None) -> str:
        """What is written between the brackets."""


def expression(printer: Printer, op: Op, operands: list[Text]) -> Text:
    """What computes an operation from its operands."""
    primitive, facts = op.primitive, op.facts
    assert primitive is not None
    if primitive is p.matmul and all(len(x.shape) <= 2 for x in op.inputs):
        return Text(f"{operands[0]}.dot({operands[1].text})")
    if facts.operator:
        first, *second = map(str, operands)
        words = (first, facts.operator, *second) if second else (facts.operator + first,)
        return Text(" ".join(words), False)
    if primitive in _WRITERS:
        return _WRITERS[primitive](printer, op, operands)
    params = [parameter(value) for value in op.params]
    if facts.template:
        text = facts.template.format(*operands, **dict(zip(primitive.params, params, strict=True)))
        return Text(text, primitive is not p.scalar_power)
    given = [x.text for x in operands]
    if facts.ufunc:
        return Text(f"np.{facts.ufunc}({', '.join(given)})")
    given += [x.text for x in params]
    return Text(f"{helper_name(primitive.value)}({', '.join(given)})")


def helper_name(function: Callable[..., Any]) -> str:
    """What a function of this package is called until it is known whether its name is free."""
    return f"_{function.__name__.lstrip('_')}"


def own_function(op: Op) -> Callable[..., Any] | None:
    """The function of this package that computes an operation, if no expression of NumPy's does."""
    if op.primitive is verified:
        check: Callable[..., Any] = op.params[0]
        return check
    if op.primitive is None or op.primitive in (p.scatter, add_at, add_at_flat):
        return kernels.add_rows if adds_rows(op) else None
    facts = op.facts
    written = facts.operator or facts.ufunc or facts.template or op.primitive in _WRITERS
    return None if written else op.primitive.value


# ── How each primitive is written that is no operator and no function of NumPy's ──────────────────


def _reduction(ufunc: str, x: Text, axis: Any, keepdims: bool) -> str:
    option = ", keepdims=True" if keepdims else ""
    axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
    return f"np.{ufunc}.reduce({x.text}, {axis}{option})"


def _write_reduction(printer: Printer, op: Op, operands: list[Text]) -> Text:
    if op.primitive is p.sum_ and _sums_rows_of_tall(op):
        return Text(f'np.einsum("ij->j", {operands[0].text})')
    return Text(_reduction(op.facts.reduction, operands[0], *op.params))


def _sums_rows_of_tall(op: Op) -> bool:
    """Whether it adds up many short rows: einsum adds in the same order as a reduction, faster."""
    x, (axis, keepdims) = op.inputs[0], op.params
    if keepdims or axis not in (0, (0,)) or len(x.shape) != 2 or x.dtype.char not in "fd":
        return False
    return x.in_c_order and x.shape[0] >= 100 and 2 <= x.shape[1] <= 32


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
    return Text(f"{_reduction('add', operands[0], axis, keepdims)} / {n}", False)


def _write_getitem(printer: Printer, op: Op, operands: list[Text]) -> Text:
    template = op.params[0]
    if (
        template == (ARRAY_SLOT,)
        and op.in_c_order
        and op.inputs[0].in_c_order
        and is_taken(op.inputs[1])
    ):
        return Text(f"{operands[0]}.take({operands[1].text}, 0)")
    scalar = op.kind == "scalar" and (ARRAY_SLOT in template or Ellipsis in template)
    return Text(f"{operands[0]}[{printer.index(template, op.inputs[1:], op)}]" + "[()]" * scalar)


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


def _write_arg(printer: Printer, op: Op, operands: list[Text]) -> Text:
    (axis, keepdims), x = op.params, operands[0]
    assert op.primitive is not None
    option = ", keepdims=True" if keepdims else ""
    if op.inputs[0].kind == "array":
        return Text(f"{x}.{op.primitive.name}({axis}{option})")
    return Text(f"np.{op.primitive.name}({x.text}, {axis}{option})")


def _write_root(printer: Printer, op: Op, operands: list[Text]) -> Text:
    (n,) = op.params
    if n == 2:
        return Text(f"np.sqrt({operands[0].text})")
    return Text(f"{operands[0]} ** {parameter(1 / n)}", False)


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
    p.sum_: _write_reduction,
    p.max_: _write_reduction,
    p.min_: _write_reduction,
    p.mean: _write_mean,
    p.getitem: _write_getitem,
    p.broadcast_to: _write_broadcast,
    p.reshape: _write_reshape,
    p.transpose: _write_transpose,
    p.argmax: _write_arg,
    p.argmin: _write_arg,
    p.root: _write_root,
    p.where: _write_where,
    p.concatenate: _write_concatenate,
    p.einsum: _write_einsum,
}
