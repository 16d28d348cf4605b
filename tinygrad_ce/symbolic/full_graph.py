"""Record what has no derivative, too, so that it can be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..engine import primitives as p
from ..engine.context import MODE, Mode, Setting
from ..engine.tensor import Tensor


class recording(Setting):
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

    def __enter__(self) -> None:
        mode = MODE.get()
        MODE.set(Mode(mode.grad, mode.scope, mode, mode.watch, _Recorder()))


class _Recorder:
    """What is reported to while recording, see modes.py; refuses what an expression cannot show."""

    def copied(self, new: Tensor, source: Tensor) -> None:
        """A Tensor made from a Tensor keeps its source, though no gradient flows to it."""
        new.primitive = p.cast
        new.inputs = (source,)
        new._arguments = (source._value, new.dtype)

    def refuse_reading(self, tensor: Tensor) -> None:
        """Numbers that were read out would be constants, whatever they depend on."""
        raise RuntimeError(
            f"the value of {tensor.label()} was read inside of recording(), and the graph cannot "
            "tell what depends on it: read it outside, or choose by np.where in place of an if"
        )

    def verify(self, *check: Any) -> None:
        """What is accepted does not show in the graph."""

    def depends_on(self, *state: Any) -> None:
        """Nor does what a Module is set to."""

    def passing(self, node: Tensor, g: Tensor) -> None:
        """Nor whose gradient a Tensor is."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def refuse(*args: Any) -> Any:
            raise RuntimeError(
                f"recording() is for computing values and gradients(); {name} is not recorded"
            )

        return refuse
