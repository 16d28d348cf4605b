"""A diagram as SVG: laid out by Graphviz, drawn here.

Graphviz decides where everything goes. What is drawn there is written here, with the looks of
graph.css: so a picture is light or dark as its reader prefers, and on the page each number has a
place of its own, in which it appears as soon as it is computed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cache
from html import escape
from importlib.resources import files

from . import formatting as text
from . import heatmap
from .boxes import LABEL, LINE, NONE, PAD, BoxContent, Slot, lay_out, width_of
from .colors import DARK, LIGHT
from .diagram import Diagram, OpNode, TensorBox
from .digraph import count_words, frame_words, kinds_in, op_words
from .placement import (
    FOLD_HEIGHT,
    OP_HEIGHT,
    Bezier,
    Point,
    Rectangle,
    Route,
    part_size,
    place,
    split_at,
    wrap,
    wrap_to_fit,
)
from .scopes import ScopeFrame

MARGIN = 8.0
LEGEND_WIDTH = 440.0  # at least; a wider graph has a wider legend
HEAD = 6.0  # the length of an arrow's head

# Where the page shows the graph on a screen of 1440 × 900, at which factor its numbers, of size 10,
# are easy to read, and at which one they still are legible.
STAGE = (1006.0, 736.0)
EASY, LEGIBLE = 0.9, 0.75


def svg_of(
    diagram: Diagram, contents: dict[str, BoxContent], direction: str, title: str,
    theme: str, notes: list[str], width: float | None = None,
) -> str:  # fmt: skip
    """Return the diagram as an SVG element, for an HTML page or a file of its own.

    It has its natural size where there is room, and shrinks where there is not; a graph from left
    to right that is wider than `width` is in several rows. Tensors, primitives
    and folded scopes are groups with their name in DOT as `data-id`; there are no ids, which would
    clash when two pictures are on one page.
    """
    layout = _Layout(diagram, contents, direction)
    if width is not None and direction == "LR":
        layout.wrap(width - 2 * MARGIN)
    legend, wide, high = _legend(diagram, notes, *layout.placement.size)
    label = escape(title)
    tag = _tag(f"graph-{theme}", wide, high, "pt", "img", label)
    parts = [
        f'{tag} style="max-width:100%;height:auto">',
        f"<title>{label}</title>",
        f"<style>\n{style_sheet(theme)}</style>",
        f'<rect class="ground" x="{-MARGIN}" y="{-MARGIN}" width="100%" height="100%"/>',
    ]
    return "\n".join([*parts, *layout.parts(), *legend, "</svg>"])


def interactive_svg_of(
    diagram: Diagram, contents: dict[str, BoxContent], direction: str, title: str
) -> str:
    """Return the diagram as an SVG element whose parts can be chosen and folded on the page."""
    layout = _Layout(diagram, contents, direction, interactive=True)
    if direction == "LR":
        layout.wrap_to_fit()
    tag = _tag("graph", *layout.placement.size, "", "group", escape(title))
    return "\n".join([f"{tag}>", *layout.parts(), '<g class="callouts"></g></svg>'])


def _tag(kind: str, width: float, height: float, unit: str, role: str, label: str) -> str:
    """Begin the element, with a margin around what is drawn."""
    wide, high = (f"{n + 2 * MARGIN:.0f}" for n in (width, height))
    return (
        f'<svg class="{kind}" xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="{-MARGIN} {-MARGIN} {wide} {high}" width="{wide}{unit}" '
        f'height="{high}{unit}" role="{role}" aria-label="{label}"'
    )


def picture_size(svg: str) -> tuple[float, float]:
    """Return width and height of a picture, in points."""
    width, height = re.findall(r'(?:width|height)="(\d+)pt"', svg[: svg.index(">")])
    return float(width), float(height)


def fit_width(svg: str) -> str:
    """Return a picture that is as wide as there is room for, and at most of its natural width.

    JupyterLab shows an SVG by an img element, in which no style of the SVG makes it narrower than
    the width that it says it has.
    """
    width, height = (f"{n:.0f}pt" for n in picture_size(svg))
    svg = svg.replace(f'width="{width}" height="{height}"', 'width="100%"', 1)
    return svg.replace('style="max-width:100%', f'style="max-width:{width}', 1)


@cache
def rules() -> str:
    """Return the rules of graph.css, in which colors are variables."""
    return files(__package__).joinpath("graph.css").read_text(encoding="utf-8")


def style_sheet(theme: str) -> str:
    """Return the looks of a picture of its own, light, dark, or as its reader prefers.

    Colors are written out: programs that draw SVG without being a browser know no variables.
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


