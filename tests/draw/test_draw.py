import html
import importlib.util
import operator
import os
import re
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_ce as tg
from tinygrad_ce import nn, symbolic
from tinygrad_ce.draw import (
    MAX_TENSORS,
    Drawing,
    RenderError,
    draw,
    formula,
    page,
    picture,
    remember_lines,
    render,
    style,
)
from tinygrad_ce.draw.formatting import visible
from tinygrad_ce.draw.interactive.contributions import contributions
from tinygrad_ce.draw.interactive.steps import Trace
from tinygrad_ce.draw.source_lines import line_of
from tinygrad_ce.engine import primitives
from tinygrad_ce.engine.context import MODE
from tinygrad_ce.engine.graph import topological_order
from tinygrad_ce.engine.primitives import Primitive
from tinygrad_ce.engine.tensor import apply

SVG = "{http://www.w3.org/2000/svg}"


def parameter(data, name=None):
    return tg.Tensor(data, requires_grad=True, name=name)


def cross_entropy_by_hand():
    z = parameter([2.0, 1.0, 0.1], "z")
    with tg.scope("cross-entropy"):
        total = z.exp().sum()
        with tg.scope("log of softmax"):
            loss = total.log() - z[0]
    loss.name = "loss"
    return loss


def two_layers():
    rng = np.random.default_rng(0)
    h = tg.Tensor(rng.normal(size=(2, 3)), name="x")
    for i in (1, 2):
        with tg.scope(f"layer {i}"):
            W = parameter(rng.normal(size=(3, 3)), f"W{i}")
            b = parameter(rng.normal(size=3), f"b{i}")
            with tg.scope("affine"):
                h = h @ W + b
            h = h.tanh()
    loss = (h * h).mean()
    loss.name = "loss"
    return loss


def chain(n):
    x = parameter(1.0, "x")
    with tg.scope("chain"):
        for _ in range(n):
            x = x.tanh()
    return x


# ── Reading a drawing ─────────────────────────────────────────────────────────────────────────────


def nodes(drawing):
    """The lines of DOT that declare a node, by its id."""
    lines = re.findall(r"^\s*([tps]\d+) (\[.*\])$", drawing.dot, re.MULTILINE)
    return dict(lines)


def edges(drawing):
    return re.findall(r"^\s*(\w+) -> (\w+)(?: \[(.*)\])?$", drawing.dot, re.MULTILINE)


def pairs(drawing):
    return [(source, target) for source, target, _ in edges(drawing)]


def words(label):
    """The words of a label, without its markup."""
    plain = re.sub(r"<[^<>]*>", " ", label.replace("=<<", "= <"))
    return html.unescape(plain).replace("\\\\", "\\").replace("\u00a0", " ").split()


def label_of(drawing, node):
    (label,) = re.findall(r"label=<(.*?)> \w+=", nodes(drawing)[node])
    return " ".join(words(label))


def node_named(drawing, name):
    (found,) = [n for n in nodes(drawing) if label_of(drawing, n).split()[:1] == [name]]
    return found


def attribute(drawing, node, name):
    found = re.search(rf'\b{name}=("[^"]*"|[^\s\]]+)', nodes(drawing)[node])
    return found and found[1].strip('"')


def clusters_around(drawing, node):
    """The labels of the clusters around a node, from the outside in."""
    stack = []
    for line in drawing.dot.splitlines():
        if line.strip().startswith("subgraph"):
            stack.append(None)
        elif stack and stack[-1] is None:
            stack[-1] = " ".join(words(re.search(r"label=<(.*?)> \w+=", line)[1]))
        elif line.strip() == "}" and stack:
            stack.pop()
        elif line.strip().startswith(f"{node} ["):
            return stack
    raise AssertionError(f"{node} is not drawn")


def legend_of(drawing):
    return " ".join(words(re.search(r"graph \[.*label=<(.*?)> labeljust", drawing.dot)[1]))


def texts(svg):
    return [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]


# ── Nodes and edges ───────────────────────────────────────────────────────────────────────────────


def test_tensors_are_boxes_and_primitives_ovals():
    drawing = draw(cross_entropy_by_hand())
    shapes = {n: attribute(drawing, n, "shape") for n in nodes(drawing)}
    assert {n for n, shape in shapes.items() if shape == "oval"} == {"p1", "p2", "p3", "p4", "p5"}
    assert {n for n, shape in shapes.items() if shape is None} == {f"t{i}" for i in range(6)}
    assert "shape=box" in drawing.dot


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


def test_box_shows_name_shape_value_and_gradient():
    drawing = draw(cross_entropy_by_hand())
    z = label_of(drawing, node_named(drawing, "z"))
    assert z == "z (3,) value 2 1 0.1 grad -0.341 0.2424 0.09857"
    assert label_of(drawing, node_named(drawing, "loss")) == "loss value 0.417 grad 1"


def test_dtype_is_shown_unless_it_is_float64():
    x = tg.Tensor(np.ones(2, np.float32), requires_grad=True, name="x")
    assert "(2,) float32" in label_of(draw(x.sum()), "t0")
    assert "float64" not in draw(cross_entropy_by_hand()).dot


def test_large_array_shows_its_range_instead_of_its_elements():
    x = parameter(np.linspace(-1, 2, 300).reshape(3, 100), "x")
    assert label_of(draw((x * x).sum()), "t0") == "x (3, 100) value -1 … 2 grad -2 … 4"


def test_nan_and_infinity_are_shown_in_small_and_counted_in_large_arrays():
    small = tg.Tensor([np.nan, np.inf, -np.inf, 1.0], name="x")
    assert label_of(draw(small), "t0") == "x (4,) value nan inf -inf 1"
    large = tg.Tensor(np.where(np.arange(100) < 3, np.nan, 1.0), name="x")
    assert label_of(draw(large), "t0") == "x (100,) value 1 … 1, 3 not finite"


