"""Products of vectors, matrices and arrays with more axes, besides `matmul` and `einsum`."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..arguments import check_integer, check_sequence, shown
from ..other_names import numpy_keywords
from . import tensor as t
from .axes import as_integers, from_the_end
from .operations import stack
from .rearranging import moveaxis
from .tensor import Tensor, TensorLike, as_tensor

Axes = int | Sequence[int] | tuple[Sequence[int], Sequence[int]]


def dot(a: TensorLike, b: TensorLike) -> Tensor:
    """Return the sum of products over the last axis of a and the second to last (or only) of b.

    Parameters
    ----------
    a, b
        Tensors or arrays; a number multiplies.

    >>> import tinygrad_ce as tg
    >>> tg.dot(tg.Tensor([1.0, 2.0]), [3.0, 4.0])
    Tensor(11.)
    """
    x, y = as_tensor(a), as_tensor(b)
    if not x.ndim or not y.ndim:
        return x * y
    if y.ndim <= 2:
        return t.matmul(x, y)
    return tensordot(x, y, (-1, -2))


def vdot(a: TensorLike, b: TensorLike) -> Tensor:
    """Return the sum of products of all elements of two arrays."""
    return t.matmul(as_tensor(a).flatten(), as_tensor(b).flatten())


def inner(a: TensorLike, b: TensorLike) -> Tensor:
    """Return the sums of products over the last axes of both.

    >>> import tinygrad_ce as tg
    >>> tg.inner(tg.Tensor([1.0, 2.0]), [3.0, 4.0])
    Tensor(11.)
    """
    x, y = as_tensor(a), as_tensor(b)
    if not x.ndim or not y.ndim:
        return x * y
    return tensordot(x, y, (-1, -1))


def outer(a: TensorLike, b: TensorLike) -> Tensor:
    """Return the products of each element of a with each of b.

    >>> import tinygrad_ce as tg
    >>> tg.outer(tg.Tensor([1.0, 2.0]), [3.0, 4.0])
    Tensor([[3., 4.],
            [6., 8.]])
    """
    return as_tensor(a).reshape(-1, 1) * as_tensor(b).reshape(1, -1)


@numpy_keywords
def tensordot(a: TensorLike, b: TensorLike, axes: Axes = 2) -> Tensor:
    """Return the sum of products over pairs of axes.

    Parameters
    ----------
    a, b
        Tensors or arrays.
    axes
        How many of the last axes of a and first of b, or the axes of a and those of b.

    Raises
    ------
    ValueError
        Axes of different lengths.

    >>> import numpy as np, tinygrad_ce as tg
    >>> tg.tensordot(tg.Tensor(np.ones((2, 3))), np.ones((3, 2)), axes=1)
    Tensor([[3., 3.],
            [3., 3.]])
    """
    x, y = as_tensor(a), as_tensor(b)
    if not isinstance(axes, tuple | list) and not getattr(axes, "ndim", 0):
        n = check_integer("axes", axes, 0)
        if n > min(x.ndim, y.ndim):
            raise ValueError(f"tensordot: {n} axes of arrays of shape {x.shape} and {y.shape}")
        of_x, of_y = list(range(x.ndim - n, x.ndim)), list(range(n))
    else:
        pair = check_sequence("axes", axes)
        if len(pair) != 2:
            raise ValueError(f"tensordot: the axes of a and those of b, got {shown(axes)}")
        given = [as_integers("axis", part) for part in pair]
        of_x, of_y = (
            [from_the_end(k, z.ndim) + z.ndim for k in ks]
            for z, ks in zip((x, y), given, strict=True)
        )
    lengths = [x.shape[k] for k in of_x]
    if lengths != [y.shape[k] for k in of_y]:
        raise ValueError(
            f"tensordot: axes {of_x} of shape {x.shape} and {of_y} of shape {y.shape} do not match"
        )
    rest_x = [k for k in range(x.ndim) if k not in of_x]
    rest_y = [k for k in range(y.ndim) if k not in of_y]
    shape = tuple(x.shape[k] for k in rest_x) + tuple(y.shape[k] for k in rest_y)
    n = math.prod(lengths)
    rows = x.transpose(*rest_x, *of_x).reshape(math.prod(x.shape[k] for k in rest_x), n)
    columns = y.transpose(*of_y, *rest_y).reshape(n, math.prod(y.shape[k] for k in rest_y))
    return (rows @ columns).reshape(shape)


def kron(a: TensorLike, b: TensorLike) -> Tensor:
    """Return the Kronecker product: each element of a times all of b, side by side.

    >>> import tinygrad_ce as tg
    >>> tg.kron(tg.Tensor([1.0, 10.0]), [1.0, 2.0])
    Tensor([ 1.,  2., 10., 20.])
    """
    x, y = as_tensor(a), as_tensor(b)
    n = max(x.ndim, y.ndim)
    of_x = (1,) * (n - x.ndim) + x.shape
    of_y = (1,) * (n - y.ndim) + y.shape
    spread_x = tuple(k for m in of_x for k in (m, 1))
    spread_y = tuple(k for m in of_y for k in (1, m))
    product = x.reshape(spread_x) * y.reshape(spread_y)
    return product.reshape(tuple(m * k for m, k in zip(of_x, of_y, strict=True)))


@numpy_keywords
def cross(
    a: TensorLike,
    b: TensorLike,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
) -> Tensor:
    """Return the cross product of vectors of length 3 along an axis.

    Parameters
    ----------
    a, b
        Tensors or arrays whose other axes broadcast.
    axisa, axisb, axisc, axis
        Along which the vectors are in a, in b and in the result; the last for all three.

    Raises
    ------
    ValueError
        Vectors of another length.

    >>> import tinygrad_ce as tg
    >>> tg.cross(tg.Tensor([1.0, 0.0, 0.0]), [0.0, 1.0, 0.0])
    Tensor([0., 0., 1.])
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    axisa, axisb, axisc = (check_integer("axis", k) for k in (axisa, axisb, axisc))
    x, y = moveaxis(as_tensor(a), axisa, -1), moveaxis(as_tensor(b), axisb, -1)
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        raise ValueError(
            f"cross is of vectors of length 3, got shape {as_tensor(a).shape} and "
            f"{as_tensor(b).shape}"
        )
    (a0, a1, a2), (b0, b1, b2) = ([z[..., i] for i in range(3)] for z in (x, y))
    parts = [a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0]
    return moveaxis(stack(parts, -1), -1, axisc)


def vecdot(x1: TensorLike, x2: TensorLike, /, *, axis: int = -1) -> Tensor:
    """Return the sums of products along an axis of two arrays that broadcast."""
    x, y = moveaxis(as_tensor(x1), axis, -1), moveaxis(as_tensor(x2), axis, -1)
    return t.matmul(x[..., None, :], y[..., :, None])[..., 0, 0]


def matvec(x1: TensorLike, x2: TensorLike, /) -> Tensor:
    """Return the products of a stack of matrices with a stack of vectors."""
    return t.matmul(as_tensor(x1), as_tensor(x2)[..., :, None])[..., 0]


def vecmat(x1: TensorLike, x2: TensorLike, /) -> Tensor:
    """Return the products of a stack of vectors with a stack of matrices."""
    return t.matmul(as_tensor(x1)[..., None, :], as_tensor(x2))[..., 0, :]
