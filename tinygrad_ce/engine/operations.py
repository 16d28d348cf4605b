"""Functions of several Tensors: choosing, joining, cutting, sorting, products."""

from __future__ import annotations

import string
from collections.abc import Sequence

import numpy as np

from ..arguments import check_integer, check_sequence
from ..other_names import numpy_keywords
from . import primitives as p
from . import tensor as t
from .axes import from_the_end
from .tensor import Tensor, TensorLike, apply, apply_unary, as_index, as_operand, as_tensor


def where(condition: TensorLike, a: TensorLike, b: TensorLike) -> Tensor:
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
    return apply(p.where, truth(as_tensor(condition)), operand(a), operand(b))


def truth(x: Tensor) -> Tensor:
    """Whether each element is other than 0."""
    return x if x.dtype == bool else x != 0


def operand(x: TensorLike) -> Tensor:
    """A number as it is, anything else as a Tensor; a TypeError for what is not numeric."""
    converted = as_operand(x)
    return as_tensor(x) if converted is NotImplemented else converted


def maximum(a: TensorLike, b: TensorLike) -> Tensor:
    """Return the larger of a and b, element by element; at ties each gets half of the gradient.

    Parameters
    ----------
    a, b
        Tensors, arrays or numbers, which broadcast.

    Raises
    ------
    TypeError
        What is not numeric.

    >>> import tinygrad_ce as tg
    >>> tg.maximum(tg.Tensor([1.0, 5.0]), 3)
    Tensor([3., 5.])
    """
    return apply(p.maximum, operand(a), operand(b))


def minimum(a: TensorLike, b: TensorLike) -> Tensor:
    """Return the smaller of a and b, element by element; at ties each gets half of the gradient.

    Parameters and errors are those of `maximum`.

    >>> import tinygrad_ce as tg
    >>> tg.minimum(tg.Tensor([1.0, 5.0]), 3)
    Tensor([1., 3.])
    """
    return apply(p.minimum, operand(a), operand(b))


def matmul(a: TensorLike, b: TensorLike) -> Tensor:
    """Return the matrix product a @ b, with NumPy's rules for vectors and for stacks of matrices.

    Parameters
    ----------
    a, b
        Tensors or arrays of shapes (..., n, k) and (..., k, m), or vectors (k,).

    Raises
    ------
    ValueError
        Shapes that do not match, or a single number.

    >>> import tinygrad_ce as tg
    >>> tg.matmul(tg.Tensor([[1.0, 2.0]]), [3.0, 4.0])
    Tensor([11.])
    """
    return t.matmul(as_tensor(a), as_tensor(b))


def logaddexp(a: TensorLike, b: TensorLike) -> Tensor:
    """Return log(exp(a) + exp(b)), element by element, without overflow.

    Parameters and errors are those of `maximum`.

    >>> import tinygrad_ce as tg
    >>> tg.logaddexp(tg.Tensor(1000.0), 1000.0)
    Tensor(1000.69314718)
    """
    return apply(p.logaddexp, operand(a), operand(b))


@numpy_keywords
def concatenate(tensors: Sequence[TensorLike], axis: int | None = 0) -> Tensor:
    """Join along an axis that they have; with None, join all elements along one.

    Parameters
    ----------
    tensors
        Tensors or arrays, at least one.
    axis
        Along which their lengths may differ.

    Raises
    ------
    ValueError
        None is given, or their shapes do not match.

    >>> import tinygrad_ce as tg
    >>> tg.concatenate([tg.Tensor([1.0]), [2.0, 3.0]])
    Tensor([1., 2., 3.])
    """
    parts = [as_tensor(part) for part in check_sequence("tensors", tensors)]
    if not parts:
        raise ValueError("concatenate needs at least one tensor, got none")
    if axis is None:
        parts, axis = [part.flatten() for part in parts], 0
    return apply(p.concatenate, *parts, params=(from_the_end(axis, parts[0].ndim),))