class _Layout:
    """A diagram that Graphviz has laid out."""

    def __init__(
        self, diagram: Diagram, contents: dict[str, BoxContent], direction: str,
        interactive: bool = False,
    ) -> None:  # fmt: skip
        self.diagram, self.contents, self.interactive = diagram, contents, interactive
        self.boxes = {box.id: lay_out(box, contents[box.id]) for box in diagram.boxes}
        self.placement = place(diagram, self.boxes, direction)

    def _sizes(self) -> dict[str, tuple[float, float]]:
        sizes = {name: (box.width, box.height) for name, box in self.boxes.items()}
        sizes |= {op.id: part_size(op) for op in self.diagram.ops}
        return sizes | {f.id: part_size(f) for f in self.diagram.frames if f.folded}

    def wrap(self, width: float) -> None:
        """Go on in another row where it is wider than this."""
        self.placement = wrap(self.placement, self.diagram, self._sizes(), width)

    def wrap_to_fit(self) -> None:
        """Go on in as many rows as make it largest on the page's stage."""
        window = STAGE[0] - 2 * MARGIN, STAGE[1] - 2 * MARGIN
        self.placement = wrap_to_fit(
            self.placement, self.diagram, self._sizes(), window, EASY, LEGIBLE
        )

    def parts(self) -> Iterator[str]:
        """Yield everything, the outermost first."""
        frames = self.diagram.frames
        yield from (self._cluster(frame) for frame in frames if not frame.folded)
        yield from self._edges()
        yield from (self._fold(frame) for frame in frames if frame.folded)
        yield from map(self._op, self.diagram.ops)
        yield from map(self._box, self.diagram.boxes)

    def _group(self, kind: str, id: str, inside: str, label: str = "", more: str = "") -> str:
        """A group: on the page a button, elsewhere no more than it looks."""
        role = ""
        if self.interactive and label:
            role = f' role="button" tabindex="-1" aria-label="{escape(label)}"'
        return f'<g class="{kind}" data-id="{id}"{role}{more}>{inside}</g>'

    def _scope(self, frame: ScopeFrame, kind: str, label: str, outline: str, at: Point) -> str:
        """A scope, which on the page can be folded or opened."""
        sign, is_open = ("+", "false") if frame.folded else ("−", "true")
        mark = f'<tspan class="fold">{sign}</tspan> ' if self.interactive else ""
        expanded = f' aria-expanded="{is_open}"' if self.interactive else ""
        outline += _text(mark + escape(frame_words(frame)), *at, "name" if frame.folded else "")
        if frame.folded:
            outline += _text(count_words(frame), at[0], at[1] + 12, "facts")
        label = f"scope {frame_words(frame)}, {label}"
        return self._group(kind, frame.id, outline, label, expanded)

    def _cluster(self, frame: ScopeFrame) -> str:
        pieces = self.placement.frames[f"cluster_{frame.id}"]
        kind, (x, y, *_) = f"scope level{frame.level % 2}", pieces[0]
        outline = "".join(map(_frame_outline, pieces))
        return self._scope(frame, kind, "open: fold it", outline, (x + 9, y + 15))

    def _fold(self, frame: ScopeFrame) -> str:
        x, y = self.placement.centers[frame.id]
        (width, _), label = part_size(frame), f"folded, {count_words(frame)}: open it"
        left, top, bottom = x - width / 2, y - FOLD_HEIGHT / 2, y + FOLD_HEIGHT / 2
        tab = f"M{left:.1f} {top:.1f}h{width * 0.4:.1f}l4 5"
        outline = f'<path d="{tab}H{left + width:.1f}V{bottom:.1f}H{left:.1f}z"/>'
        return self._scope(frame, "folded", label, outline, (x, y + 2))

    def _op(self, op: OpNode) -> str:
        x, y = self.placement.centers[op.id]
        rx, ry = part_size(op)[0] / 2, OP_HEIGHT / 2
        oval = f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{rx:.1f}" ry="{ry:g}"/>'
        return self._group("primitive", op.id, oval + _text(escape(op_words(op)), x, y + 3.8))

    def _edges(self) -> Iterator[str]:
        for edge in self.diagram.edges:
            route = self.placement.routes[edge.uses]
            kind = "edge" if edge.differentiable else "edge constant"
            label = ""
            if edge.argument:
                label = _text(edge.argument, *_beside_the_head(route))
            arrow, at = _arrow(route), ""
            if self.interactive:
                # A point near the source, at which the page writes what comes back.
                at = f' data-at="{_at(split_at(route.curves[0][:4], 0.5)[1][0])}"'
                arrow = f'<g class="forth">{arrow}</g>'
                if edge.differentiable:  # drawn the other way while gradients come back
                    arrow += f'<g class="back" display="none">{_arrow(_turned(route))}</g>'
            yield f'<g class="{kind}" data-uses="{edge.uses}"{at}>{arrow}{label}</g>'

    def _box(self, box: TensorBox) -> str:
        x, y = self.placement.centers[box.id]
        layout, content = self.boxes[box.id], self.contents[box.id]
        kind = box.kind.name.lower()
        inside = _box_outline(kind, layout.width, layout.height)
        name, facts = layout.head
        if name or facts:
            shown = (
                f'{escape(name)}{" " if name else ""}<tspan class="facts">{escape(facts)}</tspan>'
            )
            inside += f'<text class="name" x="{PAD}" y="{PAD + 8}">{shown}</text>'
        for slot in layout.slots:
            array = content.value if slot.what == "value" else content.gradient
            inside += _in_slot(slot, array, any(layout.head))
        move = f"translate({x - layout.width / 2:.1f} {y - layout.height / 2:.1f})"
        more = f' transform="{move}"'
        return self._group(f"tensor {kind}", box.id, inside, content.name or box.id, more)


