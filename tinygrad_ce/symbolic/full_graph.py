"""Record what has no derivative, too, so that it can be read."""

from __future__ import annotations

from typing import Any

from ..engine import primitives as p
from ..engine.context import Mode, ModeContext
from ..engine.graph import Node
from ..engine.hooks import Recorder


class recording(ModeContext):
    """Keep in the graph what has no derivative, too: comparisons, or a maximum held constant.

    Where such a result is a leaf otherwise, a reader of the graph finds of what it was made.
    Backprop is the same. To read a value inside is an error, since it would be a constant.

    >>> import tinygrad_ce as tg
    >>> from tinygrad_ce.symbolic import expressions, recording
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> with recording():
    ...     (slope,) = tg.gradients(x.relu(), [x], create_graph=True)
    >>> expressions(slope, {x: "x"})
    Piecewise((1, x > 0), (0, True))
    """

    __slots__ = ()

    def derive(self, parent: Mode) -> Mode:
        """Return the mode inside, which keeps everything."""
        return parent.derive(recorder=_Keeper())


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

    def assign(self, leaf: Node, value: Any) -> Any:
        raise _refusal("assigning to a tensor")

    def gradient_of(self, node: Node) -> Any:
        raise _refusal("reading .grad")

    def set_gradient(self, node: Node, gradient: Any) -> Any:
        raise _refusal("assigning to .grad")

    def backward(self, output: Node, gradient: Any) -> Any:
        raise _refusal("backward()")

    def sample(self, method: Any, args: Any, options: Any) -> Any:
        raise _refusal("drawing random numbers")

    def zero_grad(self, parameters: Any) -> Any:
        raise _refusal("zero_grad()")

    def optimizer_step(self, optimizer: Any) -> Any:
        raise _refusal("an optimizer's step()")


def _refusal(what: str) -> RuntimeError:
    return RuntimeError(
        f"recording() is for computing values and gradients(); {what} is not recorded"
    )
