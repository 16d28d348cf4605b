"""Observe backprop: every single contribution to a gradient, in the order in which it comes.

Nothing is computed here in another way: the engine walks the graph itself, and an observer notes
what each derivative rule is given and what it returns. What the engine does with it then (undo a
broadcast, cast, add up) is done here by the same operations, and comes out as the same bits; that
the last sum at each tensor is the engine's gradient is checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engine.array_types import Value
from ...engine.backprop import backpropagate
from ...engine.context import observing
from ...engine.graph import Node, topological_order
from ...engine.hooks import Observer
from ...engine.kernels import unbroadcast
from ...engine.tensor import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Contribution:
    """What one use of a tensor adds to its gradient: as argument number `place` of `node`.

    The rule was given `gradient`, which is ∂L/∂node, and returned `from_rule`; in the shape and
    dtype of the source, that is `added`. The gradient of the source is `before` (None if this is
    the first contribution) and `after` it.
    """

    node: Tensor
    place: int
    source: Tensor
    gradient: Any
    from_rule: Any
    added: Any
    before: Any
    after: Any


class _Notes(Observer):
    """Notes what the rules are given and return."""

    def __init__(self) -> None:
        self.uses: list[tuple[Any, int, Value, Value]] = []

    def backward(self, node: Node, place: int, gradient: Value, contribution: Value) -> None:
        self.uses.append((node, place, gradient, contribution))


@np.errstate(all="ignore")
def contributions(output: Tensor, arrived: dict[Tensor, Any] | None = None) -> list[Contribution]:
    """Return all contributions to gradients of the output, a number, in backprop's order.

    `arrived` has gradients of other outputs, to which these are added, in place too.

    >>> a = Tensor(3.0, requires_grad=True, name="a")
    >>> for c in contributions(a * a):
    ...     print(c.source.name, c.place, c.before, "+", c.added, "=", c.after)
    a 0 None + 3.0 = 3.0
    a 1 3.0 + 3.0 = 6.0
    """
    arrived = {} if arrived is None else arrived
    earlier, notes, seed = dict(arrived), _Notes(), output.cotangent()
    with observing(notes):
        found = backpropagate(output, seed, wanted=topological_order(output, grad_only=True))
    walk, sums = [], {output: seed}
    arrived[output] = _sum(earlier.get(output), seed)
    for node, place, g, d in notes.uses:
        source = (node.inputs or ())[place]
        added = d if d.shape == source.shape else unbroadcast(d, source.shape)
        added = added if added.dtype == source.dtype else added.astype(source.dtype)
        before = arrived.get(source)
        sums[source] = _sum(sums.get(source), added)
        arrived[source] = _sum(earlier.get(source), sums[source])
        walk.append(Contribution(node, place, source, g, d, added, before, arrived[source]))
    for node, gradient in found.items():
        assert np.array_equal(sums[node], gradient, equal_nan=True), node
    return walk


def _sum(before: Any, added: Any) -> Any:
    return added if before is None else before + added