@pytest.mark.parametrize("shape", [(0,), (3, 0), (1,), (1, 1), (9,), (1, 9), (2, 2, 2), (3, 3)])
@pytest.mark.parametrize("dtype", ["float64", "int64", "bool", "float16"])
def test_every_shape_and_dtype_can_be_drawn(shape, dtype):
    drawing = draw(tg.Tensor(np.ones(shape, dtype), name="x"))
    assert label_of(drawing, "t0").startswith("x (")
    assert str(shape).split()[-1] in " ".join(texts(drawing.svg()))


def test_parameters_of_a_primitive_are_shown_where_they_matter():
    x = parameter(np.ones((2, 3)), "x")
    ovals = {
        "Σ": x.sum(),
        "Σ axis=1": x.sum(1),
        "Σ axis=(0,1), keepdims": x.sum((0, 1), keepdims=True),
        "xⁿ n=3": x**3,
        "[1:, None, 0]": x[1:, None, 0],
        "[…, ·]": x[..., np.array([0, 2])],
        "reshape": x.reshape(6),
        "cast float32": x.astype(np.float32),
        "clip lo=0": x.clip(0),
    }
    for label, result in ovals.items():
        drawing = draw(result)
        (oval,) = [n for n in nodes(drawing) if n.startswith("p")]
        assert label_of(drawing, oval) == label


def test_leaf_alone_is_one_box():
    drawing = draw(tg.Tensor([1.0, 2.0], name="x"))
    assert list(nodes(drawing)) == ["t0"]
    assert not edges(drawing)


# ── Gradients ─────────────────────────────────────────────────────────────────────────────────────


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
    first = Primitive("first", "first", "a", lambda a, b: a, (lambda g, y, a, b: g, "g"), None)
    x, other = parameter([1.0, 2.0], "x"), parameter([1.0, 0.0], "other")
    drawing = draw(apply(first, x * 0.0, other).sum())
    assert label_of(drawing, node_named(drawing, "other")).endswith("grad none arrives")
    assert label_of(drawing, node_named(drawing, "x")).endswith("grad 0 0")


def test_output_of_several_elements_is_drawn_without_gradients_and_says_so():
    x = parameter([1.0, 2.0], "x")
    y = x * x
    y.name = "y"
    drawing = draw(y)
    assert "grad" not in label_of(drawing, "t0")
    assert "no gradients: they are of one number, and y has 2" in legend_of(drawing)


def test_output_that_needs_no_gradient_is_drawn_without_and_says_so():
    drawing = draw(tg.Tensor(1.0, name="x"))
    assert "no gradients: x depends on no tensor that requires one" in legend_of(drawing)


def test_arrows_along_which_no_gradient_comes_back_are_dashed():
    x, w = tg.Tensor(2.0, name="x"), parameter(3.0, "w")
    drawing = draw(x * w)
    dashed = {s for s, _, attributes in edges(drawing) if "style=dashed" in attributes}
    assert dashed == {node_named(drawing, "x")}
    assert "dashed arrow" in legend_of(drawing)


# ── Kinds and legend ──────────────────────────────────────────────────────────────────────────────


def one_of_each_kind():
    w, x = parameter([1.0, 2.0], "w"), tg.Tensor([3.0, 4.0], name="x")
    loss = (w * x + np.array([5.0, 6.0])).sum()
    loss.name = "loss"
    return loss


def test_kinds_are_told_apart_by_line_and_by_colour():
    drawing = draw(one_of_each_kind())
    boxes = [n for n in nodes(drawing) if n.startswith("t")]
    looks = {
        tuple(attribute(drawing, n, a) for a in ("style", "penwidth", "peripheries")) for n in boxes
    }
    colours = {tuple(attribute(drawing, n, a) for a in ("color", "fillcolor")) for n in boxes}
    assert len(looks) == 5
    assert len(colours) >= 4


def test_tensors_of_one_name_are_numbered_alike_in_picture_tree_and_page():
    loss = nn.MLP([2, 3, 1], rng=0)(tg.Tensor([[1.0, 2.0]], name="x")).sum()
    drawing = draw(loss)
    names = {"weight₁", "bias₁", "weight₂", "bias₂", "x"}
    assert set(re.findall(r"<B>(\w+)</B>", drawing.dot)) - {"MLP", "Linear", "Tanh"} == names
    assert {name for name in names if name in drawing.text()} == names
    assert names < {node["name"] for node in Trace(topological_order(loss), [loss]).data()["nodes"]}


def test_a_numbered_name_keeps_its_number_where_the_others_are_folded():
    loss = nn.MLP([2, 3, 1], rng=0)(tg.Tensor([[1.0, 2.0]], name="x")).sum()
    second_bias = loss.inputs[0].inputs[1]
    assert re.findall(r"<B>(bias.)</B>", draw([loss, second_bias], depth=1).dot) == ["bias₂"]


def test_legend_names_the_kinds_that_occur_and_no_others():
    drawing = draw(one_of_each_kind())
    for word in ("parameter", "input", "constant", "computed", "output", "primitive"):
        assert word in legend_of(drawing)
    assert "grad: of loss with respect to the tensor" in legend_of(drawing)
    a = parameter(1.0, "a")
    for word in ("input", "constant"):
        assert word not in legend_of(draw(a * a))


