"""Primitives that are several steps in C, written out as those."""

from __future__ import annotations

import numpy as np

from ....engine import primitives as p
from ....engine.axes import count_along
from ...ir import Op, Program, constant_op
from ...passes import Add
from .expressions import FLOATS


def lower(program: Program, fast: bool) -> Program:
    """Write out what C has no single expression for, in a program of its own."""

    def made(
        op: Op, primitive: p.Primitive, inputs: list[Op], params: tuple[object, ...] = ()
    ) -> Op:
        new = op.like(primitive, inputs, params)
        new.gradient_of, new.name = (), None
        return new

    def rule(op: Op, add: Add) -> Op:
        x = op.inputs[0] if op.inputs else op
        if op.dtype not in FLOATS or x.dtype != op.dtype or op.primitive is None:
            return op
        if op.primitive is p.mean:
            total = add(made(op, p.sum_, [x], op.params))
            return op.like(
                p.divide, [total, add(constant_op(count_along(x.shape, op.params[0])))], ()
            )
        if op.primitive is p.relu and not fast:
            return op.like(p.maximum, [x, add(constant_op(0))], ())
        if op.primitive is p.sigmoid and not fast:
            zero, one = add(constant_op(0)), add(constant_op(1))
            negative = made(op, p.less, [x, zero])
            negative.dtype = np.dtype(bool)
            negative.strides = tuple(n // op.dtype.itemsize for n in op.strides)
            minus = add(made(op, p.negative, [x]))
            power = add(made(op, p.exp, [add(made(op, p.where, [add(negative), x, minus]))]))
            above = add(made(op, p.where, [negative, power, one]))
            return op.like(p.divide, [above, add(made(op, p.add, [one, power]))], ())
        if op.primitive in (p.scalar_power, p.root) and op.kind == "array":
            (n,) = op.params
            exponent = 1 / n if op.primitive is p.root and n else n
            if exponent not in (2, 0.5):
                return op.like(p.power, [x, add(constant_op(exponent))], ())
        return op

    return program.copy().rewrite(rule)
