"""A drawing as text: a tree for terminals, which needs no renderer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from itertools import islice
from operator import or_

from ..engine import kernels
from ..engine.names import printable
from ..engine.primitives import getitem
from . import formatting as text
from .boxes import NONE, is_plain_number
from .diagram import Diagram, Kind, OpNode
from .digraph import count_words, frame_words
from .scopes import ScopeFrame

MAX_LINES = 400
MAX_NUMBERS = 4
MAX_INPUTS = 5  # that a line names


def tree_of(diagram: Diagram, values: bool = True) -> str:
    """Write the outputs, and below each tensor what it was made from: one line for each tensor.

    Of the inputs of a tensor, the one that is farthest from its leaves goes on in the same column,
    so that a chain of layers is not indented; the others branch off before it. A tensor without a
    name has a number, such as t3, the one that it has in DOT.
    """
    tree = _Tree(diagram, values)
    lines = list(islice(tree.lines(), MAX_LINES + 1))
    if len(lines) > MAX_LINES:
        lines[-1] = f"… cut after {MAX_LINES} lines: depth=1 folds scopes"
    return "\n".join(lines)


class _Tree:
    """The tensors of a diagram by their ids, and from which others each was made.

    `height` is the number of steps to the leaf that is farthest away, `reached` has the bit of each
    tensor from which it was made, and its own.
    """

    def __init__(self, diagram: Diagram, values: bool) -> None:
        self.diagram, self.values = diagram, values
        self.boxes = {box.id: box for box in diagram.boxes}
        self.parts: dict[str, OpNode | ScopeFrame] = {op.id: op for op in diagram.ops}
        self.parts |= {frame.id: frame for frame in diagram.frames}
        self.makers = {edge.target: edge.source for edge in diagram.edges if edge.makes}
        self.sources: dict[str, list[str]] = {}
        for edge in diagram.edges:
            if not edge.makes:
                self.sources.setdefault(edge.target, []).append(edge.source)
        self.bit = {id: 1 << i for i, id in enumerate(self.boxes)}
        self.height: dict[str, int] = {}
        self.reached: dict[str, int] = {}
        for id in self.boxes:  # in order of creation; a folded scope can use what comes after it
            earlier = [x for x in self.inputs(id) if x in self.height]
            self.height[id] = max((self.height[x] + 1 for x in earlier), default=0)
            self.reached[id] = reduce(or_, (self.reached[x] for x in earlier), self.bit[id])

    def inputs(self, id: str) -> list[str]:
        """Return what a tensor was made from, in the order of arguments."""
        return self.sources.get(self.makers.get(id, ""), [])

    def lines(self) -> Iterator[str]:
        """Yield a line for each tensor but plain numbers, which are where they are used."""
        ids = {id(box.tensor): box.id for box in self.diagram.boxes}
        shown = {box.id for box in self.diagram.boxes if is_plain_number(box)}
        # What is to come: a tensor, what is before it on its line and on those below it, and the
        # bits of all that comes in a chain after this branch, and is not shown before that.
        todo = [(ids[id(output)], "", "", 0) for output in reversed(self.diagram.outputs)]
        while todo:
            name, before, below, later = todo.pop()
            if name in shown:
                continue
            shown.add(name)
            yield before + self._line(name)
            inputs = [
                x for x in dict.fromkeys(self.inputs(name))
                if x not in shown and not later & self.bit[x]
            ]  # fmt: skip
            if inputs:
                chain = max(inputs, key=self.height.__getitem__)
                todo.append((chain, below, below, later))
                later |= self.reached[chain]
                branches = (x for x in reversed(inputs) if not later & self.bit[x])
                todo += ((x, f"{below}├─ ", f"{below}│  ", later) for x in branches)

    def _line(self, id: str) -> str:
        box = self.boxes[id]
        t, gradient = box.tensor, box.gradient
        parts = [f"{self._name(id)} {self._origin(id)}", str(t.shape) if t.ndim else ""]
        if t.dtype != "float64":
            parts.append(str(t.dtype))
        if self.values:
            parts.append(_numbers(t.data))
        if self.diagram.differentiated and t.requires_grad:
            parts.append(f"grad {NONE if gradient is None else _numbers(gradient)}")
        return "  ".join(filter(None, parts))

    def _name(self, id: str) -> str:
        box = self.boxes[id]
        return text.number(box.tensor.data[()]) if is_plain_number(box) else box.name or id

    def _origin(self, id: str) -> str:
        """Return what the tensor is, or the call that made it."""
        kind, part = self.boxes[id].kind, self.parts.get(self.makers.get(id, ""))
        if part is None:
            return f"({'given' if kind is Kind.OUTPUT else kind.value[0]})"
        names = [*map(self._name, self.inputs(id))]
        if isinstance(part, OpNode) and part.primitive is getitem:
            (array, *arrays), (template,) = names, part.params
            index = map(text.index_part, kernels.fill_template(tuple(arrays), template))
            return f"= {array}[{printable(', '.join(index), text.PARAMS_LENGTH)}]"
        if len(names) > MAX_INPUTS:
            names[MAX_INPUTS - 1 :] = ["…"]
        if isinstance(part, ScopeFrame):
            return f"= [{frame_words(part)}: {count_words(part)}]({', '.join(names)})"
        params = text.params(part.primitive.params, part.params)
        return f"= {part.primitive.name}({', '.join(filter(None, [*names, params]))})"


def _numbers(array: text.Array) -> str:
    if 0 < array.size <= MAX_NUMBERS:
        return " ".join(map(text.number, array.flat))
    return text.span(array)