def relative_luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    light, dark = sorted((relative_luminance(a), relative_luminance(b)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_has_contrast_4_5_and_lines_3():
    from tinygrad_ce.draw import style

    looks = [*style.LOOKS.values(), style.OVAL, style.FOLD]
    for look in looks:
        for colour in (style.TEXT, style.MUTED, style.GRADIENT):
            assert contrast(colour, look.fill) >= 4.5
        assert min(contrast(look.line, look.fill), contrast(look.line, "#ffffff")) >= 3
    for fill in (*style.SCOPE_FILLS, "#ffffff"):
        assert contrast(style.ARROW, fill) >= 3
        assert contrast(style.MUTED, fill) >= 4.5


# ── Scopes ────────────────────────────────────────────────────────────────────────────────────────


def test_clusters_are_nested_as_scopes_are():
    drawing = draw(two_layers())
    symbols = {"@": ["layer 1", "affine"], "tanh": ["layer 1"], "mean": []}
    for symbol, around in symbols.items():
        first = next(n for n in nodes(drawing) if n[0] == "p" and label_of(drawing, n) == symbol)
        assert clusters_around(drawing, first) == around
    assert clusters_around(drawing, node_named(drawing, "loss")) == []


def test_leaf_used_in_one_scope_alone_stands_in_it_and_input_outside():
    drawing = draw(two_layers())
    for i in ("1", "2"):
        for name in ("W", "b"):
            around = clusters_around(drawing, node_named(drawing, name + i))
            assert around == [f"layer {i}", "affine"]
    assert clusters_around(drawing, node_named(drawing, "x")) == []


def test_leaf_used_in_two_scopes_stands_around_both():
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
    assert drawing.dot.count("<B>square</B>") == 2


def test_logits_stand_outside_of_the_cross_entropy_they_go_into():
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


# ── Stable text ───────────────────────────────────────────────────────────────────────────────────


def test_two_runs_give_the_same_dot_whatever_else_was_created():
    first = draw(two_layers()).dot
    _ = [parameter(1.0) * i for i in range(50)]
    assert draw(two_layers()).dot == first


def test_dot_does_not_depend_on_the_hash_seed():
    code = (
        "import tinygrad_ce as tg; from tinygrad_ce.draw import draw\n"
        "a = tg.Tensor([1., 2.], requires_grad=True, name='a'); b = tg.Tensor([3., 4.], name='b')\n"
        "with tg.scope('s'): y = (a * b + a).sum()\n"
        "import sys; sys.stdout.buffer.write(draw(y).dot.encode())"
    )
    texts = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert texts[0] == texts[1] != b""


def test_direction_is_that_of_the_layout():
    a = parameter(1.0, "a")
    for direction in ("LR", "TB", "RL", "BT"):
        assert f"rankdir={direction}" in draw(a * a, direction=direction).dot


# ── Hostile names ─────────────────────────────────────────────────────────────────────────────────

HOSTILE = [
    'say "hi"',
    "it's",
    "back\\slash",
    "ends in a backslash\\",
    r"\N \G \E \T \H \L \l \r \n",
    "<b>bold</b>",
    "<TABLE><TR><TD>x</TD></TR></TABLE>",
    "</FONT></TD></TR></TABLE>>",
    "a]; evil -> node [label=x",
    '"]; evil [label="x"]; x [label="',
    "{a|b|<port> c}",
    "line\nbreak\rand\ttab",
    "a & b &amp; c &#60; &lt;",
    "</title><script>alert(1)</script>",
    "<!-- comment -->",
    "]]>",
    "\x00\x01\x1f\x7f\x80\x9f",
    "\ud800 lone surrogate",
    "\ufffe\uffff",
    "שלום",
    "\u202eright to left\u2066",
    "می\u200cخواهم",
    "👩\u200d🔬",
    'charset="latin-1"',
    "graph",
    "node",
    "  spaces  ",
    "\u2028\u2029\u00a0",
    "x" * 10_000,
    "<" * 10_000,
    "\\" * 10_001,
    "-->",
    "%s %d {0}",
    "strict digraph {",
]


def named_everywhere(name):
    """A graph in which a parameter, an input, the output and nested scopes have this name."""
    w, x = parameter([1.0, 2.0], name), tg.Tensor([3.0, 4.0], name=name)
    with tg.scope(name), tg.scope(name):
        y = (w * x).exp()
    y = y.sum()
    y.name = name
    return y


def assert_harmless(name):
    plain = draw(named_everywhere("plain"))
    hostile = draw(named_everywhere(name))
    assert pairs(hostile) == pairs(plain)
    # A name without a visible character makes a leaf an unnamed one, which may be placed elsewhere.
    assert sorted(nodes(hostile)) == sorted(nodes(plain))
    hostile.dot.encode()
    svg = hostile.svg()
    root = ET.fromstring(svg)
    assert not list(root.iter(f"{SVG}script"))
    groups = [g.get("data-name") for g in root.iter(f"{SVG}g") if g.get("class") == "node"]
    assert sorted(groups) == sorted(nodes(plain))
    shown = " ".join(visible(name).replace("\u00a0", " ").split())
    assert shown in " ".join(" ".join(texts(svg)).replace("\u00a0", " ").split())
    assert len(svg) < 100_000


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_name_neither_breaks_nor_injects(name):
    assert_harmless(name)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(codec=None), min_size=1, max_size=60))
def test_no_name_breaks_or_injects(name):
    assert_harmless(name)


def test_long_name_keeps_both_ends():
    drawing = draw(parameter(1.0, "encoder." + "x" * 10_000 + ".weight"))
    assert re.search(r"encoder\.x+….*\.weight", label_of(drawing, "t0"))
    assert len(label_of(drawing, "t0")) < 80


# ── What draw refuses ─────────────────────────────────────────────────────────────────────────────


