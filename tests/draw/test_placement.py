import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest
from draw.graphs import SVG, cross_entropy_by_hand, parameter, texts, two_layers
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn
from tinygrad_ce.draw import draw
from tinygrad_ce.draw.boxes import contents_of, lay_out
from tinygrad_ce.draw.placement import part_size, place, split_at, wrap, wrap_to_fit


def network():
    x = tg.Tensor(np.ones((1, 4)), name="x")
    return F.cross_entropy(nn.MLP([4, 16, 3], rng=0)(x), [1])


def deep():
    x = parameter(np.ones(3), "x")
    for i in range(12):
        with tg.scope(f"layer {i}"):
            x = (x * 1.5).tanh()
    return x.sum()


def shared():
    """One tensor that all of a long chain uses: nowhere is a place to cut."""
    x, w = parameter(1.0, "x"), parameter(0.5, "w")
    for _ in range(15):
        x = x * w
    return x


GRAPHS = [cross_entropy_by_hand, two_layers, network, deep]


def placed(make, depth=None):
    diagram = draw(make(), depth)._diagram
    boxes = {box.id: lay_out(box, contents_of(diagram, True)[box.id]) for box in diagram.boxes}
    sizes = {name: (box.width, box.height) for name, box in boxes.items()}
    sizes |= {op.id: part_size(op) for op in diagram.ops}
    sizes |= {frame.id: part_size(frame) for frame in diagram.frames if frame.folded}
    return place(diagram, boxes, "LR"), diagram, sizes


def rectangles(placement, sizes):
    return {
        name: (x - sizes[name][0] / 2, y - sizes[name][1] / 2, *sizes[name])
        for name, (x, y) in placement.centers.items()
    }


def overlap(a, b):
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


@pytest.mark.parametrize("depth", [None, 1])
@pytest.mark.parametrize("make", GRAPHS)
def test_rows_are_no_wider_than_asked_and_nothing_overlaps(make, depth):
    single, diagram, sizes = placed(make, depth)
    widest = max(width for width, _ in sizes.values())
    for share in (0.9, 0.6, 0.4, 0.25):
        width = max(share * single.size[0], 1.5 * widest)
        rows = wrap(single, diagram, sizes, width)
        assert rows.size[0] <= width + 100  # and lanes beside it
        boxes = rectangles(rows, sizes)
        for x, y, w, h in boxes.values():
            assert -0.01 <= x <= rows.size[0] - w + 0.01
            assert -0.01 <= y <= rows.size[1] - h + 0.01
        names = list(boxes)
        assert not [
            (a, b)
            for i, a in enumerate(names)
            for b in names[i + 1 :]
            if overlap(boxes[a], boxes[b])
        ]
    assert rows.rows >= 2


@pytest.mark.parametrize("make", GRAPHS)
def test_every_edge_is_one_line_from_its_source_to_its_target(make):
    single, diagram, sizes = placed(make)
    rows = wrap(single, diagram, sizes, 0.4 * single.size[0])
    boxes = rectangles(rows, sizes)
    for edge in diagram.edges:
        route = rows.routes[edge.uses]
        assert touches(route.curves[0][0], boxes[edge.source])
        assert touches(route.tip, boxes[edge.target])
        assert len(route.corners) == len(route.curves) - 1
        for (before, after), corners in zip(pairwise(route.curves), route.corners, strict=True):
            way = [before[-1], *corners, after[0]]  # goes across and down, never aslant
            assert all(
                a[0] == pytest.approx(b[0]) or a[1] == pytest.approx(b[1]) for a, b in pairwise(way)
            )
            assert not [box for box in boxes.values() for a, b in pairwise(way) if hits(a, b, box)]


def touches(point, box, within=2.5):
    (x, y), (left, top, width, height) = point, box
    return (
        left - within <= x <= left + width + within and top - within <= y <= top + height + within
    )


def hits(a, b, box):
    line = min(a[0], b[0]), min(a[1], b[1]), abs(a[0] - b[0]) + 1e-9, abs(a[1] - b[1]) + 1e-9
    return overlap(line, box)


@pytest.mark.parametrize("make", GRAPHS)
def test_every_part_is_inside_of_the_frames_around_it(make):
    single, diagram, sizes = placed(make)
    rows = wrap(single, diagram, sizes, 0.4 * single.size[0])
    boxes = rectangles(rows, sizes)
    for part in [*diagram.boxes, *diagram.ops]:
        frame = part.frame
        while frame is not None:
            x, y, w, h = boxes[part.id]
            assert any(
                left <= x + 0.1 and top <= y and x + w <= right + 0.1 and y + h <= bottom
                for left, top, right, bottom in rows.frames[f"cluster_{frame.id}"]
            ), (part.id, frame.name)
            frame = frame.outer


def test_what_fits_and_what_cannot_be_cut_stays_in_one_row():
    single, diagram, sizes = placed(network)
    assert wrap(single, diagram, sizes, single.size[0]) is single
    single, diagram, sizes = placed(shared)
    assert wrap(single, diagram, sizes, single.size[0] / 4) is single


@pytest.mark.parametrize("window", [(1000, 700), (600, 900), (400, 300)])
def test_graph_is_in_as_few_rows_as_make_it_easy_to_read_or_as_large_as_can_be(window):
    single, diagram, sizes = placed(network)

    def scale(placement):
        return min(window[0] / placement.size[0], window[1] / placement.size[1])

    def found(easy, legible=0.0):
        return wrap_to_fit(single, diagram, sizes, window, easy, legible)

    assert found(scale(single)) is single
    rows = [found(easy) for easy in np.linspace(scale(single), 2.0, 8)]
    assert [r.rows for r in rows] == sorted(r.rows for r in rows)
    largest = scale(rows[-1])
    assert largest >= 1.5 * scale(single)
    assert scale(found(0.9 * largest)) >= 0.9 * largest
    assert scale(found(2.0, largest)) == largest


def test_graph_that_would_be_illegible_goes_on_below_the_window():
    single, diagram, sizes = placed(network)
    found = wrap_to_fit(single, diagram, sizes, (700, 200), 0.9, 0.9)
    assert found.size[0] <= 700 / 0.9 + 100
    assert found.size[1] > 200 / 0.9


points = st.tuples(st.floats(-100, 100), st.floats(-100, 100))


@given(st.lists(points, min_size=4, max_size=4), st.floats(0, 1), st.floats(0, 1))
@settings(deadline=None)
def test_halves_of_a_curve_are_the_curve(curve, t, s):
    def at(curve, t):
        weights = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3
        return np.array(weights) @ np.array(curve)

    first, second = split_at(curve, t)
    np.testing.assert_allclose(at(first, s), at(curve, t * s), atol=1e-9)
    np.testing.assert_allclose(at(second, s), at(curve, t + (1 - t) * s), atol=1e-9)


def test_svg_of_a_width_has_all_that_the_svg_has():
    drawing = draw(network())
    wide, rows = drawing.svg(), drawing.svg(width=700)
    assert sorted(texts(wide)) == sorted(texts(rows))
    (_, _, width, height), (_, _, narrow, high) = (
        map(float, re.search(r'viewBox="([^"]*)"', svg)[1].split()) for svg in (wide, rows)
    )
    assert narrow < 800 < width
    assert high > height
    assert ET.fromstring(rows).tag == f"{SVG}svg"
    upright = draw(network(), direction="TB")
    assert upright.svg(width=300) == upright.svg()
