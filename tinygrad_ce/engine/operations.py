"""Functions of several Tensors, and NumPy's functions on Tensors.

``np.exp(t)``, ``np.where(c, a, b)``, ``t + np.ones(3)`` and ``np.concatenate([...])`` arrive here
through NumPy's protocols, and do the same as the methods and functions of this package. What is
not in these two tables raises a TypeError, and so never drops a gradient quietly.
"""

from __future__ import annotations

import operator
import string
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from . import primitives as p
from . import tensor as t
from .context import MODE
from .tensor import (
    FUNCTIONS,
    UFUNCS,
    Tensor,
    apply,
    as_index,
    as_operand,
    as_tensor,
    constant,
    from_the_end,
    of_one,
)


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
    return apply(p.where, _truth(as_tensor(condition)), _operand(a), _operand(b))


def _operand(x: Any) -> Tensor:
    """A number as it is, anything else as a Tensor; a TypeError for what is not numeric."""
    operand = as_operand(x)
    return as_tensor(x) if operand is NotImplemented else operand


def maximum(a: Any, b: Any) -> Tensor:
    """The larger of a and b, element by element; at ties each gets half of the gradient.

    >>> import tinygrad_ce as tg
    >>> tg.maximum(tg.Tensor([1.0, 5.0]), 3)
    Tensor([3., 5.])
    """
    return apply(p.maximum, _operand(a), _operand(b))


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of a and b, element by element; at ties each gets half of the gradient.

    >>> import tinygrad_ce as tg
    >>> tg.minimum(tg.Tensor([1.0, 5.0]), 3)
    Tensor([1., 3.])
    """
    return apply(p.minimum, _operand(a), _operand(b))


def matmul(a: Any, b: Any) -> Tensor:
    """The matrix product a @ b, with NumPy's rules for vectors and for stacks of matrices.

    >>> import tinygrad_ce as tg
    >>> tg.matmul(tg.Tensor([[1.0, 2.0]]), [3.0, 4.0])
    Tensor([11.])
    """
    return t.matmul(as_tensor(a), as_tensor(b))


def logaddexp(a: Any, b: Any) -> Tensor:
    """log(exp(a) + exp(b)), element by element, without overflow.

    >>> import tinygrad_ce as tg
    >>> tg.logaddexp(tg.Tensor(1000.0), 1000.0)
    Tensor(1000.69314718)
    """
    return apply(p.logaddexp, _operand(a), _operand(b))


def concatenate(tensors: Sequence[Any], axis: int | None = 0) -> Tensor:
    """Joined along an axis that they have; with None, all elements along one.

    >>> import tinygrad_ce as tg
    >>> tg.concatenate([tg.Tensor([1.0]), [2.0, 3.0]])
    Tensor([1., 2., 3.])
    """
    parts = [as_tensor(part) for part in tensors]
    if not parts:
        raise ValueError("concatenate needs at least one tensor, got none")
    if axis is None:
        parts, axis = [part.flatten() for part in parts], 0
    return apply(p.concatenate, *parts, params=(from_the_end(axis, parts[0].ndim),))


def stack(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Joined along a new axis.

    >>> import tinygrad_ce as tg
    >>> tg.stack([tg.Tensor(1.0), tg.Tensor(2.0)])
    Tensor([1., 2.])
    """
    parts = [as_tensor(part) for part in tensors]
    if not parts:
        raise ValueError("stack needs at least one tensor, got none")
    if len({part.shape for part in parts}) > 1:
        raise ValueError(
            f"stack needs tensors of one shape, got {', '.join(str(part.shape) for part in parts)}"
        )
    return concatenate([part.expand_dims(axis) for part in parts], axis)


