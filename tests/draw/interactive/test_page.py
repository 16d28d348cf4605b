import re

import numpy as np
import pytest
from draw.graphs import parameter, texts, two_layers

import tinygrad_ce as tg
from tinygrad_ce import nn
from tinygrad_ce.draw import diagram, draw
from tinygrad_ce.draw.interactive import page
from tinygrad_ce.draw.interactive.steps import Trace
from tinygrad_ce.engine.graph import topological_order
from tinygrad_ce.engine.primitives import Primitive
from tinygrad_ce.engine.tensor import apply


def in_scopes(n, tensors=2):
    x = parameter(0.5, "x")
    for i in range(n):
        with tg.scope(f"s{i}"):
            for _ in range(tensors):
                x = x.tanh()
    return x


def test_page_of_an_empty_batch():
    x = parameter(np.zeros((0, 3)), "x")
    assert '"shape":[0,3]' in draw((x * x).sum()).html()


def test_page_of_a_large_tensor_that_no_gradient_reaches():
    first = Primitive("first", "first", lambda a, b: a, lambda g, y, a, b: g, None)
    other = parameter(np.ones((20, 20)), "other")
    drawn = draw(apply(first, parameter(np.ones((20, 20)), "x"), other).sum()).html()
    in_box = re.search(r'aria-label="other".*?<g class="grad">(.*?)</g>', drawn, re.DOTALL)[1]
    assert in_box.endswith(">none arrives</text>")


def layouts_of(page):
    """The direction of each layout of a page, and the ids of the scopes that are folded in it."""
    return re.findall(r'"direction":"(..)","folded":\[([^\]]*)\]', page)


@pytest.mark.parametrize("directions", [("LR", "TB"), ("TB", "LR"), ("BT", "LR"), ("RL", "TB")])
def test_page_holds_the_graph_as_drawn_and_all_open_or_folded_in_two_directions(directions):
    loss, folded = in_scopes(2), '"s0","s1"'

    def layouts(output, **options):
        return layouts_of(draw(output, direction=directions[0], **options).html())

    assert layouts(loss) == [(d, folds) for d in directions for folds in ("", folded)]
    assert layouts(loss, depth=1) == [(d, folds) for d in directions for folds in (folded, "")]
    assert layouts(parameter(1.0) * 2.0) == [(d, "") for d in directions]


def test_page_holds_no_more_boxes_than_it_says(monkeypatch):
    loss = in_scopes(2, tensors=5)
    monkeypatch.setattr(page, "MAX_BOXES", 10)
    assert layouts_of(draw(loss).html()) == [("LR", ""), ("TB", "")]
    monkeypatch.setattr(page, "MAX_TURNED", 10)
    assert layouts_of(draw(loss).html()) == [("LR", "")]


def test_page_of_a_graph_too_large_to_be_drawn_open_has_it_folded(monkeypatch):
    monkeypatch.setattr(diagram, "MAX_TENSORS", 20)
    drawing = draw(in_scopes(2, tensors=15), depth=1)
    assert layouts_of(drawing.html()) == [(d, '"s0","s1"') for d in ("LR", "TB")]


def test_page_in_a_notebook_says_what_it_is():
    assert repr(draw(two_layers()).page()).startswith("<Page: computation graph of loss: ")


def test_page_of_what_is_not_finite_throughout():
    x = parameter(np.full(20, np.inf), "x")
    statistics = Trace(topological_order(x), [x]).data()["arrays"][0]
    assert (statistics["inf"], "min" in statistics) == (20, False)
    assert "20 inf" in draw(x).html()


def test_page_is_the_same_from_run_to_run():
    assert draw(two_layers()).html() == draw(two_layers()).html()


def test_tensors_of_one_name_are_numbered_alike_in_picture_tree_and_page():
    loss = nn.MLP([2, 3, 1], rng=0)(tg.Tensor([[1.0, 2.0]], name="x")).sum()
    drawing = draw(loss)
    names = {"weight₁", "bias₁", "weight₂", "bias₂", "x"}
    assert set(re.findall(r'label="(\w+) \(', drawing.dot)) == names
    assert names <= {text.split()[0] for text in texts(drawing.svg())}
    assert {name for name in names if name in drawing.text()} == names
    assert names < {node["name"] for node in Trace(topological_order(loss), [loss]).data()["nodes"]}
