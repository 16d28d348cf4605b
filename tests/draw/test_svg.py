import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from draw.graphs import SVG, contrast, cross_entropy_by_hand, parameter, texts, two_layers

import tinygrad_ce as tg
from tinygrad_ce.draw import draw
from tinygrad_ce.draw.colors import DARK, LIGHT
from tinygrad_ce.draw.heatmap import thumbnail


def test_large_array_has_a_heat_map():
    W = parameter([[-2.0] * 20, [0.0] * 20, [1.0] * 20], "W")
    svg = draw(W).svg()
    assert thumbnail(W.data) in svg
    assert "−2 … 1" in texts(svg)
    assert "heat map: blue below 0, white at 0, orange above; black is not finite" in texts(svg)


@pytest.mark.parametrize("colors", [LIGHT, DARK])
def test_text_has_contrast_4_5_and_lines_3(colors):
    for ground in ("ground", "parameter", "input", "output"):
        for word in ("ink", "muted", "grad"):
            assert contrast(colors[word], colors[ground]) >= 4.5, (word, ground)
    for ground in ("scope-0", "scope-1", "primitive"):
        for word in ("ink", "muted"):
            assert contrast(colors[word], colors[ground]) >= 4.5, (word, ground)
    lines = "line edge pending parameter-line input-line output-line active from"
    for line in lines.split():
        for ground in ("ground", "scope-0"):
            assert contrast(colors[line], colors[ground]) >= 3, (line, ground)


def test_legend_is_in_the_picture():
    w = parameter([1.0, 2.0], "w")
    loss = (w * tg.Tensor([3.0, 4.0], name="x") + np.array([5.0, 6.0])).sum()
    shown = texts(draw(loss).svg())
    for word in ("parameter", "input", "constant", "computed", "output", "primitive"):
        assert word in shown
    assert "dashed arrow: no gradient comes back along it" in shown


def test_folded_layers_say_how_many_they_are():
    h = parameter(1.0, "x")
    for _ in range(12):
        with tg.scope("layer"):
            h = h.tanh()
    assert {"layer × 12", "12 tensors"} <= set(texts(draw(h, depth=1).svg()))


def test_long_vectors_are_columns():
    x = parameter(np.linspace(-1, 1, 9), "x")
    svg = draw((x * x).sum()).svg()
    width, height = map(
        float,
        re.search(
            r'<g class="tensor parameter" .*?<rect width="([\d.]+)" height="([\d.]+)"', svg
        ).groups(),
    )
    assert height > width


def test_svg_follows_what_its_reader_prefers_unless_told():
    loss = cross_entropy_by_hand()
    assert "prefers-color-scheme: dark" in draw(loss).svg()
    assert "prefers-color-scheme" not in draw(loss, theme="light").svg()
    for theme, there, not_there in (("light", LIGHT, DARK), ("dark", DARK, LIGHT)):
        svg = draw(loss, theme=theme).svg()
        assert there["parameter"] in svg
        assert not_there["parameter"] not in svg


def test_two_pictures_on_one_page_have_each_its_own_looks():
    loss = cross_entropy_by_hand()
    light, dark = draw(loss, theme="light").svg(), draw(loss, theme="dark").svg()
    assert "graph-light" not in dark
    assert "graph-dark" not in light


def test_svg_is_well_formed_scales_and_has_a_title():
    svg = draw(cross_entropy_by_hand()).svg()
    root = ET.fromstring(svg)
    assert svg.startswith("<svg")
    assert len(root.get("viewBox").split()) == 4
    assert "max-width:100%" in root.get("style")
    assert root.get("role") == "img"
    assert root[0].tag == f"{SVG}title"
    assert root[0].text == "computation graph of loss: 6 tensors, 5 primitives"
    assert len(list(root.iter(f"{SVG}title"))) == 1


def test_svg_shows_every_label():
    shown = " ".join(texts(draw(cross_entropy_by_hand()).svg()))
    for text in ("cross-entropy", "log of softmax", "z", "(3,)", "exp", "[0]", "−0.341", "loss"):
        assert text in shown


def test_svg_has_no_ids_that_would_clash_on_a_page():
    root = ET.fromstring(draw(two_layers()).svg())
    assert not [e for e in root.iter() if e.get("id")]


def test_drawing_again_and_again_gives_the_same_labels():
    first, second = draw(cross_entropy_by_hand()), draw(two_layers())
    expected = texts(first.svg()), texts(second.svg())
    for _ in range(3):
        assert (texts(first.svg()), texts(second.svg())) == expected


def test_boxes_without_value_and_gradient_are_drawn():
    svg = draw(cross_entropy_by_hand(), values=False, grads=False).svg()
    assert "z (3,)" in texts(svg)
    assert 'class="number"' not in svg
