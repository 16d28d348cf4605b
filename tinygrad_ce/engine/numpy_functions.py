"""Which of NumPy's functions is which of ours: fills the tables of numpy_protocol.py."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import wraps

import numpy as np

from . import primitives as p
from . import tensor as t
from .array_types import Function
from .axes import Axis, from_the_end
from .numpy_protocol import FUNCTIONS, UFUNCS
from .operations import (
    argsort,
    concatenate,
    einsum,
    logaddexp,
    matmul,
    maximum,
    minimum,
    norm,
    operand,
    sort,
    split,
    stack,
    take_along_axis,
    truth,
    where,
)
from .tensor import Tensor, TensorLike, apply, as_index, as_tensor

_UFUNC_OF: dict[np.ufunc, Function] = {
    np.add: operator.add,
    np.subtract: operator.sub,
    np.multiply: operator.mul,
    np.divide: operator.truediv,
    np.power: operator.pow,
    np.float_power: operator.pow,
    np.matmul: matmul,
    np.negative: operator.neg,
    np.positive: operator.pos,
    np.maximum: maximum,
    np.minimum: minimum,
    np.logaddexp: logaddexp,
    np.less: operator.lt,
    np.less_equal: operator.le,
    np.greater: operator.gt,
    np.greater_equal: operator.ge,
    np.equal: operator.eq,
    np.not_equal: operator.ne,
    np.logical_and: lambda a, b: truth(a) & truth(b),
    np.logical_or: lambda a, b: truth(a) | truth(b),
    np.logical_not: lambda x: ~truth(x),
    np.bitwise_and: operator.and_,
    np.bitwise_or: operator.or_,
    np.invert: operator.invert,
    np.square: lambda x: x * x,
    np.reciprocal: lambda x: 1 / x,
}
_UFUNC_OF |= {
    ufunc: lambda x, primitive=primitive: apply(primitive, x)
    for ufunc, primitive in {
        np.exp: p.exp,
        np.expm1: p.expm1,
        np.log: p.log,
        np.log1p: p.log1p,
        np.sqrt: p.sqrt,
        np.sin: p.sin,
        np.cos: p.cos,
        np.tanh: p.tanh,
        np.absolute: p.abs_,
        np.sign: p.sign,
        np.isfinite: p.isfinite,
        np.isnan: p.isnan,
    }.items()
}


def _on_tensors(function: Function) -> Function:
    """The operator with its operands made Tensors, so that an array on the left does not recur."""
    return lambda *operands: function(*map(operand, operands))


UFUNCS.update({(ufunc, "__call__"): _on_tensors(f) for ufunc, f in _UFUNC_OF.items()})


def _reduction(method: Function) -> Function:
    @wraps(method)
    def reduce(x: TensorLike, axis: Axis = 0, keepdims: bool = False) -> Tensor:
        reduced: Tensor = method(as_tensor(x), axis, keepdims)
        return reduced

    return reduce


UFUNCS.update(
    {
        (np.add, "reduce"): _reduction(Tensor.sum),
        (np.maximum, "reduce"): _reduction(Tensor.max),
        (np.minimum, "reduce"): _reduction(Tensor.min),
    }
)


def _at_least_2d(tensors: Sequence[TensorLike]) -> list[Tensor]:
    parts = [as_tensor(part) for part in tensors]
    return [part.reshape(1, -1) if part.ndim < 2 else part for part in parts]


def _hstack(tensors: Sequence[TensorLike]) -> Tensor:
    parts = [as_tensor(part) for part in tensors]
    parts = [part if part.ndim else part.reshape(1) for part in parts]
    return concatenate(parts, int(bool(parts) and parts[0].ndim > 1))


def _take(x: Tensor, indices: TensorLike, axis: int | None) -> Tensor:
    places = as_index(list(indices) if isinstance(indices, tuple) else indices)
    if places.dtype == bool:  # to np.take these are numbers, 0 and 1, and no mask
        places = places.astype(np.intp)
    if places.dtype.kind not in "iu":
        raise TypeError(f"np.take needs integer indices, got {places.dtype}")
    if axis is None or (not x.ndim and axis in (0, -1)):
        return x.flatten()[places]
    return x[(*(slice(None),) * (from_the_end(axis, x.ndim) % x.ndim), places)]


def _dot(a: Tensor, b: Tensor) -> Tensor:
    if not a.ndim or not b.ndim:
        return a * b
    if b.ndim > 2:
        raise TypeError("np.dot on Tensors is for b of up to 2 axes: use np.matmul or np.einsum")
    return t.matmul(a, b)


def _moved(ndim: int, source: int | Sequence[int], destination: int | Sequence[int]) -> list[int]:
    shape = np.moveaxis(np.empty(range(ndim)), source, destination).shape
    return list(shape)


FUNCTIONS.update(
    {
        np.where: where,
        np.concatenate: concatenate,
        np.stack: stack,
        np.vstack: lambda tensors: concatenate(_at_least_2d(tensors), 0),
        np.hstack: _hstack,
        np.split: split,
        np.take_along_axis: take_along_axis,
        np.take: lambda x, indices, axis=None: _take(as_tensor(x), indices, axis),
        np.sort: sort,
        np.argsort: argsort,
        np.einsum: einsum,
        np.linalg.norm: norm,
        np.dot: lambda a, b: _dot(as_tensor(a), as_tensor(b)),
        np.outer: lambda a, b: as_tensor(a).reshape(-1, 1) * as_tensor(b).reshape(1, -1),
        np.cumsum: Tensor.cumsum,
        np.sum: Tensor.sum,
        np.mean: Tensor.mean,
        np.max: Tensor.max,
        np.min: Tensor.min,
        np.amax: Tensor.max,
        np.amin: Tensor.min,
        np.var: lambda x, axis=None, *, ddof=0, keepdims=False: x.var(axis, keepdims, ddof=ddof),
        np.std: lambda x, axis=None, *, ddof=0, keepdims=False: x.std(axis, keepdims, ddof=ddof),
        np.argmax: Tensor.argmax,
        np.argmin: Tensor.argmin,
        np.clip: lambda x, a_min=None, a_max=None, *, min=None, max=None: as_tensor(x).clip(
            a_min if min is None else min, a_max if max is None else max
        ),
        np.reshape: lambda x, /, shape: x.reshape(shape),
        np.ravel: Tensor.flatten,
        np.transpose: lambda x, axes=None: x.transpose(axes),
        np.swapaxes: Tensor.swapaxes,
        np.expand_dims: Tensor.expand_dims,
        np.squeeze: Tensor.squeeze,
        np.broadcast_to: lambda x, shape: x.broadcast_to(shape),
        np.moveaxis: lambda x, source, destination: x.transpose(
            *_moved(x.ndim, source, destination)
        ),
        np.zeros_like: lambda x: Tensor(np.zeros(x.shape, x.dtype)),
        np.ones_like: lambda x: Tensor(np.ones(x.shape, x.dtype)),
        np.shape: lambda x: x.shape,
        np.ndim: lambda x: x.ndim,
        np.size: lambda x: x.size,
    }
)
