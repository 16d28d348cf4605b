"""Autograd against differences: `gradcheck` tests a function, or a new primitive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import as_array, check_callable, check_choice, check_integer, check_real
from ..engine.array_types import Array
from ..engine.context import no_grad
from ..engine.names import printable
from ..engine.tensor import Tensor, as_tensor, constant
from ..engine.transforms import grad, gradients

Method = Literal["auto", "complex", "central"]

EPS = float(np.finfo(np.float64).eps)
STEP = 1e-5  # of central differences: its square is the error of a smooth function


class GradcheckError(AssertionError):
    """A derivative that backprop found disagrees with differences.

    It has the `function` by name, the `order` of the derivative, the `argument` and the `index` of
    its element, the values `actual` and `expected`, and the `method` of the difference quotient.
    """

    def __init__(
        self, function: str, order: int, argument: int, index: tuple[int, ...],
        actual: float, expected: float, method: str,
    ) -> None:  # fmt: skip
        self.function, self.order, self.argument, self.index = function, order, argument, index
        self.actual, self.expected, self.method = actual, expected, method
        super().__init__(
            f"{function}: derivative of order {order} with respect to argument {argument} at index "
            f"{index}: expected {expected!r} ({method}), got {actual!r}"
        )


def gradcheck(
    f: Callable[..., Tensor], *inputs: Any,
    order: int = 1, method: Method = "auto", rtol: float | None = None,
) -> bool:  # fmt: skip
    """Check the derivatives that backprop finds against those from differences.

    The output is reduced to a number by random weights, so that no error can hide in a sum, and
    each element of each input is moved by itself.

    Parameters
    ----------
    f
        A function of Tensors that returns a Tensor.
    inputs
        The function is differentiated with respect to arrays, numbers and Tensors in float64, of
        any shape. Others, such as labels, are passed on as they are.
    order
        1, or 2 to check the derivative of the derivative too.
    method
        "complex": Im f(x + ih) / h with h = 1e-20, where nothing is lost to a difference. For
        functions that are analytic where they are smooth.
        "central": (f(x + h) - f(x - h)) / 2h with h near 1e-5, whose error is near 1e-10.
        "auto": the complex step where all primitives of f take complex numbers, else differences.
        The second derivative is always checked by differences of the first.
    rtol
        The error allowed, relative to the largest derivative with respect to the same argument;
        by default 1e-10 for the complex step and 1e-6 for differences.

    Returns
    -------
    bool
        True; a derivative that is wrong raises.

    Raises
    ------
    GradcheckError
        A derivative is wrong.
    TypeError
        An input in float32 or float16, whose rounding would drown the differences; no input in
        float64; an output that is no Tensor; or the complex step of a function that has none.
    ValueError
        Another `order` or `method`.

    Source: Squire and Trapp (1998), Using complex variables to estimate derivatives.

    >>> gradcheck(lambda a, b: a * b.exp(), [1.0, 2.0], [0.5, -0.5], order=2)
    True
    >>> gradcheck(lambda x: x * x.detach(), [3.0], method="central")
    Traceback (most recent call last):
        ...
    tinygrad_ce.verify.finite_differences.GradcheckError: <lambda>: derivative of order 1 with
    respect to argument 0 at index (0,): expected 6.82... (central differences), got 3.41...
    """
    check_integer("order", order, 1, 2)
    check_choice("method", method, ("auto", "complex", "central"))
    check_callable("f", f)
    if rtol is not None:
        rtol = check_real("rtol", rtol, 0)
    values = [_checkable(i, x) for i, x in enumerate(inputs)]
    argnums = tuple(i for i, x in enumerate(values) if _is_real(x))
    if not argnums:
        raise TypeError("gradcheck needs at least one floating point input")
    name = printable(getattr(f, "__name__", repr(f)), 80)
    rng = np.random.default_rng(0)
    g = _weighted(f, values, rng)
    _check(g, values, argnums, name, 1, method, rtol)
    if order == 2:
        weights = [rng.uniform(0.5, 1.5, values[i].shape) for i in argnums]

        def slope(*xs: Any) -> Tensor:
            total = as_tensor(0.0)
            for w, d in zip(weights, grad(g, argnums)(*xs), strict=True):
                total = total + (w * d).sum()
            return total

        _check(slope, values, argnums, name, 2, "central", rtol)
    return True


def _checkable(i: int, x: Any) -> Any:
    if not isinstance(x, Tensor | np.ndarray | np.generic | float | list | tuple):
        return x
    array = as_array(x.data if isinstance(x, Tensor) else x, f"input {i}")
    if array.dtype in (np.float16, np.float32):
        reason = "whose rounding is larger than the differences to be measured"
        raise TypeError(f"gradcheck: input {i} is {array.dtype}, {reason}: convert it to float64")
    return array


def _is_real(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def _weighted(
    f: Callable[..., Tensor], values: list[Any], rng: np.random.Generator
) -> Callable[..., Tensor]:
    y = f(*map(_argument, values))
    if not isinstance(y, Tensor):
        raise TypeError(f"the function must return a Tensor, got {type(y).__name__}: {y!r}")
    weights = rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape)
    return lambda *xs: (f(*xs) * weights).sum()


def _argument(x: Any) -> Any:
    return as_tensor(x) if isinstance(x, np.ndarray) else x


def central_differences(
    f: Callable[[Array], Array], x: Array, step: ArrayLike
) -> tuple[Array, Array]:
    """Return (f(x + h) − f(x − h)) / 2h of each row of x, and the size of f, element by element.

    `f` takes the N rows of an array (N, C) to N values: numbers, or arrays of one shape. The
    results have the shape (N, ..., C): the derivatives with respect to x in the last axis, and the
    larger of |f(x + h)| and |f(x − h)|, to which rounding in f is relative.
    """
    h = np.broadcast_to(step, x.shape)
    quotients, sizes = [], []
    for j in range(x.shape[1]):
        above, below = x.copy(), x.copy()
        above[:, j] += h[:, j]
        below[:, j] -= h[:, j]
        # What was added is not quite h; and nothing, where x is infinite.
        moved = np.where(np.isfinite(x[:, j]), above[:, j] - below[:, j], 2 * h[:, j])
        up, down = f(above), f(below)
        quotients.append((up - down) / moved.reshape(-1, *[1] * (up.ndim - 1)))
        sizes.append(np.maximum(np.abs(up), np.abs(down)))
    return np.moveaxis(np.array(quotients), 0, -1), np.moveaxis(np.array(sizes), 0, -1)


def _check(
    g: Callable[..., Tensor], values: list[Any], argnums: tuple[int, ...],
    name: str, order: int, method: Method, rtol: float | None,
) -> None:  # fmt: skip
    xs = [Tensor(x, requires_grad=True) if _is_real(x) else _argument(x) for x in values]
    y = g(*xs)
    chosen = [xs[i] for i in argnums]
    found = gradients(y, chosen) if y.requires_grad else [np.zeros(x.shape) for x in chosen]
    for i, actual in zip(argnums, found, strict=True):
        expected, noise, used, default = _differences(g, values, i, method)
        scale = np.max(np.abs(expected), initial=0, where=np.isfinite(expected))
        limit = (default if rtol is None else rtol) * scale + noise
        wrong = ~(np.abs(actual - expected) <= limit)
        if wrong.any():
            index = tuple(int(k) for k in np.argwhere(wrong)[0])
            values_at = float(actual[index]), float(expected[index])
            raise GradcheckError(name, order, i, index, *values_at, used)


def _differences(
    g: Callable[..., Tensor], values: list[Any], i: int, method: Method
) -> tuple[Array, float, str, float]:
    """The derivatives with respect to input i, their noise, the method's name and tolerance."""
    x = values[i]
    arguments = [_argument(v) for v in values]

    def at(value: Array) -> Tensor:
        # Not as_tensor, which would refuse the complex numbers of the complex step.
        arguments[i] = constant(value.reshape(x.shape)[()])
        return g(*arguments)

    if method != "central":
        try:
            return _complex_step(at, x), 0.0, "complex step", 1e-10
        except TypeError as error:
            if method == "complex":
                raise TypeError(f"the function does not allow the complex step: {error}") from error
    h = STEP * np.maximum(1, np.abs(x))
    quotients, sizes = central_differences(
        lambda row: np.array([at(row).item()]), x.reshape(1, -1), h.reshape(1, -1)
    )
    noise = 16 * EPS * float(sizes.max(initial=0)) / STEP
    return quotients.reshape(x.shape), noise, "central differences", 1e-6


def _complex_step(at: Callable[[Array], Tensor], x: Array) -> Array:
    """Im g(x + ih) / h for each element, with an h so small that h² vanishes."""
    h = 1e-20
    result = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[index] += 1j * h
        # Infinities and nans are answers here as they are in backprop.
        with no_grad(), np.errstate(all="ignore"):
            result[index] = np.imag(at(moved)._value) / h
    return result
