"""NumPy's functions that have no derivative: rounding, tests, counting, searching, sets.

Their results are constants to the calculus. Where the shape of a result is known without the
numbers, a primitive computes it, so that whoever repeats a graph computes it again; where it is
not, as that of `nonzero`, the numbers are read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arguments import check_choice, check_flag, check_integer, check_real
from ..other_names import numpy_keywords
from .array_types import Array, Function, Value
from .axes import Axis, as_integers
from .kernels import ieee
from .primitives import Primitive
from .tensor import Tensor, TensorLike, apply, as_tensor, constant, refusal

# ── By primitives ─────────────────────────────────────────────────────────────────────────────────

# Ufuncs; those from bitwise_xor on are for integers and booleans.
UFUNCS = (
    "floor", "ceil", "trunc", "rint", "isinf", "signbit", "heaviside", "nextafter", "spacing",
    "logical_xor", "bitwise_xor", "left_shift", "right_shift", "bitwise_count", "gcd", "lcm",
)  # fmt: skip
# Functions with the number of their arrays, and the options that they take by name.
_FUNCTIONS: dict[str, tuple[int, tuple[str, ...]]] = {
    "any": (1, ("axis", "keepdims")),
    "all": (1, ("axis", "keepdims")),
    "count_nonzero": (1, ("axis", "keepdims")),
    "nanargmax": (1, ("axis", "keepdims")),
    "nanargmin": (1, ("axis", "keepdims")),
    "argpartition": (1, ("kth", "axis")),
    "round": (1, ("decimals",)),
    "isclose": (2, ("rtol", "atol", "equal_nan")),
    "searchsorted": (2, ("side",)),
    "digitize": (2, ("right",)),
    "isin": (2, ("assume_unique", "invert")),
}


# Functions of one array, without options.
TESTS = ("fix", "isposinf", "isneginf", "isreal", "iscomplex")


def _quiet_ufunc(name: str) -> Primitive:
    return Primitive(name, name, ieee(getattr(np, name)), elementwise=True)


def _of_numpy(name: str, n_arrays: int, options: tuple[str, ...]) -> Primitive:
    function = ieee(getattr(np, name))

    def value(*arguments: Value) -> Value:
        found = function(*arguments[:n_arrays], **dict(zip(options, arguments[n_arrays:])))  # noqa: B905
        return found[()] if isinstance(found, np.ndarray) else np.asarray(found)[()]

    return Primitive(name, name, value, params=options)


# Each is computed by the function of its name in NumPy, with its parameters as keywords.
CONSTANTS: dict[str, Primitive] = {name: _quiet_ufunc(name) for name in UFUNCS if hasattr(np, name)}
CONSTANTS |= {name: _of_numpy(name, 1, ()) for name in TESTS}
CONSTANTS |= {name: _of_numpy(name, *how) for name, how in _FUNCTIONS.items()}


ARRAYS = dict.fromkeys(TESTS, 1) | {name: n for name, (n, _) in _FUNCTIONS.items()}


@numpy_keywords
def any(a: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return whether any element is other than 0, over all axes or the given ones; no gradient.

    >>> import tinygrad_ce as tg
    >>> tg.any(tg.Tensor([[0.0, 2.0], [0.0, 0.0]]), axis=1)
    Tensor([ True, False])
    """
    return apply(CONSTANTS["any"], as_tensor(a), params=(axis, check_flag("keepdims", keepdims)))


