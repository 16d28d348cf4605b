"""Read-only arrays on which in-place operators make new arrays.

``p.data += g`` means ``p.data = p.data + g``: Python calls the operator, and then assigns what it
returns. So the update of a parameter can be written as usual, though the arrays of a graph never
change: the operator works on a copy, and the assignment binds it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np

from ..other_names import NotOfArrays
from .array_types import Array, Value


class ReadOnlyArray(np.ndarray, NotOfArrays):
    """A read-only view of an array of a graph; what is computed from it are plain arrays."""

    def __setitem__(self, index: Value, value: Value) -> None:
        if not self.flags.writeable:
            raise ValueError(
                "assignment destination is read-only: the arrays of a graph never change; assign "
                "a new one, as in t.data = np.where(mask, value, t.data) or t.data += ..., or "
                "change a copy(), and assign that"
            )
        super().__setitem__(index, value)

    def __array_wrap__(
        self, array: Array, context: object = None, return_scalar: bool = False
    ) -> Value:
        return array[()] if return_scalar else array.view(np.ndarray)

    def __copy__(self) -> Array:  # type: ignore[override]
        return np.array(self)

    def __deepcopy__(self, memo: object) -> Array:  # type: ignore[override]
        return np.array(self)

    def copy(self, order: str = "C") -> Array:  # type: ignore[override]
        """Return a plain array, which can be changed."""
        return np.array(self, order=order)  # type: ignore[call-overload,no-any-return]

    def __reduce_ex__(self, protocol: Value) -> Value:
        return self.view(np.ndarray).__reduce_ex__(protocol)

    def __repr__(self) -> str:
        return repr(self.view(np.ndarray))


def _on_a_copy(in_place: Callable[[Value, Value], Value]) -> Callable[[Value, Value], Value]:
    def operator(self: ReadOnlyArray, other: Value) -> Value:
        if hasattr(other, "__array_ufunc__") and not isinstance(other, np.ndarray | np.generic):
            other = np.asarray(other)  # of a Tensor, which refuses if it needs a gradient
        if not self.flags.writeable:
            return in_place(np.array(self), other)
        in_place(self.view(np.ndarray), other)  # what astype(), for instance, has made
        return self

    return operator


_OPERATORS = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift"
for _name in _OPERATORS.split():
    setattr(ReadOnlyArray, f"__i{_name}__", _on_a_copy(getattr(operator, f"i{_name}")))