def _text(words: str, x: float, y: float, kind: str = "") -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<text{name} x="{x:.1f}" y="{y:.1f}">{words}</text>'


def _box_outline(kind: str, width: float, height: float) -> str:
    rounding = 6 if kind == "intermediate" else 1
    outline = f'<rect width="{width:.1f}" height="{height:.1f}" rx="{rounding}"/>'
    if kind == "output":
        inner = f'width="{width - 6:.1f}" height="{height - 6:.1f}"'
        outline += f'<rect class="inner" x="3" y="3" {inner}/>'
    return outline


def _in_slot(slot: Slot, array: text.Array | None, labelled: bool) -> str:
    inside = _text(slot.what, *slot.label, "label") if labelled else ""
    if slot.picture:
        inside += _heat_map(slot.picture, slot.top - 8, array)
    elif slot.unreached:
        inside += _text(NONE, slot.columns[0], slot.top, "number")
    else:
        for i in range(slot.rows * len(slot.columns)):
            shown = "" if array is None else text.minus(text.number(array.flat[i]))
            row, column = divmod(i, len(slot.columns))
            inside += _text(shown, slot.columns[column], slot.top + LINE * row, "number")
    return f'<g class="{slot.what}">{inside}</g>'


def _heat_map(size: tuple[float, float], y: float, array: text.Array | None) -> str:
    (width, height), x = size, PAD + LABEL
    source = span = ""
    if array is not None:
        source, span = heatmap.thumbnail(array), escape(text.minus(text.span(array)))
    place = f'x="{x}" y="{y:.1f}" width="{width}" height="{height}"'
    return (
        f'<rect class="empty" {place}/><image {place} preserveAspectRatio="none" href="{source}"/>'
        + _text(span, x, y + height + 10, "span")
    )