def test_freed_graph_says_when_to_draw():
    loss = cross_entropy_by_hand()
    loss.backward()
    with pytest.raises(tg.engine.backprop.FreedGraphError) as error:
        draw(loss)
    assert "draw before backward()" in str(error.value)
    assert "backward(retain_graph=True)" in str(error.value)


def test_graph_kept_by_retain_graph_is_drawn_alike():
    loss = cross_entropy_by_hand()
    before = draw(loss).dot
    loss.backward(retain_graph=True)
    assert draw(loss).dot == before


def bare_chain(n):
    x = parameter(1.0, "x")
    for _ in range(n):
        x = x.tanh()
    return x


def test_chain_of_5000_is_refused_not_recursed():
    with pytest.raises(ValueError, match=r"has 5,001 tensors; more than 2,000 .* depth=1"):
        draw(bare_chain(5_000))


def test_largest_graph_allowed_is_drawn_and_one_more_is_refused():
    assert len(pairs(draw(bare_chain(MAX_TENSORS - 1)))) == 2 * (MAX_TENSORS - 1)
    with pytest.raises(ValueError, match="2,001 tensors"):
        draw(bare_chain(MAX_TENSORS))


@pytest.mark.parametrize("make", [chain, bare_chain])
def test_huge_graph_is_folded_or_refused(make):
    end = make(200_000)
    if make is chain:
        assert "folded to depth=1, since it has 200,001 tensors" in legend_of(draw(end))
    else:
        with pytest.raises(ValueError, match="200,001 tensors"):
            draw(end)


def test_huge_scope_is_drawn_folded():
    drawing = draw(chain(20_000), depth=1)
    assert label_of(drawing, "s0") == "chain 20,000 tensors"
    assert pairs(drawing) == [("t0", "s0"), ("s0", "t20000")]


@pytest.mark.parametrize("wrong", [None, 1.0, [1.0], np.ones(3), "loss"])
def test_only_a_tensor_can_be_drawn(wrong):
    with pytest.raises(TypeError, match=type(wrong).__name__):
        draw(wrong)


@pytest.mark.parametrize("direction", ["lr", "left", "", None, ["LR"]])
def test_unknown_direction_is_refused(direction):
    with pytest.raises(ValueError, match="LR, TB, RL, BT"):
        draw(parameter(1.0), direction=direction)


@pytest.mark.parametrize("depth", [0, -1])
def test_depth_below_1_is_refused(depth):
    with pytest.raises(ValueError, match=f"at least 1.*{depth}"):
        draw(parameter(1.0), depth=depth)


@pytest.mark.parametrize("depth", [1.5, "1", True, [1]])
def test_depth_that_is_no_integer_is_refused(depth):
    with pytest.raises(TypeError, match="depth"):
        draw(parameter(1.0), depth=depth)


def test_depth_can_be_a_numpy_integer():
    loss = two_layers()
    assert draw(loss, depth=np.int64(1)).dot == draw(loss, depth=1).dot


# ── Folding by itself, and alike layers ──────────────────────────────────────────────────────────


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
    assert labels == ["Block × 12 47 tensors"]  # the first W stands outside, as x does
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


def test_tensor_that_a_hundred_layers_use_is_placed_within_seconds():
    W, h = parameter(np.ones((2, 2)), "W"), tg.Tensor([[1.0, 2.0]])
    for i in range(100):
        with tg.scope(f"layer {i}"):
            h = (h @ W).tanh() + parameter(np.ones(2))
    drawing = draw(h.sum(), depth=1)
    drawing.svg()


def test_400_tensors_are_drawn_within_a_second():
    W, h = parameter(np.ones((2, 2)), "W"), tg.Tensor([[1.0, 2.0]])
    for i in range(100):
        with tg.scope(f"layer {i}"):
            h = (h @ W).tanh() + parameter(np.ones(2))
    loss = h.sum()
    draw(loss).svg()


# ── Several outputs, without values or gradients, dark, as text ───────────────────────────────────


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
    assert label_of(draw([u, u * u]), "t2") == "scalar value 6 grad 13"


def test_output_without_a_gradient_beside_one_that_has_some():
    a, b = parameter(2.0, "a"), tg.Tensor(5.0, name="b")
    drawing = draw([a * 3.0, b * 2.0])
    assert label_of(drawing, "t0") == "a value 2 grad 3"
    assert not [label for label in map(str, nodes(drawing).values()) if "none arrives" in label]


@pytest.mark.parametrize("wrong", [[], [1.0], "loss", [None]])
def test_outputs_are_tensors(wrong):
    with pytest.raises((TypeError, ValueError), match="the Tensor to draw, or a list"):
        draw(wrong)


def test_values_and_gradients_can_be_left_out():
    loss = cross_entropy_by_hand()
    assert label_of(draw(loss, values=False), "t0") == "z (3,) grad -0.341 0.2424 0.09857"
    assert label_of(draw(loss, grads=False), "t0") == "z (3,) value 2 1 0.1"
    bare = draw(loss, values=False, grads=False)
    assert label_of(bare, "t0") == "z (3,)"
    assert "grad" not in legend_of(bare)


def test_large_array_has_a_heat_map():
    drawing = draw(parameter([[-2.0] * 20, [0.0] * 20, [1.0] * 20], "W"))
    assert drawing.dot.count('BGCOLOR="#005a9c"') == drawing.dot.count('BGCOLOR="#f7f7f7"') == 8
    assert "heat map: blue below 0" in legend_of(drawing)


def test_dark_has_no_colour_of_light():
    light, dark = draw(two_layers()), draw(two_layers(), theme="dark")
    for colour in style.DARK:
        if colour.startswith("#"):
            assert f'"{colour}"' not in dark.dot
    assert pairs(dark) == pairs(light)
    assert contrast(style.DARK[style.TEXT], style.DARK["white"]) >= 4.5


