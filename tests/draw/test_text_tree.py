import re

import numpy as np
import pytest
from draw.graphs import bare_chain, cross_entropy_by_hand, parameter, two_layers

import tinygrad_ce as tg
from tinygrad_ce.draw import draw


def names_in(text):
    """The name at the start of each line, behind its branches."""
    return [re.match(r"[│├─ ]*(\S+)", line)[1] for line in text.splitlines()]


def test_text_is_a_tree_from_the_output_to_its_inputs(no_renderer):
    assert draw(cross_entropy_by_hand()).text().splitlines() == [
        "loss = subtract(t3, t4)  0.417  grad 1",
        "├─ t4 = z[0]  2  grad -1",
        "t3 = log(t2)  2.417  grad 1",
        "t2 = sum(t1)  11.21  grad 0.08919",
        "t1 = exp(z)  (3,)  7.389 2.718 1.105  grad 0.08919 0.08919 0.08919",
        "z (parameter)  (3,)  2 1 0.1  grad -0.341 0.2424 0.09857",
    ]


def test_text_shows_plain_numbers_where_they_are_used_and_large_arrays_without_any():
    y = parameter(np.full((3, 4), np.nan), "x") * 2.0
    assert draw(y).text().splitlines() == [
        "y = multiply(x, 2)  (3, 4)  12 nan",
        "x (parameter)  (3, 4)  12 nan",
    ]
    assert draw(y, values=False).text().splitlines()[0] == "y = multiply(x, 2)  (3, 4)"


def test_text_of_folded_scopes():
    assert "= [layer 2: 5 tensors](t5)  (2, 3)" in draw(two_layers(), depth=1).text()


def test_text_of_an_index_names_the_arrays_in_it():
    x, rows = parameter(np.ones((2, 3)), "x"), tg.Tensor(np.array([0, 1]), name="rows")
    assert draw(x[rows, 1:]).text().startswith("t2 = x[rows, 1:]  (2, 2)")


def test_text_of_many_inputs_names_the_first():
    x = parameter(np.ones(2), "x")
    assert draw(np.concatenate([x] * 9)).text().startswith("t1 = concatenate(x, x, x, x, …")


def test_text_of_what_is_used_twice_has_it_once():
    x = parameter(1.0, "x")
    y = x.exp()
    assert names_in(draw(y * y).text()) == ["t2", "y", "x"]


def test_text_of_a_long_chain_is_neither_indented_nor_endless():
    lines = draw(bare_chain(1_500)).text().splitlines()
    assert len(lines) == 401
    assert max(map(len, lines)) < 80
    assert lines[-1] == "… cut after 400 lines: depth=1 folds scopes"


@pytest.mark.parametrize("residual", [False, True])
def test_text_of_many_layers_is_indented_by_their_parameters_alone(residual):
    h = tg.Tensor(np.ones((2, 3)), name="X")
    for i in range(40):
        next_ = (h @ parameter(np.eye(3), f"W{i}") + parameter(np.ones(3), f"b{i}")).tanh()
        h = h + next_ if residual else next_
    text = draw(h.sum()).text()
    indented = [line for line in text.splitlines() if line[0] in "│├"]
    assert all(re.match(r"├─ [Wb]\d+ \(parameter\)", line) for line in indented)
    assert len(indented) == 80
    assert names_in(text)[-1] == "X"


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("depth", [None, 1, 2])
def test_text_has_each_tensor_once_whatever_the_graph(seed, depth):
    rng = np.random.default_rng(seed)
    tensors = [parameter(1.0, f"x{i}") for i in range(3)]
    for i in range(30):
        with tg.scope(f"part {i // 7}"), tg.scope(f"step {rng.integers(3)}"):
            a, b = (tensors[k] for k in rng.integers(len(tensors), size=2))
            tensors.append([a.tanh(), a + b, a * 2.0, a - b][rng.integers(4)])
    drawing = draw([tensors[-1], tensors[-5]], depth)
    boxes = [box for box in drawing._diagram.boxes if box.kind.name != "CONSTANT"]
    assert sorted(names_in(drawing.text())) == sorted(box.name or box.id for box in boxes)
