"""The derivation: each node between the logits and the result, its value and its derivative."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, count
from operator import attrgetter

from ..engine import primitives as p
from ..engine.graph import topological_order
from ..engine.tensor import Tensor
from .exact_numbers import symbol_array
from .read_graph import expression_of, read_nodes
from .result import Step

# Without those that mean something in mathematics, or look like numbers.
LETTERS = "abcdfghknqrstuvwxyABCDFHKMPQRTUVWXY"


def steps_of(
    z: Tensor, output: Tensor, gradients: dict[Tensor, Tensor], name: str
) -> tuple[Step, ...]:
    """The derivation of the output from z, node by node."""
    graph = topological_order(output, *gradients.values())
    held = [node for node in graph if node.primitive is p.max_constant]
    nodes = sorted({z, *gradients, *held}, key=attrgetter("index"))
    names = _names(nodes, {output: name, z: "z"})
    symbols = {node: symbol_array(names[node], node.shape) for node in nodes}
    in_z = read_nodes([*nodes, *gradients.values()], {t: symbols[t] for t in (z, *held)})
    in_names = read_nodes(gradients.values(), symbols)
    return tuple(
        Step(
            names[node],
            node.primitive.name if node.primitive else "",
            expression_of(node, in_z | symbols) if node.inputs else symbols[node],
            in_z[node],
            in_names[gradients[node]] if node in gradients else None,
            in_z[gradients[node]] if node in gradients else None,
        )
        for node in nodes
    )


def _names(nodes: Sequence[Tensor], names: dict[Tensor, str]) -> dict[Tensor, str]:
    """A name for each node: its own if it has one, m for what is held constant, else a letter."""
    names = dict(names)
    taken = {*names.values(), "p"}
    letters = chain(LETTERS, (f"v{i}" for i in count(1)))
    for node in nodes:
        if node in names:
            continue
        own = node.name or ("m" if node.primitive is p.max_constant else None)
        if own is None or own in taken or not re.fullmatch(r"[^\W\d_]+", own):
            own = next(letter for letter in letters if letter not in taken)
        names[node] = own
        taken.add(own)
    return names
