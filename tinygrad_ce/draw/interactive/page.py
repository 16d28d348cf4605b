"""The page that steps through backprop: one HTML file that needs nothing but itself.

Its text, looks and behavior are files in assets/. Here they are put together with the steps
(steps.py) and with the graph (svg.py), as it was drawn and with all scopes open or folded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from ...engine.graph import topological_order
from ...engine.names import printable
from ...engine.tensor import Tensor
from .. import svg
from ..boxes import BoxContent
from ..diagram import Diagram, diagram_of, whole
from ..names import Names
from ..scopes import MAX_NESTING
from .steps import Trace

# More tensors than this are too many steps to follow.
MAX_STEPPED = 3_000

SCRIPTS = ("numbers.js", "graph.js", "page.js")

# The graph is not offered folded in another way where that would be more boxes in all; nor in
# another direction, which Graphviz can take much longer for.
MAX_BOXES = 1_200
MAX_TURNED = 300


def page_of(
    outputs: Sequence[Tensor], depth: int | None, direction: str, title: str, dot: str,
    names: Names | None = None,
) -> str:  # fmt: skip
    """Return the page, as text in HTML; it is folded at first as `draw` would, and exports `dot`.

    Tensors have the names given by the number of their creation; by default their own. Raise a
    ValueError where there are more steps than anyone would follow.
    """
    outputs = whole(outputs)
    nodes = topological_order(*outputs)
    if len(nodes) > MAX_STEPPED:
        most = f"a page steps through {MAX_STEPPED:,} at most"
        remedy = "draw a smaller part (fewer steps, layers or rows), or save a .svg with depth=1"
        raise ValueError(f"the graph has {len(nodes):,} tensors, and {most}: {remedy}")
    if names is None:
        names = {node.index: str(node.name) for node in nodes if node.name}
    trace = Trace(nodes, outputs, names)
    # What is in the boxes at the last step, with space for those before.
    contents = {
        trace.id[node]: BoxContent(
            trace.names[node],
            trace.values[node],
            trace.gradients.get(node),
            bool(trace.walks) and node.requires_grad,
            [contribution.after for contribution in trace.to[node]],
        )
        for node in nodes
    }
    diagrams = _two_foldings(outputs, depth, names)
    boxes = sum(len(diagram.boxes) for diagram in diagrams)
    other = "LR" if direction in ("TB", "BT") else "TB"
    layouts = [
        {
            "direction": towards,
            "folded": [frame.id for frame in diagram.frames if frame.folded],
            "folded_into": diagram.folded_into,
            "svg": svg.interactive_svg_of(diagram, contents, towards, title),
        }
        for towards in ([direction, other] if 2 * boxes <= MAX_TURNED else [direction])
        for diagram in diagrams
    ]
    graph = str(layouts[0]["svg"])
    layouts[0]["svg"] = ""  # it is in the page itself; the other one waits as text
    why = "There are no gradients: the output depends on no tensor that requires one."
    if any(output.size != 1 for output in outputs):
        why = "There are no gradients, which are of one number: the output has more elements."
    name = names.get(outputs[0].index, "")
    download = {"dot": dot, "name": re.sub(r"[^A-Za-z0-9_-]", "", name)[:40] or "graph"}
    steps = trace.data()
    data = {"trace": steps, "layouts": layouts, "files": download, "no_gradients": why}
    what = "Backprop through" if steps["differentiated"] else "The values of"
    return Template(_file("page.html")).substitute(
        heading=escape(f"{what} {printable(name) or 'a computation'}"),
        summary=escape(title[:1].upper() + title[1:]),
        palette=_file("palette.css"),
        css=_file("page.css"),
        graph_css=svg.color_variables() + svg.rules() + _file("steps.css"),
        svg=graph,
        data=in_script(data),
        js="\n".join(map(_file, SCRIPTS)),
    )


def _file(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _two_foldings(outputs: Sequence[Tensor], depth: int | None, names: Names) -> list[Diagram]:
    """Return the graph as it was drawn, and all open; where that is the same, all folded."""
    first = diagram_of(outputs, depth, names, gradients=False)
    if not first.frames:
        return [first]
    folded = any(frame.folded for frame in first.frames)
    try:
        second = diagram_of(outputs, MAX_NESTING if folded else 1, names, gradients=False)
    except ValueError:  # too large when it is open
        return [first]
    fits = len(first.boxes) + len(second.boxes) <= MAX_BOXES
    return [first, second] if fits else [first]


def in_script(data: Any) -> str:
    """Write JSON for a script element: nothing in it ends the element."""
    shown = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return re.sub(r"<(?=[/!sS])", r"\\u003c", shown)
