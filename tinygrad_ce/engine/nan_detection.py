"""detect_nan: find the operation that made the first nan or infinity."""

from __future__ import annotations

import numpy as np

from .array_types import Arguments, Value
from .caller import line_of_user
from .context import Mode, Switch
from .graph import Node
from .hooks import Observer
from .names import printable
from .primitives import Primitive


class detect_nan(Switch):
    """Raise at the first nan or infinity that is made out of finite numbers.

    Forward and backward. The error names the primitive, its scope, and the line of your code that
    called it. Every value is looked at, so this is for finding a mistake, not for training.

    Raises
    ------
    FloatingPointError
        As soon as a value or a gradient is not finite, though everything it was made of is.

    >>> import tinygrad_ce as tg
    >>> x = tg.Tensor([1.0, 0.0], requires_grad=True)
    >>> with tg.detect_nan():
    ...     x.log()
    Traceback (most recent call last):
        ...
    FloatingPointError: log made -inf out of finite numbers, at <doctest ...>:2: x.log()

    Also a decorator: ``@tg.detect_nan``.
    """

    __slots__ = ()

    def derive(self, parent: Mode) -> Mode:
        """Return the mode inside, in which every value is looked at."""
        return parent.derive(observers=(*parent.observers, _NanDetector()))


class _NanDetector(Observer):
    """Looks at what is made, and remembers by which line each node was made."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines: dict[int, str] = {}

    def forward(self, node: Node, primitive: Primitive, arguments: Arguments) -> None:
        line = self.lines[node.index] = line_of_user()
        bad = _not_finite(node._value)
        if bad is not None and _all_finite(arguments):
            raise FloatingPointError(_message(primitive.name, bad, node, line))

    def backward(self, node: Node, place: int, gradient: Value, contribution: Value) -> None:
        bad = _not_finite(contribution)
        if bad is not None and _all_finite((gradient, node._value, *node._arguments)):
            line = self.lines.get(node.index, "a line outside of detect_nan")
            assert node.primitive is not None
            name = f"the derivative of {node.primitive.name}"
            raise FloatingPointError(_message(name, bad, node, line))


def _message(name: str, bad: float, node: Node, line: str) -> str:
    scope = f" in {printable(node.scope.path, 200)}" if node.scope is not None else ""
    return f"{name}{scope} made {bad} out of finite numbers, at {line}"


def _not_finite(value: Value) -> float | None:
    """The first element that is nan or infinite."""
    array = np.asarray(getattr(value, "_value", value))
    if array.dtype.kind != "f":
        return None
    bad = array[~np.isfinite(array)]
    return float(bad[0]) if bad.size else None


def _all_finite(values: Arguments) -> bool:
    return all(
        _not_finite(value) is None
        for value in values
        if isinstance(getattr(value, "_value", value), np.ndarray | np.generic | float)
    )
