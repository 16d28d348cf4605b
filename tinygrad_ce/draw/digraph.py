"""From a diagram to DOT, the language of Graphviz, with labels of plain text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..engine.names import printable
from . import formatting as text
from .boxes import NONE, BoxContent, is_plain_number
from .colors import DARK, LIGHT
from .diagram import Diagram, Kind, OpNode, TensorBox
from .scopes import ScopeFrame

if TYPE_CHECKING:
    from graphviz import Digraph

FONT = "Helvetica,Arial,sans-serif"
DIGITS = "DejaVu Sans Mono,Menlo,Consolas,monospace"
# Space between the parts of a graph, here and in an SVG.
GAPS = {"nodesep": "0.17", "ranksep": "0.24"}

_LINES = {
    Kind.PARAMETER: {"penwidth": "2.2"},
    Kind.CONSTANT: {"style": "filled,dashed"},
    Kind.INTERMEDIATE: {"style": "filled,rounded"},
    Kind.OUTPUT: {"peripheries": "2"},
}

Part = TensorBox | OpNode | ScopeFrame
Attributes = dict[str, str]


def digraph_of(
    diagram: Diagram, contents: dict[str, BoxContent], direction: str, *,
    dark: bool, values: bool, grads: bool,
) -> Digraph:  # fmt: skip
    """Return the diagram as a `graphviz.Digraph`, with a legend below it."""
    from graphviz import Digraph

    colors = DARK if dark else LIGHT
    gray = {"fillcolor": colors["primitive"], "color": colors["line"], "fontname": FONT}

    def looks(part: Part) -> Attributes:
        if isinstance(part, TensorBox):
            kind, label = part.kind.name.lower(), _box_label(part, contents[part.id])
            fill, line = (kind, "ground"), (f"{kind}-line", "line")
            fillcolor, color = (colors.get(name, colors[usual]) for name, usual in (fill, line))
            more = _LINES.get(part.kind, {})
            return {"label": label, "fillcolor": fillcolor, "color": color, **more}
        if isinstance(part, OpNode):
            return {"label": _escape(op_words(part)), "shape": "oval", **gray}
        if part.folded:
            label = _lines([frame_words(part), count_words(part)], "n")
            return {"label": label, "shape": "folder", **gray}
        return {
            "label": _escape(frame_words(part)),
            # Away from where edges come in, so that they do not cross it.
            "labeljust": "l" if direction == "RL" else "r", "labelloc": "t",
            "style": "filled,rounded", "color": colors["scope-line"], "margin": "10",
            "fillcolor": colors[f"scope-{1 - part.level % 2}"],
        }  # fmt: skip

    # pygraphviz goes by the first charset in the text.
    graph_attr = {
        "rankdir": direction, "charset": "UTF-8", **GAPS, "pad": "0.15", "labelloc": "b",
        "label": _lines(_legend(diagram, values, grads)), "labeljust": "l", "fontname": FONT,
        "fontsize": "10", "fontcolor": colors["muted"], "bgcolor": colors["ground"],
        **diagram.layout_limits,
    }  # fmt: skip
    node_attr = {
        "shape": "box", "style": "filled", "fontname": DIGITS, "fontsize": "10",
        "fontcolor": colors["ink"], "margin": "0.08,0.05", "height": "0.25", "width": "0.3",
    }  # fmt: skip
    edge_attr = {
        "color": colors["edge"], "arrowsize": "0.6", "fontname": FONT, "fontsize": "9",
        "fontcolor": colors["muted"], "labeldistance": "1.5",
    }  # fmt: skip
    graph = Digraph("computation", graph_attr=graph_attr, node_attr=node_attr, edge_attr=edge_attr)
    add_parts(graph, diagram, looks)
    return graph


def add_parts(
    graph: Digraph, diagram: Diagram, looks: Callable[[Part], Attributes], edge_ids: bool = False
) -> None:
    """Put each part into the cluster of its scope, the inner clusters into the outer, and edges."""
    from graphviz import Digraph

    clusters: dict[ScopeFrame | None, Digraph] = {None: graph}
    for frame in diagram.frames:
        if not frame.folded:
            clusters[frame] = Digraph(f"cluster_{frame.id}", graph_attr=looks(frame))
    parts: list[TensorBox | OpNode] = [*diagram.boxes, *diagram.ops]
    for part in parts:
        clusters[part.frame].node(part.id, **looks(part))
    for frame in sorted(diagram.frames, key=lambda frame: -frame.level):
        if frame.folded:
            clusters[frame.outer].node(frame.id, **looks(frame))
        else:
            clusters[frame.outer].subgraph(clusters[frame])
    for edge in diagram.edges:
        attributes = {"id": edge.uses} if edge_ids else {}
        if edge.argument:
            attributes["headlabel"] = edge.argument
        if not edge.differentiable:
            attributes["style"] = "dashed"
        if edge.makes:
            attributes["weight"] = "8"  # keeps a primitive and its result in one line
        if edge.enters:
            # Leaves inside a scope need a rank of their own before its first primitive. Without
            # this one, the frame would overlap the ranks before it, and be put aside.
            attributes["minlen"] = "2"
        graph.edge(edge.source, edge.target, **attributes)


def op_words(op: OpNode) -> str:
    """Return the symbol of a primitive, and the parameters that matter."""
    symbol, params = op.primitive.symbol, text.params(op.primitive.params, op.params)
    return f"[{params}]" if symbol == "[ ]" else f"{symbol} {params}".rstrip()


def frame_words(frame: ScopeFrame) -> str:
    """Return the name of a scope, and how many like it a folded one represents."""
    name = printable(frame.name) or "scope"
    return f"{name} × {frame.repeats}" if frame.repeats > 1 else name


def count_words(frame: ScopeFrame) -> str:
    """Return how much is in a folded scope."""
    return text.quantity(frame.size, "tensor")


def _box_label(box: TensorBox, content: BoxContent) -> str:
    data = box.tensor.data
    if is_plain_number(box):
        return text.number(data[()])
    head = f"{content.name} {text.facts(data, bool(content.name))}".strip()
    lines = [head] if head else []
    if content.value is not None:
        lines += _numbers("value", content.value)
    if content.gradient is not None:
        lines += _numbers("grad", content.gradient)
    elif content.expects_gradient:
        lines.append(f"grad  {NONE}")
    return _lines(lines)


def _numbers(what: str, array: text.Array) -> list[str]:
    """Write a small array in rows, of a large one the smallest and the largest element."""
    if not text.shown_in_numbers(array.shape):
        return [f"{what:<5} {text.span(array)}"] if array.size else []
    lines = array.reshape(-1, array.shape[-1] if array.ndim else 1)
    rows = [list(map(text.number, line)) for line in lines]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = (" ".join(map(str.rjust, row, widths)) for row in rows)
    return [f"{'' if i else what:<5} {row}" for i, row in enumerate(padded)]


def _legend(diagram: Diagram, values: bool, grads: bool) -> list[str]:
    kinds = ", ".join("{} ({})".format(*kind.value) for kind in kinds_in(diagram))
    ops = "; ovals: primitives" if diagram.ops else ""
    return [f"boxes: {kinds}{ops}", *notes_on(diagram, values, grads, heat_maps=False)]


def kinds_in(diagram: Diagram) -> list[Kind]:
    """Return the kinds of tensors that occur, in the order of `Kind`."""
    found = {box.kind for box in diagram.boxes}
    return [kind for kind in Kind if kind in found]


def notes_on(diagram: Diagram, values: bool, grads: bool, heat_maps: bool) -> list[str]:
    """Return what else there is to know, one line each."""
    notes = [_note_on_gradients(diagram)] if grads else []
    if (depth := diagram.automatic_depth) is not None:
        notes.append(f"folded to depth={depth}, since it has {diagram.size:,} tensors")
    tensors = [box.tensor for box in diagram.boxes]
    large = any(t.size and not text.shown_in_numbers(t.shape) for t in tensors)
    if heat_maps and large and (values or diagram.differentiated):
        notes.append("heat map: blue below 0, white at 0, orange above; black is not finite")
    if any(not edge.differentiable for edge in diagram.edges):
        notes.append("dashed arrow: no gradient comes back along it")
    if any(edge.argument for edge in diagram.edges):
        notes.append("a, b at arrows: the order of the arguments, as in a − b")
    if any(frame.folded for frame in diagram.frames):
        notes.append("box with a tab: a scope, folded")
    return notes


def _note_on_gradients(diagram: Diagram) -> str:
    names = [
        printable(diagram.names.get(output.index, "")) or "the output" for output in diagram.outputs
    ]
    if diagram.differentiated:
        return f"grad: of {' + '.join(names)} with respect to the tensor"
    large = [i for i, output in enumerate(diagram.outputs) if output.size != 1]
    if large and any(output.requires_grad for output in diagram.outputs):
        size = diagram.outputs[large[0]].size
        return f"no gradients: they are of one number, and {names[large[0]]} has {size:,}"
    depend = "depends" if len(names) == 1 else "depend"
    return f"no gradients: {', '.join(names)} {depend} on no tensor that requires one"


def _lines(lines: Iterable[str], end: str = "l") -> str:
    r"""The lines as one label, each ended by the escape of Graphviz that aligns it."""
    return "".join(f"{_escape(line)}\\{end}" for line in lines)


def _escape(words: str) -> str:
    r"""Escape what Graphviz reads as an escape, such as \N, or as an entity, such as &amp;."""
    words = words.replace("\\", "\\\\").replace("&", "&amp;")
    return words.replace("<", "&lt;").replace(">", "&gt;") if words[:1] == "<" else words