def split(x: Any, sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Cut along an axis: into so many equal parts, or at these indices.

    Raises
    ------
    ValueError
        The axis cannot be cut into so many equal parts.

    >>> import tinygrad_ce as tg
    >>> tg.split(tg.Tensor([1.0, 2.0, 3.0]), [1])
    [Tensor([1.]), Tensor([2., 3.])]
    """
    whole = as_tensor(x)
    n = whole.shape[from_the_end(axis, whole.ndim)]
    if isinstance(sections, int | np.integer):
        if sections < 1 or n % sections:
            raise ValueError(f"an axis of length {n} cannot be cut into {sections} equal parts")
        cuts = [n // sections * i for i in range(1, int(sections))]
    else:
        cuts = [int(i) for i in sections]
    before = (slice(None),) * (axis % whole.ndim)
    ends = [*cuts, None]
    return [whole[(*before, slice(i, j))] for i, j in zip([0, *cuts], ends, strict=True)]


def take_along_axis(x: Any, indices: Any, axis: int | None = -1) -> Tensor:
    """The elements at these indices of an axis, as `np.argsort` and `np.argmax` give them.

    Parameters
    ----------
    x
        A Tensor or array.
    indices
        Integers, with as many axes as x.
    axis
        Along which to take; with None, from the elements along one.

    >>> import tinygrad_ce as tg
    >>> tg.take_along_axis(tg.Tensor([[3.0, 1.0]]), [[1, 1, 0]])
    Tensor([[1., 1., 3.]])
    """
    whole, places = as_tensor(x), as_index(indices)
    if axis is None:
        whole, axis = whole.flatten(), 0
    if places.ndim != whole.ndim or places.dtype.kind not in "iu":
        raise ValueError(
            f"take_along_axis needs integer indices with {whole.ndim} axes, as x has; "
            f"got {places.dtype} of shape {places.shape}"
        )
    along = from_the_end(axis, whole.ndim) % whole.ndim
    grid = list(np.ogrid[tuple(slice(n) for n in whole.shape)])
    index: list[Any] = list(grid)
    index[along] = places
    return whole[tuple(index)]


def sort(x: Any, axis: int | None = -1) -> Tensor:
    """In ascending order along an axis; each element keeps its gradient, ties in their order.

    >>> import tinygrad_ce as tg
    >>> tg.sort(tg.Tensor([3.0, 1.0, 2.0]))
    Tensor([1., 2., 3.])
    """
    whole = as_tensor(x)
    if axis is None:
        whole, axis = whole.flatten(), 0
    return take_along_axis(whole, argsort(whole, axis), axis)


def argsort(x: Any, axis: int = -1) -> Tensor:
    """The indices that sort along an axis, an integer Tensor without a gradient."""
    return of_one(p.argsort, as_tensor(x), axis)


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The length of vectors: the root of the sum of squares, or the norm of another order.

    Parameters
    ----------
    x
        A Tensor or array.
    ord
        None or 2 for the Euclidean norm (the Frobenius norm of a matrix, also "fro"); for vectors
        also 0, 1, inf, -inf, or another number p: (Σ |x|ᵖ)^(1/p).
    axis
        Along which; None for all elements.

    Notes
    -----
    The gradient at 0, where the norm has a kink, is 0.

    >>> import tinygrad_ce as tg
    >>> tg.norm(tg.Tensor([3.0, 4.0]))
    Tensor(5.)
    """
    v = as_tensor(x)
    matrix = ord == "fro" or (ord is not None and (v.ndim if axis is None else np.size(axis)) == 2)
    if (matrix and ord not in ("fro", None)) or (isinstance(ord, str) and not matrix):
        raise ValueError(
            f"norm: of matrices only the Frobenius norm is supported, not ord={ord!r}; "
            "for the norms of vectors, say along which axis"
        )
    if ord == np.inf:
        return v.abs().max(axis, keepdims)
    if ord == -np.inf:
        return v.abs().min(axis, keepdims)
    if ord == 0:
        return (v != 0).astype(v.dtype).sum(axis, keepdims)
    if ord == 1:
        return v.abs().sum(axis, keepdims)
    power = 2 if ord in (None, "fro") else ord
    total = (v * v if power == 2 else v.abs() ** power).sum(axis, keepdims)
    # The root has no slope at 0: a 1 stands in for the total there, and the choice lets none back.
    zero = total == 0
    positive = where(zero, 1, total)
    return where(zero, 0, positive.sqrt() if power == 2 else positive ** (1 / power))


def einsum(subscripts: str, *operands: Any) -> Tensor:
    """The sum of products that the subscripts spell, as `np.einsum`.

    Parameters
    ----------
    subscripts
        Such as "ij,jk->ik", "...i,...i", or "ii" for a trace.
    operands
        A Tensor or array for each term.

    >>> import tinygrad_ce as tg
    >>> tg.einsum("ij,j->i", tg.Tensor([[1.0, 2.0]]), [3.0, 4.0])
    Tensor([11.])
    """
    if not isinstance(subscripts, str):
        raise TypeError("einsum takes its subscripts as text, such as 'ij,jk->ik'")
    tensors = [as_tensor(operand) for operand in operands]
    terms, result = _spelled_out(subscripts.replace(" ", ""), [x.ndim for x in tensors])
    pairs = [_diagonal(x, term) for x, term in zip(tensors, terms, strict=True)]
    spelled = ",".join(term for _, term in pairs) + "->" + result
    return apply(p.einsum, *(x for x, _ in pairs), params=(spelled,))


def _spelled_out(subscripts: str, ndims: list[int]) -> tuple[list[str], str]:
    """The terms and the result, with letters in the place of each ellipsis."""
    left, arrow, result = subscripts.partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        raise ValueError(f"einsum: {subscripts!r} has {len(terms)} terms for {len(ndims)} operands")
    hidden = [n - len(term.replace("...", "")) for term, n in zip(terms, ndims, strict=True)]
    for term, n, h in zip(terms, ndims, hidden, strict=True):
        if h < 0 or (h and "..." not in term):
            raise ValueError(f"einsum: the term {term!r} does not fit an operand with {n} axes")
    free = "".join(c for c in string.ascii_letters if c not in subscripts)
    longest = free[: max(hidden, default=0)]
    if not arrow:
        once = [c for c in sorted(set(left)) if c.isalpha() and left.count(c) == 1]
        result = "..." * ("..." in left) + "".join(once)
    full = [
        t.replace("...", longest[len(longest) - h :]) for t, h in zip(terms, hidden, strict=True)
    ]
    return full, result.replace("...", longest)


def _diagonal(x: Tensor, term: str) -> tuple[Tensor, str]:
    """An operand without indices that stand twice in its term: its diagonal along these axes."""
    for label in dict.fromkeys(c for c in term if term.count(c) > 1):
        axes = [i for i, c in enumerate(term) if c == label]
        rest = [i for i in range(len(term)) if i not in axes]
        lengths = {x.shape[i] for i in axes}
        if len(lengths) > 1:
            raise ValueError(f"einsum: the index {label!r} has the lengths {sorted(lengths)}")
        x = x.transpose(*axes, *rest)[(np.arange(lengths.pop()),) * len(axes)]
        term = label + "".join(term[i] for i in rest)
    return x, term


def sample(method: Callable[..., Any], *args: Any, **options: Any) -> Tensor:
    """What a method of a random generator returns; a compiled step draws it anew at each call.

    Parameters
    ----------
    method
        Such as `rng.normal`, of a `np.random.Generator`.
    args, options
        What the method is called with: numbers, shapes, dtypes and arrays, which get no gradient.

    Returns
    -------
    Tensor
        A leaf without a gradient, of the shape and dtype that the method returns.

    Raises
    ------
    TypeError
        Another function, an argument that is or holds a Tensor, a method that returns no numbers
        or writes into an array that it is given.

    Notes
    -----
    A step that `tg.compile` has recorded calls the same methods of the same generators in the same
    order, so that it finds the numbers that it would have found without being compiled.

    >>> import tinygrad_ce as tg
    >>> rng = np.random.default_rng(0)
    >>> tg.sample(rng.integers, 0, 10, size=3)
    Tensor([8, 6, 5])
    """
    if not isinstance(getattr(method, "__self__", None), np.random.Generator):
        raise TypeError(
            "sample takes a method of a np.random.Generator and its arguments, such as "
            f"sample(rng.normal, size=3); got {method!r}"
        )
    if _holds_tensor((args, tuple(options.values()))):
        raise TypeError(
            f"an argument of {method.__name__} is a Tensor, and no gradient passes through a draw: "
            "draw standard numbers, and scale and shift them, as in "
            "loc + scale * sample(rng.standard_normal, shape)"
        )
    recorder = MODE.get().recorder
    if recorder is not None:
        drawn: Tensor = recorder.sample(method, args, options)
        return drawn
    return constant(drawn_by(method, args, options))


def _holds_tensor(x: Any) -> bool:
    return isinstance(x, Tensor) or (isinstance(x, tuple | list) and any(map(_holds_tensor, x)))


def drawn_by(method: Any, args: Sequence[Any], options: dict[str, Any]) -> Any:
    """What a method of a generator returns, as a node holds it."""
    found = method(*args, **options)
    array = np.asarray(found)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"a Tensor holds real numbers: {method.__name__} returns {found!r}")
    if any(found is given for given in (*args, *options.values())):
        raise TypeError(f"{method.__name__} wrote into an array that it was given: leave out out=")
    return array[()]


