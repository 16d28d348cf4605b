"""The two doors through which others may follow a computation: an observer and a recorder.

Both are put into the mode (context.py) and are called by the engine. The base classes below do
nothing, and with them in the mode every computation gives the same bits as without. Whoever
follows a computation overrides the methods of interest. The engine knows nobody who does.

* An `Observer` sees each value and each contribution to a gradient as it is made. Any number of
  them can be active at once.
* A `Recorder` takes part: while one is active, every operation keeps what made it, whether or not
  a gradient passes, gradients are Tensors with a graph of their own, and whatever reads or changes
  something from outside of the graph tells the recorder. One is active, the innermost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .array_types import Arguments, Function, Value
from .graph import Node
from .primitives import Primitive

Options = dict[str, object]


class Observer:
    """Sees what is made: override what is of interest."""

    __slots__ = ()

    def forward(self, node: Node, primitive: Primitive, arguments: Arguments) -> None:
        """See a value that a primitive has just computed from these arguments.

        Raising an exception here ends the computation.
        """

    def backward(self, node: Node, place: int, gradient: Value, contribution: Value) -> None:
        """See what the rule for argument number `place` of a node made of the node's gradient.

        The contribution is as the rule returned it: not yet summed over axes along which the
        argument was broadcast, nor cast to its dtype.
        """


class Recorder:
    """Is told whatever a repetition of the computation needs: override what is of interest.

    The first methods are told of something. The others may take over: they return NotImplemented to
    let the engine do what it does without a recorder.
    """

    __slots__ = ()

    def copied(self, new: Node, source: Node) -> None:
        """A leaf was made with the value of another node."""

    def reading(self, node: Node) -> None:
        """The value of a node is about to be given to code that computes outside of the graph."""

    def checking(
        self, check: Callable[..., None], x: Node, args: Arguments, options: Options
    ) -> None:
        """``check(value of x, *args, **options)``, which may raise, is about to be called."""

    def depends_on(self, owner: object, attribute: str) -> None:
        """What follows depends on an attribute, such as whether a Module is in training."""

    def passing(self, node: Node, gradient: Node | None) -> None:
        """Backprop is about to pass on a node's gradient; with None, the walk has come to its end.

        What is recorded until the next call belongs to this node.
        """

    def returning(self, node: Node) -> Value:
        """Return what to return for a node where there would be an array without a recorder."""
        return node

    def leaving(self, inner: Recorder) -> None:
        """Another recorder is about to take this one's place for a while, and is told instead."""

    def becoming_leaf(self, node: Node) -> None:
        """A node is about to be assigned to as a leaf, which it may be without a recorder."""

    def switching(self, leaf: Node) -> None:
        """Whether a leaf requires a gradient is about to be assigned."""

    def arguments_of(self, node: Node) -> Arguments:
        """Return the arguments of a node, nodes in place of values, for a graph of gradients."""
        return node.current_arguments()

    # ── What a recorder may take over ─────────────────────────────────────────────────────────

    def assign(self, leaf: Node, value: Value) -> object:
        """Let a leaf have a new value, an array or a Tensor of its shape and dtype."""
        return NotImplemented

    def gradient_of(self, node: Node) -> Value:
        """Return what is accumulated in ``node.grad``, or None."""
        return NotImplemented

    def set_gradient(self, node: Node, gradient: Value) -> object:
        """Let a node have this gradient, or None."""
        return NotImplemented

    def backward(self, output: Node, gradient: Value, retain_graph: bool) -> object:
        """Accumulate the gradients of an output, for a cotangent or None."""
        return NotImplemented

    def sample(self, method: Function, args: Arguments, options: Options) -> Value:
        """Draw random numbers by a method of a generator, and return them as a Tensor."""
        return NotImplemented

    def zero_grad(self, parameters: Sequence[Node]) -> object:
        """Clear the gradients of parameters."""
        return NotImplemented

    def optimizer_step(self, optimizer: Value) -> object:
        """Update the parameters of an optimizer."""
        return NotImplemented
