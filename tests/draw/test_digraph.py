import os
import re
import subprocess
import sys

import numpy as np
import pytest
from draw.graphs import (
    attribute,
    cross_entropy_by_hand,
    label_of,
    legend_of,
    node_named,
    nodes,
    one_of_each_kind,
    pairs,
    parameter,
    texts,
    two_layers,
)

import tinygrad_ce as tg
from tinygrad_ce import nn
from tinygrad_ce.draw import draw
from tinygrad_ce.draw.colors import LIGHT


def test_tensors_are_boxes_and_primitives_ovals():
    drawing = draw(cross_entropy_by_hand())
    shapes = {n: attribute(drawing, n, "shape") for n in nodes(drawing)}
    assert {n for n, shape in shapes.items() if shape == "oval"} == {"p1", "p2", "p3", "p4", "p5"}
    assert {n for n, shape in shapes.items() if shape is None} == {f"t{i}" for i in range(6)}
    assert "shape=box" in drawing.dot


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
    assert label_of(draw(large), "t0") == "x (100,) value 1 … 1, 3 nan"


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
        "astype float32": x.astype(np.float32),
        "clip lo=0": x.clip(0),
    }
    for label, result in ovals.items():
        drawing = draw(result)
        (oval,) = [n for n in nodes(drawing) if n.startswith("p")]
        assert label_of(drawing, oval) == label


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


def test_kinds_differ_by_line_and_by_color():
    drawing = draw(one_of_each_kind())
    boxes = [n for n in nodes(drawing) if n.startswith("t")]
    looks = {
        tuple(attribute(drawing, n, a) for a in ("style", "penwidth", "peripheries")) for n in boxes
    }
    colors = {tuple(attribute(drawing, n, a) for a in ("color", "fillcolor")) for n in boxes}
    assert len(looks) == 5
    assert len(colors) >= 4


def test_a_numbered_name_keeps_its_number_where_the_others_are_folded():
    loss = nn.MLP([2, 3, 1], rng=0)(tg.Tensor([[1.0, 2.0]], name="x")).sum()
    second_bias = loss.inputs[0].inputs[1]
    drawing = draw([loss, second_bias], depth=1)
    assert re.findall(r'label="(bias.) ', drawing.dot) == ["bias₂"]


def test_legend_names_the_kinds_that_occur_and_no_others():
    drawing = draw(one_of_each_kind())
    for word in ("parameter", "input", "constant", "computed", "output", "primitive"):
        assert word in legend_of(drawing)
    assert "grad: of loss with respect to the tensor" in legend_of(drawing)
    a = parameter(1.0, "a")
    for word in ("input", "constant"):
        assert word not in legend_of(draw(a * a))


def test_values_and_gradients_can_be_left_out():
    loss = cross_entropy_by_hand()
    assert label_of(draw(loss, values=False), "t0") == "z (3,) grad -0.341 0.2424 0.09857"
    assert label_of(draw(loss, grads=False), "t0") == "z (3,) value 2 1 0.1"
    bare = draw(loss, values=False, grads=False)
    assert label_of(bare, "t0") == "z (3,)"
    assert "grad" not in legend_of(bare)


def test_dark_has_no_color_of_light():
    light, dark = draw(two_layers()), draw(two_layers(), theme="dark")
    for color in set(LIGHT.values()):
        assert f'"{color}"' not in dark.dot
    assert pairs(dark) == pairs(light)


def test_two_runs_give_the_same_dot_whatever_else_was_created():
    first = draw(two_layers()).dot
    _ = [parameter(1.0) * i for i in range(50)]
    assert draw(two_layers()).dot == first


@pytest.mark.slow
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


def test_long_name_keeps_both_ends():
    drawing = draw(parameter(1.0, "encoder." + "x" * 10_000 + ".weight"))
    assert re.search(r"encoder\.x+….*\.weight", label_of(drawing, "t0"))
    assert len(label_of(drawing, "t0")) < 80