@numpy_keywords
def stack(tensors: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Join along a new axis.

    Parameters
    ----------
    tensors
        Tensors or arrays of one shape, at least one.
    axis
        The place of the new axis in the result.

    Raises
    ------
    ValueError
        None is given, or their shapes differ.

    >>> import tinygrad_ce as tg
    >>> tg.stack([tg.Tensor(1.0), tg.Tensor(2.0)])
    Tensor([1., 2.])
    """
    parts = [as_tensor(part) for part in check_sequence("tensors", tensors)]
    if not parts:
        raise ValueError("stack needs at least one tensor, got none")
    if len({part.shape for part in parts}) > 1:
        raise ValueError(
            f"stack needs tensors of one shape, got {', '.join(str(part.shape) for part in parts)}"
        )
    return concatenate([part.expand_dims(axis) for part in parts], axis)


@numpy_keywords
def split(x: TensorLike, sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Cut along an axis: into so many equal parts, or at these indices.

    Parameters
    ----------
    x
        A Tensor or array.
    sections
        The number of parts, or the indices where to cut.
    axis
        Along which to cut.

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
    if isinstance(sections, Sequence | np.ndarray | Tensor):
        cuts = [check_integer("sections", i) for i in check_sequence("sections", sections)]
    else:
        parts = check_integer("sections", sections)
        if parts < 1 or n % parts:
            raise ValueError(f"an axis of length {n} cannot be cut into {parts} equal parts")
        cuts = [n // parts * i for i in range(1, parts)]
    before = (slice(None),) * (axis % whole.ndim)
    ends = [*cuts, None]
    return [whole[(*before, slice(i, j))] for i, j in zip([0, *cuts], ends, strict=True)]


@numpy_keywords
def take_along_axis(x: TensorLike, indices: TensorLike, axis: int | None = -1) -> Tensor:
    """Return the elements at these indices of an axis, as `np.argsort` and `np.argmax` give them.

    Parameters
    ----------
    x
        A Tensor or array.
    indices
        Integers, with as many axes as x.
    axis
        Along which to take; with None, from the elements along one.

    Raises
    ------
    ValueError
        Indices that are not integers, or with another number of axes.
    IndexError
        An index out of range.

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
            f"got {places.dtype} of shape {places.shape}: make integers by astype(int)"
        )
    along = from_the_end(axis, whole.ndim) % whole.ndim
    grid = list(np.ogrid[tuple(slice(n) for n in whole.shape)])
    index: list[TensorLike] = list(grid)
    index[along] = places
    return whole[tuple(index)]


@numpy_keywords
def sort(x: TensorLike, axis: int | None = -1) -> Tensor:
    """Sort in ascending order along an axis; each element keeps its gradient, ties their order.

    Parameters
    ----------
    x
        A Tensor or array.
    axis
        Along which to sort; with None, all elements along one.

    >>> import tinygrad_ce as tg
    >>> tg.sort(tg.Tensor([3.0, 1.0, 2.0]))
    Tensor([1., 2., 3.])
    """
    whole = as_tensor(x)
    if axis is None:
        whole, axis = whole.flatten(), 0
    return take_along_axis(whole, argsort(whole, axis), axis)


@numpy_keywords
def argsort(x: TensorLike, axis: int | None = -1) -> Tensor:
    """Return the indices that sort along an axis, an integer Tensor without a gradient."""
    whole = as_tensor(x)
    if axis is None:
        whole, axis = whole.flatten(), 0
    return apply_unary(p.argsort, whole, axis)


def einsum(subscripts: str, *operands: TensorLike) -> Tensor:
    """Return the sum of products that the subscripts spell, as `np.einsum`.

    Parameters
    ----------
    subscripts
        Such as "ij,jk->ik", "...i,...i", or "ii" for a trace.
    operands
        A Tensor or array for each term.

    Raises
    ------
    TypeError
        Subscripts that are no text.
    ValueError
        Terms that do not match the operands.

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
    """An operand without indices that its term has twice: its diagonal along these axes."""
    for label in dict.fromkeys(c for c in term if term.count(c) > 1):
        axes = [i for i, c in enumerate(term) if c == label]
        rest = [i for i in range(len(term)) if i not in axes]
        lengths = {x.shape[i] for i in axes}
        if len(lengths) > 1:
            raise ValueError(f"einsum: the index {label!r} has the lengths {sorted(lengths)}")
        x = x.transpose(*axes, *rest)[(np.arange(lengths.pop()),) * len(axes)]
        term = label + "".join(term[i] for i in rest)
    return x, term