def test_dark_text_has_contrast_4_5_and_lines_3():
    fills = [style.DARK[fill] for fill in ("#ffffff", *style.SCOPE_FILLS)]
    fills += [style.DARK[look.fill] for look in (*style.LOOKS.values(), style.OVAL)]
    for fill in fills:
        assert contrast(style.DARK[style.TEXT], fill) >= 4.5
        assert contrast(style.DARK[style.MUTED], fill) >= 4.5
    for look in style.LOOKS.values():
        assert contrast(style.DARK[look.line], style.DARK["white"]) >= 3


def test_svg_follows_what_its_reader_prefers_unless_told():
    loss = cross_entropy_by_hand()
    assert "prefers-color-scheme: dark" in draw(loss).svg()
    assert "prefers-color-scheme" not in draw(loss, theme="light").svg()


def test_unknown_theme_is_refused():
    with pytest.raises(ValueError, match="theme is one of auto, light, dark, got 'pink'"):
        draw(parameter(1.0), theme="pink")


def test_text_is_a_tree_from_the_output_to_its_inputs(no_renderer):
    assert draw(cross_entropy_by_hand()).text().splitlines() == [
        "loss = subtract  0.417  grad 1",
        "├─ t3 = log  2.417  grad 1",
        "│  t2 = sum  11.21  grad 0.08919",
        "│  t1 = exp  3  7.389 2.718 1.105  grad 0.08919 0.08919 0.08919",
        "│  z (parameter)  3  2 1 0.1  grad -0.341 0.2424 0.09857",
        "└─ t4 = [0]  2  grad -1",
        "   z (parameter)  3  2 1 0.1  grad -0.341 0.2424 0.09857",
    ]


def test_text_shows_plain_numbers_and_large_arrays_without_any():
    y = parameter(np.full((3, 4), np.nan), "x") * 2.0
    assert draw(y).text().splitlines() == [
        "t2 = multiply  3×4  12 not finite",
        "├─ x (parameter)  3×4  12 not finite",
        "└─ 2",
    ]
    assert draw(y, values=False).text().splitlines()[0] == "t2 = multiply  3×4"


def test_text_of_folded_scopes():
    assert "= [layer 2: 5 tensors]" in draw(two_layers(), depth=1).text()


def test_text_of_what_is_used_twice_refers_to_it():
    x = parameter(1.0, "x")
    y = x.exp()
    assert "├─ t1 = exp" in draw(y * y).text()
    assert "└─ t1, see above" in draw(y * y).text()


def test_text_of_a_long_chain_is_neither_indented_nor_endless():
    lines = draw(bare_chain(1_500)).text().splitlines()
    assert len(lines) == 401
    assert max(map(len, lines)) < 80
    assert lines[-1] == "… cut after 400 lines: depth=1 folds scopes"


# ── What the page is made of ──────────────────────────────────────────────────────────────────────

TABLE = {v.name: v for v in vars(primitives).values() if isinstance(v, Primitive)}
# Their formulas are about whole arrays: numbers are filled in another way, or not at all.
NOT_ELEMENTWISE = {
    *("matmul", "einsum", "concatenate", "cumsum", "getitem", "scatter"),
    *("reshape", "transpose"),
}


@pytest.mark.parametrize("name", TABLE)
def test_every_formula_of_the_table_can_be_read(name):
    primitive = TABLE[name]
    for latex in (primitive.latex, *filter(None, primitive.rules_latex)):
        assert formula.parse(latex) is not None, latex


def arguments_of(name):
    x = parameter([[0.3, 0.7, 0.2], [0.9, 0.4, 0.7]], "x")
    if "axis" in TABLE[name].params:
        return [x], (1, False)
    a, b = x, parameter([[0.5, 0.7, 0.8], [0.1, 0.6, 0.2]], "b")
    params = {
        "power": (3,),
        "clip": (0.25, 0.75),
        "broadcast_to": ((4, 2, 3),),
        "cast": (np.dtype("float32"),),
    }.get(name, ())
    if name == "where":
        return [tg.Tensor([[True, False, True]] * 2), a, b], ()
    return ([a, b] if len(TABLE[name].rules_latex) == 2 else [a]), params


ELEMENTWISE = [n for n, p in TABLE.items() if p.differentiable and n not in NOT_ELEMENTWISE]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_tables_latex_says_what_its_rules_compute(name):
    inputs, params = arguments_of(name)
    y = apply(TABLE[name], *inputs, params=params)
    weights = np.random.default_rng(0).normal(size=y.shape)
    out = (y * weights.astype(y.dtype)).sum()
    steps = Trace(topological_order(out), [out]).data()["steps"]
    back = [s for s in steps if s["kind"] == "add" and s["vars"]["y"]["name"] == f"t{len(inputs)}"]
    assert len(back) == sum(t.requires_grad for t in inputs)
    assert all(step["filled"] for step in back)


def test_a_formula_that_does_not_agree_is_not_filled_in():
    wrong = Primitive("wrong", "wrong", "x", lambda x: x, (lambda g, y, x: g * 3.0, r"g\,2"))
    out = apply(wrong, parameter([1.0, 2.0])).sum()
    steps = Trace(topological_order(out), [out]).data()["steps"]
    assert [step.get("filled") for step in steps if step["kind"] == "add"] == [True, False]


@pytest.mark.parametrize("latex", [r"g\,x)", r"\frac{g", r"(g", r"g +"])
def test_a_formula_with_a_mistake_is_not_guessed_at(latex):
    assert formula.parse(latex) is None


def test_braces_alone_group():
    assert formula.evaluate(formula.parse(r"g\,{x + 1}"), {"g": 2, "x": 3}) == 8


