"""A diagram as SVG: laid out by Graphviz, drawn here.

Graphviz decides where everything goes. What is drawn there is written here, with the looks of
graph.css: so a picture is light or dark as its reader prefers, and on the page each number has a
place of its own, in which it appears as soon as it is computed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

from . import formatting as text
from . import heatmap
from .boxes import LABEL, LINE, NONE, PAD, BoxContent, BoxLayout, Slot, lay_out, width_of
from .colors import DARK, LIGHT
from .diagram import Diagram, OpNode, TensorBox
from .digraph import GAPS, add_parts, count_words, frame_words, op_words
from .legend import KINDS, kinds_in
from .render import render
from .scopes import ScopeFrame

MARGIN = 8.0
FOLD_HEIGHT = 38.0
LEGEND_WIDTH = 440.0  # at least; a wider graph has a wider legend

Point = tuple[float, float]


def svg_of(
    diagram: Diagram,
    contents: dict[str, BoxContent],
    direction: str,
    title: str,
    *,
    theme: str = "auto",
    notes: list[str],
) -> str:
    """Return the diagram as an SVG element, for an HTML page or a file of its own.

    It has its natural size where there is room, and shrinks where there is not. Tensors, primitives
    and folded scopes are groups with their name in DOT as `data-id`; there are no ids, which would
    clash when two pictures are on one page.
    """
    layout = _Layout(diagram, contents, direction)
    legend, width, height = _legend(diagram, notes, *layout.size)
    label = escape(title)
    return "\n".join(
        [
            _tag(f"graph-{theme}", width, height, "pt", "img", label)
            + ' style="max-width:100%;height:auto">',
            f"<title>{label}</title>",
            f"<style>\n{style_sheet(theme)}</style>",
            f'<rect class="ground" x="{-MARGIN}" y="{-MARGIN}" width="100%" height="100%"/>',
            *layout.parts(),
            *legend,
            "</svg>",
        ]
    )


def interactive_svg_of(
    diagram: Diagram, contents: dict[str, BoxContent], direction: str, title: str
) -> str:
    """Return the diagram as an SVG element whose parts can be chosen and folded on the page."""
    layout = _Layout(diagram, contents, direction, interactive=True)
    tag = _tag("graph", *layout.size, "", "group", escape(title))
    return "\n".join([f"{tag}>", *layout.parts(), '<g class="callouts"></g></svg>'])


def _tag(kind: str, width: float, height: float, unit: str, role: str, label: str) -> str:
    """Begin the element, with a margin around what is drawn."""
    wide, high = (f"{n + 2 * MARGIN:.0f}" for n in (width, height))
    return (
        f'<svg class="{kind}" xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="{-MARGIN} {-MARGIN} {wide} {high}" width="{wide}{unit}" '
        f'height="{high}{unit}" role="{role}" aria-label="{label}"'
    )


# ── Looks ─────────────────────────────────────────────────────────────────────────────────────────


@cache
def rules() -> str:
    """Return the rules of graph.css, in which colors are variables."""
    return files(__package__).joinpath("graph.css").read_text(encoding="utf-8")


def style_sheet(theme: str) -> str:
    """Return the looks of a picture of its own, light, dark, or as its reader prefers.

    Colors are written out: programs that draw SVG without being a browser know no variables.

    >>> print(style_sheet("dark").splitlines()[2])
    .graph-dark text { fill: #eceef1; }
    """

    def looks(colors: dict[str, str]) -> str:
        written = re.sub(r"var\(--g-([\w-]+)\)", lambda match: colors[match[1]], rules())
        written = re.sub(r"/\*.*?\*/\n*", "", written, flags=re.DOTALL)
        return written.replace(".graph", f".graph-{theme}")

    if theme != "auto":
        return looks(DARK if theme == "dark" else LIGHT)
    dark = "".join(line for line in looks(DARK).splitlines(keepends=True) if "#" in line)
    return f"{looks(LIGHT)}@media screen and (prefers-color-scheme: dark) {{\n{dark}}}\n"


def color_variables() -> str:
    """Return the colors as variables, for a page on which they can be used elsewhere too."""
    light, dark = (
        ".graph { " + " ".join(f"--g-{name}: {color};" for name, color in colors.items()) + " }"
        for colors in (LIGHT, DARK)
    )
    return f"{light}\n@media screen and (prefers-color-scheme: dark) {{\n  {dark}\n}}\n"


# ── Layout ────────────────────────────────────────────────────────────────────────────────────────


def _place(diagram: Diagram, boxes: dict[str, BoxLayout], direction: str) -> dict[str, Any]:
    """Let Graphviz place the parts, of which it gets nothing but sizes and edges."""
    from graphviz import Digraph

    def part(width: float, height: float, shape: str = "box") -> dict[str, str]:
        return {"width": f"{width / 72:.4f}", "height": f"{height / 72:.4f}", "shape": shape}

    def cluster(frame: ScopeFrame) -> dict[str, str]:
        # Space for the name: a label of as many letters as it has.
        label = "n" * round(width_of(frame_words(frame), 11) / 6)
        return {"label": label, "labeljust": "l", "fontsize": "11", "margin": "9"}

    graph = Digraph(
        graph_attr={**diagram.layout_limits, **GAPS, "rankdir": direction, "charset": "UTF-8"},
        node_attr={"fixedsize": "true", "label": ""},
        edge_attr={"arrowsize": "0.6", "labeldistance": "1.7"},
    )
    add_parts(
        graph,
        diagram,
        lambda box: part(boxes[box.id].width, boxes[box.id].height),
        lambda op: part(_op_width(op), 22, "ellipse"),
        lambda frame: part(_fold_width(frame), FOLD_HEIGHT),
        cluster,
        edge_ids=True,
    )
    placed: dict[str, Any] = json.loads(render(graph.source, "json0"))
    return placed


def _op_width(op: OpNode) -> float:
    return max(width_of(op_words(op), 10.5) + 20, 30)


def _fold_width(frame: ScopeFrame) -> float:
    return max(width_of(frame_words(frame), 11), 64) + 22


class _Layout:
    """A diagram that Graphviz has laid out."""

    def __init__(
        self,
        diagram: Diagram,
        contents: dict[str, BoxContent],
        direction: str,
        interactive: bool = False,
    ) -> None:
        self.diagram = diagram
        self.contents = contents
        self.interactive = interactive
        self.boxes = {box.id: lay_out(box, contents[box.id]) for box in diagram.boxes}
        placed = _place(diagram, self.boxes, direction)
        x0, y0, x1, self.top = _numbers(placed["bb"])
        self.size = (x1 - x0, self.top - y0)
        objects = placed.get("objects", [])
        self.at = {o["name"]: self._point(o["pos"]) for o in objects if "pos" in o}
        self.bounds = {o["name"]: _numbers(o["bb"]) for o in objects if "bb" in o}
        self.placed_edges = placed.get("edges", [])

    def _point(self, position: str) -> Point:
        x, y = _numbers(position)
        return x, self.top - y

    def parts(self) -> Iterator[str]:
        """Yield everything, the outermost first."""
        yield from map(self._cluster, (f for f in self.diagram.frames if not f.folded))
        yield from self._edges()
        yield from map(self._fold, (f for f in self.diagram.frames if f.folded))
        yield from map(self._op, self.diagram.ops)
        yield from map(self._box, self.diagram.boxes)

    def _group(self, kind: str, id: str, label: str = "", more: str = "") -> str:
        """Begin a group: on the page a button, elsewhere no more than it looks."""
        begin = f'<g class="{kind}" data-id="{id}"'
        if self.interactive and label:
            begin += f' role="button" tabindex="-1" aria-label="{escape(label)}"'
        return f"{begin}{more}>"

    def _fold_mark(self, sign: str) -> str:
        return f'<tspan class="fold">{sign}</tspan> ' if self.interactive else ""

    def _cluster(self, frame: ScopeFrame) -> str:
        x0, y0, x1, y1 = self.bounds[f"cluster_{frame.id}"]
        y = self.top - y1
        name = frame_words(frame)
        expanded = ' aria-expanded="true"' if self.interactive else ""
        kind = f"scope level{frame.level % 2}"
        return (
            self._group(kind, frame.id, f"scope {name}, open: fold it", expanded)
            + f'<rect x="{x0:.1f}" y="{y:.1f}" width="{x1 - x0:.1f}" height="{y1 - y0:.1f}" '
            f'rx="7"/><text x="{x0 + 9:.1f}" y="{y + 15:.1f}">{self._fold_mark("−")}'
            f"{escape(name)}</text></g>"
        )

    def _fold(self, frame: ScopeFrame) -> str:
        x, y = self.at[frame.id]
        name, count = frame_words(frame), count_words(frame)
        width, height = _fold_width(frame), FOLD_HEIGHT
        left, top = x - width / 2, y - height / 2
        expanded = ' aria-expanded="false"' if self.interactive else ""
        return (
            self._group("folded", frame.id, f"scope {name}, folded, {count}: open it", expanded)
            + f'<path d="M{left:.1f} {top:.1f}h{width * 0.4:.1f}l4 5H{left + width:.1f}'
            f'V{top + height:.1f}H{left:.1f}z"/>'
            f'<text class="name" x="{x:.1f}" y="{y + 2:.1f}">{self._fold_mark("+")}'
            f'{escape(name)}</text><text class="facts" x="{x:.1f}" y="{y + 14:.1f}">'
            f"{count}</text></g>"
        )

    def _op(self, op: OpNode) -> str:
        x, y = self.at[op.id]
        return (
            f"{self._group('primitive', op.id)}"
            f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{_op_width(op) / 2:.1f}" ry="11"/>'
            f'<text x="{x:.1f}" y="{y + 3.8:.1f}">{escape(op_words(op))}</text></g>'
        )

    def _edges(self) -> Iterator[str]:
        for edge, placed in zip(self.diagram.edges, self._in_order(), strict=True):
            path, tip, back = _spline(placed["pos"], self.top)
            kind = "edge" if edge.differentiable else "edge constant"
            label = ""
            if edge.argument:
                x, y = self._point(placed["head_lp"])
                label = f'<text x="{x:.1f}" y="{y + 3:.1f}">{edge.argument}</text>'
            yield (
                f'<g class="{kind}" data-uses="{edge.uses}"><path d="{path}"/>'
                f'<polygon points="{_arrow_head(tip, back)}"/>{label}</g>'
            )

    def _in_order(self) -> list[dict[str, Any]]:
        """Graphviz sorts edges by node; we number them as they were written."""
        by_id: dict[str, list[dict[str, Any]]] = {}
        for placed in sorted(self.placed_edges, key=lambda placed: placed["_gvid"]):
            by_id.setdefault(placed["id"], []).append(placed)
        return [by_id[edge.uses].pop(0) for edge in self.diagram.edges]

    def _box(self, box: TensorBox) -> str:
        x, y = self.at[box.id]
        layout, content = self.boxes[box.id], self.contents[box.id]
        kind = box.kind.name.lower()
        width, height = layout.width, layout.height
        move = f' transform="translate({x - width / 2:.1f} {y - height / 2:.1f})"'
        parts = [
            self._group(f"tensor {kind}", box.id, content.name or box.id, move),
            _box_outline(kind, width, height),
        ]
        name, facts = layout.head
        if name or facts:
            gap = " " if name else ""
            parts.append(
                f'<text class="name" x="{PAD}" y="{PAD + 8}">{escape(name)}{gap}'
                f'<tspan class="facts">{escape(facts)}</tspan></text>'
            )
        for slot in layout.slots:
            array = content.value if slot.what == "value" else content.gradient
            parts.append(_in_slot(slot, array, any(layout.head)))
        return "".join([*parts, "</g>"])


def _box_outline(kind: str, width: float, height: float) -> str:
    rounding = 6 if kind == "intermediate" else 1
    outline = f'<rect width="{width:.1f}" height="{height:.1f}" rx="{rounding}"/>'
    if kind == "output":
        outline += (
            f'<rect class="inner" x="3" y="3" width="{width - 6:.1f}" height="{height - 6:.1f}"/>'
        )
    return outline


def _in_slot(slot: Slot, array: text.Array | None, labelled: bool) -> str:
    parts = [f'<g class="{slot.what}">']
    if labelled:
        x, y = slot.label
        parts.append(f'<text class="label" x="{x:.1f}" y="{y:.1f}">{slot.what}</text>')
    if slot.picture:
        parts.append(_heat_map(slot, array))
    elif slot.unreached:
        parts.append(_number(NONE, slot.columns[0], slot.top))
    else:
        columns = len(slot.columns)
        for i in range(slot.rows * columns):
            shown = "" if array is None else text.minus(text.number(array.flat[i]))
            parts.append(
                _number(shown, slot.columns[i % columns], slot.top + LINE * (i // columns))
            )
    return "".join([*parts, "</g>"])


def _number(shown: str, x: float, y: float) -> str:
    return f'<text class="number" x="{x:.1f}" y="{y:.1f}">{shown}</text>'


def _heat_map(slot: Slot, array: text.Array | None) -> str:
    assert slot.picture is not None
    (width, height), x, y = slot.picture, PAD + LABEL, slot.top - 8
    source = "" if array is None else heatmap.thumbnail(array)
    span = "" if array is None else escape(text.minus(text.span(array)))
    place = f'x="{x}" y="{y:.1f}" width="{width}" height="{height}"'
    return (
        f'<rect class="empty" {place}/><image {place} preserveAspectRatio="none" href="{source}"/>'
        f'<text class="span" x="{x}" y="{y + height + 10:.1f}">{span}</text>'
    )


# ── Legend ────────────────────────────────────────────────────────────────────────────────────────


def _legend(
    diagram: Diagram, notes: list[str], width: float, height: float
) -> tuple[list[str], float, float]:
    """Return the legend below a graph of this size, and how far all of it goes."""
    words = [(KINDS[kind][0], kind.name.lower()) for kind in kinds_in(diagram)]
    if diagram.ops:
        words.append(("primitive", "primitive"))
    limit = max(width, LEGEND_WIDTH)
    x, y, right = 0.0, height + 14, width
    parts = ['<g class="legend">']
    for word, kind in words:
        wide = width_of(word, 9) + 18
        if x and x + wide > limit:
            x, y = 0.0, y + 24
        if kind == "primitive":
            middle = wide / 2
            shape = f'<ellipse cx="{middle:.1f}" cy="8.5" rx="{middle:.1f}" ry="8.5"/>'
        else:
            shape = _box_outline(kind, wide, 17)
        group = "primitive" if kind == "primitive" else f"tensor {kind}"
        parts.append(
            f'<g class="{group}" transform="translate({x:.1f} {y:.1f})">{shape}'
            f'<text class="word" x="{wide / 2:.1f}" y="11.7">{word}</text></g>'
        )
        x += wide + 8
        right = max(right, x - 8)
    y += 17 + 6
    for note in notes:
        parts.append(f'<text class="note" x="0" y="{y + 9:.1f}">{escape(note)}</text>')
        right = max(right, width_of(note, 9) * 0.86)
        y += 14
    return [*parts, "</g>"], right, y


# ── Geometry ──────────────────────────────────────────────────────────────────────────────────────


def _numbers(listed: str) -> list[float]:
    return [float(number) for number in listed.split(",")]


def _spline(position: str, top: float) -> tuple[str, Point, Point]:
    """Return the path of an edge in SVG, the tip of its arrow, and where its line ends."""
    points = []
    tip: Point | None = None
    for part in position.split():
        if part.startswith(("e,", "s,")):
            x, y = _numbers(part[2:])
            tip = (x, top - y) if part[0] == "e" else tip
            continue
        x, y = _numbers(part)
        points.append((x, top - y))
    written = [f"{x:.1f} {y:.1f}" for x, y in points]
    return f"M{written[0]}C{' '.join(written[1:])}", tip or points[-1], points[-1]


def _arrow_head(tip: Point, back: Point) -> str:
    (x, y), (bx, by) = tip, back
    dx, dy = (bx - x), (by - y)
    wide = 0.42
    corners = [(x, y), (bx - dy * wide, by + dx * wide), (bx + dy * wide, by - dx * wide)]
    return " ".join(f"{cx:.1f},{cy:.1f}" for cx, cy in corners)
