"""Functions of elements, and of neighbors along an axis: ufuncs, and what is made of them."""

from __future__ import annotations

import math

import numpy as np

from ..arguments import as_numbers, check_flag, check_real, shown
from . import operations
from . import primitives as p
from .array_types import Function, Value
from .axes import Axis, from_the_end
from .constant_functions import CONSTANTS, searchsorted
from .operations import concatenate, maximum, minimum, operand
from .primitives import Primitive
from .rearranging import array, diff
from .tensor import Tensor, TensorLike, apply, apply_unary, as_operand, as_tensor


def _unary(primitive: Primitive, value: str, at: str = "", name: str = "") -> Function:
    """The function of a primitive; its docstring says what it computes, and where what happens."""

    def function(x: TensorLike) -> Tensor:
        return apply_unary(primitive, as_tensor(x))

    function.__name__ = function.__qualname__ = name or primitive.name
    function.__doc__ = f"Return {value}, element by element{at and '; ' + at}."
    return function


exp = _unary(p.exp, "eˣ")
exp2 = _unary(p.exp2, "2ˣ")
expm1 = _unary(p.expm1, "eˣ - 1, accurate near 0")
log = _unary(p.log, "the natural logarithm", "-inf at 0, nan below")
log2 = _unary(p.log2, "the logarithm with base 2", "-inf at 0, nan below")
log10 = _unary(p.log10, "the logarithm with base 10", "-inf at 0, nan below")
log1p = _unary(p.log1p, "log(1 + x), accurate near 0")
sqrt = _unary(p.sqrt, "the square root", "its derivative at 0 is inf")
cbrt = _unary(p.cbrt, "the cube root", "its derivative at 0 is inf")
sin = _unary(p.sin, "the sine")
cos = _unary(p.cos, "the cosine")
tan = _unary(p.tan, "the tangent")
arcsin = _unary(p.arcsin, "the inverse of the sine", "nan outside of [-1, 1]")
arccos = _unary(p.arccos, "the inverse of the cosine", "nan outside of [-1, 1]")
arctan = _unary(p.arctan, "the inverse of the tangent")
sinh = _unary(p.sinh, "the hyperbolic sine")
cosh = _unary(p.cosh, "the hyperbolic cosine")
tanh = _unary(p.tanh, "the hyperbolic tangent")
arcsinh = _unary(p.arcsinh, "the inverse of the hyperbolic sine")
arccosh = _unary(p.arccosh, "the inverse of the hyperbolic cosine", "nan below 1")
arctanh = _unary(p.arctanh, "the inverse of the hyperbolic tangent", "nan outside of [-1, 1]")
absolute = _unary(p.abs_, "|x|", "its derivative at 0 is 0", name="absolute")
sign = _unary(p.sign, "-1, 0 or 1, without a gradient")
isfinite = _unary(p.isfinite, "whether x is finite, without a gradient")
isnan = _unary(p.isnan, "whether x is nan, without a gradient")
floor = _unary(CONSTANTS["floor"], "the largest integer up to x, without a gradient")
ceil = _unary(CONSTANTS["ceil"], "the smallest integer from x on, without a gradient")
trunc = _unary(CONSTANTS["trunc"], "x without its fraction, without a gradient")
rint = _unary(CONSTANTS["rint"], "the nearest integer, without a gradient")
isinf = _unary(CONSTANTS["isinf"], "whether x is infinite, without a gradient")
signbit = _unary(CONSTANTS["signbit"], "whether the sign bit is set, without a gradient")


def fabs(x: TensorLike) -> Tensor:
    """Return |x| as a floating point number, element by element."""
    return _inexact(as_tensor(x)).abs()


def _inexact(t: Tensor) -> Tensor:
    """A floating point number as it is, an integer as the one that NumPy makes of it."""
    return t.astype(np.sqrt(np.zeros((), t.dtype)).dtype) if t.dtype.kind in "biu" else t


def square(x: TensorLike) -> Tensor:
    """Return x², element by element."""
    t = as_tensor(x)
    return t * t


def reciprocal(x: TensorLike) -> Tensor:
    """Return 1/x, element by element; of integers the integer part."""
    t = as_tensor(x)
    return 1 / t if t.dtype.kind == "f" else 1 // t


