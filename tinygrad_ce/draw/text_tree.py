"""A drawing as text: a tree for terminals, which needs no renderer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from . import formatting as text
from .boxes import NONE
from .diagram import Diagram, Kind, OpNode, TensorBox
from .digraph import frame_words
from .scopes import ScopeFrame

MAX_LINES = 400
MAX_NUMBERS = 4


def tree_of(diagram: Diagram, values: bool = True) -> str:
    """Write the outputs, and below each tensor what it was made from.

    A tensor that is used more than once is where it comes first; later ones refer to it by its
    name, or by a number such as t3, the one that it has in DOT.
    """
    lines = list(islice(_lines(diagram, values), MAX_LINES + 1))
    if len(lines) > MAX_LINES:
        lines[-1] = f"… cut after {MAX_LINES} lines: depth=1 folds scopes"
    return "\n".join(lines)


def _lines(diagram: Diagram, values: bool) -> Iterator[str]:
    """One line for each tensor, indented where there are several inputs, not for a chain."""
    boxes = {box.id: box for box in diagram.boxes}
    parts: dict[str, OpNode | ScopeFrame] = {op.id: op for op in diagram.ops}
    parts |= {frame.id: frame for frame in diagram.frames}
    makers = {edge.target: edge.source for edge in diagram.edges if edge.makes}
    sources: dict[str, list[str]] = {}
    for edge in diagram.edges:
        if not edge.makes:
            sources.setdefault(edge.target, []).append(edge.source)
    ids = {id(box.tensor): box.id for box in diagram.boxes}
    shown: set[str] = set()
    # What is to come: a tensor, and what is before it on its line and on those below it.
    todo = [(ids[id(output)], "", "") for output in reversed(diagram.outputs)]
    while todo:
        name, before, below = todo.pop()
        box, maker = boxes[name], makers.get(name, "")
        if maker and name in shown:
            yield f"{before}{box.name or name}, see above"
            continue
        shown.add(name)
        yield before + _line(box, parts.get(maker), values, diagram.differentiated)
        inputs = sources.get(maker, [])
        last = len(inputs) - 1
        for i in range(last, -1, -1):
            branch, bar = ("└─ ", "   ") if i == last else ("├─ ", "│  ")
            todo.append(
                (inputs[i], below + branch, below + bar) if last else (inputs[i], below, below)
            )


def _line(
    box: TensorBox, maker: OpNode | ScopeFrame | None, values: bool, differentiated: bool
) -> str:
    t = box.tensor
    if box.kind is Kind.CONSTANT and t.ndim == 0 and not t.name:
        return text.number(t.data[()])
    if maker is None:
        made = f"({'given' if box.kind is Kind.OUTPUT else box.kind.value[0]})"
    elif isinstance(maker, ScopeFrame):
        made = f"= [{frame_words(maker)}: {maker.size:,} tensors]"
    else:
        params = text.params(maker.primitive.params, maker.params)
        is_index = maker.primitive.symbol == "[ ]"
        made = f"= [{params}]" if is_index else f"= {maker.primitive.name} {params}".rstrip()
    parts = [f"{box.name or box.id} {made}", "×".join(map(str, t.shape))]
    if t.dtype != "float64":
        parts.append(str(t.dtype))
    if values:
        parts.append(_numbers(t.data))
    if differentiated and t.requires_grad:
        parts.append(f"grad {NONE if box.gradient is None else _numbers(box.gradient)}")
    return "  ".join(filter(None, parts))


def _numbers(array: text.Array) -> str:
    if 0 < array.size <= MAX_NUMBERS:
        return " ".join(map(text.number, array.flat))
    return text.span(array)
