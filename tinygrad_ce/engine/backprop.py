"""Backpropagation: walk a graph from its output to its leaves, and pass gradients back.

This module knows of a node only what a node remembers: its value, the primitive that made it,
the inputs it was made from, and the arguments with which the primitive was called (the inputs'
values, as they were then, and the parameters). It knows no Tensor, and runs in two worlds: handed
an array as the cotangent, it computes arrays; handed a Tensor, it computes with the nodes
themselves, and what it does becomes a graph in its turn.

The bookkeeping that would otherwise stand in every derivative rule stands here, once: undoing a
broadcast, casting to the input's dtype, skipping what needs no gradient, adding up.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from operator import attrgetter
from typing import Any

import numpy as np

from .context import MODE
from .primitives import sum_to

Node = Any  # a Tensor, seen from below
Value = Any  # an array, or a Tensor while a graph of the gradient is wanted

_creation = attrgetter("index")


class FreedGraphError(RuntimeError):
    """The graph was freed by an earlier backward()."""

    def __init__(
        self,
        node: Node,
        remedy: str = "call backward(retain_graph=True) the first time to walk it again",
    ) -> None:
        self.node = node
        super().__init__(
            f"the graph behind {node.label()} has been freed by an earlier backward(); {remedy}, "
            "or compute the output anew"
        )


def graph(*outputs: Node, grad_only: bool = False) -> list[Node]:
    """All nodes from which the outputs were made, in the order in which they were made.

    Parameters
    ----------
    outputs
        Tensors.
    grad_only
        Leave out whatever needs no gradient.

    Raises
    ------
    FreedGraphError
        A part of the graph was freed by backward().

    Notes
    -----
    Inputs are made before what is made from them, so the order of creation is a topological one,
    and sorting by it replaces a depth-first search. No recursion: a graph may be a million deep.

    >>> import tinygrad_ce as tg
    >>> x = tg.Tensor([1.0, 2.0], requires_grad=True, name="x")
    >>> [str(node.primitive) for node in graph((x * x).sum())]
    ['None', '<primitive multiply>', '<primitive sum>']
    """
    seen: set[int] = set()
    nodes: list[Node] = []
    todo = [node for node in outputs if node._requires_grad or not grad_only]
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        nodes.append(node)
        inputs = node.inputs
        if inputs is None:
            raise FreedGraphError(node)
        todo += [s for s in inputs if s._requires_grad] if grad_only else inputs
    nodes.sort(key=_creation)
    return nodes


def leading_to(wanted: Sequence[Node], output: Node) -> list[Node]:
    """The nodes on the ways from the wanted nodes to the output, in order of creation."""
    reached = {id(node) for node in wanted}
    ways = []
    for node in graph(output, grad_only=True):
        if id(node) in reached or any(id(source) in reached for source in node.inputs):
            reached.add(id(node))
            ways.append(node)
    return ways


# Infinities and nans are answers here, not mistakes: the slope of √x at 0 is inf.
@np.errstate(all="ignore")
def backpropagate(
    output: Node,
    cotangent: Value,
    *,
    wanted: Sequence[Node] = (),
    create_graph: bool = False,
    free: bool = False,
) -> dict[Node, Value]:
    """Pass the cotangent back from the output; return the gradients that arrive.

    Parameters
    ----------
    output
        The node where the walk begins; it requires a gradient.
    cotangent
        ∂L/∂output, of the output's shape: an array, or with `create_graph` a Tensor. It can have
        further axes in front, a batch of cotangents; the gradients have them too.
    wanted
        The nodes whose gradients to return, and no way is taken that does not lead to one of
        them. By default all that keep their gradient: leaves, and where `retain_grad` was called.
    create_graph
        Compute with Tensors, so that the gradients have a graph themselves.
    free
        Free each node as soon as its gradient has been passed on, so that memory shrinks as
        gradients appear.

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
    Nodes that a gradient has reached wait in a heap, the youngest first. All that a node was used
    for is younger than the node itself, so when its turn comes, its gradient is complete.
    """
    ways = set(leading_to(wanted, output)) if wanted else None
    keep = set(wanted)
    batch = cotangent.ndim - len(output.shape)
    in_front = cotangent.shape[:batch]
    mode = MODE.get()
    watch, recorder = mode.watch, mode.recorder
    kept: dict[Node, Value] = {}
    gradients: dict[Node, Value] = {output: cotangent}
    waiting: list[tuple[int, Node]] = [(-output.index, output)]
    while waiting:
        node = heappop(waiting)[1]
        inputs = node.inputs
        if not inputs:
            if inputs is None:
                raise FreedGraphError(node)
            continue  # its gradient stays
        g = gradients.pop(node)
        if node._retains_grad if ways is None else node in keep:
            kept[node] = g
        if create_graph:
            y, arguments = node, node.current_arguments()
        else:
            y, arguments = node._value, node._arguments
        if recorder is not None:
            recorder.passing(node, g)
        handed = (g, y, *arguments)
        age = node.index
        # No strict=: an index has no rule, and the keyword takes a fifth of an edge's time.
        for source, rule in zip(inputs, node.primitive.rules):  # noqa: B905
            if rule is None or source._grad_since > age:
                continue
            if ways is not None and source not in ways:
                continue
            d = rule(*handed)
            if watch is not None:
                watch.backward(node, g, d)
            x = source._value
            if d.shape != in_front + x.shape:
                d = sum_to(d, x.shape, batch)
            if d.dtype is not x.dtype and d.dtype != x.dtype:
                d = d.astype(x.dtype)
            if source in gradients:
                gradients[source] = gradients[source] + d
            else:
                gradients[source] = d
                # A leaf passes nothing on, and need not wait for its turn.
                if source.primitive is not None:
                    heappush(waiting, (-source.index, source))
        if free:
            node.inputs = None
            node._arguments = ()
    kept |= gradients  # what is left is of leaves
    if recorder is not None:
        for node, g in gradients.items():
            recorder.passing(node, g)
        recorder.passing(output, None)  # no further
    return kept
