"""detect_nan: find the operation that made the first nan or infinity."""

from __future__ import annotations

import linecache
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from .context import Mode, Setting

_PACKAGE = str(Path(__file__).parent) + os.sep


class detect_nan(Setting):
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

    Also a decorator: ``@tg.detect_nan()``.
    """

    __slots__ = ()

    def within(self, outer: Mode) -> Mode:
        """The mode inside, which watches."""
        return Mode(outer.grad, outer.scope, outer, Watch(), outer.recorder)


class Watch:
    """Looks at what is made, and remembers by which line each node was made."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines: dict[int, str] = {}

    def forward(self, node: Any, name: str, arguments: tuple[Any, ...]) -> None:
        """Look at the value that a primitive has computed from arguments."""
        line = self.lines[node.index] = line_of_user()
        bad = _not_finite(node._value)
        if bad is not None and _all_finite(arguments):
            raise FloatingPointError(_message(name, bad, node, line))

    def backward(self, node: Any, g: Any, d: Any) -> None:
        """Look at what a rule of a node has made of the gradient g."""
        bad = _not_finite(d)
        if bad is not None and _all_finite((g, node._value, *node._arguments)):
            line = self.lines.get(node.index, "a line outside of detect_nan")
            name = f"the derivative of {node.primitive.name}"
            raise FloatingPointError(_message(name, bad, node, line))


def _message(name: str, bad: float, node: Any, line: str) -> str:
    scope = f" in {node.scope.path}" if node.scope is not None else ""
    return f"{name}{scope} made {bad} out of finite numbers, at {line}"


def _not_finite(value: Any) -> float | None:
    """The first element that is nan or infinite."""
    array = np.asarray(getattr(value, "_value", value))
    if array.dtype.kind != "f":
        return None
    bad = array[~np.isfinite(array)]
    return float(bad[0]) if bad.size else None


def _all_finite(values: tuple[Any, ...]) -> bool:
    return all(
        _not_finite(value) is None
        for value in values
        if isinstance(getattr(value, "_value", value), np.ndarray | np.generic | float)
    )


def line_of_user() -> str:
    """The line of code that called this package, as ``file:number: code``.

    That is the innermost frame whose file lies outside of the package. The code is left out where
    its source is not at hand.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    name, number = frame.f_code.co_filename, frame.f_lineno
    code = linecache.getline(name, number).strip()
    return f"{name}:{number}" + (f": {code}" if code else "")