def arctan2(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Return the angle of the point (x2, x1), from -π to π, element by element.

    >>> import tinygrad_ce as tg
    >>> tg.arctan2(tg.Tensor(1.0), 0.0)
    Tensor(1.57079633)
    """
    return apply(p.arctan2, operand(x1), operand(x2))


def hypot(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Return √(x1² + x2²), element by element, without overflow; its derivative at 0 is 0.

    >>> import tinygrad_ce as tg
    >>> tg.hypot(tg.Tensor(3.0), 4.0)
    Tensor(5.)
    """
    return apply(p.hypot, operand(x1), operand(x2))


def logaddexp2(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Return log₂(2^x1 + 2^x2), element by element, without overflow."""
    return apply(p.logaddexp2, operand(x1), operand(x2))


def fmod(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Return the remainder of a division toward 0, with the sign of x1, element by element."""
    a, b = operand(x1), abs(operand(x2))
    return operations.where(signbit(a), -(-a % b), a % b)


def divmod_(x1: TensorLike, x2: TensorLike) -> tuple[Tensor, Tensor]:
    """Return the quotient, rounded down and constant, and the remainder."""
    a, b = operand(x1), operand(x2)
    quotient: Tensor = a // b
    remainder: Tensor = a % b
    return quotient, remainder


def modf(x: TensorLike) -> tuple[Tensor, Tensor]:
    """Return the fraction, which has the gradient, and the integer part, both with x's sign."""
    t = _inexact(as_tensor(x))
    whole = trunc(t)
    fraction = operations.where(isinf(t), t * 0, t - whole)
    return copysign(operations.where(isinf(t), 0, fraction), t), whole


def copysign(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Return x1 with the sign of x2, which gets no gradient, element by element."""
    a, b = operand(x1), operand(x2)
    if a.dtype.kind != "f" and b.dtype.kind != "f":
        a = _inexact(a)
    return operations.where(signbit(a) == signbit(b), a, -a)


def fmax(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Return the larger, or the one that is not nan, element by element."""
    a, b = operand(x1), operand(x2)
    return operations.where(isnan(a), b, operations.where(isnan(b), a, maximum(a, b)))


def fmin(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Return the smaller, or the one that is not nan, element by element."""
    a, b = operand(x1), operand(x2)
    return operations.where(isnan(a), b, operations.where(isnan(b), a, minimum(a, b)))


def float_power(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Return x1 to the power of x2 in float64, element by element."""
    return apply(p.float_power, operand(x1), operand(x2))


def _scaled(name: str, numerator: float, denominator: float) -> Function:
    """Degrees and radians: NumPy's product, with the factor rounded as NumPy rounds it."""

    def scale(x: TensorLike) -> Tensor:
        t = _inexact(as_tensor(x))
        wide: Value = t.astype(np.float32) if t.dtype == np.float16 else t
        number = wide.dtype.type
        scaled: Tensor = (wide * (number(numerator) / number(denominator))).astype(t.dtype)
        return scaled

    scale.__name__ = scale.__qualname__ = name
    scale.__doc__ = f"Return x in {'radians' if numerator < 9 else 'degrees'}, element by element."
    return scale


deg2rad = _scaled("deg2rad", math.pi, 180)
rad2deg = _scaled("rad2deg", 180, math.pi)


def sinc(x: TensorLike) -> Tensor:
    """Return sin(πx) / (πx), element by element, and 1 at 0.

    >>> import tinygrad_ce as tg
    >>> tg.sinc(tg.Tensor([0.0, 0.5]))
    Tensor([1.        , 0.63661977])
    """
    t = as_tensor(x) * np.pi
    at_0 = t == 0
    safe = operations.where(at_0, 1, t)
    return operations.where(at_0, 1 - t * t / 6, safe.sin() / safe)


def nan_to_num(
    x: TensorLike,
    copy: bool = True,
    nan: float = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Tensor:
    """Return numbers in place of nan and of infinities, which get no gradient.

    Parameters
    ----------
    x
        A Tensor or array.
    copy
        Has no effect: a Tensor is never changed.
    nan, posinf, neginf
        What to put in their places; by default 0, and the largest and smallest of the dtype.

    >>> import tinygrad_ce as tg
    >>> tg.nan_to_num(tg.Tensor([1.0, float("nan")]))
    Tensor([1., 0.])
    """
    t = as_tensor(x)
    check_flag("copy", copy)
    for what, number in (("nan", nan), ("posinf", posinf), ("neginf", neginf)):
        if number is not None:
            check_real(what, number, -math.inf, math.inf)
    if t.dtype.kind != "f":
        return t
    limits = np.finfo(t.dtype)
    for found, value in (
        (isnan(t), 0.0 if nan is None else nan),
        (t == np.inf, limits.max if posinf is None else posinf),
        (t == -np.inf, limits.min if neginf is None else neginf),
    ):
        t = operations.where(found, np.asarray(value, t.dtype)[()], t)
    return t


def clip(
    a: TensorLike,
    a_min: Value = None,
    a_max: Value = None,
    *,
    min: Value = None,
    max: Value = None,
) -> Tensor:
    """Limit to [a_min, a_max]; the derivative is 1 inside and at both ends, 0 outside.

    Bounds that are Tensors get a gradient too, by `maximum` and `minimum`.

    >>> import tinygrad_ce as tg
    >>> tg.clip(tg.Tensor([-2.0, 0.5, 2.0]), -1, 1)
    Tensor([-1. ,  0.5,  1. ])
    """
    x = as_tensor(a)
    lo, hi = a_min if min is None else min, a_max if max is None else max
    if isinstance(lo, Tensor) or isinstance(hi, Tensor):
        x = x if lo is None else maximum(x, lo)
        return x if hi is None else minimum(x, hi)
    return x.clip(lo, hi)


# ── Along an axis ─────────────────────────────────────────────────────────────────────────────────


def interp(
    x: TensorLike,
    xp: TensorLike,
    fp: TensorLike,
    left: TensorLike | None = None,
    right: TensorLike | None = None,
    period: float | None = None,
) -> Tensor:
    """Return at each x the value of the line through the neighboring points (xp, fp).

    Parameters
    ----------
    x, xp, fp
        Where, and the points, with xp in ascending order; all three get a gradient. At a point,
        the slope is that on its right.
    left, right
        The values outside, by default the first and last of fp.
    period
        Of the function, if it has one; xp need not be in order then.

    >>> import tinygrad_ce as tg
    >>> tg.interp(tg.Tensor([1.5, 9.0]), [1.0, 2.0, 3.0], [10.0, 20.0, 40.0])
    Tensor([15., 40.])
    """
    t, points, values = (as_tensor(z).astype(np.float64) for z in (x, xp, fp))
    if points.ndim != 1 or points.shape != values.shape or not points.size:
        raise ValueError(f"interp: xp and fp of one length, got {points.shape}, {values.shape}")
    if period is not None:
        if check_real("period", period) == 0:
            raise ValueError("interp: the period is not 0")
        period, left, right = abs(period), None, None
        t, points = t % period, points % period
        order = np.argsort(points)
        points, values = points[order], values[order]
        points = concatenate([points[-1:] - period, points, points[:1] + period])
        values = concatenate([values[-1:], values, values[:1]])
    n = points.size
    j = (searchsorted(points, t, "right") - 1).clip(0, n - 2 if n > 1 else 0)
    after = j + 1 if n > 1 else j
    x0, f0 = points[j], values[j]
    run = points[after] - x0 if n > 1 else as_tensor(1.0)
    y = (values[after] - f0) / run * (t - x0) + f0
    y = operations.where(t == x0, f0 + 0 * y if n < 2 else _at_point(y, f0), y)
    last = values[-1]
    y = operations.where(t == points[-1], _at_point(y, last), y)
    y = operations.where(t < points[0], values[0] if left is None else left, y)
    y = operations.where(t > points[-1], last if right is None else right, y)
    return operations.where(isnan(t), t, y)


def _at_point(y: Tensor, value: Tensor) -> Tensor:
    """The value of a point, which is that of the line there, with the slope of the line."""
    finite = isfinite(y)
    return operations.where(finite, y - y.detach() + value, value)


def gradient(f: TensorLike, *varargs: Value, axis: Axis = None, edge_order: int = 1) -> Value:
    """Return central differences along axes, one-sided at the ends: a tuple for several axes.

    Parameters
    ----------
    f
        A Tensor or array.
    varargs
        The distance of neighbors, one or one for each axis, or the coordinates along each.
    axis
        Along which; all by default.
    edge_order
        1 or 2, of the differences at the ends.

    >>> import tinygrad_ce as tg
    >>> import numpy as np
    >>> np.gradient(tg.Tensor([1.0, 4.0, 9.0]))
    Tensor([3., 4., 5.])
    """
    y = as_tensor(f)
    y = y if y.dtype.kind == "f" else y.astype(np.float64)
    given = range(y.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = [from_the_end(k, y.ndim) + y.ndim for k in given]
    if edge_order not in (1, 2):
        raise ValueError(f"edge_order is 1 or 2, got {edge_order}")
    if not varargs:
        spacings: list[Value] = [1.0] * len(axes)
    elif len(varargs) == 1 and not as_numbers(varargs[0], "a distance").ndim:
        spacings = list(varargs) * len(axes)
    elif len(varargs) == len(axes):
        spacings = list(varargs)
    else:
        raise TypeError(f"gradient along {len(axes)} axes: got {len(varargs)} distances")
    found = [_differences(y, k, h, edge_order) for k, h in zip(axes, spacings, strict=True)]
    return found[0] if len(axes) == 1 else tuple(found)


def _differences(y: Tensor, axis: int, spacing: Value, edge_order: int) -> Tensor:
    n = y.shape[axis]
    if n < edge_order + 1:
        raise ValueError(f"gradient needs at least {edge_order + 1} elements along an axis: {n}")
    h: Value = as_numbers(spacing, "a distance")
    if h.ndim:
        if h.shape != (n,):
            raise ValueError(f"coordinates of shape {h.shape} for an axis of length {n}")
        h = np.diff(h.astype(np.float64) if h.dtype.kind in "iu" else h)
        h = h[0] if (h == h[0]).all() else h
    even = not h.ndim
    h = float(h) if even and type(spacing) in (int, float) else h[()]

    def at(i: int | None, j: int | None) -> Tensor:
        return y[(*(slice(None),) * axis, slice(i, j))]

    if even:
        inside = (at(2, None) - at(None, -2)) / (2.0 * h)
    else:
        d1, d2 = h[:-1], h[1:]
        shape = [1] * y.ndim
        shape[axis] = -1
        a, b, c = (
            w.reshape(shape)
            for w in (-d2 / (d1 * (d1 + d2)), (d2 - d1) / (d1 * d2), d1 / (d2 * (d1 + d2)))
        )
        inside = a * at(None, -2) + b * at(1, -1) + c * at(2, None)
    first, last = (h, h) if even else (h[0], h[-1])
    if edge_order == 1:
        start = (at(1, 2) - at(0, 1)) / first
        end = (at(n - 1, n) - at(n - 2, n - 1)) / last
    else:
        e1, e2 = (h, h) if even else (h[0], h[1])
        if even:
            a, b, c = -1.5 / h, 2.0 / h, -0.5 / h
        else:
            a, b, c = (
                -(2.0 * e1 + e2) / (e1 * (e1 + e2)),
                (e1 + e2) / (e1 * e2),
                -e1 / (e2 * (e1 + e2)),
            )
        start = a * at(0, 1) + b * at(1, 2) + c * at(2, 3)
        e1, e2 = (h, h) if even else (h[-2], h[-1])
        if even:
            a, b, c = 0.5 / h, -2.0 / h, 1.5 / h
        else:
            a, b = e2 / (e1 * (e1 + e2)), -(e2 + e1) / (e1 * e2)
            c = (2.0 * e2 + e1) / (e2 * (e1 + e2))
        end = a * at(n - 3, n - 2) + b * at(n - 2, n - 1) + c * at(n - 1, n)
    return concatenate([start, inside, end], axis).astype(y.dtype)


def trapezoid(
    y: TensorLike, x: TensorLike | None = None, dx: TensorLike = 1.0, axis: int = -1
) -> Tensor:
    """Return the integral along an axis by the trapezoidal rule.

    Parameters
    ----------
    y
        The values.
    x, dx
        Where they are, or the distance of neighbors.
    axis
        Along which to integrate.

    >>> import tinygrad_ce as tg
    >>> tg.trapezoid(tg.Tensor([1.0, 2.0, 3.0]))
    Tensor(4.)
    """
    values = as_tensor(y)
    along = from_the_end(axis, values.ndim) + values.ndim
    d: Value = as_operand(dx)
    if d is NotImplemented:
        raise TypeError(f"dx is a number or an array of real numbers, got {shown(dx)}")
    if x is not None:
        d = diff(x, axis=axis if as_tensor(x).ndim > 1 else -1)
        if as_tensor(x).ndim == 1:
            d = d.reshape([d.size if k == along else 1 for k in range(values.ndim)])
    before = (slice(None),) * along
    pairs = values[(*before, slice(1, None))] + values[(*before, slice(None, -1))]
    area: Tensor = d * pairs / 2.0
    return area.sum(axis)


def unwrap(
    p: TensorLike, discont: float | None = None, axis: int = -1, *, period: float = 2 * math.pi
) -> Tensor:
    """Add periods to angles, so that neighbors differ by at most half of one."""
    x = as_tensor(p)
    period = check_real("period", period)
    if period <= 0:
        raise ValueError(f"unwrap: the period is above 0, got {period}")
    discont = None if discont is None else check_real("discont", discont)
    half = period / 2
    step = diff(x.detach(), axis=axis)  # what is added is a multiple of the period: a constant
    inside = (step + half) % period - half
    inside = operations.where((inside == -half) & (step > 0), half, inside)
    small = abs(step) < (half if discont is None else discont)
    before = (slice(None),) * (from_the_end(axis, x.ndim) + x.ndim)
    added = operations.where(small, 0, inside - step).cumsum(axis)
    return concatenate([x[(*before, slice(1))], x[(*before, slice(1, None))] + added], axis)


def polyval(p: Value, x: TensorLike) -> Tensor:
    """Return the polynomial with coefficients p, that of the highest power first, at x.

    >>> import tinygrad_ce as tg
    >>> tg.polyval([1.0, 0.0, -1.0], tg.Tensor(3.0))
    Tensor(8.)
    """
    t, coefficients = as_tensor(x), array(p)
    if not coefficients.ndim:
        raise ValueError("polyval: coefficients in a sequence, the highest power first; got one")
    y = as_tensor(np.zeros(t.shape, t.dtype))
    for c in coefficients:
        y = y * t + c
    return y