@pytest.mark.parametrize(
    "latex, value",
    [
        (r"\sum x", lambda x: np.full_like(x, x.sum())),  # not over an axis: a sum of what?
        ("x", lambda x: np.concatenate([x, x, x])),  # of another shape than the formula
    ],
)
def test_a_value_that_its_formula_does_not_give_is_not_filled_in(latex, value):
    own = Primitive("own", "own", latex, value, (lambda g, y, x: g[:2], "g"))
    out = apply(own, parameter([1.0, 2.0])).sum()
    first = next(
        s for s in Trace(topological_order(out), [out]).data()["steps"] if s["kind"] == "value"
    )
    assert not first["filled"]


def test_comparisons_that_were_recorded_are_computed_on_the_page_too():
    x = parameter([1.0, -2.0], "x")
    with symbolic.recording():
        y = tg.where(x > 0, x, 0.0).sum()
    data = Trace(topological_order(y), [y]).data()
    (greater,) = [node for node in data["nodes"] if node.get("primitive") == "greater"]
    (step,) = [s for s in data["steps"] if s.get("to") == greater["id"]]
    assert step["filled"]
    assert data["arrays"][greater["value"]]["data"] == [True, False]


def test_a_formula_beyond_what_can_be_read_is_shown_as_it_stands():
    odd = Primitive("odd", "odd", r"\oint x", lambda x: x, (lambda g, y, x: g, r"\begin{x}"))
    out = apply(odd, parameter(1.0))
    (step,) = [
        s for s in Trace(topological_order(out), [out]).data()["steps"] if s["kind"] == "add"
    ]
    assert step["formula"] == ("text", "begin{x}")
    assert not step["filled"]


@pytest.mark.parametrize("make", [cross_entropy_by_hand, two_layers])
def test_contributions_add_up_to_the_engines_gradients_bit_for_bit(make):
    loss = make()
    walk = contributions(loss)
    last = {id(c.source): c.after for c in walk}
    wanted = [node for node in topological_order(loss, grad_only=True) if node is not loss]
    for node, gradient in zip(wanted, tg.gradients(loss, wanted), strict=True):
        assert np.array_equal(last[id(node)], gradient)


def test_watching_leaves_no_trace():
    loss = cross_entropy_by_hand()
    with tg.detect_nan():
        before = MODE.get()
        contributions(loss)
        assert MODE.get() is before
    assert all(node.grad is None for node in topological_order(loss))
    loss.backward()


def layouts_of(html):
    """The ids of the scopes that are folded in each layout of a page."""
    return re.findall(r'"folded":\[([^\]]*)\]', html)


def in_scopes(n, tensors=2):
    x = parameter(0.5, "x")
    for i in range(n):
        with tg.scope(f"s{i}"):
            for _ in range(tensors):
                x = x.tanh()
    return x


def test_page_of_few_scopes_holds_every_way_to_fold_them():
    assert sorted(layouts_of(draw(in_scopes(2)).html())) == ["", '"s0"', '"s0","s1"', '"s1"']


def test_page_holds_no_more_layouts_than_it_says():
    assert len(layouts_of(draw(in_scopes(6)).html())) == page.MAX_LAYOUTS


def test_page_holds_no_more_boxes_than_it_says(monkeypatch):
    monkeypatch.setattr(page, "MAX_BOXES", 20)
    assert len(layouts_of(draw(in_scopes(2, tensors=5)).html())) == 2


def test_page_of_a_graph_too_large_to_be_drawn_open_has_it_folded(monkeypatch):
    monkeypatch.setattr(picture, "MAX_TENSORS", 20)
    drawing = draw(in_scopes(2, tensors=15), depth=1)
    assert sorted(layouts_of(drawing.html())) == ['"s0"', '"s0","s1"', '"s1"']


def test_page_of_an_empty_batch():
    x = parameter(np.zeros((0, 3)), "x")
    assert '"shape":[0,3]' in draw((x * x).sum()).html()


def test_page_of_a_large_tensor_that_no_gradient_reaches():
    first = Primitive("first", "first", "a", lambda a, b: a, (lambda g, y, a, b: g, "g"), None)
    other = parameter(np.ones((20, 20)), "other")
    drawn = draw(apply(first, parameter(np.ones((20, 20)), "x"), other).sum()).html()
    in_box = re.search(r'aria-label="other".*?<g class="grad">(.*?)</g>', drawn, re.DOTALL)[1]
    assert 'href=""' in in_box
    assert re.search(r'<text class="span"[^>]*></text>$', in_box)


def test_page_in_a_notebook_says_what_it_is():
    assert repr(draw(two_layers()).page()).startswith("<Page: computation graph of loss: ")


def test_page_of_what_is_not_finite_throughout():
    x = parameter(np.full(20, np.inf), "x")
    statistics = Trace(topological_order(x), [x]).data()["arrays"][0]
    assert (statistics["inf"], "min" in statistics) == (20, False)
    assert "20 inf" in draw(x).html()


def test_lines_are_remembered_while_nan_is_watched_for():
    x = parameter([0.0, 1.0], "x")
    with remember_lines():
        x.sum().backward()
    with tg.detect_nan(), remember_lines():
        y = x.sqrt()  # the line
        with pytest.raises(FloatingPointError, match="log made -inf"):
            x.log()
        with pytest.raises(FloatingPointError, match="the derivative of sqrt made inf"):
            y.sum().backward()
    assert line_of(y).endswith("y = x.sqrt()  # the line")


def test_page_is_the_same_from_run_to_run():
    assert draw(two_layers()).html() == draw(two_layers()).html()


