"""A drawing as text: a tree for terminals, which needs no renderer."""

from __future__ import annotations

from collections.abc import Iterator

from . import formatting as text
from .boxes import NONE
from .diagram import Diagram, Kind, OpNode, TensorBox
from .digraph import frame_words
from .scopes import ScopeFrame

MAX_LINES = 400
MAX_NUMBERS = 4

_WORDS = {Kind.PARAMETER: "parameter", Kind.INPUT: "input", Kind.CONSTANT: "constant"}


def tree_of(diagram: Diagram, values: bool = True) -> str:
    """Write the outputs, and below each tensor what it was made from.

    A tensor that is used more than once is where it comes first; later ones refer to it by its
    name, or by a number such as t3, the one that it has in DOT.
    """
    tree = _Tree(diagram, values)
    lines: list[str] = []
    for output in diagram.outputs:
        for line in tree.lines(output):
            if len(lines) == MAX_LINES:
                cut = f"… cut after {MAX_LINES} lines: depth=1 folds scopes"
                return "\n".join([*lines, cut])
            lines.append(line)
    return "\n".join(lines)


class _Tree:
    """Who was made from whom, among what is drawn."""

    def __init__(self, diagram: Diagram, values: bool) -> None:
        self.values = values
        self.differentiated = diagram.differentiated
        self.boxes = {box.id: box for box in diagram.boxes}
        self.of_tensor = {id(box.tensor): box for box in diagram.boxes}
        self.makers: dict[str, OpNode | ScopeFrame] = {op.id: op for op in diagram.ops}
        self.makers |= {frame.id: frame for frame in diagram.frames if frame.folded}
        self.maker: dict[str, str] = {}
        self.sources: dict[str, list[str]] = {}
        for edge in diagram.edges:
            if edge.makes:
                self.maker[edge.target] = edge.source
            else:
                self.sources.setdefault(edge.target, []).append(edge.source)

    def lines(self, output: object) -> Iterator[str]:
        """One line for each tensor, indented where there are several inputs, not for a chain."""
        shown: set[str] = set()
        # What is to come: a tensor, and what is before it on its line and on those below it.
        todo = [(self.of_tensor[id(output)].id, "", "")]
        while todo:
            id_, before, below = todo.pop()
            again = id_ in shown and self.maker.get(id_) is not None
            yield before + self._line(self.boxes[id_], again)
            if again:
                continue
            shown.add(id_)
            inputs = self.sources.get(self.maker.get(id_, ""), [])
            last = len(inputs) - 1
            for i in range(last, -1, -1):
                branch, bar = ("└─ ", "   ") if i == last else ("├─ ", "│  ")
                if last == 0:
                    branch = bar = ""
                todo.append((inputs[i], below + branch, below + bar))

    def _line(self, box: TensorBox, again: bool) -> str:
        t = box.tensor
        name = box.name or box.id
        if again:
            return f"{name}, see above"
        if box.kind is Kind.CONSTANT and t.ndim == 0 and not t.name:
            return text.number(t.data[()])
        parts = [f"{name} {self._made(box)}".rstrip()]
        if t.ndim:
            parts.append("×".join(map(str, t.shape)))
        if t.dtype != "float64":
            parts.append(str(t.dtype))
        if self.values:
            parts.append(_numbers(t.data))
        if self.differentiated and t.requires_grad:
            gradient = NONE if box.gradient is None else _numbers(box.gradient)
            parts.append(f"grad {gradient}")
        return "  ".join(filter(None, parts))

    def _made(self, box: TensorBox) -> str:
        maker = self.makers.get(self.maker.get(box.id, ""))
        if maker is None:
            return f"({_WORDS.get(box.kind, 'given')})"
        if isinstance(maker, ScopeFrame):
            return f"= [{frame_words(maker)}: {maker.size:,} tensors]"
        params = text.params(maker.primitive.params, maker.params)
        if maker.primitive.symbol == "[ ]":
            return f"= [{params}]"
        return f"= {maker.primitive.name} {params}".rstrip()


def _numbers(array: text.Array) -> str:
    if 0 < array.size <= MAX_NUMBERS:
        return " ".join(number for row in text.rows(array) for number in row)
    return text.span(array)
