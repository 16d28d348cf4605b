"""Functions of several Tensors, and NumPy's functions on Tensors.

``np.exp(t)``, ``np.where(c, a, b)``, ``t + np.ones(3)`` and ``np.concatenate([...])`` arrive here
through NumPy's protocols, and do the same as the methods and functions of this package. What is
not in these two tables raises a TypeError, and so never drops a gradient quietly.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from . import primitives as p
from . import tensor as t
from .tensor import FUNCTIONS, UFUNCS, Tensor, apply, as_tensor


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """Choose from a where the condition holds, and from b elsewhere, element by element.

    Parameters
    ----------
    condition
        Booleans; it gets no gradient.
    a, b
        Tensors, arrays or numbers that broadcast with the condition.

    Notes
    -----
    The gradient of the choice that was not taken is 0, and 0 times an infinite derivative is nan:
    for ``where(x > 0, log(x), 0)`` at 0, make the argument safe as well:
    ``where(x > 0, log(where(x > 0, x, 1)), 0)``.

    >>> import tinygrad_ce as tg
    >>> tg.where([True, False], tg.Tensor([1.0, 2.0]), 0)
    Tensor([1., 0.])
    """
    return apply(p.where, as_tensor(_mask(condition)), as_tensor(a), as_tensor(b))


def _mask(condition: Any) -> Any:
    return condition if isinstance(condition, Tensor) else np.asarray(condition, bool)


def maximum(a: Any, b: Any) -> Tensor:
    """The larger of a and b, element by element; at ties each gets half of the gradient.

    >>> import tinygrad_ce as tg
    >>> tg.maximum(tg.Tensor([1.0, 5.0]), 3)
    Tensor([3., 5.])
    """
    return apply(p.maximum, as_tensor(a), as_tensor(b))


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of a and b, element by element; at ties each gets half of the gradient.

    >>> import tinygrad_ce as tg
    >>> tg.minimum(tg.Tensor([1.0, 5.0]), 3)
    Tensor([1., 3.])
    """
    return apply(p.minimum, as_tensor(a), as_tensor(b))


def matmul(a: Any, b: Any) -> Tensor:
    """The matrix product a @ b, with NumPy's rules for vectors and for stacks of matrices.

    >>> import tinygrad_ce as tg
    >>> tg.matmul(tg.Tensor([[1.0, 2.0]]), [3.0, 4.0])
    Tensor([11.])
    """
    return t.matmul(as_tensor(a), as_tensor(b))


def concatenate(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Joined along an axis that they have.

    >>> import tinygrad_ce as tg
    >>> tg.concatenate([tg.Tensor([1.0]), [2.0, 3.0]])
    Tensor([1., 2., 3.])
    """
    return apply(p.concatenate, *map(as_tensor, tensors), params=(axis,))


def stack(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Joined along a new axis.

    >>> import tinygrad_ce as tg
    >>> tg.stack([tg.Tensor(1.0), tg.Tensor(2.0)])
    Tensor([1., 2.])
    """
    parts = [as_tensor(part) for part in tensors]
    if len({part.shape for part in parts}) > 1:
        raise ValueError(
            f"stack needs tensors of one shape, got {', '.join(str(part.shape) for part in parts)}"
        )
    return concatenate([part.expand_dims(axis) for part in parts], axis)


# ── NumPy's protocols ─────────────────────────────────────────────────────────────────────────────

_UFUNC_OF: dict[np.ufunc, Callable[..., Any]] = {
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
    np.less: operator.lt,
    np.less_equal: operator.le,
    np.greater: operator.gt,
    np.greater_equal: operator.ge,
    np.equal: operator.eq,
    np.not_equal: operator.ne,
    np.logical_and: operator.and_,
    np.logical_or: operator.or_,
    np.logical_not: operator.invert,
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


def _on_tensors(function: Callable[..., Any]) -> Callable[..., Any]:
    """The operator with its operands made Tensors, so that an array on the left does not recur."""

    @wraps(function)
    def on_tensors(*operands: Any, **kwargs: Any) -> Any:
        return function(*map(as_tensor, operands), **kwargs)

    return on_tensors


UFUNCS.update({(ufunc, "__call__"): _on_tensors(f) for ufunc, f in _UFUNC_OF.items()})


def _reduction(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def reduce(x: Any, axis: Any = 0, keepdims: bool = False) -> Any:
        return method(as_tensor(x), axis, keepdims)

    return reduce


UFUNCS.update(
    {
        (np.add, "reduce"): _reduction(Tensor.sum),
        (np.maximum, "reduce"): _reduction(Tensor.max),
        (np.minimum, "reduce"): _reduction(Tensor.min),
    }
)

FUNCTIONS.update(
    {
        np.where: where,
        np.concatenate: concatenate,
        np.stack: stack,
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
        np.clip: Tensor.clip,
        np.reshape: lambda x, /, shape: x.reshape(shape),
        np.ravel: Tensor.flatten,
        np.transpose: lambda x, axes=None: x.transpose(axes),
        np.swapaxes: Tensor.swapaxes,
        np.expand_dims: Tensor.expand_dims,
        np.squeeze: Tensor.squeeze,
        np.broadcast_to: lambda x, shape: x.broadcast_to(shape),
        np.shape: lambda x: x.shape,
        np.ndim: lambda x: x.ndim,
        np.size: lambda x: x.size,
    }
)
