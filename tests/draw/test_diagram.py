import operator
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from draw.graphs import (
    SVG,
    attribute,
    cross_entropy_by_hand,
    edges,
    groups,
    label_of,
    legend_of,
    node_named,
    nodes,
    pairs,
    parameter,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_ce as tg
from tinygrad_ce.draw import draw
from tinygrad_ce.engine.primitives import Primitive
from tinygrad_ce.engine.tensor import apply


def test_a_times_a_has_two_edges():
    a = parameter(3.0, "a")
    assert pairs(draw(a * a)) == [("t0", "p1"), ("t0", "p1"), ("p1", "t1")]


def test_edges_come_in_the_order_of_the_arguments():
    a, b, c = (parameter(float(i), name) for i, name in enumerate("abc"))
    drawing = draw(b - a)
    assert pairs(drawing) == [("t1", "p2"), ("t0", "p2"), ("p2", "t2")]
    assert [attributes for _, _, attributes in edges(drawing)[:2]] == ["headlabel=a", "headlabel=b"]
    drawing = draw(tg.concatenate([c.reshape(1), a.reshape(1), b.reshape(1)]))
    into = [(s, a) for s, t, a in edges(drawing) if "headlabel" in a]
    assert [a for _, a in into] == ["headlabel=1", "headlabel=2", "headlabel=3"]


@pytest.mark.parametrize("commutative", [operator.add, operator.mul, tg.maximum])
def test_edges_are_not_labelled_where_the_order_is_free(commutative):
    drawing = draw(commutative(parameter(1.0, "a"), parameter(2.0, "b")))
    assert "headlabel" not in drawing.dot
    assert "order of the arguments" not in legend_of(drawing)


def test_edges_are_not_labelled_where_all_arguments_are_the_same_tensor():
    a = parameter(1.0, "a")
    assert "headlabel" not in draw(a - a).dot


def test_leaf_alone_is_one_box():
    drawing = draw(tg.Tensor([1.0, 2.0], name="x"))
    assert list(nodes(drawing)) == ["t0"]
    assert not edges(drawing)


def test_arrows_along_which_no_gradient_comes_back_are_dashed():
    x, w = tg.Tensor(2.0, name="x"), parameter(3.0, "w")
    drawing = draw(x * w)
    dashed = {s for s, _, attributes in edges(drawing) if "style=dashed" in attributes}
    assert dashed == {node_named(drawing, "x")}
    assert "dashed arrow" in legend_of(drawing)


def shown_gradient(label):
    return [float(number) for number in label.split("grad ")[1].split()]


def test_gradients_shown_are_the_engines_to_four_digits():
    loss = cross_entropy_by_hand()
    drawing = draw(loss)
    tensors = tg.engine.graph.topological_order(loss)
    gradients = tg.gradients(loss, tensors)
    for i, g in enumerate(gradients):
        expected = [float(f"{v:.4g}") for v in np.ravel(g)]
        assert shown_gradient(label_of(drawing, f"t{i}")) == expected


def test_grad_is_untouched_and_the_graph_lives_on():
    loss = cross_entropy_by_hand()
    z = tg.engine.graph.topological_order(loss)[0]
    z.grad = [7.0, 7.0, 7.0]
    draw(loss)
    assert z.grad.tolist() == [7.0, 7.0, 7.0]
    z.grad = None
    loss.backward()
    p = np.exp(z.data) / np.exp(z.data).sum()
    np.testing.assert_allclose(z.grad, p - [1, 0, 0], atol=1e-15)


def test_drawing_under_no_grad_still_shows_gradients():
    loss = cross_entropy_by_hand()
    with tg.no_grad():
        assert draw(loss).dot == draw(loss).dot
        assert "grad" in label_of(draw(loss), "t0")


def test_no_gradient_arriving_differs_from_gradient_zero():
    first = Primitive("first", "first", lambda a, b: a, lambda g, y, a, b: g, None)
    x, other = parameter([1.0, 2.0], "x"), parameter([1.0, 0.0], "other")
    drawing = draw(apply(first, x * 0.0, other).sum())
    assert label_of(drawing, node_named(drawing, "other")).endswith("grad none arrives")
    assert label_of(drawing, node_named(drawing, "x")).endswith("grad 0 0")


def test_several_outputs_share_what_they_have_in_common():
    a = parameter(2.0, "a")
    u, v = a * a, a.exp()
    u.name, v.name = "u", "v"
    drawing = draw([u, v])
    assert pairs(drawing) == [("t0", "p1"), ("t0", "p1"), ("p1", "t1"), ("t0", "p2"), ("p2", "t2")]
    assert label_of(drawing, "t0") == "a value 2 grad 11.39"  # 2a + eᵃ
    assert attribute(drawing, "t1", "peripheries") == attribute(drawing, "t2", "peripheries") == "2"
    assert "grad: of u + v" in legend_of(drawing)


def test_output_inside_of_the_graph_of_another():
    a = parameter(2.0, "a")
    u = a * 3.0
    assert label_of(draw([u, u * u]), "t2") == "u value 6 grad 13"


def test_output_without_a_gradient_beside_one_that_has_some():
    a, b = parameter(2.0, "a"), tg.Tensor(5.0, name="b")
    drawing = draw([a * 3.0, b * 2.0])
    assert label_of(drawing, "t0") == "a value 2 grad 3"
    assert not [label for label in map(str, nodes(drawing).values()) if "none arrives" in label]


@st.composite
def random_graphs(draw_from):
    """A random graph of scalars with nested scopes, leaves and constants of every kind."""
    choose = lambda options: draw_from(st.sampled_from(options))  # noqa: E731
    tensors = [parameter(0.5, "w"), tg.Tensor(0.25, name="x"), parameter(1.5), tg.Tensor(2.0)]

    def grow(level):
        for _ in range(draw_from(st.integers(1, 4))):
            step = choose(["add", "subtract", "tanh", "constant", "scope"])
            if step == "scope" and level < 4:
                with tg.scope(choose("abc")):
                    grow(level + 1)
            elif step == "tanh":
                tensors.append(choose(tensors).tanh())
            elif step == "constant":
                tensors.append(choose(tensors) * 3)
            else:
                a, b = choose(tensors), choose(tensors)
                tensors.append(a + b if step == "add" else a - b)

    grow(0)
    return tensors[-1]


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(random_graphs(), st.sampled_from([None, 1, 2, 3]), st.sampled_from(["LR", "TB"]))
def test_any_graph_is_drawn_whole_at_any_depth(output, depth, direction):
    drawing = draw(output, depth, direction)
    graph = tg.engine.graph.topological_order(output)
    drawn = nodes(drawing)
    assert {end for pair in pairs(drawing) for end in pair} <= set(drawn)
    assert f"t{len(graph) - 1}" in drawn
    if depth is None:
        assert len([n for n in drawn if n.startswith("t")]) == len(graph)
        uses = sum(len(node.inputs) for node in graph)
        assert len(pairs(drawing)) == uses + sum(bool(node.inputs) for node in graph)
    svg = drawing.svg()
    assert groups(svg) == sorted(drawn)
    edges_drawn = [g for g in ET.fromstring(svg).iter(f"{SVG}g") if "data-uses" in g.attrib]
    assert len(edges_drawn) == len(pairs(drawing))