def test_chain_rule_in_latex_is_the_sum_of_the_contributions():
    loss = cross_entropy_by_hand()
    nodes_ = topological_order(loss)
    shown = Trace(nodes_, [loss]).data()["nodes"][0]["latex"]
    assert shown == (
        r"\frac{\partial L}{\partial z} = \frac{\partial L}{\partial t_{4}} \text{ at } [\text{0}]"
        r" + \frac{\partial L}{\partial t_{1}}\,t_{1}"
    )


@pytest.mark.parametrize("name", ["}{\\input{x}", "%", "a_b^c", "$x$", "~", "#&"])
def test_names_do_no_harm_in_latex(name):
    x = parameter(1.0, name)
    y = x * 2.0
    latex = Trace(topological_order(y), [y]).data()["nodes"][0]["latex"]
    inside = re.sub(r"\\text(backslash|asciitilde|asciicircum)\{\}|\\[{}#$%&_]", "", latex)
    assert inside.count("{") == inside.count("}")
    assert not re.search(r"[#$%&~]|\\input", inside)


def test_numbered_names_are_in_latex_what_every_latex_can_set():
    y = parameter(2.0, "weight") * parameter(3.0, "weight")
    latex = Trace(topological_order(y), [y]).data()["nodes"][0]["latex"]
    assert r"\text{weight$_1$}" in latex
    assert not re.search("[₀-₉]", latex)


# ── Large layouts ─────────────────────────────────────────────────────────────────────────────────


def test_long_layout_says_so_and_is_stopped(monkeypatch):
    module = sys.modules["tinygrad_ce.draw.render"]
    monkeypatch.setattr(module, "SECONDS_WITHOUT_A_WORD", 0.01)
    monkeypatch.setattr(module, "SECONDS_AT_MOST", 0.01)
    monkeypatch.setattr(module, "MANY_ARROWS", 1)
    with (
        pytest.warns(UserWarning, match=r"more than a few seconds; depth=1 folds"),
        pytest.raises(RenderError, match="stopped after"),
    ):
        render.render(draw(chain(300)).dot, "svg")


@pytest.mark.filterwarnings("ignore:laying out")
def test_tensors_that_a_hundred_layers_use_are_placed_before_patience_ends():
    W, b = parameter(np.eye(2), "W"), parameter(np.zeros(2), "b")
    h, total = tg.Tensor([[1.0, 2.0]], name="x"), 0.0
    for _ in range(100):
        h = (h @ W + b).tanh()
        total = total + h.sum()
    assert draw(total).svg().count('class="node"') == len(topological_order(total)) + 500


@pytest.mark.parametrize("n, limit", [(10, None), (100, "0.1"), (400, "0.03")])
def test_the_search_for_a_layout_is_limited_only_in_large_pictures(n, limit):
    assert re.findall(r"mclimit=([\d.]+)", draw(chain(n)).dot) == ([limit] if limit else [])


@pytest.fixture
def dot(monkeypatch, tmp_path):
    """A command `dot` of our own on the PATH: called with what it shall do, in Python."""

    def make(body):
        command = tmp_path / "dot"
        command.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
        command.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return make


@pytest.mark.skipif(os.name == "nt", reason="a script is no command there")
@pytest.mark.parametrize("n", [2, 400])
def test_the_command_dot_comes_first_and_has_the_whole_graph(dot, n):
    dot("sys.stdout.write(sys.argv[-1] + ' ' + str(sys.stdin.read().count('->')))")
    drawing = draw(chain(n))
    arrows = drawing.dot.count("->")
    assert render.render(drawing.dot, "svg").decode() == f"-Tsvg {arrows}"


@pytest.mark.skipif(os.name == "nt", reason="a script is no command there")
@pytest.mark.parametrize("n", [2, 400])
def test_what_a_failing_dot_said_is_told(dot, monkeypatch, n):
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    dot("sys.stderr.write('out of ink'); sys.exit(1)")
    with pytest.raises(RenderError, match="failed: out of ink"):
        draw(chain(n)).svg()


@pytest.mark.skipif(os.name == "nt", reason="a script is no command there")
@pytest.mark.parametrize("n", [2, 400])
def test_where_dot_fails_pygraphviz_draws(dot, n):
    dot("sys.exit(1)")
    assert draw(chain(n)).svg().startswith("<svg")


def test_a_program_without_stderr_can_draw(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "dup", lambda number: raise_(OSError("bad file descriptor")))
    assert draw(chain(2)).svg().startswith("<svg")


def raise_(error):
    raise error


def test_large_graph_is_drawn_in_a_process_of_its_own():
    assert draw(chain(400)).svg().count('class="node"') == 801


# ── Pictures ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def no_renderer(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "pygraphviz", None)


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
    for text in ("cross-entropy", "log of softmax", "z", "(3,)", "exp", "[0]", "-0.341", "loss"):
        assert text in shown


def test_svg_has_no_ids_that_would_clash_on_a_page():
    root = ET.fromstring(draw(two_layers()).svg())
    assert not [e for e in root.iter() if e.get("id")]


def test_drawing_again_and_again_gives_the_same_labels():
    first, second = draw(cross_entropy_by_hand()), draw(two_layers())
    expected = texts(first.svg()), texts(second.svg())
    for _ in range(3):
        assert (texts(first.svg()), texts(second.svg())) == expected


def test_rendering_says_nothing_on_stderr(capfd):
    drawing = draw(chain(1_200))  # pygraphviz has a word to say on more than 1,000 nodes
    drawing.svg()
    draw(two_layers())._repr_mimebundle_()
    assert capfd.readouterr() == ("", "")


def test_stderr_works_again_after_rendering(capfd):
    draw(two_layers()).svg()
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


def test_rendering_works_without_a_stderr():
    code = (
        "import os; os.close(2)\n"
        "import tinygrad_ce as tg; from tinygrad_ce.draw import draw\n"
        "print(draw(tg.Tensor(1.0, name='x')).svg()[:4])"
    )
    run = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert run.stdout.strip() == b"<svg"


