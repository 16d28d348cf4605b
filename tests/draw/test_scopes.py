import xml.etree.ElementTree as ET

import numpy as np
from draw.graphs import (
    chain,
    clusters_around,
    cross_entropy_by_hand,
    label_of,
    legend_of,
    node_named,
    nodes,
    pairs,
    parameter,
    two_layers,
)

import tinygrad_ce as tg
from tinygrad_ce.draw import draw


def test_clusters_are_nested_as_scopes_are():
    drawing = draw(two_layers())
    symbols = {"@": ["layer 1", "affine"], "tanh": ["layer 1"], "mean": []}
    for symbol, around in symbols.items():
        first = next(n for n in nodes(drawing) if n[0] == "p" and label_of(drawing, n) == symbol)
        assert clusters_around(drawing, first) == around
    assert clusters_around(drawing, node_named(drawing, "loss")) == []


def test_leaf_used_in_one_scope_alone_is_in_it_and_input_outside():
    drawing = draw(two_layers())
    for i in ("1", "2"):
        for name in ("W", "b"):
            around = clusters_around(drawing, node_named(drawing, name + i))
            assert around == [f"layer {i}", "affine"]
    assert clusters_around(drawing, node_named(drawing, "x")) == []


def test_leaf_used_in_two_scopes_is_around_both():
    w, x = parameter(1.0, "w"), tg.Tensor(2.0, name="x")
    with tg.scope("outer"):
        with tg.scope("left"):
            a = x * w
        with tg.scope("right"):
            b = x + w
        y = a * b
    assert clusters_around(draw(y), node_named(draw(y), "w")) == ["outer"]


def test_two_calls_of_one_scope_are_two_clusters():
    @tg.scope("square")
    def square(x):
        return x * x

    drawing = draw(square(square(parameter(2.0, "x"))))
    assert drawing.dot.count("label=square") == 2


def test_logits_are_outside_of_the_cross_entropy_they_go_into():
    drawing = draw(cross_entropy_by_hand())
    assert clusters_around(drawing, node_named(drawing, "z")) == []


def test_depth_1_makes_each_outermost_scope_one_box():
    drawing = draw(two_layers(), depth=1)
    folded = {label_of(drawing, n): n for n in nodes(drawing) if n.startswith("s")}
    assert set(folded) == {"layer 1 5 tensors", "layer 2 5 tensors"}
    first, second = folded["layer 1 5 tensors"], folded["layer 2 5 tensors"]
    (between,) = [t for s, t in pairs(drawing) if s == first]
    assert pairs(drawing)[:4] == [
        (node_named(drawing, "x"), first),
        (first, between),
        (between, second),
        (second, pairs(drawing)[3][1]),
    ]
    assert "subgraph" not in drawing.dot
    assert "a scope, folded" in legend_of(drawing)
    assert repr(drawing).endswith("5 of 13 tensors, 2 primitives, 2 folded scopes>")


def test_depth_2_opens_the_outermost_scopes_and_folds_those_inside():
    drawing = draw(two_layers(), depth=2)
    folded = [n for n in nodes(drawing) if n.startswith("s")]
    assert [label_of(drawing, n) for n in folded] == ["affine 4 tensors", "affine 4 tensors"]
    assert [clusters_around(drawing, n) for n in folded] == [["layer 1"], ["layer 2"]]


def test_depth_beyond_the_nesting_changes_nothing():
    loss = two_layers()
    assert draw(loss, depth=7).dot == draw(loss).dot == draw(loss, depth=None).dot


def test_folding_keeps_ids_and_gradients_of_what_is_still_shown():
    loss = two_layers()
    full, folded = draw(loss), draw(loss, depth=1)
    kept = [n for n in nodes(folded) if n.startswith("t")]
    assert [label_of(folded, n) for n in kept] == [label_of(full, n) for n in kept]


def test_many_uses_inside_a_fold_are_one_arrow():
    x = parameter(2.0, "x")
    with tg.scope("cube"):
        y = x * x * x
    assert pairs(draw(y, depth=1)) == [("t0", "s0"), ("s0", "t2")]


def test_tensor_inside_a_fold_that_is_used_outside_is_shown():
    x = parameter(2.0, "x")
    with tg.scope("inside"):
        a = x * x
        b = a.exp()
    drawing = draw(a + b, depth=1)
    assert [t for s, t in pairs(drawing) if s == "s0"] == ["t1", "t2"]


def test_scopes_nested_a_hundred_thousand_deep_are_drawn():
    deepest = None
    for _ in range(100_000):
        deepest = tg.engine.context.Scope("deeper", deepest)
    x = parameter(2.0, "x")
    y = x * x
    y.scope = deepest
    drawing = draw(y)
    assert label_of(drawing, "s31") == "deeper 1 tensor"
    ET.fromstring(drawing.svg())


def test_beyond_500_tensors_the_deepest_scopes_fold_by_themselves():
    h = parameter(1.0, "x")
    for _ in range(30):
        with tg.scope("layer"):
            h = h * 2.0
            for _ in range(20):
                with tg.scope("inner"):
                    h = h.tanh()
    drawing = draw(h)
    assert len(nodes(drawing)) < 500
    assert "folded to depth=2, since it has 661 tensors" in legend_of(drawing)
    assert "folded" in repr(drawing)


def test_at_500_tensors_nothing_folds_by_itself():
    assert len(pairs(draw(chain(499)))) == 2 * 499


def blocks(shapes):
    h = parameter(np.ones(shapes[0]), "x")
    for n in shapes[1:]:
        with tg.scope("Block"):
            h = (parameter(np.ones((n, h.size)), "W") * h).sum(-1).tanh()
    return h.sum()


def test_folded_layers_that_are_alike_are_one_box():
    drawing = draw(blocks([3] * 13), depth=1)
    labels = [label_of(drawing, node) for node in nodes(drawing) if node.startswith("s")]
    assert labels == ["Block × 12 47 tensors"]  # the first W is outside, as x does
    assert len(pairs(drawing)) == 5


def test_layers_of_other_shapes_stay_apart():
    drawing = draw(blocks([3, 3, 3, 4, 4]), depth=1)
    labels = [label_of(drawing, node) for node in nodes(drawing) if node.startswith("s")]
    assert [" ".join(label.split()[:3]) for label in labels] == [
        "Block × 2",
        "Block 4 tensors",
        "Block 4 tensors",
    ]


def test_layers_with_something_between_them_stay_apart():
    h = parameter(1.0, "x")
    for _ in range(3):
        with tg.scope("Block"):
            h = h.tanh()
        h = h.exp()
    drawing = draw(h, depth=1)
    assert len([node for node in nodes(drawing) if node.startswith("s")]) == 3


def test_huge_scope_is_drawn_folded():
    drawing = draw(chain(20_000), depth=1)
    assert label_of(drawing, "s0") == "chain 20,000 tensors"
    assert pairs(drawing) == [("t0", "s0"), ("s0", "t20000")]
