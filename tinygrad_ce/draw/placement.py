"""Where Graphviz places the parts of a diagram, and how a graph too wide for a page is wrapped.

A graph from left to right that is wider than the page goes on in a second row, like text: cut
between two columns where few edges cross, and each of these edges drawn around to the next row.
Lengths are in points, and y grows downward.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .boxes import BoxLayout, width_of
from .diagram import Diagram, OpNode, TensorBox
from .digraph import GAPS, Part, add_parts, frame_words, op_words
from .render import render
from .scopes import ScopeFrame

FOLD_HEIGHT = 38.0
OP_HEIGHT = 22.0
MAX_CROSSING = 8  # edges at a cut; where more would cross, a graph is not wrapped
TITLE = 20.0  # the space for the name of a scope
FRAME_PAD = 8.0
LANE = 6.0  # between two edges that are drawn around to the next row
GUTTER = 14.0  # between rows, and space for lanes

Point = tuple[float, float]
Size = tuple[float, float]
Rectangle = tuple[float, float, float, float]  # left, top, right, bottom
Bezier = list[Point]  # a start, and three points for each piece


@dataclass(slots=True)
class Route:
    """How an edge is drawn: along curves, joined by corners where it changes the row."""

    curves: list[Bezier]
    tip: Point
    corners: list[list[Point]]  # between one curve and the next


@dataclass(slots=True)
class Placement:
    """Where everything is: centers, rectangles of open scopes (one a row), and edges by uses."""

    size: Size
    centers: dict[str, Point]
    frames: dict[str, list[Rectangle]]
    routes: dict[str, Route]
    rows: int = 1


def part_size(part: OpNode | ScopeFrame) -> Size:
    """Return width and height of an oval or a folded scope."""
    if isinstance(part, OpNode):
        return max(width_of(op_words(part), 10.5) + 20, 30), OP_HEIGHT
    return max(width_of(frame_words(part), 11), 64) + 22, FOLD_HEIGHT


def place(diagram: Diagram, boxes: dict[str, BoxLayout], direction: str) -> Placement:
    """Let Graphviz place the parts, of which it gets nothing but sizes and edges."""
    from graphviz import Digraph

    def looks(part: Part) -> dict[str, str]:
        shape = "ellipse" if isinstance(part, OpNode) else "box"
        if isinstance(part, TensorBox):
            width, height = boxes[part.id].width, boxes[part.id].height
        elif isinstance(part, OpNode) or part.folded:
            width, height = part_size(part)
        else:
            # Space for the name: a label of as many letters as it has.
            label = "n" * round(width_of(frame_words(part), 11) / 6)
            return {"label": label, "labeljust": "l", "fontsize": "11", "margin": "9"}
        return {"width": f"{width / 72:.4f}", "height": f"{height / 72:.4f}", "shape": shape}

    graph = Digraph(
        graph_attr={**diagram.layout_limits, **GAPS, "rankdir": direction, "charset": "UTF-8"},
        node_attr={"fixedsize": "true", "label": ""},
        edge_attr={"arrowsize": "0.6", "labeldistance": "1.7"},
    )
    add_parts(graph, diagram, looks, edge_ids=True)
    return _placement(json.loads(render(graph.source, "json0")))


def _placement(placed: dict[str, Any]) -> Placement:
    x0, y0, x1, top = _numbers(placed["bb"])

    def point(position: str) -> Point:
        x, y = _numbers(position)
        return x, top - y

    def route(edge: dict[str, Any]) -> Route:
        tip, *points = map(point, edge["pos"].removeprefix("e,").split())
        return Route([points], tip, [])

    objects, frames = placed.get("objects", []), {}
    for found in objects:
        if "bb" in found:
            left, bottom, right, high = _numbers(found["bb"])
            frames[found["name"]] = [(left, top - high, right, top - bottom)]
    centers = {found["name"]: point(found["pos"]) for found in objects if "pos" in found}
    routes = {edge["id"]: route(edge) for edge in placed.get("edges", [])}
    return Placement((x1 - x0, top - y0), centers, frames, routes)


def _numbers(listed: str) -> list[float]:
    return [float(number) for number in listed.split(",")]


# ── Rows ──────────────────────────────────────────────────────────────────────────────────────────


def wrap(placed: Placement, diagram: Diagram, sizes: dict[str, Size], width: float) -> Placement:
    """Return the placement in rows of this width at most, or as it is where it cannot be cut."""
    if placed.size[0] <= width:
        return placed
    cuts = _choose_cuts(placed, diagram, sizes, width)
    return _Rows(placed, diagram, sizes, cuts).placement() if cuts else placed


def wrap_to_fit(
    placed: Placement, diagram: Diagram, sizes: dict[str, Size], window: Size,
    easy: float, legible: float,
) -> Placement:  # fmt: skip
    """Return the placement in as few rows as make it fit into a window at the factor `easy`.

    Or in as many as make it largest, if that is at the factor `legible` at least. Where it is not,
    in rows of the window's width at the first factor: it goes on below the window, not beside it.
    """

    def scale(candidate: Placement) -> float:
        return min(window[0] / candidate.size[0], window[1] / candidate.size[1], easy)

    widths = [window[0] * factor for factor in (1.5, 1.35, 1.2, 1.1, 1, 0.9, 0.8, 0.7)]
    best = max([placed, *(wrap(placed, diagram, sizes, w) for w in widths)], key=scale)
    return best if scale(best) >= legible else wrap(placed, diagram, sizes, window[0] / easy)


def _choose_cuts(
    placed: Placement, diagram: Diagram, sizes: dict[str, Size], width: float
) -> list[float]:
    """Choose between which columns to cut: rows of about one width, and few edges at the cuts."""
    columns = sorted(
        (x - sizes[name][0] / 2, x + sizes[name][0] / 2) for name, (x, _) in placed.centers.items()
    )
    gaps, right = [], columns[0][1]
    for start, end in columns:
        if start - right > LANE:
            gaps.append(right + 0.3 * (start - right))
        right = max(right, end)
    makes = {edge.uses for edge in diagram.edges if edge.makes}
    # A primitive is best in one row with its result.
    ends = [
        (route.curves[0][0][0], route.tip[0], 8 if uses in makes else 1)
        for uses, route in placed.routes.items()
    ]
    rectangles = [frame for pieces in placed.frames.values() for frame in pieces]

    def price(x: float) -> float:
        crossing = [weight for a, b, weight in ends if a < x < b]
        if len(crossing) > MAX_CROSSING:
            return float("inf")
        return 0.02 * len(crossing) * sum(crossing) + 0.06 * sum(
            a < x < b for a, _, b, _ in rectangles
        )

    places = [0.0, *gaps, placed.size[0]]
    # For the rows up to each place: their price, and where the last of them begins.
    best: list[tuple[float, int]] = [(0.0, 0)]
    for j in range(1, len(places)):
        choices = []
        for i in range(j - 1, -1, -1):
            long = (places[j] - places[i]) / width
            if long > 1 and i < j - 1:
                break
            last = j == len(places) - 1
            ragged = 0.3 * (1 - long) ** 2 if last else (1 - long) ** 2
            choices.append((best[i][0] + ragged + (0 if last else price(places[j])), i))
        best.append(min(choices))
    if best[-1][0] == float("inf"):
        return []
    cuts, j = [], best[-1][1]
    while j:
        cuts.append(places[j])
        j = best[j][1]
    return cuts[::-1]


class _Rows:
    """A placement, cut at some x into rows that are moved below one another."""

    def __init__(
        self, placed: Placement, diagram: Diagram, sizes: dict[str, Size], cuts: Sequence[float]
    ) -> None:
        self.placed, self.diagram, self.sizes = placed, diagram, sizes
        self.bounds = list(pairwise([0.0, *cuts, placed.size[0]]))
        self.row = {name: self._row_at(x) for name, (x, _) in placed.centers.items()}
        self.curves = {uses: self._cut(route) for uses, route in placed.routes.items()}
        self.lanes = [
            [uses for uses, curves in self.curves.items() if row in curves and row + 1 in curves]
            for row in range(len(self.bounds))
        ]
        self.frames = self._frames()
        self.margin = LANE * (1 + max(map(len, self.lanes)))
        self._move()

    def _row_at(self, x: float) -> int:
        return next((i for i, (_, end) in enumerate(self.bounds) if x < end), len(self.bounds) - 1)

    def _cut(self, route: Route) -> dict[int, Bezier]:
        """The part of an edge in each row."""
        (points,) = route.curves
        curves: dict[int, Bezier] = {}
        for piece in (points[i : i + 4] for i in range(0, len(points) - 1, 3)):
            rest = piece
            for row in range(self._row_at(piece[0][0]), self._row_at(piece[3][0])):
                part, rest = _split(rest, self.bounds[row][1])
                curves.setdefault(row, part[:1]).extend(part[1:])
            curves.setdefault(self._row_at(piece[3][0]), rest[:1]).extend(rest[1:])
        return curves

    def _frames(self) -> dict[str, dict[int, Rectangle]]:
        """The part of each open scope in each row, around what it has there."""
        found: dict[str, dict[int, Rectangle]] = {}
        inside: dict[ScopeFrame | None, list[tuple[int, Rectangle]]] = {}
        parts: list[TensorBox | OpNode] = [*self.diagram.boxes, *self.diagram.ops]
        for part in parts:
            inside.setdefault(part.frame, []).append(self._around(part.id))
        for frame in sorted(self.diagram.frames, key=lambda frame: -frame.level):
            if frame.folded:
                inside.setdefault(frame.outer, []).append(self._around(frame.id))
                continue
            name = f"cluster_{frame.id}"
            ((left, _, right, _),) = self.placed.frames[name]
            pieces: dict[int, Rectangle] = {}
            for row in sorted({row for row, _ in inside[frame]}):
                tops, bottoms = zip(
                    *((top, bottom) for at, (_, top, _, bottom) in inside[frame] if at == row),
                    strict=True,
                )
                start, end = self.bounds[row]
                above = FRAME_PAD if pieces else TITLE  # a name is in the first piece only
                pieces[row] = (
                    max(left, start), min(tops) - above, min(right, end), max(bottoms) + FRAME_PAD
                )  # fmt: skip
            found[name] = pieces
            inside.setdefault(frame.outer, []).extend(pieces.items())
        return found

    def _around(self, name: str) -> tuple[int, Rectangle]:
        (x, y), (w, h) = self.placed.centers[name], self.sizes[name]
        return self.row[name], (x - w / 2, y - h / 2, x + w / 2, y + h / 2)

    def _move(self) -> None:
        """Find how far each row moves."""
        self.moves: list[Point] = []
        self.gutters: list[float] = []  # above each row
        y = 0.0
        for row, (start, _) in enumerate(self.bounds):
            top, bottom = self._extent(row)
            self.gutters.append(y)
            y += GUTTER + LANE * len(self.lanes[row - 1]) if row else 0
            self.moves.append((self.margin - start, y - top))
            y += bottom - top
        widest = max(end - start for start, end in self.bounds)
        self.size = widest + 2 * self.margin, y

    def _extent(self, row: int) -> tuple[float, float]:
        heights = [self._around(name)[1][1::2] for name, at in self.row.items() if at == row]
        heights += [pieces[row][1::2] for pieces in self.frames.values() if row in pieces]
        heights += [
            (min(ys), max(ys))
            for curves in self.curves.values()
            if row in curves
            for ys in [[y for _, y in curves[row]]]
        ]
        return min(top for top, _ in heights), max(bottom for _, bottom in heights)

    def _moved(self, row: int, points: Iterable[Point]) -> list[Point]:
        dx, dy = self.moves[row]
        return [(x + dx, y + dy) for x, y in points]

    def placement(self) -> Placement:
        """Everything in its row."""
        centers = {
            name: self._moved(self.row[name], [point])[0]
            for name, point in self.placed.centers.items()
        }
        frames = {}
        for name, pieces in self.frames.items():
            frames[name] = [
                (left + dx, top + dy, right + dx, bottom + dy)
                for row, (left, top, right, bottom) in sorted(pieces.items())
                for dx, dy in [self.moves[row]]
            ]
        routes = {uses: self._route(uses, route) for uses, route in self.placed.routes.items()}
        return Placement(self.size, centers, frames, routes, len(self.bounds))

    def _route(self, uses: str, route: Route) -> Route:
        rows = sorted(self.curves[uses])
        curves = [self._moved(row, self.curves[uses][row]) for row in rows]
        last = rows[-1]
        (tip,) = self._moved(last, [route.tip])
        corners = [
            self._around_to_the_next(uses, row, before[-1], after[0])
            for row, (before, after) in zip(rows, pairwise(curves), strict=False)
        ]
        return Route(curves, tip, corners)

    def _around_to_the_next(self, uses: str, row: int, end: Point, start: Point) -> list[Point]:
        """The corners of the way from the end of a row to the start of the next."""
        lanes = self.lanes[row]
        lane = LANE * (lanes.index(uses) + 1)
        gutter = self.gutters[row + 1] + GUTTER / 2 + lane
        right, left = self.size[0] - self.margin + lane, self.margin - lane
        return [(right, end[1]), (right, gutter), (left, gutter), (left, start[1])]


def _split(piece: Bezier, x: float) -> tuple[Bezier, Bezier]:
    """Split a curve of four points where it passes x."""
    low, high = 0.0, 1.0
    forward = piece[0][0] < piece[3][0]
    for _ in range(30):
        t = (low + high) / 2
        if (split_at(piece, t)[1][0][0] < x) == forward:
            low = t
        else:
            high = t
    return split_at(piece, (low + high) / 2)


def split_at(piece: Bezier, t: float) -> tuple[Bezier, Bezier]:
    """Split a curve of four points in two, by de Casteljau's algorithm."""
    first, second, points = [piece[0]], [piece[-1]], piece
    while len(points) > 1:
        points = [(a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])) for a, b in pairwise(points)]
        first.append(points[0])
        second.append(points[-1])
    return first, second[::-1]
