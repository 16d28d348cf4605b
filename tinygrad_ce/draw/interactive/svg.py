"""The graph on the page: boxes of a fixed size, laid out by Graphviz, drawn here.

Graphviz decides where everything goes. What is drawn there is written here, as SVG whose looks are
in graph.css: so the picture is light or dark with the page, and each number in it has a place of
its own, in which the page shows it as soon as it is computed. Nothing moves while one steps.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from .. import formatting as text
from ..diagram import Arrow, Box, Oval, Picture, Region
from ..render import render
from .array_pool import shown_in_numbers

# In points, which are the SVG's units.
LINE = 15.0  # from one line of text to the next
PAD = 7.0
DIGIT = 6.05  # the width of a digit of size 10 in a monospaced font
LABEL = 32.0  # the width of the words "value" and "grad" with the gap behind them
CELL = 7.0  # a cell of a heat map
FOLD_PAD = 16.0

Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for the elements of a value or a gradient in its box."""

    what: str
    columns: tuple[float, ...]  # the right ends of the numbers
    rows: int
    picture: tuple[float, float] | None  # or the size of a heat map


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands in a box, and how large it is."""

    width: float
    height: float
    head: tuple[str, str]
    slots: tuple[Slot, ...]


def width_of(words: str, size: float) -> float:
    """About how wide words are in a sans-serif font.

    >>> width_of("ab", 10) < width_of("語語", 10)
    True
    """
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in words)
    return size * (0.58 * (len(words) - wide) + 1.05 * wide)


# ── What stands in a box ──────────────────────────────────────────────────────────────────────────


class Plan:
    """The boxes of one graph, which every layout of it shares.

    Parameters
    ----------
    trace
        What `Trace.data` returns.
    """

    def __init__(self, trace: Data) -> None:
        self.trace = trace
        self.nodes = {node["id"]: node for node in trace["nodes"]}
        self._arrays: dict[str, list[Data]] = {}
        for step in trace["steps"]:
            if step["kind"] in ("add", "seed"):
                self._arrays.setdefault(step["to"], []).append(trace["arrays"][step["after"]])

    def frame(self, box: Box) -> Frame:
        """What stands in the box of a tensor."""
        node = self.nodes[box.id]
        value = self.trace["arrays"][node["value"]]
        if node["kind"] == "constant" and not node["shape"]:
            number = text.number(value["data"][0]) if "data" in value else "?"
            slot = Slot("value", (_digits(number) + PAD,), 1, None)
            return Frame(_digits(number) + 2 * PAD, LINE + PAD, ("", ""), (slot,))
        head = (node["name"], _facts(node))
        slots = [self._slot("value", node, [value])]
        if self.trace["differentiated"] and node["wanted"]:
            slots.append(self._slot("grad", node, self._arrays.get(box.id, [])))
        slots = _aligned([slot for slot in slots if slot.rows or slot.picture])
        inner = [width_of(head[0], 11) + (6 + width_of(head[1], 9) if head[1] else 0)]
        height = LINE + 2 * PAD - 4
        for slot in slots:
            if slot.picture:
                inner.append(LABEL + max(slot.picture[0], _digits("-0.123 … -0.123") * 0.9))
                height += slot.picture[1] + LINE
            else:
                inner.append(slot.columns[-1])
                height += LINE * slot.rows
        return Frame(max(inner) + 2 * PAD, height, head, tuple(slots))

    def _slot(self, what: str, node: Data, arrays: Sequence[Data]) -> Slot:
        shape = tuple(node["shape"])
        rows = list(shape[:-1]) if shape else []
        if shown_in_numbers(shape):
            columns = shape[-1] if shape else 1
            widths = [0.0] * columns
            for array in arrays:
                for i, number in enumerate(array.get("data", ())):
                    shown = text.number(_float(number))
                    widths[i % columns] = max(widths[i % columns], _digits(shown))
            ends, end = [], LABEL - 6
            for width in widths:
                end += max(width, _digits("none") if what == "grad" else 0) + 8
                ends.append(end)
            return Slot(what, tuple(ends), _product(rows), None)
        if not _product(shape):
            return Slot(what, (), 0, None)
        across, down = min(shape[-1], 16), min(_product(rows), 16)
        return Slot(what, (), 0, (max(21.0, across * CELL), max(10.0, down * CELL)))


def _aligned(slots: list[Slot]) -> list[Slot]:
    """With the numbers of value and gradient in the same columns."""
    if len({len(slot.columns) for slot in slots}) != 1:
        return slots
    ends, end, before = [], LABEL - 6, [LABEL - 6.0] * len(slots)
    for column in zip(*(slot.columns for slot in slots), strict=True):
        end += max(e - b for e, b in zip(column, before, strict=True))
        before = list(column)
        ends.append(end)
    return [replace(slot, columns=tuple(ends)) for slot in slots]


def _facts(node: Data) -> str:
    shape = "" if not node["shape"] else "×".join(map(str, node["shape"]))
    return " ".join(filter(None, (shape, node["dtype"] if node["dtype"] != "float64" else "")))


def _float(number: Any) -> Any:
    return float(number) if isinstance(number, str) else number


def _digits(shown: str) -> float:
    return DIGIT * len(shown)


def _product(lengths: Iterable[int]) -> int:
    product = 1
    for n in lengths:
        product *= n
    return product


# ── Laid out ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Layout:
    """One way to fold the graph, drawn.

    `inside` says which folded scope a tensor, a primitive or a scope is in, `folded` which are.
    """

    svg: str
    folded: tuple[str, ...]
    inside: dict[str, str]


def layout_of(plan: Plan, picture: Picture, direction: str, title: str) -> Layout:
    """Have Graphviz place everything, and draw it."""
    sizes = {box.id: plan.frame(box) for box in picture.boxes}
    placed = json.loads(render(_dot(plan, picture, sizes, direction), "json0"))
    drawn = _Drawn(plan, picture, sizes, placed)
    return Layout(
        drawn.svg(title),
        tuple(region.id for region in picture.regions if region.folded),
        dict(picture.inside),
    )


def _dot(plan: Plan, picture: Picture, sizes: dict[str, Frame], direction: str) -> str:
    """The graph in DOT: nothing but sizes and arrows."""
    lines = [
        "digraph {",
        *(f"{name}={value};" for name, value in picture.effort.items()),
        f'rankdir={direction}; nodesep=0.2; ranksep=0.32; pad=0.1; charset="UTF-8";',
        'node [shape=box fixedsize=true label=""]; edge [arrowsize=0.6];',
    ]
    inner: dict[Region | None, list[str]] = {None: []}
    for region in picture.regions:
        inner[region] = []
    for box in picture.boxes:
        frame = sizes[box.id]
        inner[box.region].append(_placeholder(box.id, frame.width, frame.height))
    for oval in picture.ovals:
        width = width_of(_oval_words(plan, oval), 10.5) + 20
        inner[oval.region].append(_placeholder(oval.id, max(width, 30), 22, "ellipse"))
    for region in sorted(picture.regions, key=lambda region: -region.level):
        name = text.visible(region.name, 24)
        if region.folded:
            width = max(width_of(name, 11), 64) + FOLD_PAD
            inner[region.outer].append(_placeholder(region.id, width, 38))
        else:
            # Room for the name: a label of as many letters as it has.
            label = "n" * round(width_of(name, 11) / 6)
            inner[region.outer] += [
                f"subgraph cluster_{region.id} {{",
                f'label="{label}"; labeljust=l; fontsize=11; margin=9;',
                *inner[region],
                "}",
            ]
    lines += inner[None]
    lines += [_edge(arrow) for arrow in picture.arrows]
    return "\n".join([*lines, "}"])


def _placeholder(id: str, width: float, height: float, shape: str = "box") -> str:
    return f"{id} [width={width / 72:.4f} height={height / 72:.4f} shape={shape}];"


def _edge(arrow: Arrow) -> str:
    attributes = [f'id="{arrow.uses}"']
    if arrow.makes:
        attributes.append("weight=8")
    if arrow.enters:
        attributes.append("minlen=2")
    return f"{arrow.source} -> {arrow.target} [{' '.join(attributes)}];"


def _oval_words(plan: Plan, oval: Oval) -> str:
    node = plan.nodes[f"t{oval.number}"]
    symbol, params = node["symbol"], node["params"]
    if symbol == "[ ]":
        return text.visible(params, 24)
    return f"{symbol} {text.visible(params, 20)}" if params else symbol


# ── Drawn ─────────────────────────────────────────────────────────────────────────────────────────

Point = tuple[float, float]


class _Drawn:
    """The SVG of a graph that Graphviz has placed."""

    def __init__(self, plan: Plan, picture: Picture, sizes: dict[str, Frame], placed: Data) -> None:
        self.plan = plan
        self.picture = picture
        self.sizes = sizes
        self.placed = placed
        x0, y0, x1, y1 = _numbers(placed["bb"])
        self.top = y1
        self.size = (x1 - x0, y1 - y0)
        self.at = {o["name"]: self._point(o["pos"]) for o in placed["objects"] if "pos" in o}
        self.bounds = {o["name"]: _numbers(o["bb"]) for o in placed["objects"] if "bb" in o}

    def _point(self, pos: str) -> Point:
        x, y = _numbers(pos)
        return x, self.top - y

    def svg(self, title: str) -> str:
        width, height = self.size
        margin = 8
        box = f"{-margin} {-margin} {width + 2 * margin:.0f} {height + 2 * margin:.0f}"
        parts = [
            f'<svg class="graph" xmlns="http://www.w3.org/2000/svg" viewBox="{box}" '
            f'width="{width + 2 * margin:.0f}" height="{height + 2 * margin:.0f}" '
            f'role="group" aria-label="{escape(title)}">',
            *self._clusters(),
            *self._edges(),
            *self._folds(),
            *(self._oval(oval) for oval in self.picture.ovals),
            *(self._box(box) for box in self.picture.boxes),
            '<g class="flags"></g></svg>',
        ]
        return "\n".join(parts)

    def _clusters(self) -> Iterator[str]:
        for region in self.picture.regions:
            if region.folded:
                continue
            x0, y0, x1, y1 = self.bounds[f"cluster_{region.id}"]
            y = self.top - y1
            name = escape(text.visible(region.name, 24)) or "scope"
            yield (
                f'<g class="scope level{region.level % 2}" data-id="{region.id}" role="button" '
                f'tabindex="-1" aria-expanded="true" aria-label="scope {name}, open: fold it">'
                f'<rect x="{x0:.1f}" y="{y:.1f}" width="{x1 - x0:.1f}" height="{y1 - y0:.1f}" '
                f'rx="7"/><text x="{x0 + 9:.1f}" y="{y + 15:.1f}">'
                f'<tspan class="fold">−</tspan> {name}</text></g>'
            )

    def _folds(self) -> Iterator[str]:
        for region in self.picture.regions:
            if not region.folded:
                continue
            x, y = self.at[region.id]
            name = text.visible(region.name, 24) or "scope"
            width, height = max(width_of(name, 11), 64) + FOLD_PAD, 38
            left, top = x - width / 2, y - height / 2
            count = f"{region.size:,} tensor{'s' if region.size != 1 else ''}"
            yield (
                f'<g class="folded" data-id="{region.id}" role="button" tabindex="-1" '
                f'aria-expanded="false" '
                f'aria-label="scope {escape(name)}, folded, {count}: open it">'
                f'<path d="M{left:.1f} {top:.1f}h{width * 0.4:.1f}l4 5H{left + width:.1f}'
                f'V{top + height:.1f}H{left:.1f}z"/>'
                f'<text class="name" x="{x:.1f}" y="{y + 2:.1f}">'
                f'<tspan class="fold">+</tspan> {escape(name)}</text>'
                f'<text class="facts" x="{x:.1f}" y="{y + 14:.1f}">{count}</text></g>'
            )

    def _edges(self) -> Iterator[str]:
        for arrow, edge in zip(self.picture.arrows, self._in_order(), strict=True):
            path, tip, back = _spline(edge["pos"], self.top)
            kind = "edge" if arrow.differentiable else "edge constant"
            yield (
                f'<g class="{kind}" data-uses="{arrow.uses}"><path d="{path}"/>'
                f'<polygon points="{_arrow_head(tip, back)}"/></g>'
            )

    def _in_order(self) -> list[Data]:
        """Graphviz sorts edges by node; we number them as they were written."""
        edges: list[Data] = sorted(self.placed.get("edges", []), key=lambda edge: edge["_gvid"])
        by_id: dict[str, list[Data]] = {}
        for edge in edges:
            by_id.setdefault(edge["id"], []).append(edge)
        return [by_id[arrow.uses].pop(0) for arrow in self.picture.arrows]

    def _oval(self, oval: Oval) -> str:
        x, y = self.at[oval.id]
        words = _oval_words(self.plan, oval)
        rx = max(width_of(words, 10.5) + 20, 30) / 2
        return (
            f'<g class="primitive" data-id="{oval.id}"><ellipse cx="{x:.1f}" cy="{y:.1f}" '
            f'rx="{rx:.1f}" ry="11"/><text x="{x:.1f}" y="{y + 3.8:.1f}">{escape(words)}</text></g>'
        )

    def _box(self, box: Box) -> str:
        x, y = self.at[box.id]
        frame = self.sizes[box.id]
        node = self.plan.nodes[box.id]
        left, top = x - frame.width / 2, y - frame.height / 2
        parts = [
            f'<g class="tensor {node["kind"]}" data-id="{box.id}" role="button" tabindex="-1" '
            f'aria-label="{escape(node["name"])}" transform="translate({left:.1f} {top:.1f})">'
            f'<rect width="{frame.width:.1f}" height="{frame.height:.1f}" '
            f'rx="{6 if node["kind"] == "intermediate" else 1}"/>'
        ]
        if node["kind"] == "output":
            parts.append(
                f'<rect class="inner" x="3" y="3" width="{frame.width - 6:.1f}" '
                f'height="{frame.height - 6:.1f}"/>'
            )
        line = PAD + 8
        name, facts = frame.head
        if name or facts:
            parts.append(
                f'<text class="name" x="{PAD}" y="{line:.1f}">{escape(name)} '
                f'<tspan class="facts">{escape(facts)}</tspan></text>'
            )
            line += LINE
        for slot in frame.slots:
            parts.append(self._in_slot(slot, node, line, labelled=bool(name)))
            line += slot.picture[1] + LINE if slot.picture else LINE * slot.rows
        return "".join([*parts, "</g>"])

    def _in_slot(self, slot: Slot, node: Data, line: float, labelled: bool) -> str:
        number = node["value"] if slot.what == "value" else node["gradient"]
        array = None if number is None else self.plan.trace["arrays"][number]
        parts = [f'<g class="{slot.what}">']
        if labelled:
            parts.append(f'<text class="label" x="{PAD}" y="{line:.1f}">{slot.what}</text>')
        if slot.picture:
            parts.append(_heat_map(slot, array, line))
        else:
            parts += _in_numbers(slot, array, line, PAD if labelled else 0)
        return "".join([*parts, "</g>"])


def _heat_map(slot: Slot, array: Data | None, line: float) -> str:
    assert slot.picture is not None
    width, height = slot.picture
    source = array["picture"] if array else ""
    x, y = PAD + LABEL, line - 8
    return (
        f'<rect class="empty" x="{x}" y="{y:.1f}" width="{width}" height="{height}"/>'
        f'<image x="{x}" y="{y:.1f}" width="{width}" height="{height}" '
        f'preserveAspectRatio="none" href="{source}"/>'
        f'<text class="span" x="{x}" y="{y + height + 10:.1f}">{escape(span(array))}</text>'
    )


def _in_numbers(slot: Slot, array: Data | None, line: float, indent: float) -> Iterator[str]:
    data = array.get("data", []) if array else []
    columns = len(slot.columns)
    for i in range(slot.rows * columns):
        x = slot.columns[i % columns] + indent
        y = line + LINE * (i // columns)
        shown = text.number(_float(data[i])) if i < len(data) else ""
        yield f'<text class="number" x="{x:.1f}" y="{y:.1f}">{minus(shown)}</text>'


def minus(shown: str) -> str:
    """With a minus sign in the place of a hyphen.

    >>> minus("-1e-05")
    '−1e−05'
    """
    return shown.replace("-", "−")


def span(array: Data | None) -> str:
    """Smallest and largest element of an array on the page.

    >>> span({"min": -1.0, "max": 2.0, "nan": 1, "inf": 0})
    '−1 … 2, 1 nan'
    """
    if not array:
        return ""
    parts = []
    if "min" in array:
        parts.append(f"{text.number(array['min'], 3)} … {text.number(array['max'], 3)}")
    parts += [f"{array[what]:,} {what}" for what in ("nan", "inf") if array.get(what)]
    return minus(", ".join(parts))


# ── Geometry ──────────────────────────────────────────────────────────────────────────────────────


def _numbers(listed: str) -> list[float]:
    return [float(number) for number in listed.split(",")]


def _spline(pos: str, top: float) -> tuple[str, Point, Point]:
    """The path of an edge in SVG, the tip of its arrow, and where its line ends before it."""
    points = []
    tip: Point | None = None
    for part in pos.split():
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
