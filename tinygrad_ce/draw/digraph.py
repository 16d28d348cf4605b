"""From a diagram to DOT, the language of Graphviz, with labels of plain text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import formatting as text
from .boxes import NONE, BoxContent, is_plain_number
from .colors import DARK, LIGHT
from .diagram import Diagram, Edge, Kind, OpNode, TensorBox
from .legend import KINDS, kinds_in, notes_on
from .scopes import ScopeFrame

if TYPE_CHECKING:
    from graphviz import Digraph

FONT = "Helvetica,Arial,sans-serif"
DIGITS = "DejaVu Sans Mono,Menlo,Consolas,monospace"

LINES = {
    Kind.PARAMETER: {"penwidth": "2.2"},
    Kind.CONSTANT: {"style": "filled,dashed"},
    Kind.INTERMEDIATE: {"style": "filled,rounded"},
    Kind.OUTPUT: {"peripheries": "2"},
}


def digraph_of(
    diagram: Diagram,
    contents: dict[str, BoxContent],
    direction: str,
    *,
    dark: bool = False,
    values: bool = True,
    grads: bool = True,
) -> Digraph:
    """Return the diagram as a `graphviz.Digraph`, with a legend below it."""
    from graphviz import Digraph

    colors = DARK if dark else LIGHT
    graph = Digraph(
        "computation",
        graph_attr={
            "rankdir": direction,
            "charset": "UTF-8",  # pygraphviz goes by the first one in the text
            "bgcolor": colors["ground"],
            "fontname": FONT,
            "fontsize": "10",
            "fontcolor": colors["muted"],
            "nodesep": "0.2",
            "ranksep": "0.32",
            "pad": "0.15",
            "label": _lines(_legend(diagram, values, grads)),
            "labelloc": "b",
            "labeljust": "l",
            **diagram.layout_limits,
        },
        node_attr={
            "shape": "box",
            "style": "filled",
            "fontname": DIGITS,
            "fontsize": "10",
            "fontcolor": colors["ink"],
            "margin": "0.08,0.05",
            "height": "0.25",
            "width": "0.3",
        },
        edge_attr={
            "color": colors["edge"],
            "arrowsize": "0.6",
            "fontname": FONT,
            "fontsize": "9",
            "fontcolor": colors["muted"],
            "labeldistance": "1.5",
        },
    )
    _add_nodes(graph, diagram, contents, colors)
    for edge in diagram.edges:
        graph.edge(edge.source, edge.target, **edge_attributes(edge))
    return graph


def _add_nodes(
    graph: Digraph, diagram: Diagram, contents: dict[str, BoxContent], colors: dict[str, str]
) -> None:
    """Put each node into the cluster of its scope, and the inner clusters into the outer ones."""
    from graphviz import Digraph

    clusters: dict[ScopeFrame | None, Digraph] = {None: graph}
    for frame in diagram.frames:
        if not frame.folded:
            attributes = _cluster(frame, str(graph.graph_attr["rankdir"]), colors)
            clusters[frame] = Digraph(f"cluster_{frame.id}", graph_attr=attributes)
    for box in diagram.boxes:
        label = _box_label(box, contents[box.id])
        clusters[box.frame].node(box.id, label, **_box_attributes(box.kind, colors))
    gray = {"fillcolor": colors["primitive"], "color": colors["line"], "fontname": FONT}
    for op in diagram.ops:
        clusters[op.frame].node(op.id, _escape(op_words(op)), shape="oval", **gray)
    for frame in sorted(diagram.frames, key=lambda frame: -frame.level):
        if frame.folded:
            label = _lines([frame_words(frame), count_words(frame)], "n")
            clusters[frame.outer].node(frame.id, label, shape="folder", **gray)
        else:
            clusters[frame.outer].subgraph(clusters[frame])


def _box_attributes(kind: Kind, colors: dict[str, str]) -> dict[str, str]:
    name = kind.name.lower()
    return {
        "fillcolor": colors.get(name, colors["ground"]),
        "color": colors.get(f"{name}-line", colors["line"]),
        **LINES.get(kind, {}),
    }


def _cluster(frame: ScopeFrame, direction: str, colors: dict[str, str]) -> dict[str, str]:
    return {
        "label": _escape(frame_words(frame)),
        # Away from where edges come in, so that they do not cross it.
        "labeljust": "l" if direction == "RL" else "r",
        "labelloc": "t",
        "style": "filled,rounded",
        "fillcolor": colors[f"scope-{1 - frame.level % 2}"],
        "color": colors["scope-line"],
        "margin": "10",
    }


def edge_attributes(edge: Edge) -> dict[str, str]:
    """Return what Graphviz needs to know of an edge."""
    attributes = {}
    if edge.argument:
        attributes["headlabel"] = edge.argument
    if not edge.differentiable:
        attributes["style"] = "dashed"
    if edge.makes:
        attributes["weight"] = "8"  # keeps a primitive and its result in one line
    if edge.enters:
        # Leaves inside a scope need a rank of their own before its first primitive. Without this
        # one, the frame would overlap the ranks of what comes before, and be put aside.
        attributes["minlen"] = "2"
    return attributes


# ── Words ─────────────────────────────────────────────────────────────────────────────────────────


def op_words(op: OpNode) -> str:
    """Return the symbol of a primitive, and the parameters that matter."""
    params = text.params(op.primitive.params, op.params)
    symbol = op.primitive.symbol
    if symbol == "[ ]":  # with space for the index
        return f"[{params}]"
    return f"{symbol} {params}" if params else symbol


def frame_words(frame: ScopeFrame) -> str:
    """Return the name of a scope, and how many like it a folded one represents."""
    name = text.printable(frame.name) or "scope"
    return f"{name} × {frame.repeats}" if frame.repeats > 1 else name


def count_words(frame: ScopeFrame) -> str:
    """Return how much is in a folded scope."""
    return "1 tensor" if frame.size == 1 else f"{frame.size:,} tensors"


def _box_label(box: TensorBox, content: BoxContent) -> str:
    t = box.tensor
    if is_plain_number(box):
        return text.number(t.data[()])
    head = f"{content.name} {text.facts(t.data, bool(content.name))}".strip()
    lines = [head] if head else []
    if content.value is not None:
        lines += _numbers("value", content.value)
    if content.expects_gradient:
        missing = content.gradient is None
        lines += [f"grad  {NONE}"] if missing else _numbers("grad", content.gradient)
    return _lines(lines)


def _numbers(what: str, array: text.Array | None) -> list[str]:
    """Write a small array in rows, of a large one the smallest and the largest element."""
    assert array is not None
    if not text.shown_in_numbers(array.shape):
        return [f"{what:<5} {text.span(array)}"] if array.size else []
    rows = text.rows(array)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = (" ".join(n.rjust(w) for n, w in zip(row, widths, strict=True)) for row in rows)
    return [f"{'' if i else what:<5} {row}" for i, row in enumerate(padded)]


def _legend(diagram: Diagram, values: bool, grads: bool) -> list[str]:
    kinds = ", ".join("{} ({})".format(*KINDS[kind]) for kind in kinds_in(diagram))
    ops = "; ovals: primitives" if diagram.ops else ""
    return [f"boxes: {kinds}{ops}", *notes_on(diagram, values, grads, heat_maps=False)]


def _lines(lines: Iterable[str], end: str = "l") -> str:
    r"""Return the lines as one label, each ended by the escape of Graphviz that aligns it."""
    return "".join(f"{_escape(line)}\\{end}" for line in lines)


def _escape(words: str) -> str:
    r"""Escape what Graphviz reads as an escape, such as \N, or as an entity, such as &amp;."""
    words = words.replace("\\", "\\\\").replace("&", "&amp;")
    return words.replace("<", "&lt;").replace(">", "&gt;") if words[:1] == "<" else words