def test_threads_can_render_at_the_same_time():
    drawing = draw(two_layers())
    results = []
    threads = [threading.Thread(target=lambda: results.append(drawing.svg())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [drawing.svg()] * 8


def test_what_graphviz_says_of_an_error_is_in_the_exception(capfd):
    with pytest.raises(RenderError, match="syntax error"):
        render.render("digraph { a -> [ }", "svg")
    assert capfd.readouterr() == ("", "")


def test_dot_command_comes_first_where_there_is_one(monkeypatch, tmp_path):
    dot = tmp_path / "dot"
    dot.write_text('#!/bin/sh\necho noise >&2\nread line\necho "<svg>$1 $2</svg>"\n')
    dot.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "-Kdot -Tsvg" in draw(parameter(1.0)).svg()


def test_pygraphviz_takes_over_where_dot_fails(monkeypatch, tmp_path):
    dot = tmp_path / "dot"
    dot.write_text("#!/bin/sh\necho 'no plugins' >&2\nexit 1\n")
    dot.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    drawing = draw(parameter(1.0))
    ET.fromstring(drawing.svg())
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    with pytest.raises(RenderError, match="no plugins"):
        drawing.svg()


def test_without_a_renderer_the_error_names_both_remedies(no_renderer):
    with pytest.raises(ImportError) as error:
        draw(parameter(1.0)).svg()
    assert 'pip install "tinygrad-ce[render]"' in str(error.value)
    assert "package manager" in str(error.value)


def test_notebook_shows_svg_and_text():
    drawing = draw(cross_entropy_by_hand())
    bundle = drawing._repr_mimebundle_()
    assert bundle == {"image/svg+xml": drawing.svg(), "text/plain": repr(drawing)}


def test_notebook_shows_dot_and_the_remedy_without_a_renderer(no_renderer):
    drawing = draw(cross_entropy_by_hand())
    bundle = drawing._repr_mimebundle_()
    assert set(bundle) == {"text/plain"}
    text, _, remedy = bundle["text/plain"].rstrip().rpartition("\n")
    assert text.strip() == drawing.dot.strip()
    assert "tinygrad-ce[render]" in remedy


def test_notebook_never_raises_whatever_fails(monkeypatch):
    def broken(source, format):
        raise MemoryError("far too\nlarge")

    monkeypatch.setattr(render, "render", broken)
    text = draw(cross_entropy_by_hand())._repr_mimebundle_()["text/plain"]
    assert text.splitlines()[-1] == "no picture: far too large"


@pytest.mark.parametrize(
    ("suffix", "start"),
    [("dot", b"digraph"), ("svg", b"<svg"), ("png", b"\x89PNG"), ("pdf", b"%PDF")],
)
def test_save_writes_the_format_of_the_name(tmp_path, suffix, start):
    path = tmp_path / f"graph.{suffix}"
    for name in (path, str(path), tmp_path / f"graph.{suffix.upper()}"):
        saved = draw(cross_entropy_by_hand()).save(name)
        assert saved.read_bytes().startswith(start)
    assert sorted(p.suffix.lower() for p in tmp_path.iterdir()) == [f".{suffix}"] * 2


def test_saved_dot_is_the_dot(tmp_path):
    drawing = draw(cross_entropy_by_hand())
    assert drawing.save(tmp_path / "g.dot").read_text(encoding="utf-8") == drawing.dot


@pytest.mark.parametrize("name", ["g.xml", "g.jpg", "g", ".svg", "dot"])
def test_unknown_format_is_refused_with_the_known_ones(tmp_path, name):
    with pytest.raises(ValueError, match=r"\.dot, \.svg, \.png, \.pdf"):
        draw(parameter(1.0)).save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_failing_to_render_leaves_no_file_and_the_old_one_untouched(tmp_path, no_renderer):
    drawing = draw(parameter(1.0))
    old = tmp_path / "old.svg"
    old.write_text("old")
    for path in (old, tmp_path / "new.svg"):
        with pytest.raises(ImportError):
            drawing.save(path)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("old.svg", "old")]
    assert drawing.save(tmp_path / "g.dot").exists()


def test_failing_to_write_leaves_nothing_half_written(tmp_path):
    with pytest.raises(FileNotFoundError):
        draw(parameter(1.0)).save(tmp_path / "missing" / "g.dot")
    (tmp_path / "folder.dot").mkdir()
    with pytest.raises((IsADirectoryError, PermissionError)):
        draw(parameter(1.0)).save(tmp_path / "folder.dot")
    assert [p.name for p in tmp_path.iterdir()] == ["folder.dot"]


def test_graph_is_a_digraph_to_go_on_with():
    drawing = draw(cross_entropy_by_hand())
    assert isinstance(drawing, Drawing)
    drawing.graph.attr(bgcolor="transparent")
    assert "bgcolor=transparent" in drawing.dot


def test_drawing_needs_no_renderer_and_no_import_of_one():
    code = (
        "import sys, tinygrad_ce as tg; from tinygrad_ce.draw import draw\n"
        "assert 'graphviz' not in sys.modules\n"
        "draw(tg.Tensor(1.0)).dot\n"
        "assert 'pygraphviz' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ── Any graph ─────────────────────────────────────────────────────────────────────────────────────


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
    root = ET.fromstring(drawing.svg())
    groups = [g.get("data-name") for g in root.iter(f"{SVG}g") if g.get("class") == "node"]
    assert sorted(groups) == sorted(drawn)
    assert len([g for g in root.iter(f"{SVG}g") if g.get("class") == "edge"]) == len(pairs(drawing))
