"""Reductions and statistics: sums and products, means, medians, quantiles, covariances.

All are compositions that compute what NumPy does, in its order. ``where=`` and ``initial=`` are
compositions too, so that their results can differ from NumPy's in the last digit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..arguments import LONGEST, as_numbers, check_choice, check_flag, check_real
from ..other_names import numpy_keywords
from . import operations
from . import primitives as p
from .array_types import Value
from .axes import Axis, count_along, from_the_end, rows_along, with_axes_kept
from .operations import maximum, minimum, sort
from .products import dot
from .tensor import Tensor, TensorLike, apply_unary, as_tensor, refusal, run_check


def _prepare(
    a: TensorLike, dtype: DTypeLike | None, where: TensorLike | bool, fill: Value
) -> Tensor:
    """The elements to be reduced: converted, and `fill` in place of those left out."""
    x = as_tensor(a)
    if dtype is not None:
        x = x.astype(dtype)
    return x if where is True else operations.where(where, x, fill)


@numpy_keywords
def sum(
    a: TensorLike,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    keepdims: bool = False,
    initial: Value = None,
    where: TensorLike | bool = True,
) -> Tensor:
    """Return the sum over all axes, or over the given one or ones.

    Parameters
    ----------
    a
        A Tensor or array.
    axis, keepdims
        Over which axes, and whether they stay, with length 1.
    dtype
        Convert to this dtype first.
    initial
        Added to the sum.
    where
        Which elements to include.

    >>> import tinygrad_ce as tg
    >>> tg.sum(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    Tensor([4., 6.])
    """
    keepdims = check_flag("keepdims", keepdims)
    if type(a) is Tensor and dtype is None is initial and where is True:  # as it mostly is
        return a.sum(axis, keepdims)
    total = _prepare(a, dtype, where, 0).sum(axis, keepdims)
    return total if initial is None else total + initial


@numpy_keywords
def prod(
    a: TensorLike,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    keepdims: bool = False,
    initial: Value = None,
    where: TensorLike | bool = True,
) -> Tensor:
    """Return the product over all axes, or over the given one or ones.

    The gradient is the product of the other elements, also where some are 0. Parameters are those
    of `sum`.

    >>> import tinygrad_ce as tg
    >>> tg.grad(tg.prod)([0.0, 2.0, 3.0])
    Tensor([6., 0., 0.])
    """
    x = _prepare(a, dtype, where, 1)
    y = apply_unary(p.prod, x, _checked(x, axis), check_flag("keepdims", keepdims))
    return y if initial is None else y * operations.operand(initial)


def _checked(x: Tensor, axis: Axis) -> Axis:
    count_along(x.shape, axis) if x.ndim else None
    return axis


@numpy_keywords
def cumsum(a: TensorLike, axis: int | None = None, dtype: DTypeLike | None = None) -> Tensor:
    """Return the sums of the elements up to each; with None, of all elements in order."""
    return _prepare(a, dtype, True, 0).cumsum(axis)


@numpy_keywords
def cumprod(a: TensorLike, axis: int | None = None, dtype: DTypeLike | None = None) -> Tensor:
    """Return the products of the elements up to each; with None, of all elements in order.

    >>> import tinygrad_ce as tg
    >>> tg.cumprod(tg.Tensor([2.0, 3.0, 4.0]))
    Tensor([ 2.,  6., 24.])
    """
    x = _prepare(a, dtype, True, 1)
    x = x if x.ndim and axis is not None else x.flatten()
    return apply_unary(p.cumprod, x, from_the_end(0 if axis is None else axis, x.ndim))


def cumulative_sum(
    x: TensorLike,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    include_initial: bool = False,
) -> Tensor:
    """Return `cumsum`, of vectors without an axis alone; with 0 in front, if that is asked for."""
    return _cumulative(cumsum, x, axis, dtype, include_initial, 0)


def cumulative_prod(
    x: TensorLike,
    axis: int | None = None,
    dtype: DTypeLike | None = None,
    include_initial: bool = False,
) -> Tensor:
    """Return `cumprod`, of vectors without an axis alone; with 1 in front, if that is asked for."""
    return _cumulative(cumprod, x, axis, dtype, include_initial, 1)


def _cumulative(
    f: Value, x: Value, axis: int | None, dtype: Value, initial: bool, of: int
) -> Tensor:
    whole = as_tensor(x)
    if not whole.ndim:
        whole = whole.reshape(1)
    if axis is None and whole.ndim != 1:
        raise ValueError(f"axis is needed for {whole.ndim} axes: it can be left out for a vector")
    axis = from_the_end(0 if axis is None else axis, whole.ndim)
    y: Tensor = f(whole, axis, dtype)
    if not initial:
        return y
    first = np.full(with_axes_kept(y.shape, axis), of, y.dtype)
    return operations.concatenate([first, y], axis)


@numpy_keywords
def mean(
    a: TensorLike,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    keepdims: bool = False,
    where: TensorLike | bool = True,
) -> Tensor:
    """Return the sum divided by the number of elements. Parameters are those of `sum`.

    >>> import tinygrad_ce as tg
    >>> tg.mean(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    Tensor([2., 3.])
    """
    if where is True:
        return _prepare(a, dtype, True, 0).mean(axis, check_flag("keepdims", keepdims))
    x = _prepare(a, dtype, where, 0)
    n = _count(x, axis, keepdims, where)
    return x.sum(axis, check_flag("keepdims", keepdims)) / n


def _count(x: Tensor, axis: Axis, keepdims: bool, where: TensorLike | bool) -> Tensor:
    """How many elements of x are included, in its dtype."""
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(float)
    return (
        as_tensor(where)
        .broadcast_to(x.shape)
        .astype(dtype)
        .sum(axis, check_flag("keepdims", keepdims))
    )


@numpy_keywords
def var(
    a: TensorLike,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    ddof: int = 0,
    keepdims: bool = False,
    where: TensorLike | bool = True,
    *,
    mean: TensorLike | None = None,
    correction: int | None = None,
) -> Tensor:
    """Return the variance: the mean of squared distances from the mean, over n - ddof.

    Parameters are those of `sum`, and:

    Parameters
    ----------
    ddof, correction
        What to subtract from n; two names of one thing.
    mean
        The mean, if it is known, with its axes kept.

    >>> import tinygrad_ce as tg
    >>> tg.var(tg.Tensor([1.0, 2.0, 4.0, 5.0]))
    Tensor(2.5)
    """
    ddof = ddof if correction is None else correction
    x = _prepare(a, dtype, True, 0)
    if where is True and mean is None:
        return x.var(axis, check_flag("keepdims", keepdims), ddof=ddof)
    center = _mean(x, axis, None, True, where) if mean is None else mean
    distance = _prepare(x - center, None, where, 0)
    n = maximum(_count(x, axis, keepdims, where) - check_real("ddof", ddof), 0)
    return (distance * distance).sum(axis, check_flag("keepdims", keepdims)) / n


_mean = mean


@numpy_keywords
def std(
    a: TensorLike,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    ddof: int = 0,
    keepdims: bool = False,
    where: TensorLike | bool = True,
    *,
    mean: TensorLike | None = None,
    correction: int | None = None,
) -> Tensor:
    """Return the standard deviation, the square root of the variance. Parameters: those of `var`.

    Where all elements are equal, the gradient is 0, and the second derivative is nan.

    >>> import tinygrad_ce as tg
    >>> tg.std(tg.Tensor([1.0, 3.0]))
    Tensor(1.)
    """
    if where is True and mean is None:
        ddof = ddof if correction is None else correction
        return _prepare(a, dtype, True, 0).std(axis, check_flag("keepdims", keepdims), ddof=ddof)
    variance = var(a, axis, dtype, ddof, keepdims, where, mean=mean, correction=correction)
    return apply_unary(p.root, variance, 2)


@numpy_keywords
def max(
    a: TensorLike,
    axis: Axis = None,
    keepdims: bool = False,
    initial: Value = None,
    where: TensorLike | bool = True,
) -> Tensor:
    """Return the maximum; elements that tie for it share the gradient. Parameters as of `sum`.

    >>> import tinygrad_ce as tg
    >>> tg.max(tg.Tensor([[1.0, 2.0], [3.0, 0.0]]), axis=0)
    Tensor([3., 2.])
    """
    return _extreme("max", maximum, a, axis, keepdims, initial, where)


@numpy_keywords
def min(
    a: TensorLike,
    axis: Axis = None,
    keepdims: bool = False,
    initial: Value = None,
    where: TensorLike | bool = True,
) -> Tensor:
    """Return the minimum; elements that tie for it share the gradient. Parameters as of `sum`.

    >>> import tinygrad_ce as tg
    >>> tg.min(tg.Tensor([[1.0, 2.0], [3.0, 0.0]]), axis=0)
    Tensor([1., 0.])
    """
    return _extreme("min", minimum, a, axis, keepdims, initial, where)


def _extreme(
    name: str, of_two: Value, a: Value, axis: Axis, keepdims: bool, initial: Value, where: Value
) -> Tensor:
    if where is not True and initial is None:
        raise ValueError(f"{name} with where= needs initial=, the value of nothing")
    x, keepdims = _prepare(a, None, where, initial), check_flag("keepdims", keepdims)
    if initial is not None and not x.size:
        return operations.where(True, initial, x.sum(axis, keepdims))
    y: Tensor = getattr(x, name)(axis, keepdims)
    return y if initial is None else of_two(y, initial)


def ptp(a: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the maximum less the minimum.

    >>> import tinygrad_ce as tg
    >>> tg.ptp(tg.Tensor([1.0, 5.0, 2.0]))
    Tensor(4.)
    """
    x, keepdims = as_tensor(a), check_flag("keepdims", keepdims)
    return x.max(axis, keepdims) - x.min(axis, keepdims)


# ── Without nan ───────────────────────────────────────────────────────────────────────────────────


def _without_nan(a: TensorLike, fill: float) -> tuple[Tensor, Tensor]:
    x = as_tensor(a)
    missing = apply_unary(p.isnan, x)
    return operations.where(missing, fill, x), missing


@numpy_keywords
def nansum(
    a: TensorLike, axis: Axis = None, dtype: DTypeLike | None = None, keepdims: bool = False
) -> Tensor:
    """Return the sum of what is not nan."""
    return sum(_without_nan(a, 0)[0], axis, dtype, keepdims)


@numpy_keywords
def nanprod(
    a: TensorLike, axis: Axis = None, dtype: DTypeLike | None = None, keepdims: bool = False
) -> Tensor:
    """Return the product of what is not nan."""
    return prod(_without_nan(a, 1)[0], axis, dtype, keepdims)


def nancumsum(a: TensorLike, axis: int | None = None, dtype: DTypeLike | None = None) -> Tensor:
    """Return the sums up to each element of what is not nan."""
    return cumsum(_without_nan(a, 0)[0], axis, dtype)


def nancumprod(a: TensorLike, axis: int | None = None, dtype: DTypeLike | None = None) -> Tensor:
    """Return the products up to each element of what is not nan."""
    return cumprod(_without_nan(a, 1)[0], axis, dtype)


@numpy_keywords
def nanmax(a: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the maximum of what is not nan; nan where there is nothing else."""
    return _nan_extreme("max", a, -np.inf, axis, keepdims)


@numpy_keywords
def nanmin(a: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the minimum of what is not nan; nan where there is nothing else."""
    return _nan_extreme("min", a, np.inf, axis, keepdims)


def _nan_extreme(name: str, a: TensorLike, fill: float, axis: Axis, keepdims: bool) -> Tensor:
    if as_tensor(a).dtype.kind in "biu":
        return _extreme(name, None, a, axis, keepdims, None, True)
    x, missing = _without_nan(a, fill)
    y: Tensor = getattr(x, name)(axis, check_flag("keepdims", keepdims))
    return operations.where(
        np.all(missing, axis=axis, keepdims=check_flag("keepdims", keepdims)), np.nan, y
    )


@numpy_keywords
def nanmean(
    a: TensorLike, axis: Axis = None, dtype: DTypeLike | None = None, keepdims: bool = False
) -> Tensor:
    """Return the mean of what is not nan."""
    return mean(a, axis, dtype, keepdims, where=~np.isnan(as_tensor(a)))


@numpy_keywords
def nanvar(
    a: TensorLike,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    ddof: int = 0,
    keepdims: bool = False,
) -> Tensor:
    """Return the variance of what is not nan."""
    x, missing = _without_nan(a, 0)
    return var(x, axis, dtype, ddof, keepdims, ~missing)


@numpy_keywords
def nanstd(
    a: TensorLike,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    ddof: int = 0,
    keepdims: bool = False,
) -> Tensor:
    """Return the standard deviation of what is not nan."""
    return apply_unary(p.root, nanvar(a, axis, dtype, ddof, keepdims), 2)


# ── Statistics ────────────────────────────────────────────────────────────────────────────────────


@numpy_keywords
def average(
    a: TensorLike,
    axis: Axis = None,
    weights: TensorLike | None = None,
    returned: bool = False,
    *,
    keepdims: bool = False,
) -> Value:
    """Return the weighted mean, and with `returned` also the sum of the weights.

    Parameters
    ----------
    a
        A Tensor or array.
    axis, keepdims
        Over which axes, and whether they stay.
    weights
        Of a's shape, or of the lengths of the axes; they get a gradient too.

    Raises
    ------
    ZeroDivisionError
        The weights sum up to 0.

    >>> import tinygrad_ce as tg
    >>> tg.average(tg.Tensor([1.0, 4.0]), weights=[2.0, 1.0])
    Tensor(2.)
    """
    x = as_tensor(a)
    if weights is None:
        y = x.mean(axis, check_flag("keepdims", keepdims))
        total: Tensor = as_tensor(np.full(y.shape, x.size / y.size if y.size else 0, y.dtype))
    else:
        w = _weights(x, as_tensor(weights), axis)
        kinds = (x.dtype, w.dtype) if x.dtype.kind == "f" else (x.dtype, w.dtype, np.dtype(float))
        dtype = np.result_type(*kinds)
        total = sum(w, axis, dtype, keepdims)
        run_check(_not_zero, total)
        y = (x.astype(dtype) * w.astype(dtype)).sum(axis, check_flag("keepdims", keepdims))
        y = y / total
        total = total if total.shape == y.shape else total.broadcast_to(y.shape)
    return (y, total) if check_flag("returned", returned) else y


def _not_zero(total: Value) -> None:
    if np.any(total == 0):
        raise ZeroDivisionError("the weights of average sum up to 0")


def _weights(x: Tensor, w: Tensor, axis: Axis) -> Tensor:
    """Weights that broadcast against x."""
    if w.shape == x.shape:
        return w
    if axis is None:
        raise TypeError(
            f"average: weights of shape {w.shape} for an array of shape {x.shape} need an axis"
        )
    axes = [
        from_the_end(a, x.ndim) % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))
    ]
    if w.shape != tuple(x.shape[a] for a in axes):
        raise ValueError(
            f"average: weights of shape {w.shape} along axis {axis} of shape {x.shape}"
        )
    order = np.argsort(axes)
    full = tuple(n if i in axes else 1 for i, n in enumerate(x.shape))
    return w.transpose(*map(int, order)).reshape(full)


@numpy_keywords
def median(a: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return the middle of the sorted elements, or the mean of the two in the middle.

    Parameters
    ----------
    a
        A Tensor or array; where there is a nan, the median is nan.
    axis, keepdims
        Over which axes, and whether they stay.

    >>> import tinygrad_ce as tg
    >>> tg.median(tg.Tensor([3.0, 1.0, 7.0, 5.0]))
    Tensor(4.)
    """
    x, keepdims = as_tensor(a), check_flag("keepdims", keepdims)
    count_along(x.shape, axis)  # which raises where there is no such axis
    ordered = sort(rows_along(x, axis)[0])
    n = ordered.shape[-1]
    middle = ordered[..., n // 2 : n // 2 + 1] if n % 2 else ordered[..., n // 2 - 1 : n // 2 + 1]
    y = _nan_if_any(ordered, middle.mean(-1))
    return y.reshape(with_axes_kept(x.shape, axis)) if keepdims else y


def _nan_if_any(ordered: Tensor, y: Tensor) -> Tensor:
    """nan in place of y where a row has one, which is sorted to its end."""
    if ordered.dtype.kind != "f" or not ordered.shape[-1]:
        return y
    last = ordered[..., -1]
    return operations.where(np.isnan(last), last, y)


@numpy_keywords
def quantile(
    a: TensorLike,
    q: ArrayLike,
    axis: Axis = None,
    method: str = "linear",
    keepdims: bool = False,
) -> Tensor:
    """Return quantiles: values below which a fraction q of the elements is.

    Parameters
    ----------
    a
        A Tensor or array; where there is a nan, the quantile is nan.
    q
        A number from 0 to 1, or a vector of such, whose axis comes first in the result.
    axis, keepdims
        Over which axes, and whether they stay.
    method
        Any of NumPy's 13 ways to choose or interpolate between neighbors.

    Raises
    ------
    ValueError
        q is outside of [0, 1], or an unknown method.

    >>> import tinygrad_ce as tg
    >>> tg.quantile(tg.Tensor([1.0, 2.0, 4.0]), [0.25, 0.5])
    Tensor([1.5, 2. ])
    """
    return _quantile(np.quantile, a, q, axis, method, keepdims)


def percentile(
    a: TensorLike,
    q: ArrayLike,
    axis: Axis = None,
    method: str = "linear",
    keepdims: bool = False,
) -> Tensor:
    """Return `quantile` of q in percent, from 0 to 100.

    >>> import tinygrad_ce as tg
    >>> tg.percentile(tg.Tensor([1.0, 2.0, 4.0]), 25)
    Tensor(1.5)
    """
    return _quantile(np.percentile, a, q, axis, method, keepdims)


# Methods that choose an element and never interpolate.
_CHOOSING = ("inverted_cdf", "closest_observation", "lower", "higher", "nearest")
_METHODS = (
    *_CHOOSING, "averaged_inverted_cdf", "interpolated_inverted_cdf", "hazen", "weibull", "linear",
    "median_unbiased", "normal_unbiased", "midpoint",
)  # fmt: skip


def _quantile(of: Value, a: Value, q: Value, axis: Axis, method: str, keepdims: bool) -> Tensor:
    x, keepdims = as_tensor(a), check_flag("keepdims", keepdims)
    count_along(x.shape, axis)
    ordered = sort(rows_along(x, axis)[0])
    n = ordered.shape[-1]
    weak = type(q) in (int, float)
    fraction = q if weak else as_numbers(q, "q")
    # Among the places 0 to n - 1 themselves, NumPy finds the place of a quantile.
    check_choice("method", method, _METHODS)
    try:
        place = of(np.arange(float(n)), fraction, method=method)
    except Exception as error:
        raise refusal(of.__name__, (x._value, q), error) from None
    if of is np.percentile:
        fraction = np.true_divide(fraction, x.dtype.type(100) if x.dtype.kind == "f" else 100)
    kind = np.asarray(fraction).dtype
    chosen = method in _CHOOSING or (method == "linear" and kind.kind in "biu")
    below = np.minimum(np.floor(place), n - 1).astype(np.intp)
    y = ordered[..., below]
    if not chosen:
        above = np.minimum(below + 1, n - 1)
        t = float(place - below) if weak else (place - below).astype(kind)
        difference = ordered[..., above] - y
        from_above = ordered[..., above] - difference * (1 - t)
        y = operations.where(t >= 0.5, from_above, y + difference * t)
    missing = ordered[(..., -1, *(None,) * place.ndim)] if ordered.dtype.kind == "f" else None
    if missing is not None:
        y = operations.where(np.isnan(missing), missing, y)
    if place.ndim:
        rest = y.ndim - place.ndim
        y = y.transpose(*range(rest, y.ndim), *range(rest))
    return y.reshape(place.shape + with_axes_kept(x.shape, axis)) if keepdims else y


def cov(
    m: TensorLike,
    y: TensorLike | None = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
) -> Tensor:
    """Return the covariances of variables, by default the rows of a matrix.

    Parameters
    ----------
    m, y
        Vectors, or matrices of observations; those of y come after those of m.
    rowvar
        Whether the rows are the variables, and not the columns.
    bias, ddof
        Divide by n - 1, with `bias` by n, with `ddof` by n - ddof.

    >>> import tinygrad_ce as tg
    >>> tg.cov(tg.Tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    Tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    rowvar, bias = check_flag("rowvar", rowvar), check_flag("bias", bias)
    if ddof is not None and ddof != int(check_real("ddof", ddof, -LONGEST, LONGEST)):
        raise ValueError(f"ddof must be an integer, got {ddof}")
    dtype = np.result_type(as_tensor(m).dtype, np.float64)
    x = _variables(m, rowvar).astype(dtype)
    if y is not None:
        x = operations.concatenate([x, _variables(y, rowvar).astype(dtype)], 0)
    n = x.shape[1] - ((0 if bias else 1) if ddof is None else ddof)
    x = x - x.mean(1, keepdims=True)
    product: Tensor = dot(x, x.T) * np.true_divide(1, np.maximum(n, 0))
    return product.squeeze()


def _variables(m: TensorLike, rowvar: bool) -> Tensor:
    x = as_tensor(m)
    if x.ndim > 2:
        raise ValueError(f"cov is of vectors and matrices, got an array of shape {x.shape}")
    x = x.reshape(1, -1) if x.ndim < 2 else x
    return x if rowvar or as_tensor(m).ndim < 2 else x.T


def corrcoef(x: TensorLike, y: TensorLike | None = None, rowvar: bool = True) -> Tensor:
    """Return the correlation coefficients of variables. Parameters are those of `cov`.

    >>> import tinygrad_ce as tg
    >>> tg.corrcoef(tg.Tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    Tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    c = cov(x, y, rowvar)
    if not c.ndim:
        return c / c
    deviation = c[np.arange(len(c)), np.arange(len(c))].sqrt()
    return (c / deviation[:, None] / deviation[None, :]).clip(-1, 1)
