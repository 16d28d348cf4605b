"""The page that steps through backprop: one HTML file that needs nothing but itself.

Its text, looks and behaviour are page.html, the style sheets page.css and graph.css, and the
scripts numbers.js, graph.js and page.js: files to be edited as such. Here they are put together
with the trace (trace.py) and with the pictures (plan.py), one for each way in which scopes can be
folded that the page offers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from itertools import islice, product
from string import Template
from typing import Any

from ...engine.tensor import Tensor
from .. import formatting as text
from ..diagram import Picture, Region, nodes_behind, picture_of
from .steps import Trace
from .svg import Layout, Plan, layout_of

# More tensors than this are too many steps to follow.
MAX_STEPPED = 3_000

SCRIPTS = ("numbers.js", "graph.js", "page.js")

# The layouts that a page holds: this many, and this many boxes in all.
MAX_LAYOUTS = 24
MAX_BOXES = 1_200


def page_of(
    outputs: Sequence[Tensor], depth: int | None, direction: str, title: str, dot: str
) -> str:
    """The page, as text in HTML.

    Parameters
    ----------
    outputs
        The tensors whose graph is stepped through.
    depth, direction
        As in `draw`: how the graph is folded at first, and which way it goes.
    title
        What the graph is, in words.
    dot
        The graph in DOT, for those who want to take it along.

    Raises
    ------
    ValueError
        There are more steps than anyone would follow.
    ImportError, RenderError
        There is no Graphviz, or it failed.
    """
    nodes = nodes_behind(outputs)
    if len(nodes) > MAX_STEPPED:
        raise ValueError(
            f"the graph has {len(nodes):,} tensors, and a page steps through {MAX_STEPPED:,} at "
            "most: draw a smaller part (fewer steps, layers or rows), or save a .svg with depth=1"
        )
    trace = Trace(nodes, outputs).data()
    plan = Plan(trace)
    first = picture_of(outputs, depth, gradients=False)
    pictures = [first, *_other_foldings(outputs, first)]
    layouts = [layout_of(plan, picture, direction, title) for picture in pictures]
    regions = {region.id: region for picture in pictures for region in picture.regions}
    data = {
        "trace": trace,
        "layouts": [
            # The first is in the page itself, the others wait as text: a page opens sooner.
            {"folded": layout.folded, "inside": layout.inside, "svg": layout.svg if i else ""}
            for i, layout in enumerate(layouts)
        ],
        "scopes": {id: _scope(region) for id, region in regions.items()},
        "scope_of": _scope_of(pictures),
        "files": {"dot": dot, "name": _file_name(outputs[0])},
        "no_gradients": _no_gradients(outputs),
    }
    return _put_together(title, outputs, trace, layouts, data)


def _put_together(
    title: str, outputs: Sequence[Tensor], trace: Any, layouts: Sequence[Layout], data: Any
) -> str:
    resources = files(__package__) / "assets"

    def file(name: str) -> str:
        return resources.joinpath(name).read_text(encoding="utf-8")

    name = text.visible(str(outputs[0].name or "")) or "a computation"
    heading = f"Backprop through {name}" if trace["differentiated"] else f"The values of {name}"
    return Template(file("page.html")).substitute(
        title=escape(heading),
        heading=escape(heading),
        summary=escape(title[:1].upper() + title[1:]),
        shape=_shape(layouts[0].svg),
        palette=file("palette.css"),
        css=file("page.css"),
        graph_css=file("graph.css"),
        svg=layouts[0].svg,
        data=in_script(data),
        js="\n".join(map(file, SCRIPTS)),
    )


def in_script(data: Any) -> str:
    r"""JSON that can stand in a script element: nothing in it ends the element.

    >>> in_script({"name": "</script><!--"})
    '{"name":"\\u003c/script>\\u003c!--"}'
    """
    shown = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return re.sub(r"<(?=[/!sS])", r"\\u003c", shown)


def _shape(svg: str) -> str:
    """Whether the graph is wide, and takes the whole width of the page, or tall."""
    _, _, width, height = svg.split('viewBox="', 1)[1].split('"', 1)[0].split()
    return "wide" if float(width) > 1.4 * float(height) else "tall"


def _file_name(output: Tensor) -> str:
    name = "".join(c for c in str(output.name or "") if c.isascii() and (c.isalnum() or c in "_-"))
    return name[:40] or "graph"


def _no_gradients(outputs: Sequence[Tensor]) -> str:
    if all(output.size == 1 for output in outputs):
        return "There are no gradients: the output depends on no tensor that requires one."
    return "There are no gradients, which are of one number: the output has more elements."


# ── Scopes ────────────────────────────────────────────────────────────────────────────────────────


def _scope(region: Region) -> dict[str, Any]:
    return {"name": region.name, "outer": region.outer.id if region.outer else None}


def _scope_of(pictures: Sequence[Picture]) -> dict[str, str]:
    """The innermost scope in which each tensor is drawn, where anything shows it."""
    found: dict[str, tuple[int, str]] = {}
    for picture in pictures:
        for box in picture.boxes:
            region = box.region
            if region is not None and region.level > found.get(box.id, (0, ""))[0]:
                found[box.id] = (region.level, region.id)
    return {id: scope for id, (_, scope) in found.items()}


def _other_foldings(outputs: Sequence[Tensor], first: Picture) -> Iterator[Picture]:
    """Pictures of the graph folded in other ways, as many as a page can hold."""
    boxes = len(first.boxes)
    seen = {_folded(first)}
    for folds in islice(_ways_to_fold(first), 200):
        if len(seen) >= MAX_LAYOUTS:
            return
        if folds in seen:
            continue
        try:
            picture = picture_of(outputs, folds=folds, gradients=False)
        except ValueError:  # too large when it is open
            continue
        boxes += len(picture.boxes)
        if boxes > MAX_BOXES:
            return
        if _folded(picture) not in seen:
            seen.add(_folded(picture))
            yield picture


def _folded(picture: Picture) -> frozenset[str]:
    return frozenset(region.id for region in picture.regions if region.folded)


def _ways_to_fold(first: Picture) -> Iterator[frozenset[str]]:
    """All open; all of one level folded; one scope alone; then any combination."""
    yield frozenset()
    regions = _all_regions(first)
    for level in sorted({region.level for region in regions}):
        yield frozenset(region.id for region in regions if region.level == level)
    if len(regions) <= MAX_LAYOUTS:
        for region in regions:
            yield frozenset((region.id,))
    if len(regions) <= 8:
        for choice in product((False, True), repeat=len(regions)):
            yield frozenset(r.id for r, folded in zip(regions, choice, strict=True) if folded)


def _all_regions(picture: Picture) -> list[Region]:
    """Those of the open graph, if it can be drawn."""
    try:
        return picture_of(picture.outputs, folds=frozenset(), gradients=False).regions
    except ValueError:
        return picture.regions
