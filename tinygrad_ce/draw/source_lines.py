"""Remember by which line of code each tensor was made, so that the page can show it."""

from __future__ import annotations

from typing import Any
from weakref import finalize

from ..engine.caller import line_of_user
from ..engine.context import Mode, Switch
from ..engine.graph import Node
from ..engine.hooks import Observer
from ..engine.primitives import Primitive

# By the number of the tensor's creation, as long as it lives. No WeakKeyDictionary: that compares
# its keys with ==, which for Tensors compares their elements.
_LINES: dict[int, str] = {}


class remember_lines(Switch):
    """Compute inside, and the page will tell of each tensor which line of your code made it.

    Looking it up takes some microseconds for each operation: for a look at a graph, not training.

    >>> import tinygrad_ce as tg
    >>> from tinygrad_ce.draw import remember_lines
    >>> from tinygrad_ce.draw.source_lines import line_of
    >>> with remember_lines():
    ...     y = tg.Tensor(2.0, requires_grad=True).exp()
    >>> line_of(y)
    '<doctest ...>:2: y = tg.Tensor(2.0, requires_grad=True).exp()'

    Also a decorator: ``@remember_lines``.
    """

    __slots__ = ()

    def derive(self, parent: Mode) -> Mode:
        """Return the mode inside, in which lines are noted."""
        return parent.derive(observers=(*parent.observers, _Lines()))


class _Lines(Observer):
    """Notes the line of each node that is made."""

    __slots__ = ()

    def forward(self, node: Node, primitive: Primitive, arguments: tuple[Any, ...]) -> None:
        _LINES[node.index] = line_of_user()
        finalize(node, _LINES.pop, node.index, None).atexit = False


def line_of(node: Node) -> str:
    """The line that made a tensor, if it was made under `remember_lines`, else nothing."""
    return _LINES.get(node.index, "")
