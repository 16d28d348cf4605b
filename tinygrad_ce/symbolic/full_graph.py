"""Record what has no derivative as well, so that it can be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..engine import primitives as p
from ..engine.context import recording_with
from ..engine.graph import Node
from ..engine.hooks import Recorder


class recording(recording_with):
    """Keep in the graph what has no derivative as well: comparisons, or a maximum held constant.

    Such a result is a leaf otherwise; inside, a reader of the graph finds what it was made from.
    Backprop is the same. Reading a value inside is a RuntimeError, since it would be a constant.

    >>> import tinygrad_ce as tg
    >>> from tinygrad_ce.symbolic import expressions, recording
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> with recording():
    ...     (slope,) = tg.gradients(x.relu(), [x], create_graph=True)
    >>> expressions(slope, {x: "x"})
    Piecewise((1, x > 0), (0, True))
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_Keeper())


def _refusal(what: str) -> Callable[..., Any]:
    message = f"recording() is for computing values and gradients(); {what} is not recorded"

    def refuse(*_: Any) -> Any:
        raise RuntimeError(message)

    return refuse


class _Keeper(Recorder):
    """Keeps in the graph what has no derivative, and refuses what an expression cannot show."""

    __slots__ = ()

    def copied(self, new: Node, source: Node) -> None:
        new.primitive = p.astype
        new.inputs = (source,)
        new._arguments = (source._value, new._value.dtype)

    def reading(self, node: Node) -> None:
        raise RuntimeError(
            f"the value of {node.label()} was read inside of recording(), and the graph cannot "
            "tell what depends on it: read it outside, or choose by np.where in place of an if"
        )

    assign = _refusal("assigning to a tensor")
    gradient_of = _refusal("reading .grad")
    set_gradient = _refusal("assigning to .grad")
    backward = _refusal("backward()")
    sample = _refusal("drawing random numbers")
    zero_grad = _refusal("zero_grad()")
    optimizer_step = _refusal("an optimizer's step()")
