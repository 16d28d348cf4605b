import numpy as np
from draw.graphs import bare_chain, cross_entropy_by_hand, parameter, two_layers

from tinygrad_ce.draw import draw


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
        "y = multiply  3×4  12 nan",
        "├─ x (parameter)  3×4  12 nan",
        "└─ 2",
    ]
    assert draw(y, values=False).text().splitlines()[0] == "y = multiply  3×4"


def test_text_of_folded_scopes():
    assert "= [layer 2: 5 tensors]" in draw(two_layers(), depth=1).text()


def test_text_of_what_is_used_twice_refers_to_it():
    x = parameter(1.0, "x")
    y = x.exp()
    assert "├─ y = exp" in draw(y * y).text()
    assert "└─ y, see above" in draw(y * y).text()


def test_text_of_a_long_chain_is_neither_indented_nor_endless():
    lines = draw(bare_chain(1_500)).text().splitlines()
    assert len(lines) == 401
    assert max(map(len, lines)) < 80
    assert lines[-1] == "… cut after 400 lines: depth=1 folds scopes"