# ── NumPy's protocols ─────────────────────────────────────────────────────────────────────────────


def _truth(x: Tensor) -> Tensor:
    """Whether each element is other than 0."""
    return x if x.dtype == bool else x != 0


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
    np.logaddexp: logaddexp,
    np.less: operator.lt,
    np.less_equal: operator.le,
    np.greater: operator.gt,
    np.greater_equal: operator.ge,
    np.equal: operator.eq,
    np.not_equal: operator.ne,
    np.logical_and: lambda a, b: _truth(a) & _truth(b),
    np.logical_or: lambda a, b: _truth(a) | _truth(b),
    np.logical_not: lambda x: ~_truth(x),
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
    return lambda *operands: function(*map(_operand, operands))


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


def _at_least_2d(tensors: Sequence[Any]) -> list[Tensor]:
    parts = [as_tensor(part) for part in tensors]
    return [part.reshape(1, -1) if part.ndim < 2 else part for part in parts]


def _take(x: Tensor, indices: Any, axis: int | None) -> Tensor:
    if axis is None:
        return x.flatten()[indices]
    return x[(*(slice(None),) * (from_the_end(axis, x.ndim) % x.ndim), indices)]


def _dot(a: Tensor, b: Tensor) -> Tensor:
    if not a.ndim or not b.ndim:
        return a * b
    if b.ndim > 2:
        raise TypeError("np.dot on Tensors is for b of up to 2 axes: use np.matmul or np.einsum")
    return t.matmul(a, b)


def _moved(ndim: int, source: Any, destination: Any) -> list[int]:
    shape = np.moveaxis(np.empty(range(ndim)), source, destination).shape
    return list(shape)


FUNCTIONS.update(
    {
        np.where: where,
        np.concatenate: concatenate,
        np.stack: stack,
        np.vstack: lambda tensors: concatenate(_at_least_2d(tensors), 0),
        np.hstack: lambda tensors: concatenate(
            tensors, min(1, as_tensor(next(iter(tensors))).ndim - 1)
        ),
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
