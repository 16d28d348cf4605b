"""Autograd against differences: `gradcheck` tests a function, or a new primitive.

The other check, against a closed form, is `compare` in comparison.py; it can be had from here too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..engine.context import no_grad
from ..engine.tensor import Tensor, as_tensor, constant
from ..engine.transforms import grad, gradients
from .comparison import Comparison, Comparisons, compare, table

Array = NDArray[Any]
Method = Literal["auto", "complex", "central"]

__all__ = ["Comparison", "Comparisons", "GradcheckError", "compare", "gradcheck", "table"]


class GradcheckError(AssertionError):
    """A derivative that backprop found disagrees with differences.

    Attributes
    ----------
    function
        The name of the function.
    order, argument, index
        Of which derivative, by which argument, at which of its elements.
    expected, got
        The difference quotient, and what backprop found.
    method
        "complex step" or "central differences".
    """

    def __init__(
        self,
        function: str,
        order: int,
        argument: int,
        index: tuple[int, ...],
        expected: float,
        got: float,
        method: str,
    ) -> None:
        self.function = function
        self.order = order
        self.argument = argument
        self.index = index
        self.expected = expected
        self.got = got
        self.method = method
        super().__init__(
            f"{function}: derivative of order {order} by argument {argument} at index {index}: "
            f"expected {expected!r} ({method}), got {got!r}"
        )


def gradcheck(
    f: Callable[..., Tensor],
    *inputs: Any,
    order: int = 1,
    method: Method = "auto",
    rtol: float | None = None,
) -> bool:
    """Check the derivatives that backprop finds against those from differences.

    The output is reduced to a number by random weights, so that no error can hide in a sum, and
    each element of each input is moved by itself.

    Parameters
    ----------
    f
        A function of Tensors that returns a Tensor.
    inputs
        Arrays, numbers or Tensors in float64 are differentiated by. Others, such as labels, are
        passed on as they are.
    order
        1, or 2 to check the derivative of the derivative too.
    method
        "complex": Im f(x + ih) / h with h = 1e-20. Nothing is subtracted, so nothing is lost, and
        the error is that of f itself. For functions that are analytic where they are smooth.
        "central": (f(x + h) - f(x - h)) / 2h with h near 1e-5, whose error is near 1e-10.
        "auto": the complex step where all primitives of f take complex numbers, else differences.
        The second derivative is always checked by differences of the first.
    rtol
        The error allowed, relative to the largest derivative by the same argument; by default
        1e-10 for the complex step and 1e-6 for differences.

    Returns
    -------
    bool
        True.

    Raises
    ------
    GradcheckError
        A derivative is wrong.
    TypeError
        An input in float32 or float16, whose rounding would drown the differences; no input to
        differentiate by; or a function that does not allow the complex step that was asked for.

    References
    ----------
    Squire and Trapp, Using complex variables to estimate derivatives of real functions, 1998.

    >>> gradcheck(lambda a, b: a * b.exp(), [1.0, 2.0], [0.5, -0.5], order=2)
    True
    """
    if order not in (1, 2):
        raise ValueError(f"order is 1 or 2, got {order!r}")
    if method not in ("auto", "complex", "central"):
        raise ValueError(f"method is auto, complex or central, got {method!r}")
    values = [_checkable(i, x) for i, x in enumerate(inputs)]
    argnums = tuple(i for i, x in enumerate(values) if _is_real(x))
    if not argnums:
        raise TypeError("gradcheck needs at least one floating point input to differentiate by")
    name = getattr(f, "__name__", repr(f))
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
    """An input as an array, if it is one to differentiate by."""
    if not isinstance(x, Tensor | np.ndarray | np.generic | float | list | tuple):
        return x
    array = np.array(x.data if isinstance(x, Tensor) else x)
    if array.dtype in (np.float16, np.float32):
        raise TypeError(
            f"gradcheck: input {i} is {array.dtype}, whose rounding is larger than the "
            "differences to be measured: convert it to float64"
        )
    return array


def _is_real(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def _weighted(
    f: Callable[..., Tensor], values: list[Any], rng: np.random.Generator
) -> Callable[..., Tensor]:
    """f's output times random weights, summed up."""
    y = f(*map(_argument, values))
    if not isinstance(y, Tensor):
        raise TypeError(f"the function must return a Tensor, got {type(y).__name__}: {y!r}")
    weights = rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape)
    return lambda *xs: (f(*xs) * weights).sum()


def _argument(x: Any) -> Any:
    return as_tensor(x) if isinstance(x, np.ndarray) else x


def _check(
    g: Callable[..., Tensor],
    values: list[Any],
    argnums: tuple[int, ...],
    name: str,
    order: int,
    method: Method,
    rtol: float | None,
) -> None:
    xs = [Tensor(x, requires_grad=True) if _is_real(x) else _argument(x) for x in values]
    y = g(*xs)
    chosen = [xs[i] for i in argnums]
    found = gradients(y, chosen) if y.requires_grad else [np.zeros(x.shape) for x in chosen]
    for i, got in zip(argnums, found, strict=True):
        expected, noise, used, default = _differences(g, values, i, method)
        scale = np.max(np.abs(expected), initial=0, where=np.isfinite(expected))
        limit = (default if rtol is None else rtol) * scale + noise
        wrong = ~(np.abs(got - expected) <= limit)
        if wrong.any():
            index = tuple(int(k) for k in np.argwhere(wrong)[0])
            raise GradcheckError(
                name, order, i, index, float(expected[index]), float(got[index]), used
            )


def _differences(
    g: Callable[..., Tensor], values: list[Any], i: int, method: Method
) -> tuple[Array, float, str, float]:
    """The derivatives by input i, their noise, and by which method, with its tolerance."""
    if method != "central":
        try:
            return _complex_step(g, values, i), 0.0, "complex step", 1e-10
        except TypeError as error:
            if method == "complex":
                raise TypeError(f"the function does not allow the complex step: {error}") from error
    return *_central_differences(g, values, i), "central differences", 1e-6


def _complex_step(g: Callable[..., Tensor], values: list[Any], i: int) -> Array:
    """Im g(x + ih) / h for each element, with an h so small that h² vanishes."""
    h = 1e-20
    x = values[i]
    result = np.zeros(x.shape)
    arguments = [_argument(v) for v in values]
    for index in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[index] += 1j * h
        arguments[i] = constant(moved[()])
        # Infinities and nans are answers here as they are in backprop.
        with no_grad(), np.errstate(all="ignore"):
            result[index] = np.imag(g(*arguments)._value) / h
    return result


def _central_differences(
    g: Callable[..., Tensor], values: list[Any], i: int
) -> tuple[Array, float]:
    """(g(x + h) - g(x - h)) / 2h for each element, and how far rounding may move it."""
    x = values[i]
    result = np.empty(x.shape)
    arguments = [_argument(v) for v in values]
    largest = 0.0
    for index in np.ndindex(x.shape):
        h = 1e-5 * max(1.0, abs(float(x[index])))
        sides = []
        for moved in (x[index] + h, x[index] - h):
            shifted = x.copy()
            shifted[index] = moved
            arguments[i] = as_tensor(shifted)
            sides.append(g(*arguments).item())
        largest = max(largest, *map(abs, sides))
        result[index] = (sides[0] - sides[1]) / ((x[index] + h) - (x[index] - h))
    return result, 16 * float(np.finfo(float).eps) * largest / 1e-5
