"""Backpropagation: walk a graph from its output to its leaves, and pass gradients back.

It runs in two worlds: given an array as the cotangent, it computes arrays; given a Tensor, it
computes with the nodes themselves, and what it does becomes a graph in its turn.

Handled here once, so that no rule has to: undoing a broadcast, casting to the input's dtype,
skipping what needs no gradient, adding up, and mapping rules over a batch of cotangents.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from heapq import heappop, heappush, heappushpop
from typing import Any

import numpy as np

from .array_types import Value
from .context import MODE
from .graph import AnyNode, FreedGraphError, Node, nodes_between
from .hooks import Observer
from .kernels import unbroadcast
from .primitives import Rule, concatenate

# How much of a graph that backward() has used up is kept for a drawing, some thousand nodes, and
# what each takes besides its value.
_KEPT_BYTES = 1 << 21
_NODE_BYTES = 1 << 9


# Infinities and nans are answers here, not mistakes: the slope of √x at 0 is inf.
@np.errstate(all="ignore")
def backpropagate(
    output: AnyNode,
    cotangent: Value,
    *,
    wanted: Sequence[AnyNode] = (),
    create_graph: bool = False,
    free: bool = False,
) -> dict[AnyNode, Value]:
    """Pass the cotangent back from the output; return the gradients that arrive.

    Parameters
    ----------
    output
        The node where the walk begins; it requires a gradient.
    cotangent
        ∂L/∂output, of the output's shape: an array, or with `create_graph` a Tensor. It can have a
        further axis in front, a batch of cotangents; the gradients have it too.
    wanted
        The nodes whose gradients to return; no path is taken that does not lead to one of them.
        By default all that keep their gradient: leaves, and where `retain_grad` was called.
    create_graph
        Compute with Tensors, so that the gradients have a graph themselves.
    free
        Use the graph up: free each node as soon as its gradient has been passed on, so that memory
        shrinks as gradients appear. A graph of up to 2 MB is only marked, and can still be drawn.

    Returns
    -------
    dict
        Gradients by node. One that no gradient reaches is missing.

    Raises
    ------
    FreedGraphError
        A part of the graph was freed by an earlier walk.

    Notes
    -----
    Of the nodes that a gradient has reached, the youngest is next; the others wait in a heap. All
    that a node was used for is younger than the node itself, so when its turn comes, its gradient
    is complete.
    """
    between = set(nodes_between(wanted, output)) if wanted else None
    keep = set(wanted)
    batch = cotangent.shape[: cotangent.ndim - len(output.shape)]
    mode = MODE.get()
    observers, recorder = mode.observers, mode.recorder
    adapted = bool(batch or observers)
    kept: dict[AnyNode, Value] = {}
    gradients: dict[AnyNode, Value] = {output: cotangent}
    to_keep = _KEPT_BYTES  # less what has been walked
    waiting: list[tuple[int, Any]] = []
    following: Any = output if output.inputs != () else None  # the gradient of a leaf stays
    while following is not None:
        node, following = following, None
        inputs, retained = node.inputs, node._retains_grad
        if retained is None or inputs is None:
            raise FreedGraphError(node)
        g = gradients.pop(node)
        if retained if between is None else node in keep:
            kept[node] = g
        if recorder is not None:
            recorder.passing(node, g)
        if create_graph:
            y: Any = node
            arguments = recorder.arguments_of(node) if recorder else node.current_arguments()
        else:
            y, arguments = node._value, node._arguments
        primitive = node.primitive
        rules = primitive.rules
        given = (g, y) + arguments  # noqa: RUF005 - takes half the time
        if adapted or primitive.variadic:
            rules = primitive.rules_for(arguments)
            if batch and not primitive.stacks:
                rules = _mapped(rules)
            if observers:
                rules = _observed(rules, node, observers)
            if primitive.variadic:
                given = (g, y)
        index = node.index
        # No strict=: an index has no rule, and the keyword takes a fifth of an edge's time.
        for source, rule in zip(inputs, rules):  # noqa: B905
            if rule is None or source._tracked_since > index:
                continue
            if between is not None and source not in between:
                continue
            contribution = rule(*given)
            x = source._value
            if contribution.shape != batch + x.shape:
                contribution = unbroadcast(contribution, x.shape, len(batch))
            if contribution.dtype is not x.dtype and contribution.dtype != x.dtype:
                contribution = contribution.astype(x.dtype)
            if source in gradients:
                gradients[source] = gradients[source] + contribution
            else:
                gradients[source] = contribution
                # A leaf passes nothing on, and need not wait for its turn.
                if source.primitive is not None:
                    if following is not None:
                        heappush(waiting, (-following.index, following))
                    following = source
        if waiting:  # not in a chain, where no heap is needed
            if following is None:
                following = heappop(waiting)[1]
            else:
                following = heappushpop(waiting, (-following.index, following))[1]
        if free:
            node._retains_grad = None
            to_keep -= node._value.nbytes + _NODE_BYTES
            if to_keep < 0:
                node.inputs = None
                node._arguments = ()
    if to_keep < 0:
        _free_marked(output)
    kept |= gradients  # what is left is of leaves
    if recorder is not None:
        for node, g in gradients.items():
            recorder.passing(node, g)
        recorder.passing(output, None)
    return kept


def _free_marked(output: Node) -> None:
    """Free the nodes that were marked as used up before it was known that they are many."""
    marked = [output]
    while marked:
        node = marked.pop()
        if node._retains_grad is None and node.inputs is not None:
            marked += node.inputs
            node.inputs = None
            node._arguments = ()


def _observed(
    rules: Iterable[Rule | None], node: Node, observers: Sequence[Observer]
) -> Iterable[Rule | None]:
    """The rules of a node, which let observers see what they return."""
    return (
        rule and partial(_observe, rule, node, place, observers) for place, rule in enumerate(rules)
    )


def _observe(
    rule: Rule, node: Node, place: int, observers: Sequence[Observer], g: Value, *rest: Value
) -> Value:
    contribution = rule(g, *rest)
    for observer in observers:
        observer.backward(node, place, g, contribution)
    return contribution


def _mapped(rules: Iterable[Rule | None]) -> Iterable[Rule | None]:
    """Rules for one cotangent, as rules for a batch of them."""
    return [rule and partial(_map, rule) for rule in rules]


def _map(rule: Rule, g: Value, *rest: Value) -> Value:
    """The results of a rule for each cotangent of a batch, stacked."""
    results = [rule(g[i], *rest) for i in range(g.shape[0])]
    rows = [result.reshape((1, *result.shape)) for result in results]
    return concatenate(*rows, -rows[0].ndim)
