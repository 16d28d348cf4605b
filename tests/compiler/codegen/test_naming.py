"""Names in the source: none for two things at a time."""

import numpy as np
import pytest
from bits import assert_same_bits
from compiler_helpers import X3, assert_compiles

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce.engine import primitives as p
from tinygrad_ce.engine.kernels import ARRAY_SLOT
from tinygrad_ce.engine.tensor import apply, constant


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x[::-1].mean(),
        lambda x: x[::-1].sum(),
        lambda x: (x[::-1][::-1] * 2).mean(),
        lambda x: x[np.array([2, 0, 0])].mean(),
        lambda x: (x[::-1] + x[1:].sum()).mean(),
    ],
)
def test_what_is_put_at_places_has_another_name_than_the_result(f):
    gradient = tg.grad(f)
    assert_same_bits([tg.compile(gradient)(X3)], [gradient(X3)])


ROWS = np.arange(3)


def test_what_is_added_to_in_place_keeps_both_names():
    def f(x, g):
        rest = x.exp()
        rest.name = "rest"
        total = apply(p.scatter, g, constant(ROWS), params=((ARRAY_SLOT,), (3,))) + rest
        total.name = "total"
        return total * 2

    source = assert_compiles(f, X3, X3)
    assert "    total = rest\n    total[rows] += g\n" in source


def test_names_that_the_module_needs_itself_are_not_mistaken():
    a = np.random.default_rng(0).normal(size=(300, 300))
    y = np.arange(300)
    assert_compiles(lambda buffer_1: ((buffer_1 @ buffer_1).tanh() @ buffer_1).sum(0), a)
    assert_compiles(lambda check_labels, y: 2 * F.cross_entropy(check_labels, y), a, y)
    source = assert_compiles(lambda x: x * tg.Tensor([1.0, 2.0, 4.0], name="step"), a[:, :3].copy())
    assert "step_1 = np.array([1.0, 2.0, 4.0]" in source


def test_a_step_named_like_what_it_calls():
    def min(x):
        return F.cross_entropy(x, np.arange(3))

    assert "\ndef step(x):" in assert_compiles(min, np.eye(3))
