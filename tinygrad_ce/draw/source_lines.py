"""Remember by which line of code each tensor was made, so that the page can show it."""

from __future__ import annotations

from typing import Any
from weakref import finalize

from ..engine.context import MODE, Mode, Setting
from ..engine.nan_detection import line_of_user
from ..engine.tensor import Tensor

# By the number of the tensor's creation, as long as it lives. No WeakKeyDictionary: that compares
# its keys with ==, which for Tensors compares their elements.
_LINES: dict[int, str] = {}


class remember_lines(Setting):
    """Compute inside, and the page will tell of each tensor which line of your code made it.

    Looking it up takes some microseconds for each operation, so this is for a look at a graph, not
    for training.

    >>> import tinygrad_ce as tg
    >>> from tinygrad_ce.draw import remember_lines
    >>> from tinygrad_ce.draw.source_lines import line_of
    >>> with remember_lines():
    ...     y = tg.Tensor(2.0, requires_grad=True).exp()
    >>> line_of(y)
    '<doctest ...>:2: y = tg.Tensor(2.0, requires_grad=True).exp()'

    Also a decorator: ``@remember_lines()``.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        mode = MODE.get()
        MODE.set(Mode(mode.grad, mode.scope, mode, _Watch(mode.watch)))


class _Watch:
    """Notes the line of each node that is made; another watch around it goes on watching."""

    def __init__(self, around: Any) -> None:
        self.around = around

    def forward(self, node: Tensor, name: str, arguments: tuple[Any, ...]) -> None:
        """Note which line made a node."""
        _LINES[node.index] = line_of_user()
        finalize(node, _LINES.pop, node.index, None).atexit = False
        if self.around is not None:
            self.around.forward(node, name, arguments)

    def backward(self, node: Tensor, g: Any, d: Any) -> None:
        """Leave the rules to the watch around."""
        if self.around is not None:
            self.around.backward(node, g, d)


def line_of(node: Tensor) -> str:
    """The line that made a tensor, if it was made under `remember_lines`, else nothing."""
    return _LINES.get(node.index, "")
