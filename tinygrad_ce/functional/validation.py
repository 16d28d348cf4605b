"""Validation of the arguments of losses: logits, targets, class weights and options.

Everything is checked before anything is computed. What does not fit is refused with the value, its
place and what was expected; labels never wrap around, and sizes never broadcast.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ..arguments import as_numbers, check_flag, check_integer, check_real
from ..engine.caller import warn_user
from ..engine.tensor import Tensor, as_tensor, run_check


def validate_cross_entropy(
    logits: Any,
    target: Any,
    axis: int = -1,
    weight: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    check_targets: bool = False,
) -> tuple[Tensor, Tensor, Tensor | None, np.dtype[Any]]:
    """Check the arguments of `functional.cross_entropy`, which describes them.

    Returns
    -------
    tuple
        Logits with the classes last; labels, or distributions with the classes last; the class
        weights, or None; and the dtype of the loss. Those that are floating point have that dtype
        already, or float32 where it is float16, in which sums overflow.
    """
    check_flag("check_targets", check_targets)
    try:
        x = as_floating(logits)
    except TypeError:
        t = as_integers_or_floats(target)
        if t.dtype.kind == "f" and t.ndim == np.ndim(logits) + 1:
            raise TypeError(
                "logits and labels are swapped: the logits come first, cross_entropy(logits, y)"
            ) from None
        raise
    z = move_classes_last(x, axis)
    y = as_target(target, x, axis)
    if ignore_index is not None:
        ignore_index = check_integer("ignore_index", ignore_index)
    n_classes = z.shape[-1]
    dtype = z.dtype
    labelled = y.dtype.kind != "f"
    if labelled:
        run_check(check_labels, y, n_classes, ignore_index)
    else:
        dtype = np.result_type(dtype, y.dtype)
        if ignore_index is not None:
            raise ValueError("ignore_index is for labels, and distributions have none")
        if check_targets:
            run_check(check_distributions, y)
    if not n_classes:
        raise ValueError(f"logits of shape {x.shape} have no class on axis {axis}")
    w = None
    if weight is not None:
        w = as_class_weights(weight, n_classes)
        dtype = np.result_type(dtype, w.dtype)
    if type(label_smoothing) is not float or label_smoothing:
        check_real("label_smoothing", label_smoothing, 0, 1)
    compute_dtype = dtype if dtype.itemsize > 2 else np.dtype(np.float32)
    return (
        _cast(z, compute_dtype),
        y if labelled else _cast(y, compute_dtype),
        None if w is None else _cast(w, compute_dtype),
        dtype,
    )


def _cast(x: Tensor, dtype: np.dtype[Any]) -> Tensor:
    return x if x.dtype is dtype else x.astype(dtype)


def as_floating(x: Any, what: str = "logits") -> Tensor:
    """Return floating point numbers as a Tensor, or raise TypeError."""
    z = as_tensor(x)
    if z.dtype.kind not in "fc":  # complex where gradcheck takes its complex step
        raise TypeError(
            f"{what} are floating point, got {z.dtype}: convert them with astype(float)"
        )
    return z


def move_classes_last(x: Tensor, axis: int) -> Tensor:
    """Return x with the class axis moved to the end, or raise ValueError if there is none."""
    n = len(x.shape)
    axis = check_integer("axis", axis) if type(axis) is not int else axis
    if not n:
        raise ValueError("logits have a class axis, got a single number: a shape (C,) or (..., C)")
    if axis in (-1, n - 1):
        return x
    if not -n <= axis < n:
        raise ValueError(f"axis {axis} is out of range for logits of shape {x.shape}")
    return x.transpose(*(a for a in range(n) if a != axis % n), axis % n)


def as_target(target: Any, logits: Tensor, axis: int) -> Tensor:
    """Return labels, or distributions with their classes last, as a Tensor.

    Labels are integers in the shape of the logits without the class axis, distributions floating
    point in the shape of the logits.

    Raises
    ------
    TypeError
        Labels that are not integers.
    ValueError
        Another shape.
    """
    t = as_integers_or_floats(target)
    kind, shape = t.dtype.kind, logits.shape
    rows = shape[:-1] if axis == -1 else (*shape[:axis], *shape[axis % len(shape) + 1 :])
    if kind in "iu" and t.shape == rows:
        return t
    if kind == "f" and t.shape == shape:
        return move_classes_last(t, axis)
    if kind not in "fiu":
        raise TypeError(
            f"a target is labels, which are integers, or distributions, floating point; "
            f"got {t.dtype}: convert it with astype(int)"
        )
    if t.shape == rows:
        raise TypeError(_dtype_error_message(t.dtype, shape[axis], "labels"))
    raise ValueError(_shape_error_message(t, shape, rows))


def as_integers_or_floats(target: Any) -> Tensor:
    """Return a Tensor, in which a list of integers stays one of integers."""
    if type(target) in (np.ndarray, Tensor):
        return as_tensor(target)
    array = as_numbers(target, "a target", copy=None)
    # An empty list of labels holds no integers, but NumPy takes it for floats.
    empty = not array.size and isinstance(target, list | tuple)
    return as_tensor(array.astype(np.intp) if empty else array)


def _shape_error_message(t: Tensor, shape: tuple[int, ...], rows: tuple[int, ...]) -> str:
    message = (
        f"logits of shape {shape} need distributions of that shape, or one label a row, "
        f"a target of shape {rows}; got {t.shape} of {t.dtype}"
    )
    if t.shape == shape:
        return (
            f"{message}: one-hot rows are distributions as floats, astype(float), and argmax(-1) "
            "makes labels of them"
        )
    if t.shape == (*rows, 1):
        return f"{message}: squeeze(-1) makes labels of it"
    if t.shape[:-1] == shape:
        return f"{message}: the logits come first, then the labels"
    fits = [a for a in range(len(shape)) if t.shape == (*shape[:a], *shape[a + 1 :])]
    return f"{message}: it fits with axis={fits[0]}" if fits else message


def _dtype_error_message(dtype: np.dtype[Any], n: int, many: str) -> str:
    return f"{many} are integers from 0 to {n - 1}, got {dtype}: convert them with astype(int)"


def check_range(
    values: Any, n: int, *, one: str = "target", many: str = "labels", of: str = "classes"
) -> None:
    """Raise if labels or indices are not integers in [0, n).

    Parameters
    ----------
    values
        An array or a NumPy scalar.
    n
        How many classes there are.
    one, many, of
        What to call one of the values, the values, and what they number.

    Raises
    ------
    TypeError, IndexError
        Values that are not integers, or out of range.
    """
    unsigned = _unsigned(values.dtype)
    if unsigned is None:
        raise TypeError(_dtype_error_message(values.dtype, n, many))
    # Read as unsigned, a negative label is a huge one: one comparison finds both. And for integers
    # argmax is faster than max.
    read = values.view(unsigned)
    if read.size and read.item(read.argmax()) >= n:
        place = tuple(int(i) for i in np.argwhere(read >= n)[0])
        raise IndexError(
            f"{one} {values[place]}{_at_row(place)} is out of range for {n} {of}: "
            f"{many} run from 0 to {n - 1}"
        )


@cache
def _unsigned(dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """The unsigned integers of the same size and byte order, or None if dtype has no integers."""
    return np.dtype(dtype.str.replace("i", "u")) if dtype.kind in "iu" else None


def _at_row(place: tuple[int, ...]) -> str:
    return f" at row {place[0] if len(place) == 1 else place}" if place else ""


def check_labels(labels: Any, n_classes: int, ignore_index: int | None) -> None:
    """Raise if labels are out of range, except for those that are to be ignored."""
    if ignore_index is None:
        check_range(labels, n_classes)
        return
    if n_classes:
        check_range(np.where(labels == ignore_index, 0, labels)[()], n_classes)


def check_distributions(rows: Any) -> None:
    """Raise ValueError if a row of an array (..., C) has a negative element or does not sum to 1.

    The message names the first such row.
    """
    tolerance = max(1e-6, float(np.finfo(rows.dtype).eps) ** 0.5)
    sums = rows.sum(-1, dtype=np.result_type(rows.dtype, np.float32))
    right = (abs(sums - 1) <= tolerance) & (rows >= 0).all(-1)
    if not np.all(right):
        place = tuple(int(i) for i in np.argwhere(~np.asarray(right))[0])
        raise ValueError(
            f"the target{_at_row(place)} is no distribution: its smallest element is "
            f"{rows[place].min()}, its sum {sums[place]}; check_targets=True expects at least 0, "
            f"and 1"
        )


def as_class_weights(weight: Any, n_classes: int) -> Tensor:
    """Return one floating point weight for each class as a Tensor.

    Raises
    ------
    TypeError, ValueError
        Weights that are not floating point, or not one for each class.
    """
    w = as_floating(weight, "class weights")
    if w.shape != (n_classes,):
        raise ValueError(
            f"{n_classes} classes need weights of shape ({n_classes},), got shape {w.shape}"
        )
    return w


def warn_of_probabilities(logits: Tensor) -> None:
    """Warn if all rows of (..., C) are probabilities that sum to 1, as a softmax makes them."""
    rows = logits._value
    if rows.dtype.kind != "f" or not rows.size or rows.shape[-1] < 2:
        return
    if is_softmax(rows[(0,) * (rows.ndim - 1)]) and is_softmax(rows):  # one row is seen at once
        warn_user(
            "cross_entropy got rows that are a softmax already: between 0 and 1, and summing to 1. "
            "It takes logits, of which it takes the softmax itself: leave out the softmax of the "
            "model, or use nll_loss of its logarithm"
        )


def is_softmax(rows: Any) -> bool:
    """Return whether rows (..., C) are probabilities that sum to 1, and none is one-hot."""
    tolerance = max(1e-6, float(np.finfo(rows.dtype).eps) ** 0.5)
    if not (rows.min() >= 0 and rows.max() < 1):
        return False
    return bool((abs(rows.sum(-1, dtype=np.result_type(rows.dtype, float)) - 1) <= tolerance).all())


def check_unit_interval(values: Any, what: str) -> None:
    """Raise ValueError if not all elements lie in [0, 1]; nan does not count."""
    wrong = (values < 0) | (values > 1)
    if np.any(wrong):
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        at = f" at {place}" if place else ""
        remedy = "give labels 0 and 1, or probabilities"
        if what == "probability":
            remedy = "binary_cross_entropy_with_logits is the one that takes logits"
        raise ValueError(f"{what} {values[place]}{at} is not between 0 and 1: {remedy}")