def _legend(
    diagram: Diagram, notes: list[str], width: float, height: float
) -> tuple[list[str], float, float]:
    """Return the legend below a graph of this size, and how far all of it goes."""
    words = {kind.name.lower(): kind.value[0] for kind in kinds_in(diagram)}
    if diagram.ops:
        words["primitive"] = "primitive"
    x, y, right = 0.0, height + 14, width
    parts = ['<g class="legend">']
    for kind, word in words.items():
        wide = width_of(word, 9) + 18
        half = wide / 2
        if x and x + wide > max(width, LEGEND_WIDTH):
            x, y = 0.0, y + 24
        group, shape = f"tensor {kind}", _box_outline(kind, wide, 17)
        if kind == "primitive":
            group, shape = kind, f'<ellipse cx="{half:.1f}" cy="8.5" rx="{half:.1f}" ry="8.5"/>'
        shape += _text(word, half, 11.7, "word")
        parts.append(f'<g class="{group}" transform="translate({x:.1f} {y:.1f})">{shape}</g>')
        x += wide + 8
        right = max(right, x - 8)
    y += 17 + 6
    for note in notes:
        parts.append(f'<text class="note" x="0" y="{y + 9:.1f}">{escape(note)}</text>')
        right = max(right, width_of(note, 9) * 0.86)
        y += 14
    return [*parts, "</g>"], right, y


def _frame_outline(piece: Rectangle) -> str:
    left, top, right, bottom = piece
    size = f'width="{right - left:.1f}" height="{bottom - top:.1f}"'
    return f'<rect x="{left:.1f}" y="{top:.1f}" {size} rx="7"/>'


def _arrow(route: Route) -> str:
    """An edge, and the head at its end."""
    path = f"M{_at(route.curves[0][0])}"
    for corners, curve in zip([[], *route.corners], route.curves, strict=True):
        if corners:
            path += "".join(f"L{_at(corner)}" for corner in [*corners, curve[0]])
        if len(curve) > 1:
            path += f"C{' '.join(map(_at, curve[1:]))}"
    (bx, by), (x, y) = route.curves[-1][-1], route.tip
    dx, dy = 0.42 * (bx - x), 0.42 * (by - y)
    corners = [(x, y), (bx - dy, by + dx), (bx + dy, by - dx)]
    head = " ".join(f"{cx:.1f},{cy:.1f}" for cx, cy in corners)
    return f'<path d="{path}"/><polygon points="{head}"/>'


def _at(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"


def _beside_the_head(route: Route) -> Point:
    """Where the letter of an argument is: before the head, on the side where the arrow is from."""
    (x, y), (bx, by), (from_x, from_y) = route.tip, route.curves[-1][-1], route.curves[-1][-4]
    length = math.hypot(bx - x, by - y) or 1.0
    ux, uy = (bx - x) / length, (by - y) / length  # from the tip back
    level = abs(ux) > abs(uy)
    side = 1 if ((from_y < y) == (ux < 0) if level else (from_x < x) == (uy > 0)) else -1
    return x + 11 * ux - 6 * side * uy, y + 11 * uy + 6 * side * ux + 3


def _turned(route: Route) -> Route:
    """The same edge from its end to its start, with the head there."""
    curves = [curve[::-1] for curve in reversed(route.curves)]
    last = _shortened(curves[-1])
    first = [route.tip, route.tip, curves[0][0], *curves[0]]  # a straight piece before it
    curves = [first, *curves[1:-1], last] if len(curves) > 1 else [first[:3] + last]
    corners = [corners[::-1] for corners in reversed(route.corners)]
    return Route(curves, route.curves[0][0], corners)


def _shortened(curve: Bezier) -> Bezier:
    """The curve without the end that a head takes the place of."""
    x, y = curve[-1]
    piece = curve[-4:]
    low, high = 0.0, 1.0
    for _ in range(20):
        t = (low + high) / 2
        ex, ey = split_at(piece, t)[0][-1]
        low, high = (t, high) if (ex - x) ** 2 + (ey - y) ** 2 > HEAD**2 else (low, t)
    return [*curve[:-4], *split_at(piece, low)[0]]