@numpy_keywords
def all(a: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Return whether all elements are other than 0, over all axes or the given ones; no gradient.

    >>> import tinygrad_ce as tg
    >>> tg.all(tg.Tensor([[0.0, 2.0], [1.0, 3.0]]), axis=1)
    Tensor([False,  True])
    """
    return apply(CONSTANTS["all"], as_tensor(a), params=(axis, check_flag("keepdims", keepdims)))


@numpy_keywords
def count_nonzero(a: TensorLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """Return how many elements are other than 0, over all axes or the given ones; no gradient."""
    return apply(
        CONSTANTS["count_nonzero"], as_tensor(a), params=(axis, check_flag("keepdims", keepdims))
    )


def nanargmax(a: TensorLike, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
    """Return the index of the first maximum of what is not nan."""
    return apply(
        CONSTANTS["nanargmax"], as_tensor(a), params=(axis, check_flag("keepdims", keepdims))
    )


def nanargmin(a: TensorLike, axis: int | None = None, *, keepdims: bool = False) -> Tensor:
    """Return the index of the first minimum of what is not nan."""
    return apply(
        CONSTANTS["nanargmin"], as_tensor(a), params=(axis, check_flag("keepdims", keepdims))
    )


def argpartition(a: TensorLike, kth: int | Sequence[int], axis: int | None = -1) -> Tensor:
    """Return the indices that put the kth element where sorting would."""
    places = tuple(as_integers("kth", kth))
    return apply(CONSTANTS["argpartition"], as_tensor(a), params=(places, axis))


def round(a: TensorLike, decimals: int = 0) -> Tensor:
    """Round to a number of decimals, halves to even; flat almost everywhere, so no gradient.

    >>> import tinygrad_ce as tg
    >>> tg.round(tg.Tensor([0.5, 1.5, 2.26]), 1)
    Tensor([0.5, 1.5, 2.3])
    """
    return apply(CONSTANTS["round"], as_tensor(a), params=(check_integer("decimals", decimals),))


def isclose(
    a: TensorLike,
    b: TensorLike,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    equal_nan: bool = False,
) -> Tensor:
    """Return where |a - b| ≤ atol + rtol·|b|, element by element; no gradient.

    >>> import tinygrad_ce as tg
    >>> tg.isclose(tg.Tensor([1.0, 2.0]), [1.0, 2.1])
    Tensor([ True, False])
    """
    params = (
        check_real("rtol", rtol, 0),
        check_real("atol", atol, 0),
        check_flag("equal_nan", equal_nan),
    )
    return apply(CONSTANTS["isclose"], as_tensor(a), as_tensor(b), params=params)


def allclose(
    a: TensorLike,
    b: TensorLike,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    equal_nan: bool = False,
) -> bool:
    """Return whether all elements are close, as `isclose` says: a Python bool.

    >>> import tinygrad_ce as tg
    >>> tg.allclose(tg.Tensor([1.0, 2.0]), [1.0, 2.0 + 1e-9])
    True
    """
    return bool(all(isclose(a, b, rtol, atol, equal_nan)).item())


def array_equal(a1: TensorLike, a2: TensorLike, equal_nan: bool = False) -> bool:
    """Return whether shapes and all elements are equal: a Python bool.

    >>> import tinygrad_ce as tg
    >>> tg.array_equal(tg.Tensor([1.0, 2.0]), [1.0, 2.0])
    True
    """
    a, b = as_tensor(a1), as_tensor(a2)
    if a.shape != b.shape:
        return False
    same = a == b
    if check_flag("equal_nan", equal_nan):
        same = same | (np.isnan(a) & np.isnan(b))
    return bool(all(same).item())


def array_equiv(a1: TensorLike, a2: TensorLike) -> bool:
    """Return whether shapes broadcast and all elements are equal: a Python bool."""
    a, b = as_tensor(a1), as_tensor(a2)
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return False
    return bool(all(a == b).item())


def searchsorted(
    a: TensorLike, v: TensorLike, side: str = "left", sorter: TensorLike | None = None
) -> Tensor:
    """Return where v would be inserted into a sorted vector a; no gradient.

    >>> import tinygrad_ce as tg
    >>> tg.searchsorted(tg.Tensor([1.0, 2.0, 3.0]), [0.5, 2.5])
    Tensor([0, 2])
    """
    check_choice("side", side, ("left", "right"))
    vector = as_tensor(a) if sorter is None else as_tensor(a)[as_tensor(sorter)]
    return apply(CONSTANTS["searchsorted"], vector, as_tensor(v), params=(side,))


def digitize(x: TensorLike, bins: TensorLike, right: bool = False) -> Tensor:
    """Return the index of the bin of each element."""
    return apply(
        CONSTANTS["digitize"], as_tensor(x), as_tensor(bins), params=(check_flag("right", right),)
    )


def isin(
    element: TensorLike,
    test_elements: TensorLike,
    assume_unique: bool = False,
    invert: bool = False,
) -> Tensor:
    """Return which elements are among others."""
    params = (check_flag("assume_unique", assume_unique), check_flag("invert", invert))
    return apply(CONSTANTS["isin"], as_tensor(element), as_tensor(test_elements), params=params)


# ── By reading the numbers ────────────────────────────────────────────────────────────────────────


def of_values(function: Function) -> Function:
    """A function of NumPy on the values of Tensors; arrays in its result become Tensors."""

    def on_values(*args: object, **kwargs: object) -> Value:
        named = {name: _values_in(x) for name, x in kwargs.items()}
        values = [*map(_values_in, args)]
        try:
            found = function(*values, **named)
        except Exception as error:
            raise refusal(function.__name__, (*values, *named.values()), error) from None
        return _tensors_of(found)

    on_values.__wrapped__ = function  # type: ignore[attr-defined]  # for its signature
    return on_values


def _values_in(x: object) -> object:
    if isinstance(x, Tensor):
        return x.data.view(np.ndarray)
    return type(x)(map(_values_in, x)) if isinstance(x, list | tuple) else x


def _tensors_of(found: Value) -> Value:
    if isinstance(found, np.ndarray | np.generic):
        return constant(np.array(found)[()]) if found.dtype.kind in "biuf" else found
    if isinstance(found, tuple):
        parts = map(_tensors_of, found)
        return type(found)(*parts) if hasattr(found, "_fields") else tuple(parts)
    return [_tensors_of(part) for part in found] if isinstance(found, list) else found


def nonzero(a: TensorLike) -> tuple[Tensor, ...]:
    """Return the indices of the elements other than 0, one Tensor of integers for each axis.

    >>> import tinygrad_ce as tg
    >>> tg.nonzero(tg.Tensor([0.0, 3.0, 4.0]))
    (Tensor([1, 2]),)
    """
    found: tuple[Tensor, ...] = of_values(np.nonzero)(as_tensor(a))
    return found


@numpy_keywords
def unique(
    ar: TensorLike,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Value:
    """Return the elements without repetition, in ascending order, as constants.

    For values with a gradient, index by `return_index`: ``x[np.unique(x, True)[1]]``.

    >>> import tinygrad_ce as tg
    >>> tg.unique(tg.Tensor([3.0, 1.0, 3.0]))
    Tensor([1., 3.])
    """
    for what, flag in (
        ("return_index", return_index), ("return_inverse", return_inverse),
        ("return_counts", return_counts), ("equal_nan", equal_nan), ("sorted", sorted),
    ):  # fmt: skip
        check_flag(what, flag)
    axis = None if axis is None else check_integer("axis", axis)
    options = {} if sorted else {"sorted": False}
    return of_values(np.unique)(
        as_tensor(ar), return_index, return_inverse, return_counts, axis, equal_nan=equal_nan,
        **options,
    )  # fmt: skip


def blank(a: TensorLike) -> Array:
    """An array of the shape and dtype of a Tensor, for NumPy's functions that need no more."""
    x = as_tensor(a)
    return np.broadcast_to(np.zeros((), x.dtype), x.shape)
